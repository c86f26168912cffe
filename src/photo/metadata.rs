//! What the camera wrote into the file: when, where, which camera. All of it is optional, and broken metadata never
//! spoils the photo's result.

use std::io::Cursor;

use exif::{Exif, In, Tag, Value};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::domain::{Camera, Position, PositionSource};

/// The EXIF facts that the product uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The moment of exposure by the camera's clock.
    pub taken: Option<Timestamp>,
    pub position: Option<Position>,
    pub camera: Camera,
}

/// Reads the EXIF block of a JPEG, PNG, TIFF or WebP file. `local` is the offset of camera clocks that do not
/// write one.
pub fn read(bytes: &[u8], local: Offset) -> Metadata {
    let mut reader = exif::Reader::new();
    reader.continue_on_error(true);
    let exif =
        reader.read_from_container(&mut Cursor::new(bytes)).or_else(|error| error.distill_partial_result(|_| ()));
    match exif {
        Ok(exif) => Metadata { taken: taken(&exif, local), position: position(&exif), camera: camera(&exif) },
        Err(_) => Metadata::default(),
    }
}

fn text(exif: &Exif, tag: Tag) -> Option<String> {
    let Value::Ascii(parts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    let text = String::from_utf8_lossy(parts.first()?).trim_matches(['\0', ' ']).to_owned();
    (!text.is_empty()).then_some(text)
}

fn rationals(exif: &Exif, tag: Tag) -> Option<Vec<f64>> {
    let Value::Rational(values) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    let values: Vec<f64> = values.iter().map(exif::Rational::to_f64).collect();
    values.iter().all(|value| value.is_finite()).then_some(values)
}

fn camera(exif: &Exif) -> Camera {
    Camera { make: text(exif, Tag::Make), model: text(exif, Tag::Model) }
}

/// `DateTimeOriginal` with its fraction and offset.
fn taken(exif: &Exif, local: Offset) -> Option<Timestamp> {
    let civil = DateTime::strptime("%Y:%m:%d %H:%M:%S", text(exif, Tag::DateTimeOriginal)?).ok()?;
    let offset = text(exif, Tag::OffsetTimeOriginal).and_then(|text| parse_offset(&text)).unwrap_or(local);
    let fraction = text(exif, Tag::SubSecTimeOriginal).and_then(|digits| fraction(&digits));
    offset.to_timestamp(civil).ok()?.checked_add(fraction.unwrap_or_default()).ok()
}

/// `+09:00` as EXIF 2.31 writes it.
pub fn parse_offset(text: &str) -> Option<Offset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
    (hours <= 14 && minutes < 60).then(|| Offset::from_seconds(sign * seconds).ok())?
}

/// Digits after the decimal point, at most nine of them.
fn fraction(digits: &str) -> Option<SignedDuration> {
    let digits = digits.get(..digits.len().min(9))?;
    let value: i64 = digits.parse().ok().filter(|value| *value >= 0)?;
    Some(SignedDuration::from_nanos(value * 10_i64.pow(9 - digits.len() as u32)))
}

fn position(exif: &Exif) -> Option<Position> {
    let latitude_deg = degrees(exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, "S", 90.0)?;
    let longitude_deg = degrees(exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, "W", 180.0)?;
    let hdop = rationals(exif, Tag::GPSDOP).and_then(|values| values.first().copied());
    let (altitude_m, source) = (altitude(exif), PositionSource::Exif);
    let (std_m, quality, age_s) = (None, None, None);
    Some(Position { latitude_deg, longitude_deg, altitude_m, source, hdop, std_m, quality, age_s })
}

/// Degrees, minutes and seconds with their hemisphere; `None` beyond `limit`.
fn degrees(exif: &Exif, tag: Tag, reference: Tag, negative: &str, limit: f64) -> Option<f64> {
    let parts = rationals(exif, tag)?;
    let [degrees, minutes, seconds] = parts.as_slice() else { return None };
    let value = degrees + minutes / 60.0 + seconds / 3600.0;
    let sign = if text(exif, reference)?.eq_ignore_ascii_case(negative) { -1.0 } else { 1.0 };
    (value <= limit).then_some(sign * value)
}

/// Metres; reference 1 means below sea level.
fn altitude(exif: &Exif) -> Option<f64> {
    let metres = *rationals(exif, Tag::GPSAltitude)?.first()?;
    let below = exif
        .get_field(Tag::GPSAltitudeRef, In::PRIMARY)
        .and_then(|field| field.value.get_uint(0))
        .is_some_and(|reference| reference == 1);
    Some(if below { -metres } else { metres })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_fractions() {
        assert_eq!(parse_offset("+09:00"), Offset::from_seconds(9 * 3600).ok());
        assert_eq!(parse_offset("-03:30"), Offset::from_seconds(-3 * 3600 - 1800).ok());
        for bad in ["", "09:00", "+9", "+09:60", "+99:00", "+é:00"] {
            assert_eq!(parse_offset(bad), None, "{bad}");
        }
        assert_eq!(fraction("25"), Some(SignedDuration::from_millis(250)));
        assert_eq!(fraction("x"), None);
    }

    #[test]
    fn no_metadata_is_no_error() {
        assert_eq!(read(b"no photo at all", Offset::UTC), Metadata::default());
    }
}
