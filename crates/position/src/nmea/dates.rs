//! Finds the date of an epoch, of which most sentences tell only the time of day.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::fields::DayTime;
use crate::calendar::{ReceiverDate, receiver_date};

/// What a receiver says about the date, and the last moment with a date that is believed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dates {
    /// Whether every date is believed, as in a recording, which may be of any year.
    are_past: bool,
    known: Option<DatedMoment>,
    /// Last date that came without a position.
    told: Option<Told>,
    /// Moments of a receiver that has lost count of the weeks, moved, before they are believed.
    moved: Option<Moved>,
    state: DateState,
}

/// State of the date on a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateState {
    /// No position has had a time yet.
    #[default]
    Nothing,
    /// Positions have a time of day, and no sentence has a date.
    TimeOfDay,
    /// The receiver knows the date.
    Known,
    /// The receiver has lost count of the weeks, and its dates are corrected.
    RolledOver,
    /// The receiver seems to have lost count of the weeks. It must go on for [`AGREES_FOR`] before it is believed.
    MaybeRolledOver,
    /// The receiver's date cannot be right.
    Impossible(Date),
}

/// Moment with a known date.
#[derive(Clone, Copy, Debug)]
struct DatedMoment {
    utc: Timestamp,
    received_ns: u64,
}

/// Date and time of day of a sentence without a position.
#[derive(Clone, Copy, Debug)]
struct Told {
    date: Date,
    time: DayTime,
    received_ns: u64,
}

/// First and last moment of a row in which time passes without a step.
#[derive(Clone, Copy, Debug)]
struct Moved {
    first: Timestamp,
    last: Timestamp,
}

/// Maximum difference between a time of day without a date and the time expected from the last known moment.
const SAME_DAY: SignedDuration = SignedDuration::from_hours(6);

/// Time in nanoseconds for which a date without a position counts for positions.
const TOLD_NS: u64 = 5_000_000_000;

/// Time by the receiver's own clock for which moved dates must agree. A receiver that has just started can have a
/// position before it hears the number of the week, which each satellite sends every 30 s (IS-GPS-200, section
/// 20.3.3.3). The date of such a receiver is a default.
pub const AGREES_FOR: SignedDuration = SignedDuration::from_secs(30);

/// Longest gap in a row of moved dates.
const ROW_GAP: SignedDuration = SignedDuration::from_hours(1);

impl Dates {
    /// Creates the dates of a recording.
    pub fn of_recording() -> Self {
        Dates { are_past: true, ..Dates::default() }
    }

    /// Notes a date and its time of day, which need not be that of a position.
    pub fn note(&mut self, date: Date, time: DayTime, received_ns: u64) {
        self.told = Some(Told { date, time, received_ns });
    }

    /// Returns the moment of a position that arrived at `received_ns`, monotonic: its time of day on the date that its
    /// epoch tells, or else on the day that fits the last known moment. `None` if no day is known or believed.
    pub fn utc(&mut self, date: Option<Date>, time: DayTime, received_ns: u64) -> Option<Timestamp> {
        let date = date.or_else(|| self.told?.at(time, received_ns));
        if let Some(utc) = date.and_then(|date| self.believed(date, time, received_ns)) {
            self.known = Some(DatedMoment { utc, received_ns });
            return Some(utc);
        }
        let utc = self.known.and_then(|known| known.same_or_next_day(time, received_ns));
        if date.is_none() && self.state == DateState::Nothing {
            self.state = DateState::TimeOfDay;
        }
        utc
    }

    /// Returns what is known about the date.
    pub fn state(&self) -> DateState {
        self.state
    }

    fn believed(&mut self, date: Date, time: DayTime, received_ns: u64) -> Option<Timestamp> {
        let judged = if self.are_past { ReceiverDate::Possible(date) } else { receiver_date(date) };
        match judged {
            ReceiverDate::Possible(date) => {
                (self.state, self.moved) = (DateState::Known, None);
                timestamp(date, time)
            }
            ReceiverDate::RolledOver(date) => {
                let utc = timestamp(date, time)?;
                let is_believed = self.agrees(utc, received_ns);
                self.state = if is_believed { DateState::RolledOver } else { DateState::MaybeRolledOver };
                is_believed.then_some(utc)
            }
            ReceiverDate::Impossible => {
                (self.state, self.moved) = (DateState::Impossible(date), None);
                None
            }
        }
    }

    /// Adds a moved moment. Reports whether it agrees with a known one, or with others for long enough.
    fn agrees(&mut self, utc: Timestamp, received_ns: u64) -> bool {
        let row = self.moved.filter(|row| (SignedDuration::ZERO..=ROW_GAP).contains(&utc.duration_since(row.last)));
        let first = row.map_or(utc, |row| row.first);
        self.moved = Some(Moved { first, last: utc });
        self.known.is_some_and(|known| known.is_near(utc, received_ns)) || utc.duration_since(first) >= AGREES_FOR
    }
}

impl Told {
    /// Returns the date, if it is that of a position.
    fn at(self, time: DayTime, received_ns: u64) -> Option<Date> {
        let is_recent = received_ns.saturating_sub(self.received_ns) <= TOLD_NS;
        (is_recent && self.time.is_near(time)).then_some(self.date)
    }
}

impl DatedMoment {
    /// Returns the moment of a time of day without a date, on the day that fits. `None` if no day fits.
    fn same_or_next_day(self, time: DayTime, received_ns: u64) -> Option<Timestamp> {
        let today = Offset::UTC.to_datetime(self.expected(received_ns)?).date();
        let days = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
        let mut candidates = days.into_iter().flatten().filter_map(|date| timestamp(date, time));
        candidates.find(|utc| self.is_near(*utc, received_ns))
    }

    fn is_near(self, utc: Timestamp, received_ns: u64) -> bool {
        self.expected(received_ns).is_some_and(|expected| utc.duration_since(expected).abs() < SAME_DAY)
    }

    /// Returns the moment of an arrival by the monotonic clock.
    fn expected(self, received_ns: u64) -> Option<Timestamp> {
        let elapsed_ns = received_ns.checked_sub(self.received_ns)?;
        self.utc.checked_add(SignedDuration::from_nanos(i64::try_from(elapsed_ns).ok()?)).ok()
    }
}

/// Returns the timestamp of a date and time of day. A leap second has none.
fn timestamp(date: Date, time: DayTime) -> Option<Timestamp> {
    let of_day = SignedDuration::from_nanos(time.0 as i64);
    if of_day >= SignedDuration::from_hours(24) {
        return None;
    }
    Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.checked_add(of_day).ok()
}

#[cfg(test)]
mod tests {
    use super::super::fields::SECOND;
    use super::*;

    const NOON: u64 = 12 * 3_600;

    /// A receiver that tells its date with each position. Its monotonic clock is the receiver's.
    fn utc(dates: &mut Dates, date: &str, second: u64) -> Option<String> {
        let date = (!date.is_empty()).then(|| date.parse().expect("a date"));
        dates.utc(date, DayTime((NOON + second) * SECOND), second * SECOND).map(|utc| utc.to_string())
    }

    #[test]
    fn a_lost_count_of_weeks_is_corrected_once_it_goes_on() {
        let mut dates = Dates::default();
        for second in 0..30 {
            assert_eq!(utc(&mut dates, "2007-04-16", second), None, "{second}");
            assert_eq!(dates.state(), DateState::MaybeRolledOver);
        }
        assert_eq!(utc(&mut dates, "2007-04-16", 30).as_deref(), Some("2026-11-30T12:00:30Z"));
        assert_eq!(dates.state(), DateState::RolledOver);
        // Times of day without a date follow.
        assert_eq!(utc(&mut dates, "", 31).as_deref(), Some("2026-11-30T12:00:31Z"));
        assert_eq!(dates.state(), DateState::RolledOver);
        // After two hours under a deck the date is known.
        assert_eq!(utc(&mut dates, "2007-04-16", 7_231).as_deref(), Some("2026-11-30T14:00:31Z"));
    }

    #[test]
    fn the_date_of_a_cold_start_is_not_taken_for_a_lost_count() {
        let mut dates = Dates::default();
        // The receiver shows the day of its firmware until it hears the week.
        for second in 0..25 {
            assert_eq!(utc(&mut dates, "2010-02-03", second), None);
        }
        assert_eq!(utc(&mut dates, "2026-11-30", 25).as_deref(), Some("2026-11-30T12:00:25Z"));
        assert_eq!(dates.state(), DateState::Known);
        // From one default to another, and then to a date that is truly early: each begins anew.
        let mut dates = Dates::default();
        for (begin, date) in [(0, "1980-01-06"), (20, "2010-02-03"), (40, "2007-04-16")] {
            for second in begin..begin + 20 {
                assert_eq!(utc(&mut dates, date, second), None, "{date}");
            }
        }
        for second in 60..70 {
            assert_eq!(utc(&mut dates, "2007-04-16", second), None);
        }
        assert_eq!(utc(&mut dates, "2007-04-16", 70).as_deref(), Some("2026-11-30T12:01:10Z"));
    }

    #[test]
    fn a_date_in_1980_or_2046_gives_no_moment() {
        for wrong in ["1980-01-06", "2019-04-07", "2046-07-16", "2025-06-01"] {
            let mut dates = Dates::default();
            for second in 0..100 {
                assert_eq!(utc(&mut dates, wrong, second), None, "{wrong}");
            }
            assert_eq!(dates.state(), DateState::Impossible(wrong.parse().expect("a date")));
        }
        // A moment that was known before goes on.
        let mut dates = Dates::default();
        utc(&mut dates, "2026-11-30", 0);
        assert_eq!(utc(&mut dates, "2046-07-16", 1).as_deref(), Some("2026-11-30T12:00:01Z"));
    }

    #[test]
    fn a_recording_may_be_of_any_year() {
        for date in ["2007-04-16", "2025-12-31", "2026-11-30"] {
            let mut dates = Dates::of_recording();
            assert_eq!(utc(&mut dates, date, 0), Some(format!("{date}T12:00:00Z")));
        }
    }

    #[test]
    fn a_date_may_come_with_another_time_of_day() {
        let mut dates = Dates::default();
        assert_eq!(utc(&mut dates, "", 1), None);
        assert_eq!(dates.state(), DateState::TimeOfDay);
        // A clock tells whole seconds, a position falls between them.
        dates.note("2026-11-30".parse().expect("a date"), DayTime((NOON + 1) * SECOND - SECOND / 5), SECOND);
        assert_eq!(utc(&mut dates, "", 1).as_deref(), Some("2026-11-30T12:00:01Z"));
        // At midnight the date of the time before is not that of the time after.
        let mut dates = Dates::default();
        dates.note("2026-11-29".parse().expect("a date"), DayTime(24 * 3_600 * SECOND - SECOND / 5), 0);
        assert_eq!(dates.utc(None, DayTime(0), SECOND), None);
        // Nor is it that of the same time on another day.
        let mut dates = Dates::default();
        dates.note("2026-11-29".parse().expect("a date"), DayTime(NOON * SECOND), 0);
        assert_eq!(dates.utc(None, DayTime(NOON * SECOND), 24 * 3_600 * SECOND), None);
    }
}
