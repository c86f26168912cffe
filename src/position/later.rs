//! What stored captures can learn from fixes and synchronisations that come after them.
//!
//! A capture that was made before the first fix has no place, and one that was made before the clock was set has a
//! wrong time. Its event has been sent by then, so the correction is an event of its own that supersedes it.

use super::clock::{GpsTime, Reading, time_at};
use super::locator::when;
use super::track::Track;
use crate::domain::{Position, PositionSource, Time, TimeQuality};

/// A capture as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub sequence: i64,
    /// The start of the machine that `monotonic_ns` belongs to.
    pub boot_id: String,
    pub monotonic_ns: Option<u64>,
    pub taken: Time,
    pub position: Option<Position>,
}

/// What is known better now; `None` stays as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    pub sequence: i64,
    pub taken: Option<Time>,
    pub position: Option<Position>,
}

/// A place that moves by less is not worth an event.
const SHIFT_M_MIN: f64 = 1.0;

/// Mean radius of the earth.
const EARTH_M: f64 = 6_371_009.0;

/// The corrections that can be given now. Call it after a first fix or synchronisation, or once in a while, with the
/// captures that may still learn something: those of this boot whose time is unsynced, or whose place is missing or has
/// an age. Time: only what nothing had set, and only in the boot it was made in. Place: a missing one is filled by the
/// first fix after it, within `age_s_max`; one that was a last fix is interpolated or taken from a nearer fix.
pub fn corrections(
    captures: &[Stored],
    boot_id: &str,
    gps: &GpsTime,
    now: &Reading,
    track: &Track,
    age_s_max: f64,
) -> Vec<Correction> {
    let ours = captures.iter().filter(|capture| capture.boot_id == boot_id);
    let corrected = ours.map(|capture| {
        let taken = later_time(capture, gps, now);
        let position = later_position(capture, taken.as_ref().unwrap_or(&capture.taken), track, age_s_max);
        Correction { sequence: capture.sequence, taken, position }
    });
    corrected.filter(|correction| correction.taken.is_some() || correction.position.is_some()).collect()
}

fn later_time(capture: &Stored, gps: &GpsTime, now: &Reading) -> Option<Time> {
    if capture.taken.quality != TimeQuality::Unsynced {
        return None;
    }
    Some(time_at(capture.monotonic_ns?, gps, now)).filter(|time| time.quality != TimeQuality::Unsynced)
}

fn later_position(capture: &Stored, taken: &Time, track: &Track, age_s_max: f64) -> Option<Position> {
    let when = when(taken, capture.monotonic_ns)?;
    let Some(known) = &capture.position else {
        let found = track.at(when).or_else(|| track.first_after(when));
        return found.filter(|found| age_s(found) <= age_s_max);
    };
    let by_track = matches!(known.source, PositionSource::SerialGps | PositionSource::Mavlink | PositionSource::Rtk);
    if !by_track || age_s(known) == 0.0 || !track.is_settled(when) {
        return None;
    }
    track.at(when).filter(|found| age_s(found) < age_s(known) && distance_m(known, found) >= SHIFT_M_MIN)
}

fn age_s(position: &Position) -> f64 {
    position.age_s.unwrap_or(0.0)
}

/// Over short ways, on a sphere: exact to half a percent.
fn distance_m(a: &Position, b: &Position) -> f64 {
    let north = (b.latitude_deg - a.latitude_deg).to_radians();
    let east = ((b.longitude_deg - a.longitude_deg + 540.0).rem_euclid(360.0) - 180.0).to_radians();
    EARTH_M * north.hypot(east * a.latitude_deg.to_radians().cos())
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::position::Fix;

    const S: u64 = 1_000_000_000;
    const HERE: &str = "this boot";

    fn utc(second: i64) -> Timestamp {
        "2026-11-25T00:00:00Z".parse::<Timestamp>().expect("a moment") + SignedDuration::from_secs(second)
    }

    fn position(source: PositionSource, latitude_deg: f64, age_s: f64) -> Position {
        let (altitude_m, hdop, std_m, quality) = (None, None, None, None);
        Position { latitude_deg, longitude_deg: 139.0, altitude_m, source, hdop, std_m, quality, age_s: Some(age_s) }
    }

    fn stored(second: u64, quality: TimeQuality, position: Option<Position>) -> Stored {
        // Before the first synchronisation the calendar says 1970.
        let at = match quality {
            TimeQuality::Unsynced => Timestamp::from_second(second as i64).expect("1970"),
            _ => utc(second as i64),
        };
        let (boot_id, monotonic_ns) = (HERE.to_owned(), Some(second * S));
        Stored { sequence: second as i64, boot_id, monotonic_ns, taken: Time { at, quality }, position }
    }

    /// Fixes at 100, 102 and 104 s, 11 m apart.
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

    fn correct(capture: Stored) -> Option<Correction> {
        corrections(&[capture], HERE, &synced(), &now(), &track(), 60.0).pop()
    }

    #[test]
    fn captures_before_the_first_sync_get_their_time() {
        let own = Some(position(PositionSource::Exif, 35.0, 0.0));
        let taken = |capture| correct(capture).and_then(|correction| correction.taken);
        let expected = Some(Time { at: utc(50), quality: TimeQuality::Gps });
        assert_eq!(taken(stored(50, TimeQuality::Unsynced, own.clone())), expected);
        assert_eq!(taken(stored(50, TimeQuality::Exif, own.clone())), None, "the camera's word stays");
        assert_eq!(taken(stored(50, TimeQuality::Ntp, own.clone())), None);
        let of_another_boot = Stored { boot_id: "before".into(), ..stored(50, TimeQuality::Unsynced, own.clone()) };
        assert_eq!(correct(of_another_boot), None);
        let of_no_moment = Stored { monotonic_ns: None, ..stored(50, TimeQuality::Unsynced, own) };
        assert_eq!(correct(of_no_moment), None);
        let nothing = corrections(
            &[stored(50, TimeQuality::Unsynced, None)],
            HERE,
            &GpsTime::default(),
            &now(),
            &Track::default(),
            60.0,
        );
        assert_eq!(nothing, []);
    }

    #[test]
    fn a_missing_place_is_filled_by_the_first_fix() {
        let found = |second| {
            let correction = correct(stored(second, TimeQuality::Gps, None))?;
            correction.position.map(|position| (position.latitude_deg, position.age_s))
        };
        assert_eq!(found(70), Some((35.0, Some(30.0))));
        assert_eq!(found(30), None, "too long before");
        assert_eq!(found(108), Some((35.0002, Some(4.0))));
    }

    #[test]
    fn a_last_fix_is_interpolated_when_the_next_has_come() {
        let last = |latitude, age| Some(position(PositionSource::SerialGps, latitude, age));
        let found = |second, position| correct(stored(second, TimeQuality::Gps, position))?.position;
        let middle = found(101, last(34.9999, 1.5)).expect("a better place");
        assert!((middle.latitude_deg - 35.00005).abs() < 1e-9 && middle.age_s == Some(1.0), "{middle:?}");
        assert_eq!(found(101, last(35.000051, 1.5)), None, "11 cm are not worth it");
        assert_eq!(found(107, last(34.0, 9.0)), None, "the next has not come yet");
        assert_eq!(found(101, Some(position(PositionSource::LaserTarget, 34.0, 1.0))), None);
    }

    #[test]
    fn a_time_that_is_found_finds_the_place_too() {
        let correction = correct(stored(103, TimeQuality::Unsynced, None)).expect("both");
        assert_eq!(correction.taken.map(|time| time.at), Some(utc(103)));
        assert!(correction.position.is_some_and(|position| (position.latitude_deg - 35.00015).abs() < 1e-9));
    }
}
