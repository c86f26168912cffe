//! Tells where and when a capture was taken. The line that delivers fixes and the worker that asks share it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::tz::Offset;
use log::{info, warn};

use bridgeclip_domain::{Position, Time};

use super::camera::{CameraClock, CameraName, Cameras, moment};
use super::claims::Claims;
use super::clock::{GpsTime, Reading, WallClock, boot_id, monotonic_ns, time_at};
use super::later::{Correction, Knowledge, Learners, Stored, correction_later};
use super::moment::observation;
use super::ntp::Ntp;
use super::shots::Shots;
use super::track::{Track, When};
use super::view::{Fetched, History, Located, NoHistory, Photo, View};
use super::{Arrival, Fix};

/// Parameters of a locator.
#[derive(Clone, Copy, Debug)]
pub struct LocatorParams {
    /// Maximum age, in seconds at the exposure, of a position that is used.
    pub age_s_max: f64,
    /// Offset from UTC of cameras that state none and whose clock is not known.
    pub zone: Offset,
}

/// Track and clocks of this device since it started, and the clocks of the cameras that it has met.
pub struct Locator {
    boot_id: String,
    params: LocatorParams,
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
    /// Moment of the newest fix that was handed out for storage.
    stored_to: Option<Timestamp>,
    gps: GpsTime,
    wall: WallClock,
    shots: Shots,
    cameras: Cameras,
    /// Cameras whose clock is known better than what is stored.
    changed: Vec<CameraName>,
    learners: Learners,
    /// Number of changes to cameras' clocks, satellite time and reports.
    changes: u64,
}

impl Locator {
    /// Creates a locator that reads the clocks of this machine.
    pub fn new(params: LocatorParams) -> io::Result<Self> {
        Ok(Self::with_clock(params, boot_id()?, machine_clocks()))
    }

    /// Creates a locator that knows the time from this clock alone.
    pub fn with_clock(params: LocatorParams, boot_id: String, clock: ClockReader) -> Self {
        Locator { boot_id, params, state: Mutex::default(), clock }
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
            Arrival::Image(image) => {
                state.shots.push(image);
                state.changes += 1;
            }
            Arrival::Fix(fix) => {
                let new = fix.utc.filter(|utc| state.gps.observe(*utc, fix.measured_ns));
                if let Some(utc) = new {
                    info!("satellites tell the time: {utc}");
                    state.changes += 1;
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
        let here = whole(&self.state).track.at(When::Monotonic(now.monotonic_ns))?;
        (here.age_s.unwrap_or_default() <= self.params.age_s_max).then_some(here)
    }

    fn reading(&self) -> Reading {
        (self.clock)()
    }

    /// Returns the UTC time at a moment of this boot, if anything keeps the device's time.
    pub fn utc(&self, monotonic_ns: u64) -> Option<Timestamp> {
        let now = self.reading();
        let time = time_at(monotonic_ns, &whole(&self.state).gps, &now);
        (time.quality != bridgeclip_domain::TimeQuality::Unsynced).then_some(time.at)
    }

    /// Returns time and position of a photo, and learns from it about its camera's clock.
    pub fn locate(&self, photo: &Photo, history: &dyn History) -> Located {
        let now = self.reading();
        let wanted = {
            let state = &mut *whole(&self.state);
            state.notice_step(&now);
            state.learn_clock(photo, &now, &self.params);
            state.view(&now, &self.params, &NoHistory).wanted(photo)
        };
        // Reading from the drive may take long, and the line must not wait for it.
        let past = Fetched(wanted.map(|(from, to)| history.fixes(from, to)).unwrap_or_default());
        let state = &mut *whole(&self.state);
        let view = state.view(&now, &self.params, &past);
        let (located, window) = (view.locate(photo), view.window(photo));
        if let Some(window) = window {
            state.shots.claim(&photo.key(), window);
        }
        located
    }

    /// Remembers a capture that was stored during this boot, because it may learn from later fixes.
    pub fn remember(&self, capture: Stored) {
        whole(&self.state).learners.push(capture);
    }

    /// Returns what stored captures can learn now. The same corrections are returned until [`Locator::corrected`] is
    /// called.
    pub fn corrections(&self) -> Vec<Correction> {
        let now = self.reading();
        let state = &mut *whole(&self.state);
        let mut learners = std::mem::take(&mut state.learners);
        let knowledge = Knowledge { changes: state.changes, ntp: now.ntp };
        let corrections = learners.corrections(&state.view(&now, &self.params, &NoHistory), knowledge);
        state.learners = learners;
        corrections
    }

    /// Notes that these corrections are stored.
    pub fn corrected(&self, corrections: &[Correction]) {
        let now = self.reading();
        let state = &mut *whole(&self.state);
        let mut learners = std::mem::take(&mut state.learners);
        learners.learn(corrections);
        let view = state.view(&now, &self.params, &NoHistory);
        let corrected = corrections.iter().filter_map(|correction| learners.photo(correction.capture));
        let claims: Vec<_> = corrected.filter_map(|photo| Some((photo.key(), view.window(photo)?))).collect();
        claims.into_iter().for_each(|(key, window)| state.shots.claim(&key, window));
        state.learners = learners;
    }

    /// Weighs captures of other boots again, by their claims, the cameras' clocks and stored fixes.
    pub fn corrections_later(&self, stored: &[Stored], history: &dyn History) -> Vec<Correction> {
        let now = self.reading();
        // The line must not wait for the history. Of captures of other boots, only the cameras' clocks tell anything.
        let state = State { cameras: whole(&self.state).cameras.clone(), ..State::default() };
        let view = state.view(&now, &self.params, history);
        stored.iter().filter_map(|stored| correction_later(stored, &view)).collect()
    }

    /// Sets what is known about a camera's clock, from storage or by a person.
    pub fn set_camera(&self, name: CameraName, clock: CameraClock) {
        let mut state = whole(&self.state);
        state.cameras.put(name, clock);
        state.changes += 1;
    }

    /// Returns what is known about the clocks of cameras.
    pub fn cameras(&self) -> Vec<(CameraName, CameraClock)> {
        let state = whole(&self.state);
        state.cameras.iter().map(|(name, clock)| (name.clone(), clock.clone())).collect()
    }

    /// Takes the cameras whose clocks are known better than at the last call.
    pub fn changed_cameras(&self) -> Vec<(CameraName, CameraClock)> {
        let mut state = whole(&self.state);
        let names = std::mem::take(&mut state.changed);
        names.into_iter().filter_map(|name| Some((name.clone(), state.cameras.get(&name)?.clone()))).collect()
    }

    /// Takes the dated fixes that came since the last call, oldest first, for storage.
    pub fn new_fixes(&self) -> Vec<Fix> {
        let mut state = whole(&self.state);
        let newest = state.stored_to;
        let is_new = |fix: &&Fix| fix.utc.is_some_and(|utc| newest.is_none_or(|newest| utc > newest));
        let fixes: Vec<Fix> = state.track.fixes().filter(is_new).cloned().collect();
        state.stored_to = fixes.last().and_then(|fix| fix.utc).or(newest);
        fixes
    }
}

impl State {
    fn view<'a>(&'a self, now: &'a Reading, params: &LocatorParams, history: &'a dyn History) -> View<'a> {
        let State { gps, track, shots, cameras, .. } = self;
        View { gps, now, track, shots, cameras, history, zone: params.zone, age_s_max: params.age_s_max }
    }

    fn notice_step(&mut self, now: &Reading) {
        if let Some(step) = self.wall.stepped(now) {
            warn!("the wall clock was stepped by {step:#}; captures keep their order by sequence and boot");
        }
    }

    /// Learns what a photo tells about its camera's clock.
    fn learn_clock(&mut self, photo: &Photo, now: &Reading, params: &LocatorParams) {
        let Some(name) = &photo.camera else { return };
        if self.cameras.meet(name) {
            self.changed.push(name.clone());
        }
        let view = self.view(now, params, &NoHistory);
        let Some(observation) = observation(&photo.claims, &view.device()) else { return };
        if self.cameras.observe(name, observation) {
            if let Some(lead) = self.cameras.get(name).and_then(|clock| clock.leads.last()) {
                info!("camera {}: its clock is {:+.1} s off, within {:.1} s", name.as_str(), lead.lead_s, lead.error_s);
            }
            self.changes += 1;
            if !self.changed.contains(name) {
                self.changed.push(name.clone());
            }
        }
    }
}

/// Fills in the moment of first sight in UTC, so that the claims can be weighed in another boot.
pub fn dated(claims: Claims, locator: &Locator) -> Claims {
    let seen = locator.utc(claims.latest_ns()).and_then(|at| moment(super::camera::seconds(at)));
    Claims { seen, ..claims }
}

/// Locks a value. Every change leaves it consistent, so a panic in another thread does not spoil it.
fn whole<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::{Camera, PositionSource, TimeBasis, TimeQuality};
    use jiff::SignedDuration;

    use super::*;
    use crate::claims::{CameraReading, Origin, written_ns};

    const PARAMS: LocatorParams = LocatorParams { age_s_max: 600.0, zone: Offset::UTC };

    fn fix(latitude_deg: f64, utc: Timestamp, received_ns: u64) -> Fix {
        let position = Position::at(latitude_deg, 139.0, PositionSource::SerialGps);
        Fix::new(position, Some(utc), received_ns)
    }

    fn photo(claims: Claims) -> Photo {
        let camera = Camera { model: Some("X".into()), ..Camera::default() };
        Photo { file_name: Some("a.jpg".into()), camera: CameraName::of(&camera), claims }
    }

    fn claims(seen_ns: u64, modified: Timestamp) -> Claims {
        Claims {
            written_ns: written_ns(modified, seen_ns, Timestamp::now()),
            ..Claims::of_file(Origin::Watched, seen_ns, modified)
        }
    }

    #[test]
    fn a_photo_that_was_just_written_gets_the_receivers_time_and_place() {
        let locator = Locator::new(PARAMS).expect("a boot id");
        // Satellite time differs from the time of this machine.
        let (now, utc) = (monotonic_ns(), "2030-06-01T00:00:00Z".parse().expect("a moment"));
        locator.note(Arrival::Fix(fix(35.0, utc, now)));
        let photo = photo(claims(monotonic_ns(), Timestamp::now()));
        let Located { taken, monotonic_ns, position } = locator.locate(&photo, &NoHistory);
        assert_eq!((taken.quality, taken.basis), (TimeQuality::Gps, Some(TimeBasis::Written)));
        assert!(taken.at.duration_since(utc).abs() < SignedDuration::from_secs(5), "{taken:?}");
        assert!(monotonic_ns.is_some_and(|ns| ns.abs_diff(now) < 5_000_000_000));
        let position = position.expect("a place");
        assert!(position.latitude_deg == 35.0 && position.age_s.is_some_and(|age| age < 5.0), "{position:?}");
        assert_eq!(locator.new_fixes().len(), 1);
        assert_eq!(locator.new_fixes(), [], "handed out once");
    }

    #[test]
    fn a_step_of_the_wall_clock_while_photos_wait_changes_nothing() {
        let wall = std::sync::Arc::new(Mutex::new("2026-11-25T12:00:00Z".parse::<Timestamp>().expect("a moment")));
        let reads = std::sync::Arc::clone(&wall);
        let clock = move || Reading { monotonic_ns: 100_000_000_000, wall: *whole(&reads), ntp: true };
        let locator = Locator::with_clock(PARAMS, "boot".into(), Box::new(clock));
        let now = *whole(&wall);
        let written = written_ns(now, 99_000_000_000, now);
        let claims = Claims { written_ns: written, ..claims(99_000_000_000, now) };
        let before = locator.locate(&photo(claims.clone()), &NoHistory);
        *whole(&wall) = now + SignedDuration::from_hours(1);
        let after = locator.locate(&photo(claims), &NoHistory);
        assert_eq!(before.monotonic_ns, after.monotonic_ns);
        assert_eq!(after.taken.quality, TimeQuality::Ntp);
        assert_eq!(
            after.taken.at.duration_since(before.taken.at),
            SignedDuration::from_hours(1),
            "the clock was wrong"
        );
    }

    #[test]
    fn a_card_is_found_on_the_track_by_a_known_clock() {
        let locator = Locator::new(PARAMS).expect("a boot id");
        let start: Timestamp = "2030-06-01T00:00:00Z".parse().expect("a moment");
        let second = |second| start + SignedDuration::from_secs(second);
        for (seconds, latitude) in [(0, 35.0), (2, 35.0002), (500, 35.01)] {
            locator.note(Arrival::Fix(fix(latitude, second(seconds), 1_000_000_000 * (1 + seconds as u64))));
        }
        let clock = CameraClock::set(None, 0.0, 0.1, start);
        locator.set_camera(photo(claims(0, start)).camera.expect("a name"), clock);
        let latitude = |camera: Option<Timestamp>| {
            let reading = |at| CameraReading { civil: Offset::UTC.to_datetime(at), offset: None, step_s: 0.01 };
            let seen_ns = 1_000_000_000_000_000;
            let claims = Claims { camera: camera.map(reading), written_ns: None, ..claims(seen_ns, second(-90_000)) };
            locator.locate(&photo(claims), &NoHistory).position.map(|position| position.latitude_deg)
        };
        assert!(latitude(Some(second(1))).is_some_and(|latitude| (latitude - 35.0001).abs() < 1e-6));
        assert_eq!(latitude(Some(second(1_200))), None, "too old");
        assert_eq!(latitude(None), None, "taken nobody knows when");
    }
}
