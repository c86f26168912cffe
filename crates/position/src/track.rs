//! Keeps the last fixes and finds the position of the device at a moment.

use std::collections::VecDeque;

use jiff::Timestamp;

use bridgeclip_domain::{Position, Time, TimeQuality};

use super::{Fix, TakenImage};

/// Number of fixes that are kept: two hours at one fix a second, about 1.5 MB.
const FIXES_MAX: usize = 7_200;
/// Least time in nanoseconds between two fixes that are kept; those of a faster receiver are thinned.
const SPACING_NS: u64 = 1_000_000_000;

/// Longest gap in seconds over which positions are interpolated. A device that is carried or flown at 10 m/s and turns
/// in between is then some metres off. Over a longer gap, the nearer fix with its age is more informative.
const GAP_S_MAX: f64 = 10.0;

/// Number of pictures with a position from the flight controller that are kept.
const IMAGES_MAX: usize = 512;

/// Fixes and pictures in order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Track {
    fixes: VecDeque<Fix>,
    images: VecDeque<TakenImage>,
}

/// A moment, by the clock on which it was observed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Monotonic clock of the device, see [`monotonic_ns`](crate::monotonic_ns).
    Monotonic(u64),
    /// UTC by a camera's clock, with that clock's error.
    Utc(Timestamp),
}

impl Track {
    /// Adds a fix. A later fix of the same moment replaces the previous one. The newest fix is always kept.
    pub fn push(&mut self, fix: Fix) {
        let newest = self.fixes.back().map(|last| last.received_ns);
        if newest.is_some_and(|newest| fix.received_ns < newest) {
            return;
        }
        if newest == Some(fix.received_ns) || self.is_crowded() {
            self.fixes.pop_back();
        }
        self.fixes.push_back(fix);
        if self.fixes.len() > FIXES_MAX {
            self.fixes.pop_front();
        }
    }

    /// Reports whether the newest two fixes are closer than the spacing, so that the newest one is kept only until the
    /// next arrives.
    fn is_crowded(&self) -> bool {
        let mut newest = self.fixes.iter().rev().map(|fix| fix.received_ns);
        match (newest.next(), newest.next()) {
            (Some(last), Some(before)) => last - before < SPACING_NS,
            _ => false,
        }
    }

    /// Adds a picture and drops the oldest one if there are too many.
    pub fn push_image(&mut self, image: TakenImage) {
        self.images.push_back(image);
        if self.images.len() > IMAGES_MAX {
            self.images.pop_front();
        }
    }

    /// Returns the newest fix.
    pub fn last(&self) -> Option<&Fix> {
        self.fixes.back()
    }

    /// Returns the position of the flight controller when it had this picture taken. Upper and lower case do not matter
    /// in `file_name`.
    pub fn of_image(&self, file_name: &str) -> Option<Position> {
        let image = self.images.iter().rev().find(|image| image.file_name.eq_ignore_ascii_case(file_name))?;
        Some(Position { age_s: Some(0.0), ..image.fix.position.clone() })
    }

    /// Returns the position of the device at a moment: interpolated between two fixes if they are close, otherwise the
    /// nearer fix, with its age. `None` before the first fix, because a later fix may be somewhere else; see
    /// [`Track::first_after`].
    pub fn at(&self, when: When) -> Option<Position> {
        let (before, after) = self.around(when);
        let (before, before_s) = before?;
        match after {
            Some((after, after_s)) if before_s + after_s <= GAP_S_MAX => {
                Some(between(before, before_s, after, after_s))
            }
            Some((after, after_s)) if after_s < before_s => Some(aged(after, after_s)),
            _ => Some(aged(before, before_s)),
        }
    }

    /// Returns the first fix after a moment that is earlier than all fixes.
    pub fn first_after(&self, when: When) -> Option<Position> {
        match self.around(when) {
            (None, Some((after, after_s))) => Some(aged(after, after_s)),
            _ => None,
        }
    }

    /// Reports whether the result of [`Track::at`] can no longer be changed by a later fix.
    pub fn is_settled(&self, when: When) -> bool {
        self.around(when).1.is_some()
    }

    /// Returns the last fix at or before a moment and the first one after it, each with its distance in seconds.
    fn around(&self, when: When) -> (Option<Near<'_>>, Option<Near<'_>>) {
        let fixes = || self.fixes.iter().filter_map(|fix| Some((fix, seconds_since(fix, when)?)));
        let before = fixes().rev().find(|(_, since)| *since >= 0.0);
        let after = fixes().find(|(_, since)| *since < 0.0).map(|(fix, since)| (fix, -since));
        (before, after)
    }
}

/// A fix and its distance from a moment in seconds.
type Near<'a> = (&'a Fix, f64);

/// Returns the seconds from a fix to a moment, or `None` if they have no clock in common.
fn seconds_since(fix: &Fix, when: When) -> Option<f64> {
    match when {
        When::Monotonic(ns) => Some((i128::from(ns) - i128::from(fix.received_ns)) as f64 / 1e9),
        When::Utc(utc) => Some(utc.duration_since(fix.utc?).as_secs_f64()),
    }
}

fn aged(fix: &Fix, age_s: f64) -> Position {
    Position { age_s: Some(rounded(age_s)), ..fix.position.clone() }
}

/// Returns the position on the straight line between two fixes. Over some seconds of movement, the ellipsoid is as good
/// as flat, so degrees are weighted directly. Each figure of quality is the worse one of the two fixes.
fn between(before: &Fix, before_s: f64, after: &Fix, after_s: f64) -> Position {
    let (a, b) = (&before.position, &after.position);
    let share = if before_s + after_s > 0.0 { before_s / (before_s + after_s) } else { 0.0 };
    let mix = |a: f64, b: f64| a + share * (b - a);
    // Round degrees to a tenth of a millimetre.
    let degrees = |angle: f64| (angle * 1e9).round() / 1e9;
    // Take the short way, even across the date line.
    let east = (b.longitude_deg - a.longitude_deg + 540.0).rem_euclid(360.0) - 180.0;
    let nearer = if share <= 0.5 { a } else { b };
    let exact = share == 0.0;
    Position {
        latitude_deg: degrees(mix(a.latitude_deg, b.latitude_deg)),
        longitude_deg: degrees((a.longitude_deg + share * east + 540.0).rem_euclid(360.0) - 180.0),
        altitude_m: a.altitude_m.zip(b.altitude_m).map(|(a, b)| mix(a, b)).or(nearer.altitude_m),
        source: if exact || a.source == b.source { a.source } else { nearer.source },
        hdop: if exact { a.hdop } else { worse(a.hdop, b.hdop) },
        std_m: if exact { a.std_m } else { worse(a.std_m, b.std_m) },
        quality: if exact { a.quality } else { a.quality.min(b.quality) },
        age_s: Some(rounded(before_s.min(after_s))),
    }
}

fn worse(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b).map(|(a, b)| a.max(b))
}

/// Rounds to milliseconds, which is as precise as the arrival of a receiver's sentences.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

/// Returns the moment to look up in the track. A guessed time finds no position.
pub fn when(taken: &Time, monotonic_ns: Option<u64>) -> Option<When> {
    match monotonic_ns {
        Some(ns) => Some(When::Monotonic(ns)),
        None if taken.quality == TimeQuality::Unsynced => None,
        None => Some(When::Utc(taken.at)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use bridgeclip_domain::{FixQuality, PositionSource};

    use super::*;

    const S: u64 = 1_000_000_000;

    fn start() -> Timestamp {
        "2026-11-25T00:00:00Z".parse().expect("a moment")
    }

    fn fix(second: f64, latitude_deg: f64, longitude_deg: f64) -> Fix {
        let position = Position {
            latitude_deg,
            longitude_deg,
            altitude_m: Some(second),
            source: PositionSource::SerialGps,
            hdop: Some(1.0 + second / 100.0),
            std_m: None,
            quality: Some(FixQuality::Autonomous),
            age_s: None,
        };
        let utc = start() + SignedDuration::from_secs_f64(second);
        let received_ns = ((100.0 + second) * 1e9) as u64;
        Fix { position, utc: Some(utc), received_ns, speed_mps: None, course_deg: None, satellites: None }
    }

    fn track(fixes: &[(f64, f64, f64)]) -> Track {
        let mut track = Track::default();
        fixes.iter().for_each(|(second, latitude, longitude)| track.push(fix(*second, *latitude, *longitude)));
        track
    }

    /// Looks up the position by both clocks, which must agree.
    fn at(track: &Track, second: f64) -> Option<Position> {
        let monotonic = track.at(When::Monotonic(((100.0 + second) * 1e9) as u64));
        assert_eq!(monotonic, track.at(When::Utc(start() + SignedDuration::from_secs_f64(second))));
        monotonic
    }

    #[test]
    fn between_close_fixes_the_place_is_interpolated() {
        let track = track(&[(0.0, 35.0, 139.0), (4.0, 35.0004, 139.0008)]);
        let position = at(&track, 1.0).expect("a place");
        assert!((position.latitude_deg - 35.0001).abs() < 1e-9 && (position.longitude_deg - 139.0002).abs() < 1e-9);
        assert_eq!((position.altitude_m, position.hdop, position.age_s), (Some(1.0), Some(1.04), Some(1.0)));
        let exact = at(&track, 0.0).expect("a place");
        assert_eq!((exact.latitude_deg, exact.hdop, exact.age_s), (35.0, Some(1.0), Some(0.0)));
    }

    #[test]
    fn the_date_line_is_crossed_the_short_way() {
        let track = track(&[(0.0, 0.0, 179.9999), (2.0, 0.0, -179.9997)]);
        let east = at(&track, 0.25).expect("a place").longitude_deg;
        let west = at(&track, 1.5).expect("a place").longitude_deg;
        assert!((east - 179.99995).abs() < 1e-9 && (west + 179.9998).abs() < 1e-9, "{east} {west}");
    }

    #[test]
    fn across_a_gap_the_nearer_fix_is_used_with_its_age() {
        let track = track(&[(0.0, 1.0, 1.0), (100.0, 2.0, 2.0)]);
        let of = |second| at(&track, second).map(|position| (position.latitude_deg, position.age_s.expect("an age")));
        assert_eq!(
            [of(30.0), of(70.0), of(100.5), of(1e6)],
            [Some((1.0, 30.0)), Some((2.0, 30.0)), Some((2.0, 0.5)), Some((2.0, 999_900.0))]
        );
        assert_eq!(of(-1.0), None);
        let later = track.first_after(When::Monotonic(99 * S)).expect("a fix");
        assert_eq!((later.latitude_deg, later.age_s), (1.0, Some(1.0)));
        assert_eq!(track.first_after(When::Monotonic(101 * S)), None);
        assert!(track.is_settled(When::Monotonic(150 * S)) && !track.is_settled(When::Monotonic(250 * S)));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_thinned() {
        let mut track = Track::default();
        for tenth in 0..100_000 {
            track.push(fix(f64::from(tenth) / 10.0, f64::from(tenth) / 1e4, 0.0));
            assert_eq!(track.last().map(|fix| fix.received_ns), Some(((100.0 + f64::from(tenth) / 10.0) * 1e9) as u64));
        }
        assert_eq!(track.fixes.len(), FIXES_MAX);
        let gaps = track.fixes.iter().zip(track.fixes.iter().skip(1)).map(|(a, b)| b.received_ns - a.received_ns);
        let loose = gaps.clone().filter(|gap| *gap > 11 * S / 10).count();
        assert_eq!(loose, 0, "{:?}", gaps.max());
    }

    #[test]
    fn the_same_moment_is_one_fix_and_older_ones_are_late() {
        let mut track = track(&[(0.0, 1.0, 1.0), (5.0, 2.0, 2.0)]);
        track.push(fix(5.0, 2.0, 3.0));
        track.push(fix(4.0, 9.0, 9.0));
        assert_eq!(track.fixes.len(), 2);
        assert_eq!(track.last().map(|fix| fix.position.longitude_deg), Some(3.0));
    }

    #[test]
    fn pictures_are_found_by_name_newest_first() {
        let mut track = Track::default();
        for index in 0..600 {
            let file_name = format!("DSC_{:04}.JPG", index % 550);
            track.push_image(TakenImage { file_name, fix: fix(0.0, f64::from(index) / 10.0, 0.0) });
        }
        let latitude = |name| track.of_image(name).map(|position| position.latitude_deg);
        assert_eq!(latitude("dsc_0010.jpg"), Some(56.0));
        assert_eq!(latitude("DSC_0060.JPG"), None, "forgotten");
        assert_eq!(track.images.len(), IMAGES_MAX);
    }
}
