//! Finds what stored captures can learn from later fixes and synchronisations.
//!
//! A capture made before the first fix has no position, and one made before the clock was set has a wrong time. Its
//! event has been sent by then, so the correction is an event of its own that supersedes it.

use std::collections::VecDeque;

use bridgeclip_domain::{Position, PositionSource, Time, TimeQuality};

use super::clock::{GpsTime, Reading, time_at};
use super::track::{Track, When, when};

/// A capture as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Id of the capture in the journal.
    pub capture: i64,
    /// Exposure by the monotonic clock of this boot, if known.
    pub monotonic_ns: Option<u64>,
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
    /// New position.
    pub position: Option<Position>,
}

/// Captures of this boot that may still learn something.
#[derive(Clone, Debug, Default)]
pub struct Learners(VecDeque<Stored>);

/// Maximum number of captures that may still learn something, about 200 KB. Beyond it, the oldest one stays as it is.
pub const LEARNERS_MAX: usize = 1_024;

/// Shift of a position in metres below which a correction is not worth an event.
const SHIFT_M_MIN: f64 = 1.0;

/// Everything known about time and positions at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub gps: &'a GpsTime,
    pub now: &'a Reading,
    pub track: &'a Track,
    /// Maximum age, in seconds at the exposure, of a fix that is used.
    pub age_s_max: f64,
}

impl Learners {
    /// Adds a capture of this boot if it may still learn something.
    pub fn push(&mut self, capture: Stored, known: &Known) {
        if !may_learn(&capture, known) {
            return;
        }
        if self.0.len() >= LEARNERS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(capture);
    }

    /// Returns the corrections that are possible now. They are returned again until they are passed to
    /// [`Learners::learn`].
    ///
    /// A time is corrected only if nothing had set the clock. A missing position is filled from the first fix after the
    /// exposure. A position that was the last fix is replaced by an interpolated one or by a nearer fix.
    pub fn corrections(&self, known: &Known) -> Vec<Correction> {
        self.0.iter().filter_map(|capture| correction(capture, known)).collect()
    }

    /// Notes that these corrections are stored, and drops the captures that can learn nothing more.
    pub fn learn(&mut self, corrections: &[Correction], known: &Known) {
        for Correction { capture, taken, position } in corrections {
            if let Some(stored) = self.0.iter_mut().find(|stored| stored.capture == *capture) {
                stored.taken = taken.clone().unwrap_or_else(|| stored.taken.clone());
                stored.position = position.clone().or_else(|| stored.position.take());
            }
        }
        self.0.retain(|capture| may_learn(capture, known));
    }
}

fn correction(capture: &Stored, known: &Known) -> Option<Correction> {
    let taken = later_time(capture, known);
    let position = later_position(capture, taken.as_ref().unwrap_or(&capture.taken), known);
    let is_new = taken.is_some() || position.is_some();
    is_new.then_some(Correction { capture: capture.capture, taken, position })
}

/// Reports whether a capture may still learn something: a time while nothing has set the clock, or a position until the
/// first fix after the exposure has arrived.
fn may_learn(capture: &Stored, known: &Known) -> bool {
    if capture.taken.quality == TimeQuality::Unsynced && capture.monotonic_ns.is_some() {
        return true;
    }
    let Some(when) = when(&capture.taken, capture.monotonic_ns) else { return false };
    let waits = !known.track.is_settled(when) && known.elapsed_s(when) <= known.age_s_max;
    is_open(capture.position.as_ref()) && (waits || correction(capture, known).is_some())
}

/// Reports whether a position is missing or was the last fix.
fn is_open(position: Option<&Position>) -> bool {
    position.is_none_or(|known| {
        let sources = [PositionSource::SerialGps, PositionSource::Mavlink, PositionSource::Rtk];
        sources.contains(&known.source) && age_s(known) > 0.0
    })
}

impl Known<'_> {
    /// Returns the seconds since a moment. A time from a clock that has not been set counts as now, because its
    /// distance is unknown.
    fn elapsed_s(&self, when: When) -> f64 {
        let now = time_at(self.now.monotonic_ns, self.gps, self.now);
        match when {
            When::Monotonic(ns) => self.now.monotonic_ns.saturating_sub(ns) as f64 / 1e9,
            When::Utc(_) if now.quality == TimeQuality::Unsynced => 0.0,
            When::Utc(at) => now.at.duration_since(at).as_secs_f64(),
        }
    }
}

fn later_time(capture: &Stored, known: &Known) -> Option<Time> {
    if capture.taken.quality != TimeQuality::Unsynced {
        return None;
    }
    Some(time_at(capture.monotonic_ns?, known.gps, known.now)).filter(|time| time.quality != TimeQuality::Unsynced)
}

fn later_position(capture: &Stored, taken: &Time, known: &Known) -> Option<Position> {
    let Known { track, age_s_max, .. } = *known;
    let when = when(taken, capture.monotonic_ns)?;
    let Some(last) = &capture.position else {
        let found = track.at(when).or_else(|| track.first_after(when));
        return found.filter(|found| age_s(found) <= age_s_max);
    };
    if !is_open(Some(last)) || !track.is_settled(when) {
        return None;
    }
    track.at(when).filter(|found| age_s(found) < age_s(last) && last.distance_m(found) >= SHIFT_M_MIN)
}

fn age_s(position: &Position) -> f64 {
    position.age_s.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::Fix;

    const S: u64 = 1_000_000_000;

    fn utc(second: i64) -> Timestamp {
        "2026-11-25T00:00:00Z".parse::<Timestamp>().expect("a moment") + SignedDuration::from_secs(second)
    }

    fn position(source: PositionSource, latitude_deg: f64, age_s: f64) -> Position {
        let (altitude_m, hdop, std_m, quality) = (None, None, None, None);
        Position { latitude_deg, longitude_deg: 139.0, altitude_m, source, hdop, std_m, quality, age_s: Some(age_s) }
    }

    fn stored(second: u64, quality: TimeQuality, position: Option<Position>) -> Stored {
        // Before the first synchronisation, the calendar is in 1970.
        let at = match quality {
            TimeQuality::Unsynced => Timestamp::from_second(second as i64).expect("1970"),
            _ => utc(second as i64),
        };
        Stored { capture: second as i64, monotonic_ns: Some(second * S), taken: Time { at, quality }, position }
    }

    /// A track with fixes at 100, 102 and 104 s, each 11 m from the last.
    fn track() -> Track {
        let mut track = Track::default();
        for second in [100, 102, 104] {
            let position = position(PositionSource::SerialGps, 35.0 + 1e-4 * (second - 100) as f64 / 2.0, 0.0);
            let (utc, received_ns) = (Some(utc(second)), second as u64 * S);
            track.push(Fix { position, utc, received_ns, speed_mps: None, course_deg: None, satellites: None });
        }
        track
    }

    fn synced() -> GpsTime {
        let mut gps = GpsTime::default();
        gps.observe(utc(104), 104 * S);
        gps
    }

    fn now() -> Reading {
        Reading { monotonic_ns: 110 * S, wall: Timestamp::from_second(110).expect("1970"), ntp: false }
    }

    fn correct(capture: &Stored) -> Option<Correction> {
        let (gps, now, track) = (synced(), now(), track());
        correction(capture, &Known { gps: &gps, now: &now, track: &track, age_s_max: 60.0 })
    }

    #[test]
    fn captures_before_the_first_sync_get_their_time() {
        let own = Some(position(PositionSource::Exif, 35.0, 0.0));
        let taken = |capture: Stored| correct(&capture).and_then(|correction| correction.taken);
        let expected = Some(Time { at: utc(50), quality: TimeQuality::Gps });
        assert_eq!(taken(stored(50, TimeQuality::Unsynced, own.clone())), expected);
        assert_eq!(taken(stored(50, TimeQuality::Exif, own.clone())), None, "the camera's word stays");
        assert_eq!(taken(stored(50, TimeQuality::Ntp, own.clone())), None);
        let of_no_moment = Stored { monotonic_ns: None, ..stored(50, TimeQuality::Unsynced, own) };
        assert_eq!(correct(&of_no_moment), None);
    }

    #[test]
    fn a_missing_place_is_filled_by_the_first_fix() {
        let found = |second| {
            let correction = correct(&stored(second, TimeQuality::Gps, None))?;
            correction.position.map(|position| (position.latitude_deg, position.age_s))
        };
        assert_eq!(found(70), Some((35.0, Some(30.0))));
        assert_eq!(found(30), None, "too long before");
        assert_eq!(found(108), Some((35.0002, Some(4.0))));
    }

    #[test]
    fn a_last_fix_is_interpolated_when_the_next_has_come() {
        let last = |latitude, age| Some(position(PositionSource::SerialGps, latitude, age));
        let found = |second, position| correct(&stored(second, TimeQuality::Gps, position))?.position;
        let middle = found(101, last(34.9999, 1.5)).expect("a better place");
        assert!((middle.latitude_deg - 35.00005).abs() < 1e-9 && middle.age_s == Some(1.0), "{middle:?}");
        assert_eq!(found(101, last(35.000051, 1.5)), None, "11 cm are not worth it");
        assert_eq!(found(107, last(34.0, 9.0)), None, "the next has not come yet");
        assert_eq!(found(101, Some(position(PositionSource::LaserTarget, 34.0, 1.0))), None);
    }

    #[test]
    fn a_time_that_is_found_finds_the_place_too() {
        let correction = correct(&stored(103, TimeQuality::Unsynced, None)).expect("both");
        assert_eq!(correction.taken.map(|time| time.at), Some(utc(103)));
        assert!(correction.position.is_some_and(|position| (position.latitude_deg - 35.00015).abs() < 1e-9));
    }

    #[test]
    fn who_can_learn_nothing_more_is_dropped() {
        let (nothing, no_fix, now) = (GpsTime::default(), Track::default(), now());
        let before = Known { gps: &nothing, now: &now, track: &no_fix, age_s_max: 60.0 };
        let own = Some(position(PositionSource::Exif, 35.0, 0.0));
        let mut learners = Learners::default();
        let captures = [
            stored(30, TimeQuality::Gps, None),
            stored(31, TimeQuality::Unsynced, own.clone()),
            stored(70, TimeQuality::Unsynced, None),
            stored(71, TimeQuality::Gps, own),
            stored(108, TimeQuality::Gps, Some(position(PositionSource::SerialGps, 34.0, 9.0))),
        ];
        captures.into_iter().for_each(|capture| learners.push(capture, &before));
        let left = |learners: &Learners| learners.0.iter().map(|stored| stored.capture).collect::<Vec<_>>();
        assert_eq!(left(&learners), [31, 70, 108]);
        assert_eq!(learners.corrections(&before), []);
        let (gps, track) = (synced(), track());
        let after = Known { gps: &gps, track: &track, ..before };
        let found = learners.corrections(&after);
        assert_eq!(found.iter().map(|found| found.capture).collect::<Vec<_>>(), [31, 70]);
        assert_eq!(learners.corrections(&after), found, "until they are stored");
        learners.learn(&found, &after);
        assert_eq!(learners.corrections(&after), []);
        assert_eq!(left(&learners), [108], "the next fix may be nearer");
    }

    #[test]
    fn many_are_remembered_but_not_all() {
        let (gps, now, track) = (GpsTime::default(), now(), Track::default());
        let known = Known { gps: &gps, now: &now, track: &track, age_s_max: 60.0 };
        let mut learners = Learners::default();
        (0..2 * LEARNERS_MAX as u64)
            .for_each(|second| learners.push(stored(second, TimeQuality::Unsynced, None), &known));
        assert_eq!(learners.0.front().map(|stored| stored.capture), Some(LEARNERS_MAX as i64));
        assert_eq!(learners.0.len(), LEARNERS_MAX);
    }
}
