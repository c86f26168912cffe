//! Parses dates, times and UTC offsets in the forms in which cameras, phones and editors write them.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

/// Moment as a text states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Date and time of day, with the fraction of the second.
    pub civil: DateTime,
    /// Whether a fraction is stated. Zeros count as none, because cameras without a fraction write them.
    pub has_fraction: bool,
    /// UTC offset, if the text has one.
    pub offset: Option<Offset>,
}

impl Stated {
    /// Adds a fraction that is stated elsewhere, unless the text has one.
    pub fn with_fraction(self, digits: Option<&str>) -> Self {
        let fraction = digits.and_then(fraction).filter(|_| !self.has_fraction).unwrap_or_default();
        let civil = self.civil.checked_add(fraction).unwrap_or(self.civil);
        Stated { civil, has_fraction: self.has_fraction || !fraction.is_zero(), ..self }
    }
}

/// Parses a date and time in the order year to second, such as `2026:05:09 10:11:12.25` (EXIF) or
/// `2026-05-09T10:11:12+09:00` (ISO 8601). Separators and leading zeros may differ or be missing. `None` without a
/// second, and for a date or time that does not exist, such as zeros.
///
/// Phones that count the hours of a day from 1 to 24 (`kk` in Java) write the hour after midnight as 24 of the day that
/// has begun.
pub fn parse(text: &str) -> Option<Stated> {
    let (date, rest) = split_date(text.trim())?;
    let (hour, rest) = number(rest.strip_prefix('T').unwrap_or(rest), 2)?;
    let (minute, rest) = number(rest.strip_prefix(':').unwrap_or(rest), 2)?;
    let (second, rest) = number(rest.strip_prefix(':').unwrap_or(rest), 2)?;
    let (digits, rest) = rest.strip_prefix('.').map_or(("", rest), |rest| split_digits(rest, rest.len()));
    let hour = half_day(if hour == 24 { 0 } else { hour }, rest)?;
    // The 60th second is a leap second, or 59.9 rounded up.
    let exists = hour < 24 && minute < 60 && second <= 60;
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let civil = date.at(0, 0, 0, 0).checked_add(exists.then_some(SignedDuration::from_secs(seconds))?).ok()?;
    Some(Stated { civil, has_fraction: false, offset: offset_after(rest) }.with_fraction(Some(digits)))
}

/// Parses a date in the order year, month, day, such as `2026:05:09`, `2026-5-9` or `20260509`, and ignores what
/// follows.
pub fn parse_date(text: &str) -> Option<Date> {
    split_date(text.trim()).map(|(date, _)| date)
}

fn split_date(text: &str) -> Option<(Date, &str)> {
    let (year, rest) = split_digits(text, 4);
    let year: i16 = (year.len() == 4).then(|| year.parse().ok())??;
    let (month, rest) = number(separator(rest), 2)?;
    let (day, rest) = number(separator(rest), 2)?;
    Some((Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?, rest))
}

/// Splits up to `max` leading digits from the rest.
fn split_digits(text: &str, max: usize) -> (&str, &str) {
    let end = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

/// Reads a number of up to `max` digits, which may be padded with spaces, and the rest.
fn number(text: &str, max: usize) -> Option<(u8, &str)> {
    let (digits, rest) = split_digits(text.trim_start(), max);
    Some((digits.parse().ok()?, rest))
}

/// Skips what separates two numbers of a date.
fn separator(text: &str) -> &str {
    text.strip_prefix([':', '-', '/', '.', ' ']).unwrap_or(text)
}

/// Returns the hour of the day from that of a half day if the text goes on with AM or PM.
fn half_day(hour: u8, rest: &str) -> Option<u8> {
    let mark = rest.trim_start().get(..2).map(str::to_ascii_uppercase);
    match mark.as_deref() {
        Some("AM" | "PM") if hour > 12 => None,
        Some("AM") => Some(hour % 12),
        Some("PM") => Some(hour % 12 + 12),
        _ => Some(hour),
    }
}

fn offset_after(rest: &str) -> Option<Offset> {
    parse_offset(rest.trim_matches(['\0', ' ']))
}

/// Parses a UTC offset such as `+09:00`, as EXIF 2.31 writes it, `+0900` or `Z`, up to 14 hours. `None` for anything
/// else.
pub fn parse_offset(text: &str) -> Option<Offset> {
    if text.eq_ignore_ascii_case("z") {
        return Some(Offset::UTC);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &text[1..];
    let compact = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let (hours, minutes) = if compact { digits.split_at(2) } else { digits.split_once(':')? };
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
    (seconds <= 14 * 3600 && minutes < 60).then(|| Offset::from_seconds(sign * seconds).ok())?
}

/// Parses the digits after the decimal point of a second. The tenth and further ones do not count.
fn fraction(digits: &str) -> Option<SignedDuration> {
    let (nine, rest) = split_digits(digits, 9);
    let is_number = !nine.is_empty() && rest.bytes().all(|digit| digit.is_ascii_digit());
    let value: i64 = is_number.then(|| nine.parse().ok())??;
    Some(SignedDuration::from_nanos(value * 10_i64.pow(9 - nine.len() as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn civil(text: &str) -> Option<String> {
        parse(text).map(|stated| stated.civil.to_string())
    }

    #[test]
    fn every_form_of_one_moment_is_read() {
        let forms = [
            "2026:05:09 07:08:09",
            "2026-05-09T07:08:09",
            "2026/05/09 07:08:09",
            "2026.05.09 07:08:09",
            "2026: 5: 9  7: 8: 9",
            "2026:5:9 7:8:9",
            "2026 05 09 07 08 09",
            "20260509070809",
            "20260509T070809Z",
            " 2026:05:09 07:08:09 \0",
            "2026:05:09 07:08:09 AM",
            "2026:05:09 07:08:09 am",
            "2026:05:09 07:08:09+09:00",
        ];
        for form in forms {
            assert_eq!(civil(form).as_deref(), Some("2026-05-09T07:08:09"), "{form:?}");
        }
    }

    #[test]
    fn hours_seconds_and_fractions_of_odd_clocks() {
        let cases = [
            ("2026:05:09 24:08:19", "2026-05-09T00:08:19"),
            ("2026:12:31 24:00:00", "2026-12-31T00:00:00"),
            ("2026:05:09 01:02:03 PM", "2026-05-09T13:02:03"),
            ("2026:05:09 12:02:03 PM", "2026-05-09T12:02:03"),
            ("2026:05:09 12:02:03 am", "2026-05-09T00:02:03"),
            ("2026:05:09 23:59:60", "2026-05-10T00:00:00"),
            ("2026:05:09 10:11:12.25", "2026-05-09T10:11:12.25"),
            ("2026-05-09T10:11:12.0199961234567Z", "2026-05-09T10:11:12.019996123"),
            ("0000:01:01 00:00:00", "0000-01-01T00:00:00"),
            ("1970:01:01 00:00:00", "1970-01-01T00:00:00"),
        ];
        for (text, expected) in cases {
            assert_eq!(civil(text).as_deref(), Some(expected), "{text}");
        }
        assert!(parse("2026:05:09 10:11:12.25").expect("a time").has_fraction);
        assert!(!parse("2026:05:09 10:11:12.00").expect("a time").has_fraction);
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        let texts = [
            "",
            "0000:00:00 00:00:00",
            "    :  :     :  :  ",
            "2026:02:30 10:11:12",
            "2026:13:01 10:11:12",
            "2026:05:09",
            "2026:05:09 10:11",
            "2026-05-09T10:11-08:00",
            "2026-05-09T10:11+09:00",
            "2026-05-09T10:11Z",
            "2026:05:09 25:11:12",
            "2026:05:09 10:60:12",
            "2026:05:09 10:11:61",
            "2026:05:09 13:11:12 PM",
            "26:05:09 10:11:12",
            "09/05/2026 10:11:12",
            "２０２６:05:09 10:11:12",
            "2026:05:09 10:11:é",
            "yesterday",
        ];
        for text in texts {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn dates_alone() {
        for text in ["2026:05:09", "2026-05-09", "2026:5:9", "20260509", "2026 05 09", "2026:05:09 10:11:12"] {
            assert_eq!(parse_date(text), Some(Date::constant(2026, 5, 9)), "{text}");
        }
        for text in ["", "0", "0000:00:00", "2026", "2026:05", "9:5:2026"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn offsets() {
        let hours = |text| parse_offset(text).map(|offset| f64::from(offset.seconds()) / 3600.0);
        assert_eq!(
            [hours("+09:00"), hours("+0900"), hours("+9:00"), hours("Z")],
            [Some(9.0), Some(9.0), Some(9.0), Some(0.0)]
        );
        assert_eq!([hours("-03:30"), hours("-0330"), hours("+14:00")], [Some(-3.5), Some(-3.5), Some(14.0)]);
        for bad in ["", "09:00", "+9", "+09:60", "+99:00", "+14:30", "+é:00", "   :  ", "+090", "JST"] {
            assert_eq!(parse_offset(bad), None, "{bad}");
        }
        assert_eq!(parse("2026:05:09 07:08:09-05:00").expect("a time").offset, Some(Offset::constant(-5)));
        assert_eq!(parse("20260509T070809Z").expect("a time").offset, Some(Offset::UTC));
        assert_eq!(parse("2026:05:09 07:08:09 somewhere").expect("a time").offset, None);
    }

    #[test]
    fn fractions_beside_a_time() {
        let stated = parse("2026:05:09 10:11:12").expect("a time");
        let with = |digits| stated.with_fraction(Some(digits)).civil.subsec_nanosecond();
        assert_eq!(
            [with("25"), with("025"), with("5"), with("1234567891")],
            [250_000_000, 25_000_000, 500_000_000, 123_456_789]
        );
        assert_eq!([with("x"), with("+5"), with("-5"), with(""), with("2x")], [0; 5]);
        assert!(!stated.with_fraction(Some("000")).has_fraction);
        let own = parse("2026:05:09 10:11:12.25").expect("a time").with_fraction(Some("99"));
        assert_eq!(own.civil.subsec_nanosecond(), 250_000_000);
    }
}
