//! Finds what stored captures can learn from later fixes, reports, synchronisations and from their cameras' clocks.
//!
//! A capture made before the first fix has no position, and one made before the clock was set has a wrong time. Its
//! event has been sent by then, so the correction is an event of its own that supersedes it. Every capture of this boot
//! is weighed again with what is known now; the correction is made if it is worth an event.

use std::collections::VecDeque;

use bridgeclip_domain::{Position, Time, TimeQuality};

use super::camera::seconds;
use super::view::{Located, Photo, View, when};

/// A capture as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Id of the capture in the journal.
    pub capture: i64,
    /// The photo with its evidence.
    pub photo: Photo,
    /// Calendar time of the exposure.
    pub taken: Time,
    /// Position of the capture, if known.
    pub position: Option<Position>,
}

/// Facts that are now known better; those that are `None` stay as they were.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// Id of the capture in the journal.
    pub capture: i64,
    /// New calendar time.
    pub taken: Option<Time>,
    /// New position; the inner `None` says that the stored one was wrong and no other is known.
    pub position: Option<Option<Position>>,
}

/// Captures of this boot that may still learn something.
#[derive(Clone, Debug, Default)]
pub struct Learners(VecDeque<Learner>);

#[derive(Clone, Debug)]
struct Learner {
    stored: Stored,
    /// Corrections that the capture has had.
    corrections: u8,
    /// State of knowledge in which the capture had nothing to learn from later fixes either.
    done: Option<Knowledge>,
}

/// State of what is known beside the fixes. Captures whose place is settled are weighed again only when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knowledge {
    /// Number of changes to cameras' clocks, satellite time and reports.
    pub changes: u64,
    /// Whether NTP keeps the device's clock.
    pub ntp: bool,
}

/// Maximum number of captures that may still learn something, about 1 MB. Beyond it, the oldest one stays as it is
/// until `bridgeclip place` weighs it again.
pub const LEARNERS_MAX: usize = 1_024;

/// Number of corrections of one capture, so that contradicting evidence cannot make events without end.
const CORRECTIONS_MAX: u8 = 6;

/// Shift of a position in metres below which a correction is not worth an event.
const SHIFT_M_MIN: f64 = 1.0;
/// Shift of a moment in seconds below which a correction is not worth an event.
const SHIFT_S_MIN: f64 = 0.5;
/// Ratio to which an error must shrink for the correction to be worth an event by that alone.
const SHRINKS: f64 = 0.5;

impl Learners {
    /// Adds a capture of this boot.
    pub fn push(&mut self, stored: Stored) {
        if self.0.len() >= LEARNERS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Learner { stored, corrections: 0, done: None });
    }

    /// Returns the corrections that are possible now. They are returned again until they are passed to
    /// [`Learners::learn`].
    pub fn corrections(&mut self, view: &View, knowledge: Knowledge) -> Vec<Correction> {
        let is_open = |learner: &&mut Learner| learner.corrections < CORRECTIONS_MAX && learner.done != Some(knowledge);
        self.0.iter_mut().filter(is_open).filter_map(|learner| learner.weigh(view, knowledge)).collect()
    }

    /// Notes that these corrections are stored.
    pub fn learn(&mut self, corrections: &[Correction]) {
        for Correction { capture, taken, position } in corrections {
            let Some(learner) = self.0.iter_mut().find(|learner| learner.stored.capture == *capture) else { continue };
            let stored = &mut learner.stored;
            learner.corrections += 1;
            if let Some(taken) = taken {
                stored.taken = taken.clone();
            }
            if let Some(position) = position {
                stored.position = position.clone();
            }
        }
    }

    /// Returns the photo of a capture that may learn something.
    pub fn photo(&self, capture: i64) -> Option<&Photo> {
        self.0
            .iter()
            .map(|learner| &learner.stored)
            .find(|stored| stored.capture == capture)
            .map(|stored| &stored.photo)
    }
}

impl Learner {
    /// Weighs the capture again. `None` if nothing is worth an event.
    fn weigh(&mut self, view: &View, knowledge: Knowledge) -> Option<Correction> {
        let located = view.locate(&self.stored.photo);
        let when = when(&located.taken, located.monotonic_ns);
        let is_settled = when.is_some_and(|when| view.track.is_settled(when));
        let correction = compare(&self.stored, &located, is_settled);
        let waited_s = view.now.monotonic_ns.saturating_sub(self.stored.photo.claims.seen_ns) as f64 / 1e9;
        if correction.is_none() && (is_settled || waited_s > view.age_s_max) {
            self.done = Some(knowledge);
        }
        correction
    }
}

/// Weighs a stored capture of another boot again. `None` if nothing is worth an event.
pub fn correction_later(stored: &Stored, view: &View) -> Option<Correction> {
    let better = view.time_later(&stored.photo).filter(|taken| is_better_time(&stored.taken, taken));
    let taken = better.unwrap_or_else(|| stored.taken.clone());
    let position = view.place_later(&stored.photo, &taken);
    compare(stored, &Located { taken, monotonic_ns: None, position }, true)
}

/// Compares what is stored with what is known now. `is_settled` says whether later fixes cannot change a position.
fn compare(stored: &Stored, known: &Located, is_settled: bool) -> Option<Correction> {
    let taken = is_better_time(&stored.taken, &known.taken).then(|| known.taken.clone());
    let refuted = taken.as_ref().is_some_and(|taken| is_refuted(&stored.taken, taken));
    let position = match (&stored.position, &known.position) {
        (Some(_), None) if refuted => Some(None),
        (None, Some(new)) => Some(Some(new.clone())),
        (Some(old), Some(new)) => {
            let is_worth = refuted || (is_better_place(old, new) && is_settled);
            (is_worth && old != new).then(|| Some(new.clone()))
        }
        _ => None,
    };
    let is_new = taken.is_some() || position.is_some();
    is_new.then_some(Correction { capture: stored.capture, taken, position })
}

fn is_better_time(old: &Time, new: &Time) -> bool {
    if new.quality == TimeQuality::Unsynced || (old.quality < new.quality && !is_refuted(old, new)) {
        return false;
    }
    let shift_s = (seconds(old.at) - seconds(new.at)).abs();
    let error_s = |time: &Time| time.error_s.unwrap_or(f64::INFINITY);
    old.quality == TimeQuality::Unsynced
        || is_refuted(old, new)
        || (shift_s >= SHIFT_S_MIN && error_s(new) <= error_s(old))
        || error_s(new) < SHRINKS * error_s(old)
}

/// Reports whether a new moment is outside the interval of the old one.
fn is_refuted(old: &Time, new: &Time) -> bool {
    let shift_s = (seconds(old.at) - seconds(new.at)).abs();
    old.error_s.zip(new.error_s).is_some_and(|(old, new)| shift_s > old + new && shift_s >= SHIFT_S_MIN)
}

fn is_better_place(old: &Position, new: &Position) -> bool {
    // An older program stored no error; only its age can be compared.
    let Some(old_m) = old.error_m else {
        return age_s(new) < age_s(old) && old.distance_m(new) >= SHIFT_M_MIN;
    };
    let new_m = new.error_m.unwrap_or(f64::INFINITY);
    let shift_m = old.distance_m(new);
    (shift_m >= SHIFT_M_MIN && new_m < old_m) || new_m < SHRINKS * old_m || shift_m > old_m + new_m
}

fn age_s(position: &Position) -> f64 {
    position.age_s.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::{PositionSource, TimeBasis};
    use jiff::tz::Offset;
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::Fix;
    use crate::camera::{CameraClock, CameraName, Cameras};
    use crate::claims::{CameraReading, Claims, Origin};
    use crate::clock::{GpsTime, Reading};
    use crate::shots::Shots;
    use crate::track::Track;
    use crate::view::NoHistory;

    const S: u64 = 1_000_000_000;

    fn utc(second: i64) -> Timestamp {
        "2026-11-25T00:00:00Z".parse::<Timestamp>().expect("a moment") + SignedDuration::from_secs(second)
    }

    fn position(source: PositionSource, latitude_deg: f64, age_s: f64, error_m: f64) -> Position {
        Position { age_s: Some(age_s), error_m: Some(error_m), ..Position::at(latitude_deg, 139.0, source) }
    }

    /// A photo that was written at a second of this boot.
    fn photo(second: u64) -> Photo {
        let claims =
            Claims { written_ns: Some(second * S), ..Claims::of_file(Origin::Watched, second * S, utc(second as i64)) };
        Photo { file_name: None, camera: Some(CameraName::from("X".to_owned())), claims }
    }

    fn stored(second: u64, quality: TimeQuality, position: Option<Position>) -> Stored {
        // Before the first synchronisation, the calendar is in 1970.
        let at = match quality {
            TimeQuality::Unsynced => Timestamp::from_second(second as i64).expect("1970"),
            _ => utc(second as i64),
        };
        let taken = Time { basis: Some(TimeBasis::Written), error_s: Some(3.0), ..Time::new(at, quality) };
        Stored { capture: second as i64, photo: photo(second), taken, position }
    }

    /// What is known 110 s after the start: fixes at 100, 102 and 104 s, each 11 m from the last.
    struct Known {
        gps: GpsTime,
        now: Reading,
        track: Track,
        cameras: Cameras,
        shots: Shots,
    }

    impl Known {
        fn new() -> Self {
            let (mut track, mut gps) = (Track::default(), GpsTime::default());
            for second in [100, 102, 104] {
                let latitude_deg = 35.0 + 1e-4 * (second - 100) as f64 / 2.0;
                let position =
                    Position { hdop: Some(1.0), ..Position::at(latitude_deg, 139.0, PositionSource::SerialGps) };
                let (utc, received_ns) = (Some(utc(second)), second as u64 * S);
                track.push(Fix::new(position, utc, received_ns));
            }
            gps.observe(utc(104), 104 * S);
            let now = Reading { monotonic_ns: 110 * S, wall: Timestamp::from_second(110).expect("1970"), ntp: false };
            Known { gps, now, track, cameras: Cameras::default(), shots: Shots::default() }
        }

        fn nothing() -> Self {
            Known { gps: GpsTime::default(), track: Track::default(), ..Known::new() }
        }

        fn view(&self) -> View<'_> {
            let Known { gps, now, track, cameras, shots } = self;
            let zone = Offset::UTC;
            View { gps, now, track, shots, cameras, history: &NoHistory, zone, age_s_max: 60.0 }
        }

        fn knowledge(&self) -> Knowledge {
            Knowledge { changes: 0, ntp: self.now.ntp }
        }

        fn correct(&self, stored: Stored) -> Option<Correction> {
            let mut learners = Learners::default();
            learners.push(stored);
            learners.corrections(&self.view(), self.knowledge()).pop()
        }
    }

    #[test]
    fn captures_before_the_first_sync_get_their_time() {
        let known = Known::new();
        let taken = |stored| known.correct(stored).and_then(|correction| correction.taken);
        let told = taken(stored(50, TimeQuality::Unsynced, None)).expect("satellites");
        assert_eq!((told.at, told.quality), (utc(50), TimeQuality::Gps));
        assert_eq!(taken(stored(50, TimeQuality::Gps, None)), None);
        assert_eq!(taken(stored(50, TimeQuality::Ntp, None)), None, "NTP was right then");
        let unknown = Known::nothing();
        assert_eq!(unknown.correct(stored(50, TimeQuality::Unsynced, None)), None);
    }

    #[test]
    fn a_missing_place_is_filled_by_the_first_fix() {
        let known = Known::new();
        let found = |second| {
            let position = known.correct(stored(second, TimeQuality::Gps, None))?.position??;
            Some((position.latitude_deg, position.age_s))
        };
        assert_eq!(found(70), Some((35.0, Some(30.0))));
        assert_eq!(found(30), None, "too long before");
        assert_eq!(found(108), Some((35.0002, Some(4.0))));
    }

    #[test]
    fn a_last_fix_is_interpolated_when_the_next_has_come() {
        let known = Known::new();
        let last = |latitude, age_s, error_m| Some(position(PositionSource::SerialGps, latitude, age_s, error_m));
        let found = |second, position| known.correct(stored(second, TimeQuality::Gps, position))?.position;
        let middle = found(101, last(34.9999, 3.0, 40.0)).flatten().expect("a better place");
        assert!((middle.latitude_deg - 35.00005).abs() < 1e-9 && middle.age_s == Some(3.0), "{middle:?}");
        assert_eq!(found(101, last(35.000051, 3.0, 40.0)), None, "11 cm are not worth it");
        assert_eq!(found(107, last(34.9999, 9.0, 30.0)), None, "the next has not come yet");
        assert_eq!(found(101, Some(position(PositionSource::LaserTarget, 35.0, 0.0, 5.0))), None, "a better source");
    }

    #[test]
    fn a_camera_whose_clock_becomes_known_corrects_its_photos() {
        let mut known = Known::new();
        let reading =
            |second: i64| CameraReading { civil: Offset::UTC.to_datetime(utc(second)), offset: None, step_s: 0.01 };
        // The photo was written at 103 s, and its camera shows 101 s.
        let mut stored = stored(103, TimeQuality::Gps, Some(position(PositionSource::SerialGps, 35.00015, 3.0, 40.0)));
        stored.photo.claims.camera = Some(reading(101));
        let name = CameraName::from("X".to_owned());
        known.cameras.put(name.clone(), CameraClock::set(None, 0.0, 0.2, utc(0)));
        let correction = known.correct(stored.clone()).expect("the exposure was earlier");
        let taken = correction.taken.expect("a time");
        assert_eq!((taken.basis, taken.error_s), (Some(TimeBasis::Camera), Some(0.205)));
        let place = correction.position.flatten().expect("a place");
        assert!((place.latitude_deg - 35.00005).abs() < 1e-6, "{place:?}");
        // It was a copy of a photo from before all fixes: its place was wrong, and no other is known.
        stored.photo.claims.camera = Some(reading(-5_000));
        let correction = known.correct(stored).expect("the exposure was long before");
        assert_eq!(correction.position, Some(None));
    }

    #[test]
    fn who_can_learn_nothing_more_is_left_alone() {
        let (nothing, known) = (Known::nothing(), Known::new());
        let mut learners = Learners::default();
        [
            stored(30, TimeQuality::Gps, None),
            stored(31, TimeQuality::Unsynced, None),
            stored(70, TimeQuality::Unsynced, None),
            stored(108, TimeQuality::Gps, Some(position(PositionSource::SerialGps, 35.0002, 9.0, 30.0))),
        ]
        .into_iter()
        .for_each(|capture| learners.push(capture));
        assert_eq!(learners.corrections(&nothing.view(), nothing.knowledge()), []);
        let knowledge = Knowledge { changes: 1, ntp: false };
        let found = learners.corrections(&known.view(), knowledge);
        assert_eq!(found.iter().map(|found| found.capture).collect::<Vec<_>>(), [31, 70]);
        assert_eq!(learners.corrections(&known.view(), knowledge), found, "until they are stored");
        learners.learn(&found);
        assert_eq!(learners.corrections(&known.view(), knowledge), []);
        let done: Vec<bool> = learners.0.iter().map(|learner| learner.done == Some(knowledge)).collect();
        assert_eq!(done, [true, true, true, false], "the next fix may be nearer");
    }

    #[test]
    fn corrections_end_and_learners_are_bounded() {
        let mut learners = Learners::default();
        (0..2 * LEARNERS_MAX as u64).for_each(|second| learners.push(stored(second, TimeQuality::Unsynced, None)));
        assert_eq!(learners.0.front().map(|learner| learner.stored.capture), Some(LEARNERS_MAX as i64));
        let known = Known::new();
        let mut learners = Learners::default();
        learners.push(stored(50, TimeQuality::Unsynced, None));
        learners.0[0].corrections = CORRECTIONS_MAX;
        assert_eq!(learners.corrections(&known.view(), known.knowledge()), []);
    }
}
