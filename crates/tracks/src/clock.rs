//! A clock that counts from some start, and its relation to UTC.

/// Difference in microseconds above which clock and satellite time have been set apart, rather than a report being
/// late. Receivers report within 0.3 seconds.
const STEP_US: i64 = 500_000;
/// Number of reports in a row that must lie below the relation before it is taken to have changed.
const LATE_MAX: u32 = 5;
/// A clock of a controller may run this much slower than satellite time: 100 microseconds in a second, twice the
/// tolerance of its crystal.
const DRIFT_PARTS: i64 = 10_000;

/// Relation of a clock to UTC. The report of a satellite moment takes its time to arrive and is never early, so the
/// greatest difference is nearest to the truth. It fades with the drift that a clock can have.
#[derive(Clone, Copy, Debug)]
pub struct Tie {
    /// UTC minus the clock in microseconds, at the moment of the last report.
    offset_us: i64,
    clock_us: i64,
    /// Number of reports in a row that were much later than expected.
    late: u32,
}

impl Tie {
    /// Creates the relation from a first report: the clock read `clock_us` when the satellite time `utc_us` arrived.
    pub fn new(clock_us: i64, utc_us: i64) -> Self {
        Tie { offset_us: utc_us.saturating_sub(clock_us), clock_us, late: 0 }
    }

    /// Adds a report.
    pub fn learn(&mut self, clock_us: i64, utc_us: i64) {
        let told = utc_us.saturating_sub(clock_us);
        let elapsed_us = clock_us.saturating_sub(self.clock_us).max(0);
        let expected = self.offset_us.saturating_sub(elapsed_us / DRIFT_PARTS);
        self.late = if told < expected.saturating_sub(STEP_US) { self.late + 1 } else { 0 };
        let is_step = self.late > LATE_MAX;
        *self = match is_step {
            true => Tie::new(clock_us, utc_us),
            false => Tie { offset_us: told.max(expected), clock_us, late: self.late },
        };
    }

    /// Returns UTC minus the clock in microseconds.
    pub fn offset_us(&self) -> i64 {
        self.offset_us
    }

    /// Returns microseconds since 1970 of a moment by the clock.
    pub fn utc_us(&self, clock_us: i64) -> i64 {
        clock_us.saturating_add(self.offset_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    /// Relation of the clock in the tests.
    const TRUE_US: i64 = 1_700_000_000 * SECOND;

    fn learned(late_us: impl IntoIterator<Item = i64>) -> i64 {
        let mut tie: Option<Tie> = None;
        for (second, late_us) in (0..).zip(late_us) {
            let (clock_us, utc_us) = (second * SECOND + late_us, TRUE_US + second * SECOND);
            match &mut tie {
                Some(tie) => tie.learn(clock_us, utc_us),
                None => tie = Some(Tie::new(clock_us, utc_us)),
            }
        }
        tie.expect("reports").offset_us() - TRUE_US
    }

    #[test]
    fn late_reports_do_not_move_the_clock() {
        assert_eq!(learned([90_000, 120_000, 80_000, 300_000, 100_000]), -80_202);
        assert_eq!(learned([80_000, 2_000_000, 3_000_000]), -80_492, "a few very late ones");
    }

    #[test]
    fn a_clock_that_was_set_is_followed_both_ways() {
        assert_eq!(learned([80_000; 3].into_iter().chain([2_080_000; 10])), -2_080_000);
        assert_eq!(learned([2_080_000; 3].into_iter().chain([80_000])), -80_000);
    }

    #[test]
    fn a_slow_clock_is_followed() {
        // 50 microseconds in a second for an hour.
        let error_us = learned((0..3_600).map(|second| 80_000 - 50 * second)) - (-80_000 + 50 * 3_599);
        assert_eq!(error_us, 0);
        let error_us = learned((0..3_600).map(|second| 80_000 + 50 * second)) - (-80_000 - 50 * 3_599);
        assert!(error_us.abs() <= 100, "{error_us}");
    }

    #[test]
    fn numbers_at_the_end_of_their_range_are_fine() {
        let mut tie = Tie::new(i64::MAX, i64::MIN);
        tie.learn(i64::MIN, i64::MAX);
        assert_eq!(tie.utc_us(i64::MAX), i64::MAX);
    }
}
