//! Fields of a sentence: the text between commas, as numbers, times and places.

/// A place on the globe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    pub latitude_deg: f64,
    pub longitude_deg: f64,
}

/// UTC time of day in nanoseconds. In a leap second it is 24 hours or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayTime(pub u64);

impl DayTime {
    /// Reports whether two times of a day are less than a second apart.
    pub fn is_near(self, other: DayTime) -> bool {
        self.0.abs_diff(other.0) < SECOND
    }
}

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

/// Reads three numbers of two digits each.
pub fn three_pairs(digits: &[u8]) -> Option<[u8; 3]> {
    let digits: &[u8; 6] = digits.try_into().ok()?;
    let pair = |at: usize| Some(10 * decimal(digits[at])? + decimal(digits[at + 1])?);
    Some([pair(0)?, pair(2)?, pair(4)?])
}

fn decimal(digit: u8) -> Option<u8> {
    digit.is_ascii_digit().then(|| digit - b'0')
}

/// Remaining fields of a sentence. After the last field, all are empty.
#[derive(Debug)]
pub struct Fields<'a>(Option<&'a [u8]>);

impl<'a> Fields<'a> {
    /// Begins at the first field of the text.
    pub fn new(text: &'a [u8]) -> Self {
        Fields(Some(text))
    }

    /// Returns the next field.
    pub fn field(&mut self) -> &'a [u8] {
        let Some(rest) = self.0 else { return b"" };
        let (field, rest) = match memchr::memchr(b',', rest) {
            Some(comma) => (&rest[..comma], Some(&rest[comma + 1..])),
            None => (rest, None),
        };
        self.0 = rest;
        field
    }

    /// Returns the number of fields that are left.
    pub fn left(&self) -> usize {
        self.0.map_or(0, |rest| 1 + memchr::memchr_iter(b',', rest).count())
    }

    /// Skips this number of fields.
    pub fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.field();
        }
    }

    /// Reads a time of day. The inner `None` is an empty field: the receiver does not know the time yet.
    pub fn time_if_known(&mut self) -> Option<Option<DayTime>> {
        match self.field() {
            b"" => Some(None),
            field => day_time(field).map(Some),
        }
    }

    /// Reads hhmmss with an optional fraction.
    pub fn time(&mut self) -> Option<DayTime> {
        day_time(self.field())
    }

    /// Reads latitude and longitude, each with its hemisphere.
    pub fn coordinates(&mut self) -> Option<Coordinates> {
        let latitude_deg = self.angle(90.0, b"N", b"S");
        let longitude_deg = self.angle(180.0, b"E", b"W");
        Some(Coordinates { latitude_deg: latitude_deg?, longitude_deg: longitude_deg? })
    }

    /// Reads dddmm.mmm and the letter of the hemisphere.
    fn angle(&mut self, limit: f64, positive: &[u8], negative: &[u8]) -> Option<f64> {
        let (value, hemisphere) = (self.number(), self.field());
        let value = value.filter(|value| *value >= 0.0)?;
        let degrees = (value / 100.0).trunc();
        let minutes = value - degrees * 100.0;
        let angle = degrees + minutes / 60.0;
        if minutes >= 60.0 || angle > limit {
            return None;
        }
        // Round to a tenth of a millimetre, because digits below that come from the division by 60.
        let angle = (angle * 1e9).round() / 1e9;
        match hemisphere {
            letter if letter == positive => Some(angle),
            letter if letter == negative => Some(-angle),
            _ => None,
        }
    }

    /// Reads a number of no more than `most`, and the letter of its direction.
    pub fn signed(&mut self, most: f64, positive: &[u8], negative: &[u8]) -> Option<f64> {
        let (value, direction) = (self.within(0.0, most), self.field());
        match direction {
            letter if letter == positive => value,
            letter if letter == negative => value.map(|value| -value),
            _ => None,
        }
    }

    /// Reads an HDOP. Receivers without a fix write 0, 99.9 or 99.99, which counts as absent.
    pub fn hdop(&mut self) -> Option<f64> {
        self.within(0.0, 99.0).filter(|hdop| *hdop > 0.0)
    }

    /// Reads the number of satellites used.
    pub fn satellites(&mut self) -> Option<u8> {
        self.within(0.0, 200.0).map(|count| count as u8)
    }

    /// Reads an altitude in metres.
    pub fn altitude(&mut self) -> Option<f64> {
        self.within(-1e3, 1e5)
    }

    /// Reads a standard deviation in metres.
    pub fn deviation(&mut self) -> Option<f64> {
        self.within(0.0, 1e6)
    }

    /// Reads a speed in `unit` metres per second and converts it.
    pub fn speed(&mut self, unit: f64) -> Option<f64> {
        self.within(0.0, 2_000.0).map(|value| value * unit)
    }

    /// Reads a course in degrees and brings 360 to 0.
    pub fn course(&mut self) -> Option<f64> {
        self.within(0.0, 360.0).map(|degrees| degrees % 360.0)
    }

    /// Reads a number, if it is within these limits.
    pub fn within(&mut self, least: f64, most: f64) -> Option<f64> {
        self.number().filter(|value| (least..=most).contains(value))
    }

    /// Reads a decimal number without an exponent.
    fn number(&mut self) -> Option<f64> {
        let field = self.field();
        let plain = field.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
        std::str::from_utf8(field).ok().filter(|_| plain)?.parse().ok()
    }
}

/// Parses hhmmss with an optional fraction. Second 60 exists only at the end of a day.
fn day_time(field: &[u8]) -> Option<DayTime> {
    let (whole, fraction) = field.split_at_checked(6)?;
    let [hour, minute, second] = three_pairs(whole)?.map(u64::from);
    let leap = hour == 23 && minute == 59 && second == 60;
    if hour > 23 || minute > 59 || (second > 59 && !leap) {
        return None;
    }
    let nanoseconds = match fraction.split_first() {
        None => 0,
        Some((b'.', digits)) => nanoseconds(digits)?,
        Some(_) => return None,
    };
    Some(DayTime((hour * 3600 + minute * 60 + second) * SECOND + nanoseconds))
}

/// Parses the digits after the decimal point of a second. Digits after the ninth are dropped.
fn nanoseconds(digits: &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..9 {
        let digit = digits.get(place).map_or(Some(0), |digit| decimal(*digit))?;
        value = 10 * value + u64::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: DayTime = DayTime(12 * 3600 * SECOND);

    #[test]
    fn times_of_day() {
        let time = |text: &str| Fields::new(text.as_bytes()).time().map(|time| time.0);
        assert_eq!(time("120000"), Some(NOON.0));
        assert_eq!(time("120000.25"), Some(NOON.0 + SECOND / 4));
        assert_eq!(time("120000.1234567899"), Some(NOON.0 + 123_456_789));
        assert_eq!(time("235960.5"), Some(86_400 * SECOND + SECOND / 2));
        for wrong in ["", "1200", "240000", "126000", "120060", "12:000", "120000.x", "1200005"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_may_be_unknown_but_not_malformed() {
        let time = |text: &str| Fields::new(text.as_bytes()).time_if_known();
        assert_eq!(time(",A"), Some(None));
        assert_eq!(time("120000,A"), Some(Some(NOON)));
        assert_eq!(time("12,A"), None);
    }
}
