//! One device: the real uplink, journal and corrector on clocks that the world turns.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bridgeclip::daemon::{correct, remember};
use bridgeclip::domain::{Position, PositionSource, Sha256};
use bridgeclip::journal::{
    DeviceIdentity, EventClass, FILE_NAME, Journal, JournalError, Params as JournalParams, Reader, Recorded,
};
use bridgeclip::position::{
    Arrival, Claims, ClockReader, Fix, Located, Locator, LocatorParams, NoHistory, Origin, Photo, Reading, Stored,
};
use bridgeclip::random::Random;
use bridgeclip::uplink::{Action, Endpoint, Event, Fate, Group, LinkEvent, LinkState, Loss, Machine, Params};
use bridgeclip::uplink::{Sent, Settings, Settled, Signal};
use jiff::{SignedDuration, Timestamp};

use super::broker::Packet;
use super::checks::UnitChecks;
use super::clock::{MS, SECOND, Schedule, Trace};
use super::random::{below, chance};
use super::world::Happening;
use crate::support::results::{journal_params, result};

/// Clocks of a device, as its programs read them.
#[derive(Default)]
struct Clocks {
    /// Microseconds since the machine started.
    up: AtomicU64,
    /// Microseconds since 1970, by the wall clock.
    wall: AtomicI64,
    ntp: AtomicBool,
}

/// Surroundings that a unit works with.
pub struct Around<'a> {
    pub schedule: &'a mut Schedule,
    pub random: &'a mut Random,
    pub trace: &'a mut Trace,
}

pub struct Unit {
    number: usize,
    dir: PathBuf,
    health_s: u64,
    clocks: Arc<Clocks>,
    /// Moment at which the machine started, and the error of its wall clock, both in microseconds.
    started: u64,
    wall_is_off_by: i64,
    boots: u64,
    photos: u64,
    pub metered: bool,
    /// Number that grows with every start and every end of the program.
    pub life: u64,
    run: Option<Run>,
    pub link: LinkState,
    pub is_holding: bool,
    /// Number that grows with every connection that is opened or dropped.
    pub connection: u64,
    is_open: bool,
    packets: u16,
    /// Moment at which the last packet arrives in each direction: packets do not overtake each other.
    last_up: u64,
    last_down: u64,
    timer: (u64, u64),
    pub checks: UnitChecks,
}

/// The running program.
struct Run {
    machine: Machine,
    journal: Journal,
    thread: JoinHandle<()>,
    reader: Reader,
    locator: Locator,
    identity: Arc<DeviceIdentity>,
    storing: Option<Group>,
    is_stopping: bool,
}

/// Returns the moment at which the world began, as satellites tell it.
fn epoch() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().expect("a moment")
}

/// Returns a device's own pauses, with fewer events in flight, so that a window is sometimes full.
fn params(number: usize, boot_id: &str, health_s: u64) -> Params {
    Params {
        endpoint: Endpoint {
            host: "broker".to_owned(),
            port: 1883,
            #[cfg(feature = "websocket")]
            websocket_path: None,
            tls: None,
            login: None,
            client_id: format!("unit-{number}"),
            keep_alive: Duration::from_secs(60),
        },
        prefix: source(number),
        boot_id: boot_id.to_owned(),
        package: "package".to_owned(),
        in_flight: 32,
        stall: Duration::from_secs(20),
        retry_max: Duration::from_secs(60),
        refused_pause: Duration::from_secs(300),
        hold_without_subscriber: true,
        health: Duration::from_secs(health_s),
    }
}

pub fn source(number: usize) -> String {
    format!("bridge/v1/sim/unit-{number}")
}

fn open(dir: &Path) -> (Journal, JoinHandle<()>, Reader) {
    let params = JournalParams { tries_max: 5, ..journal_params() };
    let (journal, thread) = Journal::open(dir, params, |_| ()).expect("a journal");
    let reader = Reader::open(&dir.join(FILE_NAME)).expect("a reader");
    (journal, thread, reader)
}

impl Unit {
    pub fn new(number: usize, dir: &Path, health_s: u64) -> Self {
        let dir = dir.join(format!("unit-{number}"));
        std::fs::create_dir(&dir).expect("a folder");
        Unit {
            number,
            dir,
            health_s,
            clocks: Arc::default(),
            started: 0,
            wall_is_off_by: 0,
            boots: 0,
            photos: 0,
            metered: false,
            life: 0,
            run: None,
            link: LinkState::Offline,
            is_holding: false,
            connection: 0,
            is_open: false,
            packets: 0,
            last_up: 0,
            last_down: 0,
            timer: (u64::MAX, 0),
            checks: UnitChecks::default(),
        }
    }

    pub fn is_running(&self) -> bool {
        self.run.is_some()
    }

    fn settings(&self) -> Settings {
        Settings { metered: self.metered, bytes_per_s_max: None }
    }

    fn set_clocks(&self, now: u64) {
        self.clocks.up.store(now - self.started, Ordering::Relaxed);
        let wall = epoch().as_microsecond() + now as i64 + self.wall_is_off_by;
        self.clocks.wall.store(wall, Ordering::Relaxed);
    }

    fn clock(&self) -> ClockReader {
        let clocks = Arc::clone(&self.clocks);
        Box::new(move || Reading {
            monotonic_ns: clocks.up.load(Ordering::Relaxed) * 1_000,
            wall: Timestamp::from_microsecond(clocks.wall.load(Ordering::Relaxed)).expect("within range"),
            ntp: clocks.ntp.load(Ordering::Relaxed),
        })
    }

    fn wall(&self) -> Timestamp {
        (self.clock())().wall
    }

    /// Starts the machine and the program. Without a battery the wall clock sometimes begins in 1970.
    pub fn start(&mut self, around: &mut Around) {
        assert!(self.run.is_none(), "it runs already");
        self.boots += 1;
        self.life += 1;
        // The count of time does not begin with 0: a fix of the first moment is earlier.
        self.started = around.schedule.now.saturating_sub(SECOND);
        self.wall_is_off_by = if chance(around.random, 30) { -1_893_456_000_000_000 } else { 0 };
        self.clocks.ntp.store(chance(around.random, 20) && self.wall_is_off_by == 0, Ordering::Relaxed);
        self.set_clocks(around.schedule.now);
        let (journal, thread, reader) = open(&self.dir);
        journal.set_metered(self.metered);
        let boot_id = format!("boot-{}-{}", self.number, self.boots);
        let finding = LocatorParams { age_s_max: 3_600.0, zone: jiff::tz::Offset::UTC };
        let locator = Locator::with_clock(finding, boot_id.clone(), self.clock());
        remember(&locator, &reader).expect("a readable journal");
        let seed = around.random.bits();
        let params = params(self.number, &boot_id, self.health_s);
        let machine = Machine::new(params, self.settings(), false, seed, around.schedule.instant());
        let identity =
            DeviceIdentity { source: source(self.number), boot_id, ..(*crate::support::results::identity()).clone() };
        let identity = Arc::new(identity);
        self.run = Some(Run { machine, journal, thread, reader, locator, identity, storing: None, is_stopping: false });
        self.checks.begins();
        around.trace.note(around.schedule.now, self.number, format_args!("starts, boot {}", self.boots));
        self.tell(Event::Time, around);
    }

    /// Ends the program at once. What was being stored may have been stored.
    pub fn kill(&mut self, around: &mut Around) {
        let Some(mut run) = self.run.take() else { return };
        around.trace.note(around.schedule.now, self.number, format_args!("is killed"));
        if let Some(group) = run.storing.take()
            && chance(around.random, 50)
        {
            self.checks.settles(&group);
            let _ = group.settle(&run.journal);
        }
        self.ends(run, around);
    }

    fn ends(&mut self, run: Run, around: &mut Around) {
        self.life += 1;
        self.link = LinkState::Offline;
        self.cut(around);
        let Run { journal, thread, reader, .. } = run;
        drop((journal, reader));
        thread.join().expect("the journal ends");
    }

    pub fn stop(&mut self, around: &mut Around) {
        if let Some(run) = &mut self.run {
            run.is_stopping = true;
            self.tell(Event::Stop, around);
        }
    }

    /// Tells the uplink what happened, and does what it asks for.
    pub fn tell(&mut self, event: Event, around: &mut Around) {
        self.set_clocks(around.schedule.now);
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let Some(run) = &mut self.run else { return };
            let actions = run.machine.handle(event, around.schedule.instant(), &run.reader);
            for action in actions {
                self.perform(action, around);
            }
        }
        self.set_timer(around);
    }

    fn set_timer(&mut self, around: &mut Around) {
        let Some(run) = &self.run else { return };
        let Some(deadline) = run.machine.deadline(around.schedule.instant()) else { return };
        let at = around.schedule.moment(deadline).max(around.schedule.now);
        if self.timer.0 != at || self.timer.0 <= around.schedule.now {
            self.timer = (at, self.timer.1 + 1);
            around.schedule.at(at, Happening::Timer(self.number, self.timer.1));
        }
    }

    /// Fires the timer with this number, unless it was set again.
    pub fn time(&mut self, timer: u64, around: &mut Around) {
        if self.timer.1 == timer {
            self.timer.0 = u64::MAX;
            self.tell(Event::Time, around);
        }
    }

    fn perform(&mut self, action: Action, around: &mut Around) {
        let now = around.schedule.now;
        match action {
            Action::Open { .. } => self.connect(around),
            Action::Publish { message, sent } => {
                let length = message.payload.len();
                around.trace.note(now, self.number, format_args!("publishes {sent:?}, {length} bytes"));
                if let Sent::Event(row) = sent {
                    self.checks.sends(row, self.is_holding);
                }
                let number = self.number_packet(around);
                self.send(Packet::Publish { number, topic: message.topic, payload: message.payload }, around);
            }
            Action::PublishHealth => self.send(Packet::Health, around),
            Action::Subscribe(_) => {
                let number = self.number_packet(around);
                self.send(Packet::Subscribe(number), around);
            }
            Action::Disconnect => self.send(Packet::Disconnect, around),
            Action::Cut => self.cut(around),
            Action::Settle(group) => self.store(group, around),
            Action::HandIn(_) => (),
            Action::Report(event) => self.report(&event, around),
            Action::Show { state, held, .. } => {
                let (state_is, parts) = (state, held.len());
                around.trace.note(now, self.number, format_args!("shows {state_is:?}, {parts} parts held"));
                (self.link, self.is_holding) = (state, !held.is_empty());
            }
            Action::End => {
                if let Some(run) = self.run.take() {
                    around.trace.note(now, self.number, format_args!("has ended"));
                    self.ends(run, around);
                }
            }
        }
    }

    fn report(&mut self, event: &LinkEvent, around: &mut Around) {
        around.trace.note(around.schedule.now, self.number, format_args!("reports {event:?}"));
        if matches!(event, LinkEvent::SetAside(..)) {
            self.checks.set_aside += 1;
        }
    }

    fn connect(&mut self, around: &mut Around) {
        self.connection += 1;
        (self.is_open, self.packets) = (true, 0);
        (self.last_up, self.last_down) = (around.schedule.now, around.schedule.now);
        self.checks.connects();
        self.send(Packet::Connect, around);
    }

    fn cut(&mut self, around: &mut Around) {
        if std::mem::take(&mut self.is_open) {
            self.send(Packet::Gone, around);
            self.connection += 1;
        }
    }

    fn number_packet(&mut self, around: &mut Around) -> u16 {
        self.packets = self.packets % u16::MAX + 1;
        self.hear(self.connection, Signal::Sent(self.packets), 0, around);
        self.packets
    }

    fn send(&mut self, packet: Packet, around: &mut Around) {
        self.last_up = self.last_up.max(around.schedule.now + 20 * MS + below(around.random, 60 * MS));
        around.schedule.at(self.last_up, Happening::ToBroker(self.number, self.connection, packet));
    }

    /// Plans a signal of this connection, after `delay` microseconds.
    pub fn hear(&mut self, connection: u64, signal: Signal, delay: u64, around: &mut Around) {
        if connection == self.connection {
            self.last_down = self.last_down.max(around.schedule.now + delay);
            around.schedule.at(self.last_down, Happening::ToDevice(self.number, connection, signal));
        }
    }

    pub fn signal(&mut self, connection: u64, signal: Signal, around: &mut Around) {
        if connection != self.connection || !self.is_open {
            return;
        }
        around.trace.note(around.schedule.now, self.number, format_args!("hears {signal:?}"));
        if matches!(signal, Signal::Connected(_)) {
            around.schedule.after(60 * SECOND, Happening::Ping(self.number, connection));
        }
        self.tell(Event::Signal(signal), around);
    }

    pub fn ping(&mut self, connection: u64, around: &mut Around) {
        if connection == self.connection && self.is_open {
            self.hear(connection, Signal::PingSent, 0, around);
            self.send(Packet::Ping, around);
            around.schedule.after(60 * SECOND, Happening::Ping(self.number, connection));
        }
    }

    /// Stores answers: a card takes its time, and sometimes fails.
    fn store(&mut self, group: Group, around: &mut Around) {
        let Some(run) = &mut self.run else { return };
        assert!(run.storing.is_none(), "one group at a time");
        run.storing = Some(group);
        let time = if chance(around.random, 2) { 3 * SECOND } else { 2 * MS + below(around.random, 40 * MS) };
        around.schedule.after(time, Happening::Stored(self.number, self.life));
    }

    pub fn stored(&mut self, life: u64, around: &mut Around) {
        let Some(run) = self.run.as_mut().filter(|_| life == self.life) else { return };
        let Some(group) = run.storing.take() else { return };
        let settled = if chance(around.random, 1) {
            Settled { error: Some(JournalError::Stopped), left: group.answers, ..Settled::default() }
        } else {
            let answers = group.answers.iter();
            let delivered = answers.filter(|answered| answered.fate == Fate::Delivered).count();
            around.trace.note(around.schedule.now, self.number, format_args!("stores {delivered} of {group:?}"));
            self.checks.settles(&group);
            group.settle(&run.journal)
        };
        self.tell(Event::Settled(settled), around);
    }

    /// Takes a photo with the camera.
    pub fn take_photo(&mut self, around: &mut Around) -> Option<(String, bool)> {
        self.set_clocks(around.schedule.now);
        self.photos += 1;
        let (urgent, has_thumbnail) = (chance(around.random, 8), chance(around.random, 25));
        let wall = self.wall();
        let run = self.run.as_mut().filter(|run| !run.is_stopping)?;
        let mut new = result(self.number as u64 * 10_000_000 + self.photos);
        let seen_ns = self.clocks.up.load(Ordering::Relaxed) * 1_000;
        let photo = photo(wall, seen_ns);
        let Located { taken, monotonic_ns, position } = run.locator.locate(&photo, &NoHistory);
        new.capture.taken = taken.clone();
        (new.capture.monotonic_ns, new.capture.position) = (monotonic_ns, position.clone());
        (new.urgent, new.queued, new.stored_at) = (urgent, self.link == LinkState::Offline, wall);
        new.thumbnail = has_thumbnail.then(|| vec![0xFF; 1_500]);
        let sha256: Sha256 = new.capture.image.sha256;
        let Recorded::New { capture, sequence } = run.journal.record(&run.identity, new).expect("recorded") else {
            panic!("a new photo is known")
        };
        run.locator.remember(Stored { capture, photo, taken, position });
        let length = has_thumbnail;
        around.trace.note(around.schedule.now, self.number, format_args!("photo {sequence}, {urgent}, {length}"));
        self.checks.records(sha256.to_string(), has_thumbnail);
        around.schedule.after(below(around.random, 5 * MS), Happening::Wake(self.number, urgent));
        around.schedule.after(2 * SECOND, Happening::Correct(self.number, self.life));
        Some((sha256.to_string(), urgent))
    }

    /// Says that there may be new rows. An urgent one goes before all others that were not handed over.
    pub fn wake(&mut self, is_urgent: bool, around: &mut Around) {
        if let Some(run) = self.run.as_ref().filter(|_| is_urgent) {
            let rows = run.reader.outbox(EventClass::Urgent, self.checks.last_urgent, 1).expect("rows");
            self.checks.expects_urgent |= !rows.is_empty();
        }
        self.tell(Event::Woken { settings: self.settings(), replies: Vec::new() }, around);
    }

    /// Delivers a satellite fix with time and position.
    pub fn fix(&mut self, around: &mut Around) {
        self.set_clocks(around.schedule.now);
        let (up, utc) =
            (self.clocks.up.load(Ordering::Relaxed), epoch() + SignedDuration::from_micros(around.schedule.now as i64));
        let Some(run) = &mut self.run else { return };
        let place = |random: &mut Random| 35.0 + below(random, 1_000) as f64 / 1e4;
        let position = Position::at(place(around.random), 139.0, PositionSource::SerialGps);
        let received_ns = up * 1_000;
        run.locator.note(Arrival::Fix(Fix::new(position, Some(utc), received_ns)));
        around.schedule.after(2 * SECOND, Happening::Correct(self.number, self.life));
    }

    /// Tells stored captures what became known after them.
    pub fn correct(&mut self, life: u64, around: &mut Around) {
        self.set_clocks(around.schedule.now);
        let (wall, queued) = (self.wall(), self.link == LinkState::Offline);
        let Some(run) = self.run.as_mut().filter(|_| life == self.life) else { return };
        let learned = correct(&run.locator, &run.journal, &run.identity, queued, wall).expect("stored");
        if !learned.is_empty() {
            self.checks.corrections += learned.len() as u64;
            around.trace.note(around.schedule.now, self.number, format_args!("corrects {learned:?}"));
            around.schedule.after(MS, Happening::Wake(self.number, false));
        }
    }

    /// Sets the clock, perhaps wrongly: within twenty years, or to 1970.
    pub fn step_clock(&mut self, around: &mut Around) {
        const TWENTY_YEARS: u64 = 20 * 365 * 24 * 3_600 * SECOND;
        let random = &mut *around.random;
        self.wall_is_off_by = match below(random, 4) {
            0 => 0,
            1 => -1_893_456_000_000_000,
            _ => below(random, 2 * TWENTY_YEARS) as i64 - TWENTY_YEARS as i64,
        };
        self.clocks.ntp.store(self.wall_is_off_by == 0 && chance(random, 50), Ordering::Relaxed);
    }

    pub fn set_metered(&mut self, metered: bool, around: &mut Around) {
        self.metered = metered;
        if let Some(run) = &self.run {
            run.journal.set_metered(metered);
        }
        self.wake(false, around);
    }

    /// Puts back what was set aside.
    pub fn retry(&mut self, around: &mut Around) {
        let Some(run) = &self.run else { return };
        let count = run.journal.retry(None).expect("stored");
        self.checks.retried += count;
        self.wake(false, around);
    }

    /// Returns the number of events that wait, and of those that were set aside.
    pub fn depth(&self) -> (u64, u64) {
        let Some(run) = &self.run else { return (u64::MAX, 0) };
        let depth = run.reader.outbox_depth().expect("a depth");
        (depth.total(), depth.set_aside)
    }

    /// Breaks the connection; the device is told that it is lost.
    pub fn lose(&mut self, connection: u64, loss: Loss, delay: u64, around: &mut Around) {
        self.hear(connection, Signal::Lost(loss), delay, around);
    }
}

/// Returns a photo without metadata that is written at this moment.
fn photo(wall: Timestamp, seen_ns: u64) -> Photo {
    let claims = Claims { written_ns: Some(seen_ns), ..Claims::of_file(Origin::Watched, seen_ns, wall) };
    Photo { file_name: None, camera: None, claims }
}
