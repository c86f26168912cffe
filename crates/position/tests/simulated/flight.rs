//! One flight: the device, its receiver, its clocks and the photos, played to a locator.

use std::sync::{Arc, Mutex};

use bridgeclip_domain::{FixQuality, Position, PositionSource};
use bridgeclip_position::{
    Arrival, CameraName, CameraReading, Claims, Correction, Fix, History, ImageReport, Located, Locator, LocatorParams,
    Origin, Photo, Reading, Stored, TakenImage, dated, written_ns,
};
use bridgeclip_random::Random;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::camera::{Camera, Clock, OwnPlace, Transport};
use super::path::{Path, degrees, metres, uniform};

/// Duration of a flight in seconds.
const FLIGHT_S: f64 = 900.0;
/// Start of each flight in UTC, in seconds since 1970.
const START_S: f64 = 1_795_000_000.0;

/// Kinds of photos that the report tells apart.
pub const KINDS: [&str; 9] = [
    "live, good clock",
    "live, hours off",
    "live, minutes off",
    "live, reset clock",
    "live, no clock",
    "live, triggered",
    "copied",
    "card",
    "upload",
];

/// What became of one photo.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub seed: u64,
    pub stage: &'static str,
    pub kind: &'static str,
    pub exposed_s: f64,
    pub is_live: bool,
    /// Distance of the place from the true one in metres; `None` without a place.
    pub off_m: Option<f64>,
    pub error_m: f64,
    pub age_s: Option<f64>,
    /// Speed x 0.2 s + the receiver's median error.
    pub allowed_m: f64,
    /// Distance between the true place and that of the moment which a believer in the camera's clock would take.
    pub naive_off_m: f64,
    pub located: Located,
}

impl Verdict {
    pub fn is_outside(&self) -> bool {
        self.off_m.is_some_and(|off_m| off_m > self.error_m)
    }

    /// Describes the photo in one line.
    pub fn words(&self) -> String {
        let (taken, position) = (&self.located.taken, self.located.position.as_ref());
        format!(
            "{}, seed {}, exposed {:.1} s: off {:.1} m of {:.1} m, age {:?}; moment {:+.2} s by {:?} of {:?}, {:?}; place by {:?}",
            self.kind,
            self.seed,
            self.exposed_s,
            self.off_m.unwrap_or_default(),
            self.error_m,
            self.age_s,
            taken.at.as_nanosecond() as f64 / 1e9 - START_S - self.exposed_s,
            taken.basis,
            taken.error_s,
            taken.conflict.as_ref().map(|conflict| conflict.reason),
            position.map(|position| position.source),
        )
    }

    /// Reports whether the place is wrong by more than 50 m though its age is below 5 s.
    pub fn is_fresh_and_wrong(&self) -> bool {
        self.off_m.is_some_and(|off_m| off_m > 50.0) && self.age_s.is_some_and(|age_s| age_s < 5.0)
    }

    /// Reports whether such a place does not even say that it may be off by more than 50 m.
    pub fn is_confident_and_wrong(&self) -> bool {
        self.is_fresh_and_wrong() && self.error_m <= 50.0
    }
}

/// Receiver of the device.
struct Receiver {
    period_s: f64,
    latency_s: f64,
    hdop: f64,
    is_rtk: bool,
    is_dated: bool,
    /// Moments without a fix.
    lost: Vec<(f64, f64)>,
    wild_s: Option<f64>,
}

impl Receiver {
    fn new(random: &mut Random) -> Self {
        let gaps = random.below(3);
        let lost = |random: &mut Random| {
            let start = uniform(random, 0.0, FLIGHT_S);
            (start, start + uniform(random, 5.0, 180.0))
        };
        Receiver {
            period_s: [1.0, 0.2][random.below(2)],
            latency_s: uniform(random, 0.05, 0.3),
            hdop: uniform(random, 0.6, 2.0),
            is_rtk: random.below(5) == 0,
            is_dated: random.below(10) > 0,
            lost: (0..gaps).map(|_| lost(random)).collect(),
            wild_s: (random.below(3) == 0).then(|| uniform(random, 5.0, FLIGHT_S)),
        }
    }

    /// Standard deviation of the error to the north and to the east in metres.
    fn sigma_m(&self) -> f64 {
        if self.is_rtk { 0.012 } else { 1.2 * self.hdop }
    }

    fn has_fix(&self, second: f64) -> bool {
        !self.lost.iter().any(|(start, end)| (*start..*end).contains(&second))
    }

    fn fixes(&self, path: &Path, random: &mut Random, boot_s: f64) -> Vec<Fix> {
        let mut error = [0.0, 0.0];
        let count = (FLIGHT_S / self.period_s) as usize;
        let mut is_wild_done = false;
        let mut fixes = Vec::new();
        for index in 0..count {
            let second = index as f64 * self.period_s;
            // The error changes slowly, as that of a receiver does.
            for axis in &mut error {
                *axis = 0.95 * *axis + self.sigma_m() * (1.0 - 0.95_f64.powi(2)).sqrt() * f64::from(random.normal());
            }
            if !self.has_fix(second) || second < boot_s {
                continue;
            }
            let is_wild = !is_wild_done && self.wild_s.is_some_and(|wild| second >= wild);
            is_wild_done |= is_wild;
            let [north, east] = path.at(second);
            let shift = if is_wild { uniform(random, 2_000.0, 5_000.0) } else { 0.0 };
            fixes.push(self.fix(
                second,
                [north + error[0] + shift, east + error[1]],
                path.speed(second),
                is_wild,
                boot_s,
            ));
        }
        fixes
    }

    fn fix(&self, second: f64, place: [f64; 2], speed_mps: f64, is_wild: bool, boot_s: f64) -> Fix {
        let (latitude, longitude) = degrees(place);
        let source = if self.is_rtk { PositionSource::Rtk } else { PositionSource::SerialGps };
        let quality = if self.is_rtk { FixQuality::RtkFixed } else { FixQuality::Autonomous };
        let position = Position {
            hdop: Some(if is_wild { 9.8 } else { self.hdop }),
            std_m: (self.is_rtk && !is_wild).then_some(0.017),
            quality: Some(if is_wild { FixQuality::Autonomous } else { quality }),
            ..Position::at(latitude, longitude, source)
        };
        let utc = self.is_dated.then(|| moment(second));
        let received_ns = ((second + self.latency_s - boot_s) * 1e9) as u64;
        Fix { speed_mps: Some(speed_mps), ..Fix::new(position, utc, received_ns) }
    }
}

/// Wall clock of the device.
#[derive(Clone, Copy)]
enum Wall {
    /// NTP keeps it.
    Kept,
    /// Right, but nothing says so.
    Right,
    /// An hour slow until something sets it.
    StepsAt(f64),
}

impl Wall {
    fn reading(self, second: f64, boot_s: f64) -> Reading {
        let slow_s = match self {
            Wall::StepsAt(step) if second < step => 3_600.0,
            _ => 0.0,
        };
        let monotonic_ns = ((second - boot_s).max(0.0) * 1e9) as u64;
        Reading { monotonic_ns, wall: moment(second - slow_s), ntp: matches!(self, Wall::Kept) }
    }
}

/// A photo on its way.
struct Shot {
    exposed_s: f64,
    written_s: f64,
    seen_s: f64,
    processed_s: f64,
    own: Option<Position>,
    gps: Option<Timestamp>,
}

pub struct Flight {
    seed: u64,
    random: Random,
    path: Path,
    receiver: Receiver,
    camera: Camera,
    wall: Wall,
    /// Moment at which the device restarts.
    restart_s: Option<f64>,
}

enum Happening {
    Fix(Fix),
    Report(TakenImage),
    Photo(usize),
    Correct,
}

impl Flight {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(&[20, seed]);
        let path = Path::new(&mut random, FLIGHT_S);
        let receiver = Receiver::new(&mut random);
        let camera = Camera::new(&mut random);
        let wall = match random.below(3) {
            0 => Wall::Kept,
            1 => Wall::Right,
            _ => Wall::StepsAt(uniform(&mut random, 50.0, 600.0)),
        };
        let restart_s = (random.below(6) == 0).then(|| uniform(&mut random, 200.0, 700.0));
        Flight { seed, random, path, receiver, camera, wall, restart_s }
    }

    /// Plays the flight, and returns what became of each photo: at first, and in the end.
    pub fn verdicts(mut self) -> Vec<Verdict> {
        let shots = self.shots();
        let mut verdicts = Vec::new();
        let history = Kept::default();
        let mut lives = vec![(0.0, self.restart_s.unwrap_or(f64::INFINITY))];
        lives.extend(self.restart_s.map(|restart| (restart + 20.0, f64::INFINITY)));
        let mut cameras = Vec::new();
        let mut stored: Vec<(usize, Stored)> = Vec::new();
        for (number, (boot_s, end_s)) in lives.into_iter().enumerate() {
            let life = Life { boot_s, end_s, number };
            let first = stored.len();
            cameras = self.live(&life, &shots, &history, cameras, &mut stored, &mut verdicts);
            // Captures of this life may learn from what is known in the end.
            let known = self.locator(&life, FLIGHT_S + 120.0);
            cameras.iter().cloned().for_each(|(name, clock)| known.set_camera(name, clock));
            let earlier: Vec<Stored> = stored[..first].iter().map(|(_, stored)| stored.clone()).collect();
            for correction in known.corrections_later(&earlier, &history) {
                apply(&mut stored, &correction);
            }
        }
        for (index, stored) in &stored {
            let Stored { taken, position, .. } = stored.clone();
            verdicts.push(self.verdict("final", &shots[*index], Located { taken, monotonic_ns: None, position }));
        }
        verdicts
    }

    fn locator(&self, life: &Life, second: f64) -> Locator {
        let clock = Arc::new(Mutex::new(second));
        self.locator_with(life, &clock)
    }

    fn locator_with(&self, life: &Life, second: &Arc<Mutex<f64>>) -> Locator {
        let (wall, boot_s, second) = (self.wall, life.boot_s, Arc::clone(second));
        let clock = move || wall.reading(*second.lock().expect("no panic"), boot_s);
        let params = LocatorParams { age_s_max: 3_600.0, zone: Offset::UTC };
        Locator::with_clock(params, format!("boot {}", life.number), Box::new(clock))
    }

    /// Plays one life of the device, and returns what it knows about cameras.
    fn live(
        &mut self,
        life: &Life,
        shots: &[Shot],
        history: &Kept,
        cameras: Vec<(CameraName, bridgeclip_position::CameraClock)>,
        stored: &mut Vec<(usize, Stored)>,
        verdicts: &mut Vec<Verdict>,
    ) -> Vec<(CameraName, bridgeclip_position::CameraClock)> {
        let second = Arc::new(Mutex::new(life.boot_s));
        let locator = self.locator_with(life, &second);
        cameras.into_iter().for_each(|(name, clock)| locator.set_camera(name, clock));
        for (at_s, happening) in self.schedule(life, shots) {
            *second.lock().expect("no panic") = at_s;
            match happening {
                Happening::Fix(fix) => locator.note(Arrival::Fix(fix)),
                Happening::Report(image) => locator.note(Arrival::Image(image)),
                Happening::Photo(index) => {
                    let photo = self.photo(&shots[index], life, &locator);
                    let located = locator.locate(&photo, history);
                    verdicts.push(self.verdict("first", &shots[index], located.clone()));
                    let Located { taken, position, .. } = located;
                    let stored_now = Stored { capture: index as i64, photo, taken, position };
                    locator.remember(stored_now.clone());
                    stored.push((index, stored_now));
                }
                Happening::Correct => {
                    let corrections = locator.corrections();
                    corrections.iter().for_each(|correction| apply(stored, correction));
                    locator.corrected(&corrections);
                    history.add(locator.new_fixes());
                }
            }
        }
        locator.cameras()
    }

    fn schedule(&mut self, life: &Life, shots: &[Shot]) -> Vec<(f64, Happening)> {
        let fixes = self.receiver.fixes(&self.path, &mut self.random, life.boot_s);
        let mut schedule: Vec<(f64, Happening)> =
            fixes.into_iter().map(|fix| (life.boot_s + fix.received_ns as f64 / 1e9, Happening::Fix(fix))).collect();
        for (index, shot) in shots.iter().enumerate() {
            schedule.push((shot.processed_s, Happening::Photo(index)));
            if self.camera.is_triggered && shot.exposed_s >= life.boot_s {
                let late_s = [0.1, 4.0][self.random.below(2)];
                schedule.push((shot.exposed_s + late_s, Happening::Report(report(shot, life))));
            }
        }
        schedule.extend((1..600).map(|index| (2.0 * f64::from(index), Happening::Correct)));
        schedule.retain(|(at_s, _)| (life.boot_s..life.end_s).contains(at_s));
        schedule.sort_by(|a, b| a.0.total_cmp(&b.0));
        schedule
    }

    fn shots(&mut self) -> Vec<Shot> {
        let every_s = uniform(&mut self.random, 2.0, 12.0);
        let backlog_s = if self.random.below(5) == 0 { 300.0 } else { 1.5 };
        let mut shots = Vec::new();
        let mut exposed_s = uniform(&mut self.random, 1.0, 60.0);
        while exposed_s < FLIGHT_S - 15.0 {
            let written_s = exposed_s + self.camera.delay_s(&mut self.random);
            let seen_s = written_s + uniform(&mut self.random, 0.02, 0.4);
            let (seen_s, wait_s) = match self.camera.transport {
                Transport::Card => (FLIGHT_S + 20.0, 5.0),
                _ => (seen_s, uniform(&mut self.random, 1.0, 1.0 + backlog_s)),
            };
            let (own, gps) = self.own_place(exposed_s);
            shots.push(Shot { exposed_s, written_s, seen_s, processed_s: seen_s + wait_s, own, gps });
            exposed_s += every_s * uniform(&mut self.random, 0.7, 1.3);
        }
        shots
    }

    /// Returns position and satellite time that the camera stores.
    fn own_place(&mut self, exposed_s: f64) -> (Option<Position>, Option<Timestamp>) {
        let random = &mut self.random;
        let age_s = match self.camera.own {
            OwnPlace::None => return (None, None),
            OwnPlace::StaleDated | OwnPlace::StaleUndated => uniform(random, 300.0, 3_000.0),
            OwnPlace::Fresh | OwnPlace::Poor => uniform(random, 0.0, 1.0),
        };
        let is_stale = age_s > 1.0;
        let sigma_m = if self.camera.own == OwnPlace::Poor { 35.0 } else { 4.0 };
        let far_m = if is_stale { uniform(random, 50.0, 400.0) } else { 0.0 };
        let [north, east] = self.path.at(if is_stale { 0.0 } else { exposed_s - age_s });
        let place = [north + far_m, east].map(|axis| axis + sigma_m * f64::from(random.normal()));
        let (latitude, longitude) = degrees(place);
        let gps = (self.camera.own != OwnPlace::StaleUndated).then(|| moment((exposed_s - age_s).floor()));
        // The age is what a reader of metadata finds: the difference to the reading, if zones do not explain it.
        let position = Position {
            std_m: (self.camera.own == OwnPlace::Poor).then_some(80.0),
            age_s: gps.map(|_| age_s),
            ..Position::at(latitude, longitude, PositionSource::Exif)
        };
        (Some(position), gps)
    }

    fn photo(&self, shot: &Shot, life: &Life, locator: &Locator) -> Photo {
        let seen = self.wall.reading(shot.seen_s, life.boot_s);
        let is_card = self.camera.transport == Transport::Card;
        let modified = if is_card {
            moment(shot.written_s + self.camera.lead_s)
        } else {
            self.wall.reading(shot.written_s, life.boot_s).wall
        };
        let origin = match self.camera.transport {
            Transport::Upload => Origin::Uploaded,
            Transport::Card => Origin::Imported,
            Transport::Live | Transport::Copied => Origin::Watched,
        };
        let reading = self.camera.shows(START_S + shot.exposed_s).map(|shown| CameraReading {
            civil: Offset::UTC.to_datetime(moment(shown - START_S)),
            offset: self.camera.states_offset.then_some(Offset::UTC),
            step_s: self.camera.step_s,
        });
        let claims = Claims {
            origin,
            written_ns: written_ns(modified, seen.monotonic_ns, seen.wall).filter(|_| !is_card),
            seen_ns: seen.monotonic_ns,
            seen: None,
            modified,
            camera: reading,
            gps: shot.gps,
            utc: None,
            speed_mps: None,
            is_drone: false,
            places: shot.own.clone().into_iter().collect(),
        };
        let camera = Some(CameraName::from(format!("SIM {}", self.seed)));
        Photo { file_name: None, camera, claims: dated(claims, locator) }
    }

    fn kind(&self) -> &'static str {
        match (self.camera.transport, self.camera.clock) {
            (Transport::Copied, _) => "copied",
            (Transport::Card, _) => "card",
            (Transport::Upload, _) => "upload",
            _ if self.camera.is_triggered => "live, triggered",
            (_, Clock::Good) => "live, good clock",
            (_, Clock::Hours) => "live, hours off",
            (_, Clock::Minutes) => "live, minutes off",
            (_, Clock::Reset) => "live, reset clock",
            (_, Clock::None) => "live, no clock",
        }
    }

    fn verdict(&self, stage: &'static str, shot: &Shot, located: Located) -> Verdict {
        let truth = self.path.at(shot.exposed_s);
        let off_m = located.position.as_ref().map(|position| {
            let place = metres(position.latitude_deg, position.longitude_deg);
            (place[0] - truth[0]).hypot(place[1] - truth[1])
        });
        let believed_s = self.camera.shows(START_S + shot.exposed_s).map(|shown| shown - START_S);
        let naive_s = believed_s.filter(|shown| (shown - shot.written_s).abs() > 120.0).unwrap_or(shot.written_s);
        let naive = self.path.at(naive_s.clamp(0.0, FLIGHT_S));
        Verdict {
            seed: self.seed,
            stage,
            kind: self.kind(),
            exposed_s: shot.exposed_s,
            is_live: self.camera.transport == Transport::Live,
            off_m,
            error_m: located.position.as_ref().and_then(|position| position.error_m).unwrap_or(f64::INFINITY),
            age_s: located.position.as_ref().and_then(|position| position.age_s),
            allowed_m: self.path.speed(shot.exposed_s) * 0.2 + 1.18 * self.receiver.sigma_m(),
            naive_off_m: (naive[0] - truth[0]).hypot(naive[1] - truth[1]),
            located,
        }
    }
}

/// One boot of the device.
struct Life {
    boot_s: f64,
    end_s: f64,
    number: usize,
}

fn report(shot: &Shot, life: &Life) -> TakenImage {
    TakenImage {
        kind: ImageReport::Trigger,
        file_name: None,
        number: None,
        exposed_ns: ((shot.exposed_s - life.boot_s) * 1e9) as u64,
        error_s: 0.1,
        utc: None,
        position: None,
    }
}

fn apply(stored: &mut [(usize, Stored)], correction: &Correction) {
    let Some((_, stored)) = stored.iter_mut().find(|(_, stored)| stored.capture == correction.capture) else { return };
    if let Some(taken) = &correction.taken {
        stored.taken = taken.clone();
    }
    if let Some(position) = &correction.position {
        stored.position = position.clone();
    }
}

/// Fixes that survive a restart.
#[derive(Default)]
struct Kept(Mutex<Vec<Fix>>);

impl Kept {
    fn add(&self, fixes: Vec<Fix>) {
        self.0.lock().expect("no panic").extend(fixes);
    }
}

impl History for Kept {
    fn fixes(&self, from: Timestamp, to: Timestamp) -> Vec<Fix> {
        let fixes = self.0.lock().expect("no panic");
        let within = |fix: &&Fix| fix.utc.is_some_and(|utc| (from..=to).contains(&utc));
        fixes.iter().filter(within).cloned().collect()
    }
}

/// Returns the moment some seconds after the start of the flight.
fn moment(second: f64) -> Timestamp {
    let start = Timestamp::from_second(START_S as i64).expect("a moment");
    start + SignedDuration::from_nanos((second * 1e9) as i64)
}
