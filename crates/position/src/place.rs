//! Weighs the positions that are known for a capture, and chooses one.
//!
//! Each position has an error: the radius in metres within which the true position lies with 95 % probability. It comes
//! from the deviation that the source states, or else from its dilution of precision, or else from the kind of source,
//! and grows with the age of the fix. The smallest error wins. Only the point that a drone's laser hit comes first
//! anyway: it is the defect itself. Positions that contradict the choice are told with it.

use bridgeclip_domain::{FixQuality, PlaceConflict, Position, PositionSource};

use super::drift::drift_m;
use super::rounding::{milliseconds, up_to_centimetres};

/// Ratio of the 95 % radius to the deviation of distances (2 DRMS contains 95 to 98 % of all fixes).
const DEVIATIONS: f64 = 2.0;
/// Range error in metres of a receiver with one frequency and without corrections, beside a structure. Assumed; the
/// simulated flights hold it against receivers of 1.2 m x HDOP in each direction.
const RANGE_ERROR_M: f64 = 4.0;
/// The same with corrections of SBAS or DGPS. Assumed.
const CORRECTED_RANGE_ERROR_M: f64 = 1.5;

/// Smallest error in metres of a position with resolved carrier phase: what the antenna is away from the lens.
const RTK_M_MIN: f64 = 0.3;
/// Error in metres of a position with unresolved carrier phase.
const RTK_FLOAT_M: f64 = 1.5;
/// Error in metres of a receiver's fix of which only the kind is known.
const CORRECTED_M: f64 = 6.0;
const AUTONOMOUS_M: f64 = 15.0;
/// Error in metres of dead reckoning, or of a position that is void or typed in.
const ESTIMATED_M: f64 = 100.0;
/// Error in metres of a position in a photo that states none: phones between buildings, and drones beside structures.
const OWN_M: f64 = 25.0;
/// Further error in metres of a position in a photo whose moment is unknown: cameras keep old fixes.
const UNDATED_M: f64 = 300.0;
/// Least speed in m/s of a camera between an old fix and the exposure: on foot, by car and in the air, on average.
const CARRIED_MPS: f64 = 5.0;
/// Error in metres of the point that a laser hit: the drone's own error and half a degree of attitude over 100 m.
const LASER_M: f64 = 12.0;
/// Distance in metres beyond which the point that a laser hit contradicts the drone's position: no laser reaches farther.
const LASER_REACH_M: f64 = 3_000.0;
/// Distance in metres between this device and the phone whose photo arrives: the reach of a wireless network.
const UPLOAD_M: f64 = 100.0;

/// Returns the error of a receiver's fix at its own moment in metres (95 %).
pub fn fix_error_m(fix: &Position) -> f64 {
    if let Some(std_m) = fix.std_m {
        return (DEVIATIONS * std_m).max(RTK_M_MIN);
    }
    let by_dilution = |range_error_m: f64| fix.hdop.map(|hdop| DEVIATIONS * range_error_m * hdop);
    match fix.quality {
        Some(FixQuality::RtkFixed) => RTK_M_MIN,
        Some(FixQuality::RtkFloat) => RTK_FLOAT_M,
        Some(FixQuality::Differential) => by_dilution(CORRECTED_RANGE_ERROR_M).unwrap_or(CORRECTED_M),
        Some(FixQuality::Autonomous) | None => by_dilution(RANGE_ERROR_M).unwrap_or(AUTONOMOUS_M),
        Some(FixQuality::Estimated) => ESTIMATED_M,
    }
}

/// Returns a position that the photo itself contains, with its error. `is_drone` says that the position belongs to the
/// moment of exposure even if it has no time.
pub fn own(position: &Position, is_drone: bool, speed_mps: Option<f64>) -> Position {
    let age_s = if is_drone { Some(position.age_s.unwrap_or(0.0)) } else { position.age_s };
    let by_kind = |position: &Position| match position.source {
        PositionSource::LaserTarget => LASER_M,
        _ if position.std_m.is_none() && position.hdop.is_none() && position.quality.is_none() => OWN_M,
        _ => fix_error_m(position),
    };
    let speed_mps = speed_mps.unwrap_or_default().max(CARRIED_MPS);
    let moved_m = age_s.map_or(UNDATED_M, |age_s| drift_m(age_s, Some(speed_mps)));
    let age_s = age_s.map(milliseconds);
    Position { age_s, error_m: Some(up_to_centimetres(by_kind(position) + moved_m)), ..position.clone() }
}

/// Returns the receiver's position for a photo that another device took nearby.
pub fn nearby(position: Position) -> Position {
    Position { error_m: position.error_m.map(|error_m| error_m + UPLOAD_M), ..position }
}

/// Returns the most trusted of the plausible positions, with the strongest contradiction. Positions whose age exceeds
/// `age_s_max` seconds are left out. Every candidate has an error.
pub fn most_trusted(candidates: impl IntoIterator<Item = Position>, age_s_max: f64) -> Option<Position> {
    let sane = |position: &Position| is_sane(position) && position.age_s.unwrap_or(0.0) <= age_s_max;
    let candidates: Vec<Position> = candidates.into_iter().filter(sane).collect();
    let order = |position: &Position| (position.source != PositionSource::LaserTarget, error_m(position));
    let best = candidates.iter().min_by(|a, b| {
        let (a, b) = (order(a), order(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    })?;
    let others = candidates.iter().filter_map(|other| contradiction(best, other));
    let conflict = others.max_by(|a, b| a.distance_m.total_cmp(&b.distance_m));
    Some(Position { conflict, ..best.clone() })
}

/// Returns how another position contradicts the chosen one; `None` if both can be true.
fn contradiction(best: &Position, other: &Position) -> Option<PlaceConflict> {
    let distance_m = best.distance_m(other);
    let is_laser = [best, other].iter().any(|position| position.source == PositionSource::LaserTarget);
    let allowed_m = error_m(best) + error_m(other) + if is_laser { LASER_REACH_M } else { 0.0 };
    let Position { source, latitude_deg, longitude_deg, .. } = *other;
    let conflict = PlaceConflict { source, latitude_deg, longitude_deg, distance_m: up_to_centimetres(distance_m) };
    (distance_m > allowed_m).then_some(conflict)
}

fn error_m(position: &Position) -> f64 {
    position.error_m.unwrap_or(f64::INFINITY)
}

/// Reports whether a position is on the globe and not at 0/0 in the Gulf of Guinea, which devices report while they do
/// not know where they are.
fn is_sane(position: &Position) -> bool {
    let (latitude, longitude) = (position.latitude_deg.abs(), position.longitude_deg.abs());
    // False for NaN too.
    latitude <= 90.0 && longitude <= 180.0 && latitude.max(longitude) > 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(source: PositionSource, latitude_deg: f64, error_m: f64) -> Position {
        Position { error_m: Some(error_m), age_s: Some(0.0), ..Position::at(latitude_deg, 139.0, source) }
    }

    #[test]
    fn the_smallest_error_wins_after_the_laser() {
        use PositionSource::*;
        let mut left = vec![
            position(SerialGps, 35.0, 7.2),
            position(Exif, 35.0, 25.0),
            position(Rtk, 35.0, 0.3),
            position(LaserTarget, 35.0, 12.0),
            position(Mavlink, 35.0, 9.0),
        ];
        for expected in [LaserTarget, Rtk, SerialGps, Mavlink, Exif] {
            let best = most_trusted(left.clone(), 60.0).expect("one is left");
            assert_eq!((best.source, best.conflict), (expected, None));
            left.retain(|position| position.source != expected);
        }
        assert_eq!(most_trusted(left, 60.0), None);
    }

    #[test]
    fn an_old_or_poor_position_of_the_photo_gives_way_to_a_fresh_receiver() {
        let fresh = Position { hdop: Some(0.9), ..Position::at(35.0, 139.0, PositionSource::SerialGps) };
        let receiver = || Position { error_m: Some(fix_error_m(&fresh)), age_s: Some(0.4), ..fresh.clone() };
        let exif = Position::at(35.01, 139.0, PositionSource::Exif);
        let cases = [
            Position { age_s: Some(3_600.0), ..exif.clone() },
            Position { age_s: Some(9.0 * 86_400.0), ..exif.clone() },
            Position { std_m: Some(80.0), age_s: Some(0.0), ..exif.clone() },
            exif.clone(),
        ];
        for own_position in cases {
            let best = most_trusted([own(&own_position, false, None), receiver()], 1e9).expect("a place");
            assert_eq!(best.source, PositionSource::SerialGps, "{own_position:?}");
        }
        let precise = Position { std_m: Some(1.5), age_s: Some(0.0), ..exif };
        let best = most_trusted([own(&precise, false, None), receiver()], 1e9).expect("a place");
        assert_eq!(best.source, PositionSource::Exif);
        let conflict = best.conflict.expect("1.1 km apart");
        assert_eq!((conflict.source, conflict.distance_m.round()), (PositionSource::SerialGps, 1_112.0));
    }

    #[test]
    fn what_cannot_be_true_or_is_too_old_is_left_out() {
        let serial = |latitude, age_s| Position {
            age_s: Some(age_s),
            longitude_deg: 0.0,
            ..position(PositionSource::SerialGps, latitude, 5.0)
        };
        for wrong in [0.0, 90.1, -91.0, f64::NAN, f64::INFINITY] {
            assert_eq!(most_trusted([serial(wrong, 0.0)], 60.0), None, "{wrong}");
        }
        assert_eq!(most_trusted([serial(1.0, 60.1)], 60.0), None);
        assert_eq!(most_trusted([serial(1.0, 60.0)], 60.0).and_then(|position| position.age_s), Some(60.0));
    }

    #[test]
    fn errors_come_from_the_best_figure_that_is_there() {
        let fix = |hdop, std_m, quality| {
            fix_error_m(&Position { hdop, std_m, quality, ..Position::at(35.0, 139.0, PositionSource::SerialGps) })
        };
        use FixQuality::*;
        let cases = [
            (fix(Some(0.9), None, Some(Autonomous)), 7.2),
            (fix(Some(9.8), None, Some(Autonomous)), 78.4),
            (fix(Some(0.8), None, Some(Differential)), 2.4),
            (fix(Some(0.8), Some(0.02), Some(RtkFixed)), 0.3),
            (fix(None, Some(3.0), Some(Autonomous)), 6.0),
            (fix(None, None, None), 15.0),
            (fix(Some(0.5), None, Some(Estimated)), 100.0),
        ];
        for (found, expected) in cases {
            assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
        }
    }
}
