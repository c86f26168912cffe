//! Tells where and when a capture was taken. The line that delivers fixes and the worker that asks share it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{info, warn};

use bridgeclip_domain::{Position, Time};

use super::clock::{GpsTime, Reading, WallClock, boot_id, monotonic_ns, time_at};
use super::exposure::{Sighting, exposure};
use super::later::{Correction, Known, Learners, Stored};
use super::ntp::Ntp;
use super::track::{Track, When, when};
use super::trust::most_trusted;
use super::{Arrival, Exposure};

/// Track and clock of this device since it started.
pub struct Locator {
    boot_id: String,
    age_s_max: f64,
    state: Mutex<State>,
    clock: ClockReader,
}

/// Function that reads both clocks of the device.
pub type ClockReader = Box<dyn Fn() -> Reading + Send + Sync>;

/// Returns a function that reads the clocks of this machine.
fn machine_clocks() -> ClockReader {
    // A lock of its own, because asking for NTP may take a moment and the line must not wait for it.
    let ntp = Mutex::new(Ntp::default());
    Box::new(move || Reading::now(whole(&ntp).is_synchronised(monotonic_ns())))
}

#[derive(Default)]
struct State {
    track: Track,
    gps: GpsTime,
    wall: WallClock,
    learners: Learners,
}

/// Time and position of a capture.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Calendar time of the exposure.
    pub taken: Time,
    /// Exposure by the monotonic clock of this boot, if known.
    pub monotonic_ns: Option<u64>,
    /// Most trusted position, if there is one.
    pub position: Option<Position>,
}

impl Locator {
    /// Creates a locator that reads the clocks of this machine. Fixes older than `age_s_max` seconds at the exposure
    /// are not used.
    pub fn new(age_s_max: f64) -> io::Result<Self> {
        Ok(Self::with_clock(age_s_max, boot_id()?, machine_clocks()))
    }

    /// Creates a locator that knows the time from this clock alone.
    pub fn with_clock(age_s_max: f64, boot_id: String, clock: ClockReader) -> Self {
        Locator { boot_id, age_s_max, state: Mutex::default(), clock }
    }

    /// Returns the id of the boot that the monotonic times belong to.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Adds what the line has delivered.
    pub fn note(&self, arrival: Arrival) {
        let mut state = whole(&self.state);
        match arrival {
            Arrival::Valid => (),
            Arrival::Image(image) => state.track.push_image(image),
            Arrival::Fix(fix) => {
                let new = fix.utc.filter(|utc| state.gps.observe(*utc, fix.received_ns));
                if let Some(utc) = new {
                    info!("satellites tell the time: {utc}");
                }
                state.track.push(fix);
            }
        }
    }

    /// Returns the current time from the best source known.
    pub fn time(&self) -> Time {
        let now = self.reading();
        time_at(now.monotonic_ns, &whole(&self.state).gps, &now)
    }

    /// Returns the device's current position by the line, if it is recent enough.
    pub fn position(&self) -> Option<Position> {
        let now = self.reading();
        let here = whole(&self.state).track.at(When::Monotonic(now.monotonic_ns));
        most_trusted(here, self.age_s_max)
    }

    fn reading(&self) -> Reading {
        (self.clock)()
    }

    /// Returns time and position of a photo. `file_name` is its name without folders; `positions` are those that the
    /// photo itself contains.
    pub fn locate(
        &self,
        file_name: Option<&str>,
        sighting: &Sighting,
        positions: impl IntoIterator<Item = Position>,
    ) -> Located {
        let now = self.reading();
        let mut state = whole(&self.state);
        state.notice_step(&now);
        let Exposure { taken, monotonic_ns } = exposure(sighting, &state.gps, &now);
        let told = file_name.and_then(|name| state.track.of_image(name));
        let measured = when(&taken, monotonic_ns).and_then(|when| state.track.at(when));
        let position = most_trusted(positions.into_iter().chain(told).chain(measured), self.age_s_max);
        Located { taken, monotonic_ns, position }
    }

    /// Remembers a capture that was stored during this boot, because it may learn from later fixes.
    pub fn remember(&self, capture: Stored) {
        self.with_learners(|learners, known| learners.push(capture, known));
    }

    /// Returns what stored captures can learn now. The same corrections are returned until [`Locator::corrected`] is
    /// called.
    pub fn corrections(&self) -> Vec<Correction> {
        self.with_learners(|learners, known| learners.corrections(known))
    }

    /// Notes that these corrections are stored.
    pub fn corrected(&self, corrections: &[Correction]) {
        self.with_learners(|learners, known| learners.learn(corrections, known));
    }

    fn with_learners<T>(&self, work: impl FnOnce(&mut Learners, &Known) -> T) -> T {
        let now = self.reading();
        let State { track, gps, learners, .. } = &mut *whole(&self.state);
        work(learners, &Known { gps, now: &now, track, age_s_max: self.age_s_max })
    }
}

impl State {
    fn notice_step(&mut self, now: &Reading) {
        if let Some(step) = self.wall.stepped(now) {
            warn!("the wall clock was stepped by {step:#}; captures keep their order by sequence and boot");
        }
    }
}

/// Locks a value. Every change leaves it consistent, so a panic in another thread does not spoil it.
fn whole<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use bridgeclip_domain::{PositionSource, TimeQuality};

    use super::*;
    use crate::{Fix, TakenImage};

    fn position(source: PositionSource, latitude_deg: f64) -> Position {
        let (altitude_m, hdop, std_m, quality, age_s) = (None, None, None, None, None);
        Position { latitude_deg, longitude_deg: 139.0, altitude_m, source, hdop, std_m, quality, age_s }
    }

    fn fix(latitude_deg: f64, utc: Timestamp, received_ns: u64) -> Fix {
        let position = position(PositionSource::SerialGps, latitude_deg);
        Fix { position, utc: Some(utc), received_ns, speed_mps: None, course_deg: None, satellites: None }
    }

    #[test]
    fn a_photo_that_was_just_written_gets_the_receivers_time_and_place() {
        let locator = Locator::new(600.0).expect("a boot id");
        // Satellite time differs from the time of this machine.
        let (now, utc) = (monotonic_ns(), "2030-06-01T00:00:00Z".parse().expect("a moment"));
        locator.note(Arrival::Fix(fix(35.0, utc, now)));
        let sighting = Sighting { modified: Timestamp::now(), seen_ns: monotonic_ns(), camera: None };
        let Located { taken, monotonic_ns, position } = locator.locate(Some("a.jpg"), &sighting, None);
        assert_eq!(taken.quality, TimeQuality::Gps);
        assert!(taken.at.duration_since(utc).abs() < SignedDuration::from_secs(5), "{taken:?}");
        assert!(monotonic_ns.is_some_and(|ns| ns.abs_diff(now) < 5_000_000_000));
        let position = position.expect("a place");
        assert!(position.latitude_deg == 35.0 && position.age_s.is_some_and(|age| age < 5.0), "{position:?}");
    }

    #[test]
    fn an_older_photo_is_found_on_the_track_by_the_cameras_time() {
        let locator = Locator::new(600.0).expect("a boot id");
        let start: Timestamp = "2030-06-01T00:00:00Z".parse().expect("a moment");
        let second = |second| start + SignedDuration::from_secs(second);
        for (seconds, latitude) in [(0, 35.0), (2, 35.0002), (500, 36.0)] {
            locator.note(Arrival::Fix(fix(latitude, second(seconds), 1_000_000_000 * (1 + seconds as u64))));
        }
        let latitude = |camera, file_name, own: Option<Position>| {
            let sighting = Sighting { modified: second(-90_000), seen_ns: monotonic_ns(), camera };
            locator.locate(Some(file_name), &sighting, own).position.map(|position| position.latitude_deg)
        };
        assert!(latitude(Some(second(1)), "a.jpg", None).is_some_and(|latitude| (latitude - 35.0001).abs() < 1e-9));
        assert_eq!(latitude(Some(second(1_200)), "a.jpg", None), None, "too old");
        assert_eq!(latitude(None, "a.jpg", None), None, "taken nobody knows when");
        let own = position(PositionSource::Exif, 34.0);
        assert_eq!(latitude(Some(second(1)), "a.jpg", Some(own)), Some(34.0));
        locator.note(Arrival::Image(TakenImage { file_name: "a.jpg".into(), fix: fix(37.0, second(1), 0) }));
        assert_eq!(latitude(None, "A.JPG", None), Some(37.0));
    }
}
