//! How far a device may move in some time of which nothing is known.

/// Speed in m/s that a device may have of which no speed is known: a person who walks quickly.
const WALK_MPS: f64 = 2.0;
/// Acceleration in m/s², as of a drone that starts, turns or brakes.
pub const TURN_MPS2: f64 = 3.0;
/// Time in seconds for which a device may go straight on. After that its distance grows with the square root of the
/// time, as in a random walk: an inspection stays around one bridge.
const STRAIGHT_S: f64 = 60.0;

/// Returns how far a device may have moved within some seconds of a fix, in metres (95 %).
pub fn drift_m(age_s: f64, speed_mps: Option<f64>) -> f64 {
    let straight_s = age_s.min(STRAIGHT_S);
    let speed_mps = speed_mps.unwrap_or(WALK_MPS).max(WALK_MPS);
    // From its present speed, a device may accelerate up to twice that speed.
    let gained_m = (TURN_MPS2 * straight_s * straight_s / 2.0).min(speed_mps * straight_s);
    let straight_m = speed_mps * straight_s + gained_m;
    straight_m * (age_s / straight_s.max(f64::MIN_POSITIVE)).max(1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_grow_with_speed_and_more_slowly_after_a_minute() {
        let rounded = |age_s, speed_mps| drift_m(age_s, speed_mps).round();
        assert_eq!([rounded(0.0, None), rounded(10.0, None), rounded(60.0, None)], [0.0, 40.0, 240.0]);
        assert_eq!([rounded(1.0, Some(10.0)), rounded(60.0, Some(10.0))], [12.0, 1_200.0]);
        assert_eq!(rounded(3_600.0, None), 1_859.0, "not 14 km");
    }
}
