//! Keeps the fixes of a device and finds its position at a moment, with what that position is worth.

use std::collections::VecDeque;

use jiff::Timestamp;

use bridgeclip_domain::{FixQuality, Position, PositionSource, wrap_longitude};

use super::Fix;
use super::clock::LATENCY_S;
use super::drift::{TURN_MPS2, drift_m};
use super::place::fix_error_m;
use super::rounding::{milliseconds, up_to_centimetres};

/// Number of fixes that are kept: two hours at one fix a second, about 1.5 MB.
const FIXES_MAX: usize = 7_200;
/// Least time in nanoseconds between two fixes that are kept; those of a faster receiver are thinned.
const SPACING_NS: u64 = 1_000_000_000;

/// Longest gap in seconds over which positions are interpolated. A device that is carried or flown at 10 m/s and turns
/// in between is then some metres off. Over a longer gap, the nearer fix with its age is more informative.
const GAP_S_MAX: f64 = 10.0;

/// Age in seconds up to which a position with resolved carrier phase is still accurate to centimetres.
const RTK_AGE_S_MAX: f64 = 2.0;

/// Speed in m/s beyond which two consecutive fixes contradict each other, beside their own errors: no drone or car that
/// inspects bridges is faster.
const SPEED_MPS_MAX: f64 = 50.0;
/// Time in seconds for which that speed explains a distance. After a longer gap, a distance that the device's own speed
/// does not explain is doubted first.
const SPRINT_S: f64 = 2.0;
/// Number of consecutive fixes that must agree before they outweigh the fixes before them.
const AGREEMENTS: usize = 3;

/// Fixes in order of their moments.
#[derive(Clone, Debug)]
pub struct Track {
    fixes: VecDeque<Fix>,
    /// Whether all fixes are dated, and in order by their dates.
    is_dated: bool,
    /// Consecutive fixes that contradict those before them, but not each other.
    doubted: Vec<Fix>,
}

/// A moment, by the clock on which it was observed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Monotonic clock of the device, see [`monotonic_ns`](crate::monotonic_ns).
    Monotonic(u64),
    /// UTC, with the error of the clock that told it.
    Utc(Timestamp),
}

impl When {
    /// Returns the moment some seconds later, earlier if they are negative.
    fn moved(self, seconds: f64) -> When {
        match self {
            When::Monotonic(ns) => When::Monotonic((ns as f64 + seconds * 1e9).max(0.0) as u64),
            When::Utc(at) => {
                let shift = jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
                When::Utc(at.checked_add(shift).unwrap_or(at))
            }
        }
    }
}

impl Default for Track {
    fn default() -> Self {
        Track { fixes: VecDeque::new(), is_dated: true, doubted: Vec::new() }
    }
}

impl Track {
    /// Makes a track of stored fixes, whose monotonic moments belong to other boots. It is searched by UTC only.
    pub fn of_history(fixes: Vec<Fix>) -> Self {
        let is_dated = fixes.iter().all(|fix| fix.utc.is_some()) && fixes.is_sorted_by_key(|fix| fix.utc);
        Track { fixes: fixes.into(), is_dated, doubted: Vec::new() }
    }

    /// Adds a fix. A later fix of the same moment replaces the previous one. The newest fix is always kept, unless it
    /// contradicts those before it: a single wild fix is dropped, and a new place is believed once several fixes agree
    /// on it.
    pub fn push(&mut self, fix: Fix) {
        let newest = self.fixes.back().map(|last| last.measured_ns);
        if newest.is_some_and(|newest| fix.measured_ns < newest) {
            return;
        }
        match self.fixes.back() {
            Some(last) if is_jump(last, &fix) => return self.doubt(fix),
            _ => self.doubted.clear(),
        }
        if newest == Some(fix.measured_ns) || self.is_crowded() {
            self.fixes.pop_back();
        }
        self.keep(fix);
    }

    fn keep(&mut self, fix: Fix) {
        let last = self.fixes.back().and_then(|last| last.utc);
        self.is_dated &= fix.utc.is_some_and(|utc| last.is_none_or(|last| last <= utc));
        self.fixes.push_back(fix);
        if self.fixes.len() > FIXES_MAX {
            self.fixes.pop_front();
        }
    }

    /// Notes a fix that contradicts the track, and believes it once enough fixes in a row agree with it.
    fn doubt(&mut self, fix: Fix) {
        match self.doubted.last() {
            Some(last) if last.measured_ns == fix.measured_ns => {
                self.doubted.pop();
            }
            Some(last) if is_jump(last, &fix) => self.doubted.clear(),
            _ => (),
        }
        self.doubted.push(fix);
        if self.doubted.len() >= AGREEMENTS {
            std::mem::take(&mut self.doubted).into_iter().for_each(|fix| self.keep(fix));
        }
    }

    /// Reports whether the newest two fixes are closer than the spacing, so that the newest one is kept only until the
    /// next arrives.
    fn is_crowded(&self) -> bool {
        let mut newest = self.fixes.iter().rev().map(|fix| fix.measured_ns);
        match (newest.next(), newest.next()) {
            (Some(last), Some(before)) => last - before < SPACING_NS,
            _ => false,
        }
    }

    /// Returns the newest fix.
    pub fn last(&self) -> Option<&Fix> {
        self.fixes.back()
    }

    /// Returns all fixes, oldest first.
    pub fn fixes(&self) -> impl DoubleEndedIterator<Item = &Fix> {
        self.fixes.iter()
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

    /// Returns the position at a moment that is known only within `error_s` seconds on either side. Its error covers
    /// every position of the device in that time, and its age is at least the doubt about the moment.
    pub fn within(&self, when: When, error_s: f64) -> Option<Position> {
        // The arrival of a fix is later than its moment, which some lines tell.
        let (when, error_s) = match when {
            When::Monotonic(_) if !self.tells_moments() => (when.moved(LATENCY_S), error_s + LATENCY_S),
            _ => (when, error_s),
        };
        let position = self.at(when).or_else(|| self.first_after(when))?;
        let ends = [-error_s, error_s].map(|shift| when.moved(shift));
        let at_ends = ends.into_iter().filter_map(|end| self.at(end).or_else(|| self.first_after(end)));
        let reach = |place: &Position, error_m: f64| position.distance_m(place) + error_m;
        let at_ends = at_ends.map(|place| reach(&place, place.error_m.unwrap_or_default()));
        let between = self.near(when, error_s).map(|fix| reach(&fix.position, fix_error_m(&fix.position)));
        let error_m = at_ends.chain(between).fold(position.error_m.unwrap_or_default(), f64::max);
        let age_s = position.age_s.map(|age_s| milliseconds(age_s.max(if error_s > 1.0 { error_s } else { 0.0 })));
        Some(Position { age_s, error_m: Some(up_to_centimetres(error_m)), ..position })
    }

    /// Reports whether the result of [`Track::at`] can no longer be changed by a later fix.
    pub fn is_settled(&self, when: When) -> bool {
        self.around(when).1.is_some()
    }

    /// Returns the last fix at or before a moment and the first one after it, each with its distance in seconds.
    fn around(&self, when: When) -> (Option<Near<'_>>, Option<Near<'_>>) {
        let near = |index: usize| self.fixes.get(index).and_then(|fix| Some((fix, seconds_since(fix, when)?)));
        if self.is_sorted(when) {
            let after = self.fixes.partition_point(|fix| seconds_since(fix, when).is_some_and(|since| since >= 0.0));
            let before = after.checked_sub(1).and_then(near);
            return (before, near(after).map(|(fix, since)| (fix, -since)));
        }
        let fixes = || self.fixes.iter().filter_map(|fix| Some((fix, seconds_since(fix, when)?)));
        let before = fixes().rev().find(|(_, since)| *since >= 0.0);
        let after = fixes().find(|(_, since)| *since < 0.0).map(|(fix, since)| (fix, -since));
        (before, after)
    }

    /// Reports whether the line tells when its fixes were measured.
    fn tells_moments(&self) -> bool {
        self.last().is_some_and(|fix| fix.measured_ns < fix.received_ns)
    }

    /// Reports whether the fixes are in order by the clock of a moment: always by the monotonic one, and by UTC while every
    /// fix has a date and satellite time was never corrected.
    fn is_sorted(&self, when: When) -> bool {
        matches!(when, When::Monotonic(_)) || self.is_dated
    }

    /// Returns the fixes within some seconds of a moment.
    fn near(&self, when: When, seconds: f64) -> impl Iterator<Item = &Fix> {
        let reach = move |fix: &Fix| seconds_since(fix, when);
        let range = match self.is_sorted(when) {
            true => {
                let first = self.fixes.partition_point(|fix| reach(fix).is_some_and(|since| since >= seconds));
                let end = self.fixes.partition_point(|fix| reach(fix).is_some_and(|since| since > -seconds));
                first..end.max(first)
            }
            false => 0..self.fixes.len(),
        };
        self.fixes.range(range).filter(move |fix| reach(fix).is_some_and(|since| since.abs() < seconds))
    }
}

/// Reports whether a device cannot have moved from one fix to the next.
fn is_jump(before: &Fix, after: &Fix) -> bool {
    let elapsed_s = (after.measured_ns.saturating_sub(before.measured_ns)) as f64 / 1e9;
    let errors_m = fix_error_m(&before.position) + fix_error_m(&after.position);
    let moved_m = SPEED_MPS_MAX * elapsed_s.clamp(1.0, SPRINT_S) + 2.0 * drift_m(elapsed_s, before.speed_mps);
    before.position.distance_m(&after.position) > errors_m + moved_m
}

/// A fix and its distance from a moment in seconds.
type Near<'a> = (&'a Fix, f64);

/// Returns the seconds from a fix to a moment, or `None` if they have no clock in common.
fn seconds_since(fix: &Fix, when: When) -> Option<f64> {
    match when {
        When::Monotonic(ns) => Some((i128::from(ns) - i128::from(fix.measured_ns)) as f64 / 1e9),
        When::Utc(utc) => Some(utc.duration_since(fix.utc?).as_secs_f64()),
    }
}

/// Returns the position of a fix at a moment some seconds away.
fn aged(fix: &Fix, age_s: f64) -> Position {
    let error_m = Some(up_to_centimetres(fix_error_m(&fix.position) + drift_m(age_s, fix.speed_mps)));
    let fix = Position { age_s: Some(milliseconds(age_s)), error_m, ..fix.position.clone() };
    if age_s <= RTK_AGE_S_MAX || fix.quality < Some(FixQuality::RtkFloat) {
        return fix;
    }
    // Centimetres were true at the fix, not now.
    let source = if fix.source == PositionSource::Rtk { PositionSource::SerialGps } else { fix.source };
    Position { source, quality: Some(FixQuality::Estimated), std_m: None, ..fix }
}

/// Returns the position on the straight line between two fixes. Over some seconds of movement, the ellipsoid is as good
/// as flat, so degrees are weighted directly. Each figure of quality is the worse one of the two fixes.
fn between(before: &Fix, before_s: f64, after: &Fix, after_s: f64) -> Position {
    let (a, b) = (&before.position, &after.position);
    let share = if before_s + after_s > 0.0 { before_s / (before_s + after_s) } else { 0.0 };
    let mix = |a: f64, b: f64| a + share * (b - a);
    // Round degrees to a tenth of a millimetre.
    let degrees = |angle: f64| (angle * 1e9).round() / 1e9;
    let east = wrap_longitude(b.longitude_deg - a.longitude_deg);
    let nearer = if share <= 0.5 { a } else { b };
    let exact = share == 0.0;
    // The sagitta of a path with this acceleration between the two fixes.
    let bend_m = (TURN_MPS2 * before_s * after_s / 2.0).min(drift_m(before_s.min(after_s), before.speed_mps));
    let errors_m = if exact { fix_error_m(a) } else { fix_error_m(a).max(fix_error_m(b)) };
    Position {
        altitude_m: a.altitude_m.zip(b.altitude_m).map(|(a, b)| mix(a, b)).or(nearer.altitude_m),
        altitude_above: nearer.altitude_above,
        hdop: if exact { a.hdop } else { worse(a.hdop, b.hdop) },
        std_m: if exact { a.std_m } else { worse(a.std_m, b.std_m) },
        quality: if exact { a.quality } else { a.quality.min(b.quality) },
        age_s: Some(milliseconds(before_s.min(after_s))),
        error_m: Some(up_to_centimetres(errors_m + bend_m)),
        ..Position::at(
            degrees(mix(a.latitude_deg, b.latitude_deg)),
            degrees(wrap_longitude(a.longitude_deg + share * east)),
            if exact || a.source == b.source { a.source } else { nearer.source },
        )
    }
}

fn worse(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b).map(|(a, b)| a.max(b))
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
            altitude_m: Some(second),
            hdop: Some(1.0 + second / 100.0),
            std_m: None,
            quality: Some(FixQuality::Autonomous),
            ..Position::at(latitude_deg, longitude_deg, PositionSource::SerialGps)
        };
        let utc = start() + SignedDuration::from_secs_f64(second);
        let received_ns = ((100.0 + second) * 1e9) as u64;
        Fix::new(position, Some(utc), received_ns)
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
        let track = track(&[(0.0, 1.0, 1.0), (100.0, 1.005, 1.0)]);
        let of = |second| at(&track, second).map(|position| (position.latitude_deg, position.age_s.expect("an age")));
        assert_eq!(
            [of(30.0), of(70.0), of(100.5), of(1e6)],
            [Some((1.0, 30.0)), Some((1.005, 30.0)), Some((1.005, 0.5)), Some((1.005, 999_900.0))]
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
            assert_eq!(track.last().map(|fix| fix.measured_ns), Some(((100.0 + f64::from(tenth) / 10.0) * 1e9) as u64));
        }
        assert_eq!(track.fixes.len(), FIXES_MAX);
        let gaps = track.fixes.iter().zip(track.fixes.iter().skip(1)).map(|(a, b)| b.received_ns - a.received_ns);
        let loose = gaps.clone().filter(|gap| *gap > 11 * S / 10).count();
        assert_eq!(loose, 0, "{:?}", gaps.max());
    }

    #[test]
    fn the_same_moment_is_one_fix_and_older_ones_are_late() {
        let mut track = track(&[(0.0, 1.0, 1.0), (5.0, 1.0, 1.001)]);
        track.push(fix(5.0, 1.0, 1.0012));
        track.push(fix(4.0, 9.0, 9.0));
        assert_eq!(track.fixes.len(), 2);
        assert_eq!(track.last().map(|fix| fix.position.longitude_deg), Some(1.0012));
    }

    #[test]
    fn a_wild_fix_moves_nothing_and_a_new_place_is_believed_after_some_fixes() {
        let mut track = track(&[(0.0, 35.0, 139.0), (1.0, 35.0, 139.0)]);
        track.push(fix(2.0, 35.05, 139.0));
        track.push(fix(3.0, 35.0, 139.0));
        assert_eq!(at(&track, 2.0).map(|position| position.latitude_deg), Some(35.0), "5.5 km in a second");
        (4..8).for_each(|second| track.push(fix(f64::from(second), 35.05, 139.0)));
        assert_eq!(at(&track, 5.0).map(|position| position.latitude_deg), Some(35.05));
        assert_eq!(at(&track, 3.0).map(|position| position.latitude_deg), Some(35.0));
    }

    #[test]
    fn centimetres_end_with_the_correction() {
        let mut track = Track::default();
        let rtk = Position {
            std_m: Some(0.014),
            quality: Some(FixQuality::RtkFixed),
            source: PositionSource::Rtk,
            ..fix(0.0, 35.0, 139.0).position
        };
        track.push(Fix { position: rtk, ..fix(0.0, 35.0, 139.0) });
        let fresh = at(&track, 1.0).expect("a place");
        assert_eq!((fresh.source, fresh.quality), (PositionSource::Rtk, Some(FixQuality::RtkFixed)));
        let old = at(&track, 25.0).expect("a place");
        assert_eq!((old.source, old.quality), (PositionSource::SerialGps, Some(FixQuality::Estimated)));
        assert_eq!((old.std_m, old.error_m.map(|error_m| error_m > 50.0)), (None, Some(true)));
    }

    #[test]
    fn a_doubtful_moment_widens_the_error_to_the_whole_way() {
        let fixes: Vec<_> =
            (0..=100).map(|second| (f64::from(second), 35.0 + f64::from(second) * 9e-5, 139.0)).collect();
        let track = track(&fixes);
        let within = |error_s| {
            let position = track.within(When::Monotonic(150 * S), error_s).expect("a place");
            (position.age_s.expect("an age"), position.error_m.expect("an error"))
        };
        let (age_s, error_m) = within(0.1);
        assert!(age_s <= 0.2 && (9.0..16.0).contains(&error_m), "{age_s} {error_m}");
        let (age_s, error_m) = within(20.0);
        assert!(age_s == 20.2 && (200.0..230.0).contains(&error_m), "{age_s} {error_m}");
    }
}
