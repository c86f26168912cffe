//! Devices, a broker and a receiver, and everything that happens to them.

use std::path::Path;
use std::time::Duration;

use bridgeclip::random::Random;
use bridgeclip::uplink::{Answer, BrokerLimits, LinkState, Loss, Signal};
use tempfile::TempDir;

use super::broker::{Mood, Packet, Reply, closed, react};
use super::checks::Receiver;
use super::clock::{DAY, HOUR, MINUTE, MS, SECOND, Schedule, Trace};
use super::random::{below, chance};
use super::unit::{Around, Unit};

/// An occurrence in the world. The first number is that of a unit.
pub enum Happening {
    /// The camera takes a photo.
    Photo(usize),
    /// The uplink is told that there may be rows, and whether there is an urgent one.
    Wake(usize, bool),
    Timer(usize, u64),
    ToDevice(usize, u64, bridgeclip::uplink::Signal),
    ToBroker(usize, u64, Packet),
    Stored(usize, u64),
    Ping(usize, u64),
    Fix(usize),
    Correct(usize, u64),
    /// The power fails, or somebody stops the program.
    Down(usize),
    Start(usize),
    /// Somebody sets the clock, makes the link a costly one, or changes the network.
    Whim(usize),
    Network(usize, Net),
    Mood(u64),
}

/// State of the network between a device and the broker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Net {
    Good,
    /// Nothing passes, and nobody is told.
    Dead,
}

/// Size of a world.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub units: usize,
    pub days: u64,
    pub photos_a_day: u64,
    /// Seconds between two reports of a device's health.
    pub health_s: u64,
    /// Mean time between two starts, two steps of the clock, and two changes of the network, in microseconds each.
    pub whims: u64,
    /// Percentage of accepted messages that the broker loses. No device can survive that; it shows that the checks
    /// notice.
    pub lies: u64,
}

/// An urgent photo that must arrive soon.
struct Urgent {
    unit: usize,
    sha256: String,
    until: u64,
}

/// A connection as the broker knows it.
#[derive(Clone, Copy, Default)]
struct Known {
    connection: u64,
    is_open: bool,
    packets: u64,
}

pub struct World {
    scale: Scale,
    schedule: Schedule,
    random: Random,
    trace: Trace,
    units: Vec<Unit>,
    nets: Vec<Net>,
    known: Vec<Known>,
    mood: Mood,
    moods: u64,
    /// Moment since which a unit's link has met nothing that it may notice.
    calm_since: Vec<u64>,
    urgent: Vec<Urgent>,
    receiver: Receiver,
    _dir: TempDir,
}

/// Result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub trace: u64,
    pub happenings: u64,
    pub events: usize,
    pub repeated: u64,
    pub corrections: u64,
    pub set_aside: u64,
    pub urgent_in_time: u64,
}

/// Returns a folder in memory; on a real drive, syncs would take most of the time.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a temporary folder")
}

/// Returns a random time with this mean: from a Poisson process, at most eight means.
fn around_mean(random: &mut Random, mean: u64) -> u64 {
    let drawn = -(1.0 - random.unit()).ln();
    (mean as f64 * drawn.min(8.0)) as u64
}

/// Age at which devices know a mood, so that its effects must no longer show.
const KNOWN_AFTER: u64 = 20 * MINUTE;

impl World {
    pub fn new(seed: u64, scale: Scale) -> Self {
        let dir = folder();
        let units: Vec<Unit> = (0..scale.units).map(|number| Unit::new(number, dir.path(), scale.health_s)).collect();
        World {
            scale,
            schedule: Schedule::new(),
            random: Random::new(&[seed]),
            trace: Trace::new(),
            nets: vec![Net::Good; scale.units],
            known: vec![Known::default(); scale.units],
            mood: Mood::Good,
            moods: 0,
            calm_since: vec![0; scale.units],
            urgent: Vec::new(),
            receiver: Receiver::default(),
            units,
            _dir: dir,
        }
    }

    /// Lets the time pass, then repairs everything and waits until all has arrived.
    pub fn run(mut self) -> Outcome {
        self.plan();
        let end = self.scale.days * DAY;
        let mut in_time = 0;
        self.go_on(end, &mut in_time);
        self.make_all_good();
        let patience = self.schedule.now + 2 * DAY;
        while !self.all_has_arrived() {
            assert!(self.schedule.now < patience, "not delivered: {:?}", self.depths());
            let until = self.schedule.now + 10 * MINUTE;
            self.go_on(until, &mut in_time);
        }
        self.outcome(in_time)
    }

    fn outcome(&self, urgent_in_time: u64) -> Outcome {
        for (number, unit) in self.units.iter().enumerate() {
            self.receiver.expect_all(number, &unit.checks);
        }
        let sum = |count: fn(&Unit) -> u64| self.units.iter().map(count).sum();
        Outcome {
            trace: self.trace.sum(),
            happenings: self.trace.lines,
            events: self.receiver.events(),
            repeated: self.receiver.repeated,
            corrections: sum(|unit| unit.checks.corrections),
            set_aside: sum(|unit| unit.checks.set_aside),
            urgent_in_time,
        }
    }

    fn plan(&mut self) {
        for unit in 0..self.scale.units {
            self.schedule.at(0, Happening::Start(unit));
            self.plan_photo(unit);
            let whim = around_mean(&mut self.random, self.scale.whims);
            self.schedule.after(whim, Happening::Whim(unit));
            let fix = around_mean(&mut self.random, 2 * HOUR);
            self.schedule.after(fix, Happening::Fix(unit));
        }
        self.schedule.after(MINUTE, Happening::Mood(0));
    }

    fn plan_photo(&mut self, unit: usize) {
        let pause = around_mean(&mut self.random, DAY / self.scale.photos_a_day.max(1));
        self.schedule.after(pause, Happening::Photo(unit));
    }

    fn go_on(&mut self, end: u64, in_time: &mut u64) {
        let (mut before, mut at_once) = (self.schedule.now, 0);
        while self.schedule.now < end {
            let Some(what) = self.schedule.next() else { return };
            at_once = if self.schedule.now == before { at_once + 1 } else { 0 };
            before = self.schedule.now;
            assert!(at_once < 100_000, "the world does not come to rest");
            self.happen(what, in_time);
        }
    }

    fn is_ending(&self) -> bool {
        self.schedule.now >= self.scale.days * DAY
    }

    fn with<T>(&mut self, unit: usize, work: impl FnOnce(&mut Unit, &mut Around) -> T) -> T {
        let World { schedule, random, trace, units, .. } = self;
        work(&mut units[unit], &mut Around { schedule, random, trace })
    }

    fn happen(&mut self, what: Happening, in_time: &mut u64) {
        match what {
            Happening::Photo(unit) => self.photo(unit),
            Happening::Wake(unit, urgent) => self.with(unit, |unit, around| unit.wake(urgent, around)),
            Happening::Timer(unit, timer) => self.with(unit, |unit, around| unit.time(timer, around)),
            Happening::ToDevice(unit, connection, signal) => self.reach_device(unit, connection, signal),
            Happening::ToBroker(unit, connection, packet) => self.reach_broker(unit, connection, &packet, in_time),
            Happening::Stored(unit, life) => self.with(unit, |unit, around| unit.stored(life, around)),
            Happening::Ping(unit, connection) => self.with(unit, |unit, around| unit.ping(connection, around)),
            Happening::Fix(unit) => self.fix(unit),
            Happening::Correct(unit, life) => self.with(unit, |unit, around| unit.correct(life, around)),
            Happening::Down(unit) => self.down(unit),
            Happening::Start(unit) => self.start(unit),
            Happening::Whim(unit) => self.whim(unit),
            Happening::Network(unit, net) => self.set_net(unit, net),
            Happening::Mood(number) if number == self.moods => self.change_mood(),
            Happening::Mood(_) => (),
        }
    }

    fn photo(&mut self, unit: usize) {
        if self.is_ending() {
            return;
        }
        self.plan_photo(unit);
        // Photos arrive in bursts, as in a flight.
        let count = if chance(&mut self.random, 5) { 1 + below(&mut self.random, 12) } else { 1 };
        for _ in 0..count {
            let taken = self.with(unit, Unit::take_photo);
            if let Some((sha256, true)) = taken {
                self.expect_soon(unit, sha256);
            }
        }
    }

    /// Expects an urgent photo without delay, if the device is online and the broker accepts its results.
    fn expect_soon(&mut self, unit: usize, sha256: String) {
        let now = self.schedule.now;
        let is_calm = now >= self.calm_since[unit] + KNOWN_AFTER && self.nets[unit] == Net::Good;
        if let Some(within) = self.mood.urgent_within(unit).filter(|_| is_calm) {
            self.urgent.push(Urgent { unit, sha256, until: now + within });
        }
    }

    /// Notes a disturbance of the link: events due before it must have arrived, and the others may take longer.
    fn disturb(&mut self, unit: usize) {
        let (now, mood) = (self.schedule.now, self.mood);
        self.calm_since[unit] = now;
        self.urgent.retain(|urgent| {
            let is_late = urgent.unit == unit && urgent.until < now;
            assert!(
                !is_late,
                "an urgent photo of unit {unit} has not come {:?} after it was due: {mood:?}",
                now - urgent.until
            );
            urgent.unit != unit
        });
    }

    fn arrived(&mut self, sha256: &str, in_time: &mut u64) {
        let (now, mood) = (self.schedule.now, self.mood);
        let Some(index) = self.urgent.iter().position(|urgent| urgent.sha256 == sha256) else { return };
        let urgent = self.urgent.swap_remove(index);
        let unit = urgent.unit;
        assert!(
            now <= urgent.until,
            "an urgent photo of unit {unit} came {} ms late: {mood:?}",
            (now - urgent.until) / MS
        );
        *in_time += 1;
    }

    fn reach_device(&mut self, unit: usize, connection: u64, signal: Signal) {
        if matches!(&signal, Signal::Answered(_, answer) if *answer != Answer::Accepted) {
            self.units[unit].checks.refuses();
        }
        self.with(unit, |unit, around| unit.signal(connection, signal, around));
    }

    fn reach_broker(&mut self, unit: usize, connection: u64, packet: &Packet, in_time: &mut u64) {
        if self.nets[unit] == Net::Dead || self.mood == Mood::Silent {
            return;
        }
        if matches!(packet, Packet::Connect) {
            return self.accept(unit, connection);
        }
        let known = &mut self.known[unit];
        if !known.is_open || known.connection != connection {
            return;
        }
        known.packets += 1;
        let replies = react(self.mood, unit, packet, known.packets, &mut self.random);
        known.is_open = !matches!(packet, Packet::Gone);
        for reply in replies {
            self.reply(unit, connection, reply, packet, in_time);
        }
    }

    fn accept(&mut self, unit: usize, connection: u64) {
        let refuse = self.mood == Mood::Down || (self.mood == Mood::Moody && chance(&mut self.random, 15));
        self.known[unit] = Known { connection, is_open: !refuse, packets: 0 };
        let limits = BrokerLimits {
            packet_bytes_max: usize::MAX,
            receive_max: [20, 65_535][below(&mut self.random, 2) as usize],
            keep_alive: Duration::from_secs(60),
        };
        match refuse {
            true => self.lose(unit, connection, Loss::Broken("connection refused".to_owned())),
            false => self.hear(unit, connection, Signal::Connected(limits)),
        }
    }

    fn reply(&mut self, unit: usize, connection: u64, reply: Reply, packet: &Packet, in_time: &mut u64) {
        match (reply, packet) {
            (Reply::Take, _) if chance(&mut self.random, self.scale.lies) => (),
            (Reply::Take, Packet::Publish { topic, payload, .. }) => {
                if let Some(sha256) = self.receiver.take(topic, payload) {
                    self.arrived(&sha256, in_time);
                }
            }
            (Reply::Take, _) => (),
            (Reply::Signal(signal), _) => self.hear(unit, connection, signal),
            (Reply::End(loss), _) => {
                self.known[unit].is_open = false;
                self.lose(unit, connection, loss);
            }
        }
    }

    fn hear(&mut self, unit: usize, connection: u64, signal: Signal) {
        let slow = if let Mood::Slow(time) = self.mood { time } else { 0 };
        let delay = 20 * MS + below(&mut self.random, 60 * MS) + slow;
        self.with(unit, |unit, around| unit.hear(connection, signal, delay, around));
    }

    fn lose(&mut self, unit: usize, connection: u64, loss: Loss) {
        let delay = 20 * MS + below(&mut self.random, 60 * MS);
        self.with(unit, |unit, around| unit.lose(connection, loss, delay, around));
    }

    fn change_mood(&mut self) {
        let (mood, time) = Mood::draw(&mut self.random, self.scale.units);
        self.set_mood(mood);
        self.schedule.after(time, Happening::Mood(self.moods));
    }

    /// A broker that is down or restarts knows no connection.
    fn set_mood(&mut self, mood: Mood) {
        (0..self.scale.units).for_each(|unit| self.disturb(unit));
        self.trace.note(self.schedule.now, usize::MAX, format_args!("the broker is {mood:?}"));
        self.moods += 1;
        self.mood = mood;
        if mood == Mood::Down || chance(&mut self.random, 30) {
            self.end_connections();
        }
    }

    fn end_connections(&mut self) {
        for unit in 0..self.scale.units {
            let Known { connection, is_open, .. } = self.known[unit];
            if is_open {
                self.known[unit].is_open = false;
                self.lose(unit, connection, closed());
            }
        }
    }

    fn start(&mut self, unit: usize) {
        self.disturb(unit);
        self.with(unit, Unit::start);
    }

    fn down(&mut self, unit: usize) {
        self.disturb(unit);
        let is_kill = chance(&mut self.random, 70);
        self.with(unit, |unit, around| if is_kill { unit.kill(around) } else { unit.stop(around) });
        let pause = MINUTE + around_mean(&mut self.random, 10 * MINUTE);
        self.schedule.after(pause, Happening::Start(unit));
    }

    fn fix(&mut self, unit: usize) {
        if self.is_ending() {
            return;
        }
        self.with(unit, Unit::fix);
        let pause = around_mean(&mut self.random, 2 * HOUR);
        self.schedule.after(pause, Happening::Fix(unit));
    }

    fn whim(&mut self, unit: usize) {
        if self.is_ending() {
            return;
        }
        match below(&mut self.random, 5) {
            0 if self.units[unit].is_running() => self.schedule.after(0, Happening::Down(unit)),
            0 => (),
            1 => self.with(unit, Unit::step_clock),
            2 => {
                let metered = !self.units[unit].metered;
                self.with(unit, |unit, around| unit.set_metered(metered, around));
            }
            _ => {
                self.set_net(unit, Net::Dead);
                let time = SECOND + around_mean(&mut self.random, 30 * MINUTE);
                self.schedule.after(time, Happening::Network(unit, Net::Good));
            }
        }
        let pause = MINUTE + around_mean(&mut self.random, self.scale.whims);
        self.schedule.after(pause, Happening::Whim(unit));
    }

    fn set_net(&mut self, unit: usize, net: Net) {
        self.disturb(unit);
        self.nets[unit] = net;
    }

    fn make_all_good(&mut self) {
        self.set_mood(Mood::Good);
        for unit in 0..self.scale.units {
            self.set_net(unit, Net::Good);
            self.with(unit, |unit, around| unit.set_metered(false, around));
        }
    }

    fn depths(&self) -> Vec<(u64, u64, LinkState)> {
        self.units.iter().map(|unit| (unit.depth().0, unit.depth().1, unit.link)).collect()
    }

    /// Reports whether everything has arrived. What was set aside is put back, as the broker now accepts everything.
    fn all_has_arrived(&mut self) -> bool {
        for unit in 0..self.scale.units {
            if self.units[unit].depth().1 > 0 {
                self.with(unit, Unit::retry);
            }
        }
        self.depths().iter().all(|(waiting, set_aside, _)| waiting + set_aside == 0)
    }
}
