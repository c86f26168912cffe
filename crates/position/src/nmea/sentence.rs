//! Reads the fields of a sentence. A sentence is refused if a required field is malformed or out of range; a broken
//! optional field counts as absent.

use jiff::civil::Date;

use bridgeclip_domain::FixQuality;

/// A sentence about position or time.
#[derive(Clone, Debug, PartialEq)]
pub enum Sentence {
    /// Position, altitude and their quality, from GGA or GNS.
    FixData(FixData),
    /// Recommended minimum: position, movement and date.
    Rmc(Rmc),
    /// Dilution of precision.
    Gsa { hdop: Option<f64> },
    /// Time and date.
    Zda { time: DayTime, date: Date },
    /// Statistics of the position's error.
    Gst {
        time: DayTime,
        /// Standard deviation in metres: the root of the summed variances of latitude and longitude.
        std_m: Option<f64>,
    },
    /// Speed and course over ground.
    Vtg(Movement),
}

/// Contents of GGA and GNS.
#[derive(Clone, Debug, PartialEq)]
pub struct FixData {
    /// Time of day of the epoch.
    pub time: DayTime,
    /// Position and its quality; `None` while the receiver has no fix.
    pub fix: Option<(Coordinates, FixQuality)>,
    /// Number of satellites used.
    pub satellites: Option<u8>,
    pub hdop: Option<f64>,
    /// Altitude above mean sea level in metres.
    pub altitude_m: Option<f64>,
}

/// Contents of RMC, the recommended minimum: position, movement and date.
#[derive(Clone, Debug, PartialEq)]
pub struct Rmc {
    /// Time of day of the epoch.
    pub time: DayTime,
    /// Position, quality and date; `None` while the receiver warns, because its date may then be a guess.
    pub fix: Option<(Coordinates, FixQuality, Date)>,
    pub movement: Movement,
}

/// A place on the globe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    pub latitude_deg: f64,
    pub longitude_deg: f64,
}

/// Movement over ground.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Movement {
    /// Speed in metres per second.
    pub speed_mps: Option<f64>,
    /// Course in degrees clockwise from true north, in [0, 360).
    pub course_deg: Option<f64>,
}

/// UTC time of day in nanoseconds. In a leap second it is 24 hours or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayTime(pub u64);

/// Talkers of satellite receivers, one per system. GN means several systems at once.
const TALKERS: [&[u8; 2]; 8] = [b"GP", b"GN", b"GL", b"GA", b"GB", b"BD", b"GQ", b"QZ"];

/// Metres per second in a knot.
const KNOT: f64 = 1852.0 / 3600.0;
/// Metres per second in a kilometre per hour.
const KMH: f64 = 1.0 / 3.6;

const SECOND: u64 = 1_000_000_000;

impl Sentence {
    /// Parses the text between `$` and `*`. `None` for sentences of other kinds or talkers, and for malformed ones.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut fields = Fields(Some(text));
        let (talker, kind) = fields.next().split_at_checked(2)?;
        if !TALKERS.iter().any(|known| *known == talker) {
            return None;
        }
        match kind {
            b"GGA" => gga(&mut fields),
            b"GNS" => gns(&mut fields),
            b"RMC" => rmc(&mut fields),
            b"GSA" => gsa(&mut fields),
            b"ZDA" => zda(&mut fields),
            b"GST" => gst(&mut fields),
            b"VTG" => vtg(&mut fields),
            _ => None,
        }
    }

    /// Returns the time of day of the sentence's epoch. `None` for kinds that belong to the epoch of the previous
    /// sentence.
    pub fn time(&self) -> Option<DayTime> {
        match self {
            Sentence::FixData(FixData { time, .. }) | Sentence::Rmc(Rmc { time, .. }) => Some(*time),
            Sentence::Zda { time, .. } | Sentence::Gst { time, .. } => Some(*time),
            Sentence::Gsa { .. } | Sentence::Vtg(_) => None,
        }
    }
}

/// Reads GGA: time, latitude, N/S, longitude, E/W, quality, satellites, HDOP, altitude, M, ...
fn gga(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time()?;
    let coordinates = fields.coordinates();
    let quality = gga_quality(fields.next())?;
    fix_data(fields, time, coordinates, quality)
}

/// Reads GNS: time, latitude, N/S, longitude, E/W, one letter per system, satellites, HDOP, altitude, ...
fn gns(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time()?;
    let coordinates = fields.coordinates();
    let quality = best_mode(fields.next())?;
    fix_data(fields, time, coordinates, quality)
}

fn fix_data(
    fields: &mut Fields,
    time: DayTime,
    coordinates: Option<Coordinates>,
    quality: Option<FixQuality>,
) -> Option<Sentence> {
    let fix = match quality {
        Some(quality) => Some((coordinates?, quality)),
        None => None,
    };
    let satellites = fields.within(0.0, 200.0).map(|count| count as u8);
    Some(Sentence::FixData(FixData {
        time,
        fix,
        satellites,
        hdop: fields.hdop(),
        altitude_m: fields.within(-1e3, 1e5),
    }))
}

/// Reads RMC: time, A/V, latitude, N/S, longitude, E/W, knots, course, ddmmyy, variation, E/W, and since version 2.3 a
/// mode.
fn rmc(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time()?;
    let active = match fields.next() {
        b"A" => true,
        b"V" => false,
        _ => return None,
    };
    let coordinates = fields.coordinates();
    let movement = Movement { speed_mps: fields.speed(KNOT), course_deg: fields.course() };
    let date = short_date(fields.next());
    fields.skip(2);
    let quality = match fields.next() {
        b"" => Some(FixQuality::Autonomous),
        mode => best_mode(mode)?,
    };
    let fix = match quality.filter(|_| active) {
        Some(quality) => Some((coordinates?, quality, date?)),
        None => None,
    };
    Some(Sentence::Rmc(Rmc { time, fix, movement }))
}

/// Reads GSA: A/M, 1 (none), 2 or 3 dimensions, twelve satellites, PDOP, HDOP, VDOP, and since version 4.1 the system.
/// Sentences with more satellites are refused.
fn gsa(fields: &mut Fields) -> Option<Sentence> {
    if !matches!(fields.left(), 17 | 18) {
        return None;
    }
    fields.skip(1);
    let has_fix = matches!(fields.next(), b"2" | b"3");
    fields.skip(12 + 1);
    Some(Sentence::Gsa { hdop: fields.hdop().filter(|_| has_fix) })
}

/// Reads ZDA: time, day, month, year, and the local zone, which does not apply to the time.
fn zda(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time()?;
    let [day, month] = [fields.within(1.0, 31.0)?, fields.within(1.0, 12.0)?];
    let year = fields.within(1980.0, 9999.0)?;
    let date = Date::new(year as i16, month as i8, day as i8).ok()?;
    Some(Sentence::Zda { time, date })
}

/// Reads GST: time, RMS of ranges, ellipse (major, minor, orientation), then the deviations of latitude, longitude and
/// altitude.
fn gst(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time()?;
    fields.skip(4);
    let (north, east) = (fields.within(0.0, 1e6), fields.within(0.0, 1e6));
    let std_m = north.zip(east).map(|(north, east)| north.hypot(east));
    Some(Sentence::Gst { time, std_m })
}

/// Reads VTG: course, T, magnetic course, M, knots, N, km/h, K, mode.
fn vtg(fields: &mut Fields) -> Option<Sentence> {
    let course_deg = fields.course();
    fields.skip(3);
    let knots = fields.speed(KNOT);
    fields.skip(1);
    Some(Sentence::Vtg(Movement { speed_mps: knots.or(fields.speed(KMH)), course_deg }))
}

/// Returns the quality for GGA's digit; the inner `None` means no fix. A simulator's position (8) does not count as
/// one.
fn gga_quality(digit: &[u8]) -> Option<Option<FixQuality>> {
    Some(match digit {
        b"0" | b"8" => None,
        // 3 is the encrypted military service.
        b"1" | b"3" => Some(FixQuality::Autonomous),
        b"2" => Some(FixQuality::Differential),
        b"4" => Some(FixQuality::RtkFixed),
        b"5" => Some(FixQuality::RtkFloat),
        // 6 is dead reckoning, 7 a position that was typed in.
        b"6" | b"7" => Some(FixQuality::Estimated),
        _ => return None,
    })
}

/// Returns the best quality of the letters for the satellite systems; the inner `None` means no fix.
fn best_mode(letters: &[u8]) -> Option<Option<FixQuality>> {
    letters.iter().try_fold(None, |best: Option<FixQuality>, letter| Some(best.max(mode(*letter)?)))
}

fn mode(letter: u8) -> Option<Option<FixQuality>> {
    Some(match letter {
        b'N' | b'S' => None,
        b'A' | b'P' => Some(FixQuality::Autonomous),
        b'D' => Some(FixQuality::Differential),
        b'R' => Some(FixQuality::RtkFixed),
        b'F' => Some(FixQuality::RtkFloat),
        b'E' | b'M' => Some(FixQuality::Estimated),
        _ => return None,
    })
}

/// Parses ddmmyy. The century is not sent; receivers count from 1980, the start of GPS time.
fn short_date(digits: &[u8]) -> Option<Date> {
    let [day, month, year] = three_pairs(digits)?;
    let century = if year >= 80 { 1900 } else { 2000 };
    Date::new(century + i16::from(year), month as i8, day as i8).ok()
}

fn three_pairs(digits: &[u8]) -> Option<[u8; 3]> {
    let digits: &[u8; 6] = digits.try_into().ok()?;
    let pair = |at: usize| Some(10 * decimal(digits[at])? + decimal(digits[at + 1])?);
    Some([pair(0)?, pair(2)?, pair(4)?])
}

fn decimal(digit: u8) -> Option<u8> {
    digit.is_ascii_digit().then(|| digit - b'0')
}

/// Remaining fields of a sentence. After the last field, all are empty.
struct Fields<'a>(Option<&'a [u8]>);

impl<'a> Fields<'a> {
    fn next(&mut self) -> &'a [u8] {
        let Some(rest) = self.0 else { return b"" };
        let (field, rest) = match memchr::memchr(b',', rest) {
            Some(comma) => (&rest[..comma], Some(&rest[comma + 1..])),
            None => (rest, None),
        };
        self.0 = rest;
        field
    }

    fn left(&self) -> usize {
        self.0.map_or(0, |rest| 1 + memchr::memchr_iter(b',', rest).count())
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    /// Reads hhmmss with an optional fraction. Second 60 exists only at the end of a day.
    fn time(&mut self) -> Option<DayTime> {
        let (whole, fraction) = self.next().split_at_checked(6)?;
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

    /// Reads latitude and longitude, each with its hemisphere.
    fn coordinates(&mut self) -> Option<Coordinates> {
        let latitude_deg = self.angle(90.0, b"N", b"S");
        let longitude_deg = self.angle(180.0, b"E", b"W");
        Some(Coordinates { latitude_deg: latitude_deg?, longitude_deg: longitude_deg? })
    }

    /// Reads dddmm.mmm and the letter of the hemisphere.
    fn angle(&mut self, limit: f64, positive: &[u8], negative: &[u8]) -> Option<f64> {
        let (value, hemisphere) = (self.number(), self.next());
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

    /// Reads an HDOP. Receivers without a fix write 99.9 or 99.99, which counts as absent.
    fn hdop(&mut self) -> Option<f64> {
        self.within(0.0, 99.0)
    }

    /// Reads a speed in `unit` metres per second and converts it.
    fn speed(&mut self, unit: f64) -> Option<f64> {
        self.within(0.0, 2_000.0).map(|value| value * unit)
    }

    /// Reads a course in degrees and brings 360 to 0.
    fn course(&mut self) -> Option<f64> {
        self.within(0.0, 360.0).map(|degrees| degrees % 360.0)
    }

    /// Reads a number, if it is within these limits.
    fn within(&mut self, least: f64, most: f64) -> Option<f64> {
        self.number().filter(|value| (least..=most).contains(value))
    }

    /// Reads a decimal number without an exponent.
    fn number(&mut self) -> Option<f64> {
        let field = self.next();
        let plain = field.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
        std::str::from_utf8(field).ok().filter(|_| plain)?.parse().ok()
    }
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

    fn parse(text: &str) -> Option<Sentence> {
        Sentence::parse(text.as_bytes())
    }

    fn fix(text: &str) -> Option<(f64, f64, FixQuality)> {
        let Some(Sentence::FixData(FixData { fix, .. })) = parse(text) else { panic!("refused: {text}") };
        fix.map(|(at, quality)| (at.latitude_deg, at.longitude_deg, quality))
    }

    #[test]
    fn hemispheres_have_signs() {
        let cases = [
            ("4807.038,N,01131.000,E", 48.1173, 11.0 + 31.0 / 60.0),
            ("3330.0,S,07045.0,W", -33.5, -70.75),
            ("0000.0000,N,00000.0000,E", 0.0, 0.0),
            ("9000.0,S,18000.0,W", -90.0, -180.0),
        ];
        for (text, latitude, longitude) in cases {
            let (lat, lon, quality) = fix(&format!("GPGGA,120000,{text},1,08,0.9,545.4,M,46.9,M,,")).expect("a fix");
            assert!((lat - latitude).abs() < 1e-9 && (lon - longitude).abs() < 1e-9, "{text}: {lat} {lon}");
            assert_eq!(quality, FixQuality::Autonomous);
        }
    }

    #[test]
    fn places_out_of_range_are_refused() {
        for at in [
            "9000.1,N,01131.0,E",
            "4807.0,N,18000.1,E",
            "4860.0,N,01131.0,E",
            "4807.0,E,01131.0,E",
            "4807.0,,01131.0,E",
            "-4807.0,N,01131.0,E",
            "nan,N,01131.0,E",
            "4e1,N,01131.0,E",
            ",,,",
        ] {
            assert_eq!(parse(&format!("GPGGA,120000,{at},1,08,0.9,,M,,M,,")), None, "{at}");
        }
    }

    #[test]
    fn qualities_are_told_apart() {
        use FixQuality::*;
        let at = "4807.038,N,01131.000,E";
        let digits = [None, Some(Autonomous), Some(Differential), Some(Autonomous), Some(RtkFixed), Some(RtkFloat)];
        let all = digits.into_iter().chain([Some(Estimated), Some(Estimated), None]);
        for (digit, expected) in all.enumerate() {
            let found = fix(&format!("GNGGA,120000,{at},{digit},08,0.9,,M,,M,,")).map(|(.., quality)| quality);
            assert_eq!(found, expected, "GGA {digit}");
        }
        assert_eq!(parse(&format!("GNGGA,120000,{at},9,08,0.9,,M,,M,,")), None);
        let letters = [("NN", None), ("AN", Some(Autonomous)), ("ADN", Some(Differential)), ("RF", Some(RtkFixed))];
        for (letters, expected) in
            letters.into_iter().chain([("F", Some(RtkFloat)), ("E", Some(Estimated)), ("S", None)])
        {
            let found = fix(&format!("GNGNS,120000,{at},{letters},08,0.9,545.4,46.9,,")).map(|(.., quality)| quality);
            assert_eq!(found, expected, "GNS {letters}");
        }
        assert_eq!(parse(&format!("GNGNS,120000,{at},AX,08,0.9,545.4,46.9,,")), None);
    }

    #[test]
    fn a_receiver_that_warns_gives_no_place_and_no_date() {
        let rmc = |text: &str| match parse(text) {
            Some(Sentence::Rmc(rmc)) => rmc.fix,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(rmc("GPRMC,120000,V,,,,,,,060180,,,N"), None);
        assert_eq!(rmc("GPRMC,120000,V,4807.038,N,01131.000,E,0.0,0.0,251126,,"), None);
        assert_eq!(rmc("GPRMC,120000,A,4807.038,N,01131.000,E,0.0,0.0,251126,,,N"), None);
        let (_, quality, date) = rmc("GPRMC,120000,A,4807.038,N,01131.000,E,022.4,084.4,251126,,").expect("a fix");
        assert_eq!((quality, date), (FixQuality::Autonomous, Date::constant(2026, 11, 25)));
        for wrong in ["310226", "251326", "25112", "2511260", ""] {
            let text = format!("GPRMC,120000,A,4807.038,N,01131.000,E,022.4,084.4,{wrong},,");
            assert_eq!(parse(&text), None, "{wrong}");
        }
    }

    #[test]
    fn centuries_and_zones() {
        assert_eq!(short_date(b"050980"), Some(Date::constant(1980, 9, 5)));
        assert_eq!(short_date(b"050979"), Some(Date::constant(2079, 9, 5)));
        // 21:00 UTC is the next day in Japan, but neither time nor date moves.
        let date = Date::constant(2026, 12, 31);
        let time = DayTime(21 * 3600 * SECOND);
        assert_eq!(parse("GPZDA,210000.00,31,12,2026,-09,00"), Some(Sentence::Zda { time, date }));
        assert_eq!(parse("GPZDA,210000.00,31,11,2026,,"), None);
    }

    #[test]
    fn times_of_day() {
        let time = |text: &str| Fields(Some(text.as_bytes())).time().map(|time| time.0);
        assert_eq!(time("120000"), Some(NOON.0));
        assert_eq!(time("120000.25"), Some(NOON.0 + SECOND / 4));
        assert_eq!(time("120000.1234567899"), Some(NOON.0 + 123_456_789));
        assert_eq!(time("235960.5"), Some(86_400 * SECOND + SECOND / 2));
        for wrong in ["", "1200", "240000", "126000", "120060", "12:000", "120000.x", "1200005"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_other_sentences() {
        let gst = Sentence::Gst { time: NOON, std_m: Some(5.0) };
        assert_eq!(parse("GPGST,120000.00,6.1,4.2,2.1,34.0,3.0,4.0,5.5"), Some(gst));
        assert_eq!(parse("GPGST,120000.00,,,,,,,"), Some(Sentence::Gst { time: NOON, std_m: None }));
        let gsa = |text: &str| parse(text).expect("GSA");
        assert_eq!(gsa("GNGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1,1"), Sentence::Gsa { hdop: Some(1.3) });
        assert_eq!(gsa("GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99"), Sentence::Gsa { hdop: None });
        assert_eq!(parse("GPGSA,A,3,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,2.5,1.3,2.1"), None);
        let vtg = |text: &str| match parse(text) {
            Some(Sentence::Vtg(movement)) => movement,
            other => panic!("{text}: {other:?}"),
        };
        let movement = vtg("GPVTG,054.7,T,034.4,M,010.0,N,,K,A");
        assert_eq!((movement.course_deg, movement.speed_mps), (Some(54.7), Some(10.0 * KNOT)));
        assert_eq!(vtg("GPVTG,360.0,T,,M,,N,036.0,K").speed_mps, Some(10.0));
        assert_eq!(vtg("GPVTG,,T,,M,,N,,K,N"), Movement::default());
    }

    #[test]
    fn other_talkers_and_kinds_are_left_alone() {
        for text in ["PUBX,00", "IIRMC,120000,A", "GPGSV,1,1,00", "GP", "G", "", "GPGGA"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for talker in TALKERS {
            let talker = std::str::from_utf8(talker).expect("letters");
            assert!(parse(&format!("{talker}VTG,,T,,M,,N,,K")).is_some(), "{talker}");
        }
    }
}
