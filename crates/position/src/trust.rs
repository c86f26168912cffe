//! Chooses the position of a capture when several are known.

use bridgeclip_domain::{FixQuality, Position, PositionSource};

/// Maximum age in seconds at which a fix with RTK is still accurate to centimetres.
const RTK_AGE_S_MAX: f64 = 2.0;

/// Returns the most trusted of the plausible positions: the laser's target, then RTK, the camera's own, a receiver's.
/// Among positions of the same rank, the better quality wins, then the smaller age. Positions older than `age_s_max`
/// seconds are left out.
pub fn most_trusted(candidates: impl IntoIterator<Item = Position>, age_s_max: f64) -> Option<Position> {
    let sane = candidates.into_iter().filter(|position| is_sane(position) && age_s(position) <= age_s_max);
    sane.min_by(|a, b| {
        let quality = |position: &Position| position.quality.unwrap_or(FixQuality::Autonomous);
        rank(a).cmp(&rank(b)).then(quality(b).cmp(&quality(a))).then(age_s(a).total_cmp(&age_s(b)))
    })
}

/// Returns the rank of a position; lower is better.
fn rank(position: &Position) -> u8 {
    match position.source {
        PositionSource::LaserTarget => 0,
        PositionSource::Rtk if age_s(position) <= RTK_AGE_S_MAX => 1,
        PositionSource::Exif => 2,
        PositionSource::Rtk | PositionSource::SerialGps | PositionSource::Mavlink => 3,
    }
}

fn age_s(position: &Position) -> f64 {
    position.age_s.unwrap_or(0.0)
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

    fn position(source: PositionSource, latitude_deg: f64, age_s: Option<f64>) -> Position {
        let (longitude_deg, altitude_m, hdop, std_m, quality) = (0.0, None, None, None, None);
        Position { latitude_deg, longitude_deg, altitude_m, source, hdop, std_m, quality, age_s }
    }

    #[test]
    fn the_order_of_trust() {
        use PositionSource::*;
        let all = || {
            let sources =
                [(SerialGps, Some(0.5)), (Exif, None), (Rtk, Some(0.1)), (LaserTarget, None), (Mavlink, None)];
            sources.into_iter().map(|(source, age)| position(source, 1.0, age))
        };
        let mut left: Vec<_> = all().collect();
        for expected in [LaserTarget, Rtk, Exif, Mavlink, SerialGps] {
            let best = most_trusted(left.clone(), 60.0).expect("one is left");
            assert_eq!(best.source, expected);
            left.retain(|position| position.source != expected);
        }
        assert_eq!(most_trusted(left, 60.0), None);
    }

    #[test]
    fn what_cannot_be_true_or_is_too_old_is_left_out() {
        let serial = |latitude, age| position(PositionSource::SerialGps, latitude, Some(age));
        for wrong in [0.0, 90.1, -91.0, f64::NAN, f64::INFINITY] {
            assert_eq!(most_trusted([serial(wrong, 0.0)], 60.0), None, "{wrong}");
        }
        assert_eq!(most_trusted([serial(1.0, 60.1)], 60.0), None);
        assert_eq!(most_trusted([serial(1.0, 60.0)], 60.0).and_then(|position| position.age_s), Some(60.0));
    }

    #[test]
    fn a_centimetre_fix_of_another_moment_is_any_fix() {
        let rtk = position(PositionSource::Rtk, 1.0, Some(30.0));
        let exif = position(PositionSource::Exif, 2.0, None);
        assert_eq!(most_trusted([rtk.clone(), exif], 60.0).map(|position| position.latitude_deg), Some(2.0));
        let better = Position { quality: Some(FixQuality::RtkFloat), ..position(PositionSource::Mavlink, 3.0, None) };
        assert_eq!(most_trusted([rtk, better], 60.0).map(|position| position.latitude_deg), Some(3.0));
    }
}
