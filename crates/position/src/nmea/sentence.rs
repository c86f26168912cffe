//! Reads the fields of a sentence. A sentence is refused if a required field is malformed or out of range; a broken
//! optional field counts as absent.

use jiff::civil::Date;

use bridgeclip_domain::FixQuality;

use super::datum::Datum;
use super::fields::{Coordinates, DayTime, Fields, three_pairs};
use super::talker::Talker;

/// A sentence about position or time.
#[derive(Clone, Debug, PartialEq)]
pub enum Sentence {
    /// Position, altitude and their quality, from GGA or GNS.
    FixData(FixData),
    /// Recommended minimum: position, movement and date.
    Rmc(Rmc),
    /// Position alone, from GLL.
    Gll {
        time: DayTime,
        /// `None` while the receiver warns.
        fix: Option<Found>,
    },
    /// Position with its accuracy, from u-blox's PUBX,00.
    Ublox(Ublox),
    /// The receiver knows neither its position nor the time.
    NoFix,
    /// Dilution of precision.
    Gsa { hdop: Option<f64> },
    /// Time and date, from ZDA or u-blox's PUBX,04.
    Date { time: DayTime, date: Date },
    /// Statistics of the position's error.
    Gst {
        time: DayTime,
        /// Standard deviation in metres: the root of the summed variances of latitude and longitude.
        std_m: Option<f64>,
    },
    /// Speed and course over ground.
    Vtg(Movement),
    /// Datum of the positions that follow.
    Datum(Datum),
}

/// A position and the method that found it.
pub type Found = (Coordinates, FixQuality);

/// Contents of GGA and GNS.
#[derive(Clone, Debug, PartialEq)]
pub struct FixData {
    /// Time of day of the epoch.
    pub time: DayTime,
    /// Position and its quality; `None` while the receiver has no fix.
    pub fix: Option<Found>,
    /// Number of satellites used.
    pub satellites: Option<u8>,
    pub hdop: Option<f64>,
    /// Altitude in metres above mean sea level; above the ellipsoid in u-blox's own sentence.
    pub altitude_m: Option<f64>,
}

/// Contents of u-blox's PUBX,00.
#[derive(Clone, Debug, PartialEq)]
pub struct Ublox {
    pub fix_data: FixData,
    /// Estimate of the horizontal error in metres, one standard deviation.
    pub accuracy_m: Option<f64>,
    pub movement: Movement,
}

/// Contents of RMC, the recommended minimum: position, movement and date.
#[derive(Clone, Debug, PartialEq)]
pub struct Rmc {
    /// Time of day of the epoch.
    pub time: DayTime,
    /// Position and its quality; `None` while the receiver warns.
    pub fix: Option<Found>,
    /// Date; `None` if the receiver does not know it yet, and while it warns, because its date may then be a guess.
    pub date: Option<Date>,
    pub movement: Movement,
}

/// Movement over ground.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Movement {
    /// Speed in metres per second.
    pub speed_mps: Option<f64>,
    /// Course in degrees clockwise from true north, in [0, 360).
    pub course_deg: Option<f64>,
}

/// Metres per second in a knot.
const KNOT: f64 = 1852.0 / 3600.0;
/// Metres per second in a kilometre per hour.
const KMH: f64 = 1.0 / 3.6;

impl Sentence {
    /// Parses the text between `$` and `*`. `None` for sentences of other kinds, for those of manufacturers other than
    /// u-blox, and for malformed ones.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(text);
        let address = fields.field();
        if address == b"PUBX" {
            return ublox(&mut fields);
        }
        let (talker, kind) = address.split_at_checked(2)?;
        Talker::named(talker)?;
        match kind {
            b"GGA" => gga(&mut fields),
            b"GNS" => gns(&mut fields),
            b"RMC" => rmc(&mut fields),
            b"GLL" => gll(&mut fields),
            b"GSA" => gsa(&mut fields),
            b"ZDA" => zda(&mut fields),
            b"GST" => gst(&mut fields),
            b"VTG" => vtg(&mut fields),
            b"DTM" => Datum::read(&mut fields).map(Sentence::Datum),
            _ => None,
        }
    }

    /// Returns the time of day of the sentence's epoch. `None` for kinds that belong to the epoch of the previous
    /// sentence.
    pub fn time(&self) -> Option<DayTime> {
        match self {
            Sentence::FixData(FixData { time, .. })
            | Sentence::Rmc(Rmc { time, .. })
            | Sentence::Ublox(Ublox { fix_data: FixData { time, .. }, .. })
            | Sentence::Gll { time, .. }
            | Sentence::Date { time, .. }
            | Sentence::Gst { time, .. } => Some(*time),
            Sentence::Gsa { .. } | Sentence::Vtg(_) | Sentence::Datum(_) | Sentence::NoFix => None,
        }
    }

    /// Reports whether the sentence contains a valid position.
    pub fn has_place(&self) -> bool {
        match self {
            Sentence::FixData(FixData { fix, .. })
            | Sentence::Rmc(Rmc { fix, .. })
            | Sentence::Ublox(Ublox { fix_data: FixData { fix, .. }, .. })
            | Sentence::Gll { fix, .. } => fix.is_some(),
            _ => false,
        }
    }
}

/// Combines position and quality, the inner `None` of which means no fix. `None` if only the quality is there.
fn found(coordinates: Option<Coordinates>, quality: Option<FixQuality>) -> Option<Option<Found>> {
    match quality {
        Some(quality) => Some(Some((coordinates?, quality))),
        None => Some(None),
    }
}

/// Reads GGA: time, latitude, N/S, longitude, E/W, quality, satellites, HDOP, altitude, M, ...
fn gga(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time_if_known()?;
    let coordinates = fields.coordinates();
    let fix = found(coordinates, gga_quality(fields.field())?)?;
    fix_data(fields, time, fix)
}

/// Reads GNS: time, latitude, N/S, longitude, E/W, one letter per system, satellites, HDOP, altitude, ...
fn gns(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time_if_known()?;
    let coordinates = fields.coordinates();
    let fix = found(coordinates, best_mode(fields.field())?)?;
    fix_data(fields, time, fix)
}

fn fix_data(fields: &mut Fields, time: Option<DayTime>, fix: Option<Found>) -> Option<Sentence> {
    let Some(time) = time else { return without_time(fix) };
    let satellites = fields.satellites();
    let (hdop, altitude_m) = (fields.hdop(), fields.altitude());
    Some(Sentence::FixData(FixData { time, fix, satellites, hdop, altitude_m }))
}

/// Returns the meaning of a sentence without a time. A position without one is of no use.
fn without_time(fix: Option<Found>) -> Option<Sentence> {
    fix.is_none().then_some(Sentence::NoFix)
}

/// Reads RMC: time, A/V, latitude, N/S, longitude, E/W, knots, course, ddmmyy, variation, E/W, and since version 2.3 a
/// mode.
fn rmc(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time_if_known()?;
    let active = is_active(fields.field())?;
    let coordinates = fields.coordinates();
    let movement = Movement { speed_mps: fields.speed(KNOT), course_deg: fields.course() };
    let date = fields.field();
    fields.skip(2);
    let quality = mode_if_told(fields.field())?.filter(|_| active);
    let fix = found(coordinates, quality)?;
    let Some(time) = time else { return without_time(fix) };
    let date = match fix {
        Some(_) if !date.is_empty() => Some(short_date(date)?),
        _ => None,
    };
    Some(Sentence::Rmc(Rmc { time, fix, date, movement }))
}

/// Reads GLL: latitude, N/S, longitude, E/W, time, A/V, and since version 2.3 a mode.
fn gll(fields: &mut Fields) -> Option<Sentence> {
    let coordinates = fields.coordinates();
    let time = fields.time_if_known()?;
    let active = is_active(fields.field())?;
    let quality = mode_if_told(fields.field())?.filter(|_| active);
    let fix = found(coordinates, quality)?;
    time.map_or_else(|| without_time(fix), |time| Some(Sentence::Gll { time, fix }))
}

/// Reads u-blox's own sentences (u-blox 8 / M8 Receiver Description, UBX-13003221, chapter "PUBX Messages").
fn ublox(fields: &mut Fields) -> Option<Sentence> {
    match fields.field() {
        b"00" => ublox_position(fields),
        b"04" => ublox_time(fields),
        _ => None,
    }
}

/// Reads PUBX,00: time, latitude, N/S, longitude, E/W, altitude above the ellipsoid, status, horizontal and vertical
/// accuracy, km/h, course, vertical speed, age of corrections, HDOP, VDOP, TDOP, satellites, ...
fn ublox_position(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time_if_known()?;
    let (coordinates, altitude_m) = (fields.coordinates(), fields.altitude());
    let fix = found(coordinates, ublox_quality(fields.field())?)?;
    let Some(time) = time else { return without_time(fix) };
    let accuracy_m = fields.deviation().filter(|accuracy_m| *accuracy_m > 0.0);
    fields.skip(1);
    let movement = Movement { speed_mps: fields.speed(KMH), course_deg: fields.course() };
    fields.skip(2);
    let hdop = fields.hdop();
    fields.skip(2);
    let satellites = fields.satellites();
    let fix_data = FixData { time, fix, satellites, hdop, altitude_m };
    Some(Sentence::Ublox(Ublox { fix_data, accuracy_m, movement }))
}

/// Reads PUBX,04: time, ddmmyy, second of the week, week, leap seconds, ... The letter D after the leap seconds says
/// that they are the firmware's own, and then the time is a guess.
fn ublox_time(fields: &mut Fields) -> Option<Sentence> {
    let (time, date) = (fields.time()?, short_date(fields.field())?);
    fields.skip(2);
    (!fields.field().ends_with(b"D")).then_some(Sentence::Date { time, date })
}

/// Reads GSA: A/M, 1 (none), 2 or 3 dimensions, twelve satellites, PDOP, HDOP, VDOP, and since version 4.1 the system.
/// Sentences with more satellites are refused.
fn gsa(fields: &mut Fields) -> Option<Sentence> {
    if !matches!(fields.left(), 17 | 18) {
        return None;
    }
    fields.skip(1);
    let has_fix = matches!(fields.field(), b"2" | b"3");
    fields.skip(12 + 1);
    Some(Sentence::Gsa { hdop: fields.hdop().filter(|_| has_fix) })
}

/// Reads ZDA: time, day, month, year, and the local zone, which does not apply to the time.
fn zda(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time()?;
    let [day, month] = [fields.within(1.0, 31.0)?, fields.within(1.0, 12.0)?];
    let year = fields.within(1980.0, 9999.0)?;
    let date = Date::new(year as i16, month as i8, day as i8).ok()?;
    Some(Sentence::Date { time, date })
}

/// Reads GST: time, RMS of ranges, ellipse (major, minor, orientation), then the deviations of latitude, longitude and
/// altitude.
fn gst(fields: &mut Fields) -> Option<Sentence> {
    let time = fields.time()?;
    fields.skip(4);
    let (north, east) = (fields.deviation(), fields.deviation());
    let std_m = north.zip(east).map(|(north, east)| north.hypot(east)).filter(|std_m| *std_m > 0.0);
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
        // 9 is SBAS on receivers by NovAtel (<https://docs.novatel.com/OEM7/Content/Logs/GPGGA.htm>).
        b"2" | b"9" => Some(FixQuality::Differential),
        b"4" => Some(FixQuality::RtkFixed),
        b"5" => Some(FixQuality::RtkFloat),
        // 6 is dead reckoning, 7 a position that was typed in.
        b"6" | b"7" => Some(FixQuality::Estimated),
        _ => return None,
    })
}

/// Returns the quality for the status of u-blox's PUBX,00; the inner `None` means no fix. It does not tell RTK from
/// other corrections.
fn ublox_quality(status: &[u8]) -> Option<Option<FixQuality>> {
    Some(match status {
        // TT is a fix of the time alone.
        b"NF" | b"TT" => None,
        // RK is a fix by satellites and dead reckoning together.
        b"G2" | b"G3" | b"RK" => Some(FixQuality::Autonomous),
        b"D2" | b"D3" => Some(FixQuality::Differential),
        b"DR" => Some(FixQuality::Estimated),
        _ => return None,
    })
}

/// Reads A (valid) or V (warning).
fn is_active(status: &[u8]) -> Option<bool> {
    match status {
        b"A" => Some(true),
        b"V" => Some(false),
        _ => None,
    }
}

/// Returns the quality for the mode of RMC and GLL, which receivers before version 2.3 leave out; the inner `None`
/// means no fix.
fn mode_if_told(letters: &[u8]) -> Option<Option<FixQuality>> {
    match letters {
        b"" => Some(Some(FixQuality::Autonomous)),
        letters => best_mode(letters),
    }
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

#[cfg(test)]
mod tests;
