//! Pauses between attempts: they double, have an upper bound, and vary randomly, so that a fleet does not return all at
//! once.

use std::time::Duration;

/// Returns the pause before attempt number `attempt`, counted from 0.
///
/// The pause is at least half of, and at most all of, `first * 2^attempt`, where that product is capped at `max`.
/// `random` is uniform in [0, 1).
pub fn pause(first: Duration, max: Duration, attempt: u32, random: f64) -> Duration {
    let doubled = first.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX));
    doubled.min(max).mul_f64(0.5 + random / 2.0)
}

/// Returns a number from the system's random source, uniform in [0, 1).
pub fn random() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound() {
        let second = Duration::from_secs(1);
        let longest = |attempt| pause(second, second * 60, attempt, 1.0);
        let expected = [1, 2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs);
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 40].map(longest), expected);
        assert_eq!(pause(second, second * 60, 2, 0.0), second * 2);
        assert_eq!(pause(second, second * 60, u32::MAX, 1.0), second * 60);
    }
}
