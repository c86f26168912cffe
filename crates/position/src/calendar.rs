//! Dates of receivers that have lost count of the GPS weeks.
//!
//! GPS satellites send the number of the week with ten bits, so it starts again at 0 every 1024 weeks, or 19.6 years
//! (IS-GPS-200, section 20.3.3.3.1.1). A receiver whose firmware assumes a period that has ended reports dates that
//! are earlier by exactly that time, with the right time of day. As gpsd does (`timebase.c`), such a date is moved
//! by whole periods to where it is possible.

use jiff::ToSpan;
use jiff::civil::Date;

/// First day that a receiver's date can be. This program is younger, so a receiver that reports an earlier day is
/// wrong. A later version of the program may move the day forward.
pub const EARLIEST: Date = Date::constant(2026, 1, 1);

/// Days after which the GPS week number starts again: 1024 weeks.
const PERIOD_DAYS: i32 = 1024 * 7;

/// Days after [`EARLIEST`] within which a moved date is believed: ten years. A receiver that has not heard the number
/// of the week yet reports week 0, which would become 2038, or the day of its firmware. Firmware of the years that
/// would become 2036 and later knows the current period.
const MOVED_DAYS_MAX: i32 = 3_652;

/// Day 0 of GPS time.
const GPS_START: Date = Date::constant(1980, 1, 6);

/// What a receiver's date is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiverDate {
    /// The date is within the 1024 weeks that begin with [`EARLIEST`].
    Possible(Date),
    /// The receiver has lost count of the weeks. This is its date, moved by whole periods of 1024 weeks to within the
    /// ten years that begin with [`EARLIEST`].
    RolledOver(Date),
    /// No number of whole periods gives a date that can be right.
    Impossible,
}

/// Judges a date by a receiver: it can be right, early by whole periods of 1024 weeks, or plainly wrong.
pub fn receiver_date(told: Date) -> ReceiverDate {
    let since_earliest = days_between(EARLIEST, told);
    match since_earliest {
        0..PERIOD_DAYS => ReceiverDate::Possible(told),
        PERIOD_DAYS.. => ReceiverDate::Impossible,
        _ if told < GPS_START => ReceiverDate::Impossible,
        _ => moved(since_earliest.rem_euclid(PERIOD_DAYS)),
    }
}

fn moved(since_earliest: i32) -> ReceiverDate {
    match EARLIEST.checked_add(since_earliest.days()) {
        Ok(date) if since_earliest < MOVED_DAYS_MAX => ReceiverDate::RolledOver(date),
        _ => ReceiverDate::Impossible,
    }
}

fn days_between(from: Date, to: Date) -> i32 {
    // Dates of four-digit years differ by less than four million days.
    (to.duration_since(from).as_hours() / 24) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[test]
    fn lost_periods_are_added_and_only_those() {
        use ReceiverDate::*;
        let cases = [
            ("2026-01-01", Possible(date("2026-01-01"))),
            ("2026-11-30", Possible(date("2026-11-30"))),
            ("2045-08-16", Possible(date("2045-08-16"))),
            // 1024 weeks early.
            ("2007-04-16", RolledOver(date("2026-11-30"))),
            ("2006-05-18", RolledOver(date("2026-01-01"))),
            ("2016-05-16", RolledOver(date("2035-12-31"))),
            ("2016-05-18", Impossible),
            ("2006-05-17", Impossible),
            ("2025-12-31", Impossible),
            // 2048 weeks early.
            ("1987-08-31", RolledOver(date("2026-11-30"))),
            // Weeks 0 and what receivers show before they have heard the week.
            ("1980-01-06", Impossible),
            ("1999-08-22", Impossible),
            ("2000-01-01", Impossible),
            ("2019-04-07", Impossible),
            ("1980-01-05", Impossible),
            ("1970-01-01", Impossible),
            ("-000999-01-01", Impossible),
            // 1024 weeks late.
            ("2046-07-16", Impossible),
            ("2045-08-17", Impossible),
            ("9999-12-31", Impossible),
        ];
        for (told, expected) in cases {
            assert_eq!(receiver_date(date(told)), expected, "{told}");
        }
    }

    #[test]
    fn a_moved_date_is_on_the_same_day_of_the_week() {
        let mut moved_dates = 0;
        for days in 0..9_000 {
            let told = date("1986-05-05").checked_add(days.days()).expect("a date");
            if let ReceiverDate::RolledOver(moved) = receiver_date(told) {
                let by = days_between(told, moved);
                assert!(by > 0 && by % PERIOD_DAYS == 0, "{told} {moved}");
                assert!((0..MOVED_DAYS_MAX).contains(&days_between(EARLIEST, moved)), "{told} {moved}");
                moved_dates += 1;
            }
        }
        assert!(moved_dates > 3_000, "{moved_dates}");
    }
}
