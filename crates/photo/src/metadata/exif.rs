//! Reads the EXIF block (CIPA DC-008): time, position, camera and exposure.

use exif::{Exif, In, Tag, Value};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use bridgeclip_domain::{Camera, Exposure, FixQuality, Position, PositionSource};

use super::values::{Metadata, Positions};
use crate::Orientation;

/// Maximum length of a text in bytes; longer texts are cut. Names are shorter.
const TEXT_BYTES_MAX: usize = 128;

/// Reads as much of the block as is intelligible. `local` is the UTC offset of camera clocks that do not record one.
pub fn read(block: &[u8], local: Offset) -> Metadata {
    let Some(exif) = parse(block) else { return Metadata::default() };
    Metadata {
        taken: taken(&exif, local),
        gps_time: gps_time(&exif),
        positions: Positions { exif: position(&exif), ..Positions::default() },
        heading_deg: heading(&exif),
        orientation: orientation_of(&exif),
        camera: camera(&exif),
        exposure: exposure(&exif),
        drone: None,
    }
}

/// Returns the orientation of the stored pixels, upright if the block does not give one.
pub fn orientation(block: &[u8]) -> Orientation {
    parse(block).as_ref().map(orientation_of).unwrap_or_default()
}

/// Parses a block, or as much of it as possible if it is damaged.
fn parse(block: &[u8]) -> Option<Exif> {
    let mut block = block.to_vec();
    unify_pointers(&mut block);
    let mut reader = exif::Reader::new();
    reader.continue_on_error(true);
    reader.read_raw(block).or_else(|error| error.distill_partial_result(|_| ())).ok()
}

/// Tags of the pointers to the directories of the exposure and of the position (CIPA DC-008, 4.6.3).
const POINTERS: [u16; 2] = [0x8769, 0x8825];
/// Types under which some cameras write pointers: SLONG (9), and IFD (13) of TIFF's supplement 1. The parser follows
/// LONG (4) alone.
const POINTER_TYPES: [u16; 2] = [9, 13];
const LONG: u16 = 4;

/// Gives the pointers of the first directory the type that EXIF prescribes.
fn unify_pointers(block: &mut [u8]) -> Option<()> {
    let little = match block.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |bytes: [u8; 2]| if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
    let start = block.get(4..)?.first_chunk::<4>()?;
    let start = if little { u32::from_le_bytes(*start) } else { u32::from_be_bytes(*start) } as usize;
    let entries = usize::from(short(*block.get(start..)?.first_chunk()?));
    for entry in block.get_mut(start + 2..)?.chunks_exact_mut(12).take(entries) {
        let (tag, kind) = (short([entry[0], entry[1]]), short([entry[2], entry[3]]));
        if POINTERS.contains(&tag) && POINTER_TYPES.contains(&kind) {
            entry[2..4].copy_from_slice(&if little { LONG.to_le_bytes() } else { LONG.to_be_bytes() });
        }
    }
    Some(())
}

fn orientation_of(exif: &Exif) -> Orientation {
    Orientation::from_exif(whole(exif, Tag::Orientation).unwrap_or(1))
}

fn text(exif: &Exif, tag: Tag) -> Option<String> {
    let Value::Ascii(parts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    let text = String::from_utf8_lossy(parts.first()?.get(..TEXT_BYTES_MAX).unwrap_or(parts.first()?));
    let text: String = text.trim_matches(['\0', ' ']).chars().filter(|letter| !letter.is_control()).collect();
    (!text.is_empty()).then_some(text)
}

/// Returns a whole number that is not negative.
fn whole(exif: &Exif, tag: Tag) -> Option<u32> {
    let value = number(exif, tag)?;
    (value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value)).then_some(value as u32)
}

/// Returns up to three values of a tag, of whatever numeric type the camera wrote; NaN for a fraction over zero. No tag
/// that is read here has more values.
fn numbers(exif: &Exif, tag: Tag) -> Option<Vec<f64>> {
    fn first<T: Copy>(values: &[T], number: impl Fn(T) -> f64) -> Vec<f64> {
        values.iter().take(3).map(|value| number(*value)).collect()
    }
    Some(match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Rational(values) => first(values, |value| value.to_f64()),
        Value::SRational(values) => first(values, |value| value.to_f64()),
        Value::Byte(values) => first(values, f64::from),
        Value::Short(values) => first(values, f64::from),
        Value::Long(values) => first(values, f64::from),
        Value::SByte(values) => first(values, f64::from),
        Value::SShort(values) => first(values, f64::from),
        Value::SLong(values) => first(values, f64::from),
        Value::Float(values) => first(values, f64::from),
        Value::Double(values) => first(values, f64::from),
        Value::Ascii(_) | Value::Undefined(..) | Value::Unknown(..) => return None,
    })
}

/// Returns the first value of a tag if it is finite.
fn number(exif: &Exif, tag: Tag) -> Option<f64> {
    numbers(exif, tag)?.first().copied().filter(|value| value.is_finite())
}

/// Returns a positive number. Zero means unknown in tags where it makes no sense.
fn positive(exif: &Exif, tag: Tag) -> Option<f64> {
    number(exif, tag).filter(|value| *value > 0.0)
}

fn camera(exif: &Exif) -> Camera {
    Camera {
        make: text(exif, Tag::Make),
        model: text(exif, Tag::Model),
        serial: text(exif, Tag::BodySerialNumber),
        lens: text(exif, Tag::LensModel),
    }
}

fn exposure(exif: &Exif) -> Exposure {
    let focal_length_35mm = whole(exif, Tag::FocalLengthIn35mmFilm).filter(|length| *length > 0);
    Exposure {
        time_s: positive(exif, Tag::ExposureTime),
        f_number: positive(exif, Tag::FNumber),
        iso: whole(exif, Tag::PhotographicSensitivity).filter(|iso| *iso > 0),
        focal_length_mm: positive(exif, Tag::FocalLength),
        focal_length_35mm_mm: focal_length_35mm.map(f64::from),
    }
}

/// Tags of one moment: its date and time, its fraction of a second, and its offset from UTC.
type MomentTags = [Tag; 3];

/// Moments of a photo, the most trusted first: the exposure, the digitisation, which a camera makes at the same moment,
/// and the last change of the file, which an editor may have made (CIPA DC-008, 4.6.5).
const MOMENTS: [MomentTags; 3] = [
    [Tag::DateTimeOriginal, Tag::SubSecTimeOriginal, Tag::OffsetTimeOriginal],
    [Tag::DateTimeDigitized, Tag::SubSecTimeDigitized, Tag::OffsetTimeDigitized],
    [Tag::DateTime, Tag::SubSecTime, Tag::OffsetTime],
];

/// Returns the first of the photo's moments that is a time.
fn taken(exif: &Exif, local: Offset) -> Option<Timestamp> {
    MOMENTS.iter().find_map(|tags| moment(exif, tags, local))
}

fn moment(exif: &Exif, [time, fraction_of, offset_of]: &MomentTags, local: Offset) -> Option<Timestamp> {
    let (civil, own_fraction) = parse_civil(&text(exif, *time)?)?;
    // One clock writes all of a camera's moments, so an offset beside any of them is that of all.
    let offsets = [*offset_of].into_iter().chain(MOMENTS.map(|[.., offset]| offset));
    let offset = offsets.filter_map(|tag| parse_offset(&text(exif, tag)?)).next().unwrap_or(local);
    let fraction = own_fraction.or_else(|| fraction(&text(exif, *fraction_of)?));
    offset.to_timestamp(civil).ok()?.checked_add(fraction.unwrap_or_default()).ok()
}

/// Parses a date and time of EXIF, with the fraction of a second that some cameras append. Phones that count the hours
/// of a day from 1 to 24 (`kk` in Java) write the hour after midnight as 24 of the day that has begun.
fn parse_civil(text: &str) -> Option<(DateTime, Option<SignedDuration>)> {
    let (text, fraction_of) = match text.split_once('.') {
        Some((text, digits)) => (text, fraction(digits)),
        None => (text, None),
    };
    let civil = DateTime::strptime("%Y:%m:%d %H:%M:%S", text.replace(" 24:", " 00:")).ok()?;
    Some((civil, fraction_of))
}

/// Parses a UTC offset such as `+09:00`, as EXIF 2.31 writes it, or `Z`, up to 14 hours. `None` for anything else.
pub fn parse_offset(text: &str) -> Option<Offset> {
    if text.eq_ignore_ascii_case("z") {
        return Some(Offset::UTC);
    }
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

/// Parses the digits after the decimal point of a second, at most nine of them.
fn fraction(digits: &str) -> Option<SignedDuration> {
    let digits = digits.get(..digits.len().min(9))?;
    let value: i64 = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some(SignedDuration::from_nanos(value * 10_i64.pow(9 - digits.len() as u32)))
}

/// Returns the moment of the position from its UTC date and time of day.
fn gps_time(exif: &Exif) -> Option<Timestamp> {
    let date = text(exif, Tag::GPSDateStamp)?;
    let time = numbers(exif, Tag::GPSTimeStamp)?;
    let [hours, minutes, seconds] = time.as_slice() else { return None };
    let midnight = DateTime::strptime("%Y:%m:%d %H:%M:%S", format!("{date} 00:00:00")).ok()?;
    let seconds = hours * 3600.0 + minutes * 60.0 + seconds;
    let since_midnight =
        (0.0..86_401.0).contains(&seconds).then(|| SignedDuration::try_from_secs_f64(seconds).ok())??;
    Offset::UTC.to_timestamp(midnight).ok()?.checked_add(since_midnight).ok()
}

fn position(exif: &Exif) -> Option<Position> {
    // `V` means a receiver without a fix.
    if text(exif, Tag::GPSStatus).is_some_and(|status| status == "V") {
        return None;
    }
    let latitude_deg = degrees(exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, ['N', 'S'], 90.0)?;
    let longitude_deg = degrees(exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, ['E', 'W'], 180.0)?;
    // A position at exactly 0, 0 also comes from a receiver without a fix.
    (latitude_deg != 0.0 || longitude_deg != 0.0).then(|| Position {
        latitude_deg,
        longitude_deg,
        altitude_m: altitude(exif),
        source: PositionSource::Exif,
        // For a three-dimensional fix this tag is the PDOP, which is never smaller than the HDOP.
        hdop: positive(exif, Tag::GPSDOP),
        std_m: positive(exif, Tag::GPSHPositioningError),
        quality: quality(exif),
        age_s: None,
    })
}

fn quality(exif: &Exif) -> Option<FixQuality> {
    match whole(exif, Tag::GPSDifferential)? {
        0 => Some(FixQuality::Autonomous),
        1 => Some(FixQuality::Differential),
        _ => None,
    }
}

/// Returns degrees, minutes and seconds with the sign of their hemisphere; `None` beyond `limit`. `hemispheres` are the
/// letters of the positive and the negative one.
fn degrees(exif: &Exif, tag: Tag, reference: Tag, hemispheres: [char; 2], limit: f64) -> Option<f64> {
    let parts = numbers(exif, tag)?;
    let [degrees, minutes, seconds] = *parts.as_slice() else { return None };
    // Cameras that write minutes with a fraction leave the seconds undefined (0/0).
    let seconds = if seconds.is_nan() { 0.0 } else { seconds };
    if !(0.0..60.0).contains(&minutes.abs()) || !(0.0..60.0).contains(&seconds.abs()) {
        return None;
    }
    let value = degrees.abs() + minutes.abs() / 60.0 + seconds.abs() / 3600.0;
    // A letter, or a word such as "South". Anything else does not tell the hemisphere.
    let letter = text(exif, reference)?.chars().next()?.to_ascii_uppercase();
    let sign = [1.0, -1.0][hemispheres.iter().position(|hemisphere| *hemisphere == letter)?];
    (value <= limit).then_some(sign * value)
}

/// Altitude in metres, on either side of zero, beyond which a value is an error.
const ALTITUDE_M_MAX: f64 = 20_000.0;

/// Returns the altitude in metres. References 1 and 3 mean below sea level or the ellipsoid.
fn altitude(exif: &Exif) -> Option<f64> {
    let metres = number(exif, Tag::GPSAltitude).filter(|metres| metres.abs() <= ALTITUDE_M_MAX)?;
    let below = whole(exif, Tag::GPSAltitudeRef).is_some_and(|reference| reference == 1 || reference == 3);
    // A signed altitude may have both a sign and a reference, which say the same.
    Some(if below { -metres.abs() } else { metres })
}

/// Returns the camera's direction in degrees from true north. A magnetic direction is left out, because it would need
/// the local declination.
fn heading(exif: &Exif) -> Option<f64> {
    let is_true = text(exif, Tag::GPSImgDirectionRef).is_none_or(|reference| reference == "T");
    number(exif, Tag::GPSImgDirection).filter(|degrees| is_true && (0.0..=360.0).contains(degrees))
}

#[cfg(test)]
pub mod tests {
    use std::io::Cursor;

    use exif::experimental::Writer;
    use exif::{Field, Rational};

    use super::*;

    fn ascii(text: &str) -> Value {
        Value::Ascii(vec![text.as_bytes().to_vec()])
    }

    fn fractions(values: &[(u32, u32)]) -> Value {
        Value::Rational(values.iter().map(|&(num, denom)| Rational { num, denom }).collect())
    }

    fn fields() -> Vec<(Tag, Value)> {
        vec![
            (Tag::Make, ascii("DJI")),
            (Tag::Model, ascii("M3E ")),
            (Tag::Orientation, Value::Short(vec![6])),
            (Tag::DateTimeOriginal, ascii("2026:05:09 07:30:33")),
            (Tag::OffsetTimeOriginal, ascii("+09:00")),
            (Tag::SubSecTimeOriginal, ascii("25")),
            (Tag::BodySerialNumber, ascii("1581F")),
            (Tag::LensModel, ascii("24 mm")),
            (Tag::ExposureTime, fractions(&[(1, 800)])),
            (Tag::FNumber, fractions(&[(28, 10)])),
            (Tag::PhotographicSensitivity, Value::Short(vec![100])),
            (Tag::FocalLength, fractions(&[(1229, 100)])),
            (Tag::FocalLengthIn35mmFilm, Value::Short(vec![24])),
            (Tag::GPSLatitudeRef, ascii("S")),
            (Tag::GPSLatitude, fractions(&[(35, 1), (30, 1), (1800, 100)])),
            (Tag::GPSLongitudeRef, ascii("W")),
            (Tag::GPSLongitude, fractions(&[(139, 1), (45, 1), (0, 1)])),
            (Tag::GPSAltitudeRef, Value::Byte(vec![1])),
            (Tag::GPSAltitude, fractions(&[(123, 10)])),
            (Tag::GPSDOP, fractions(&[(12, 10)])),
            (Tag::GPSHPositioningError, fractions(&[(25, 10)])),
            (Tag::GPSDifferential, Value::Short(vec![1])),
            (Tag::GPSDateStamp, ascii("2026:05:08")),
            (Tag::GPSTimeStamp, fractions(&[(22, 1), (30, 1), (325, 10)])),
            (Tag::GPSImgDirectionRef, ascii("T")),
            (Tag::GPSImgDirection, fractions(&[(1805, 10)])),
        ]
    }

    fn written(fields: Vec<(Tag, Value)>) -> Vec<u8> {
        let fields: Vec<Field> =
            fields.into_iter().map(|(tag, value)| Field { tag, ifd_num: In::PRIMARY, value }).collect();
        let mut writer = Writer::new();
        for field in &fields {
            writer.push_field(field);
        }
        let mut block = Cursor::new(Vec::new());
        writer.write(&mut block, true).expect("writes");
        block.into_inner()
    }

    /// An EXIF block with every tag that is read.
    pub fn block() -> Vec<u8> {
        written(fields())
    }

    /// Metadata of the block with one tag changed or added.
    fn with(tag: Tag, value: Value) -> Metadata {
        let mut fields = fields();
        fields.retain(|(known, _)| *known != tag);
        fields.push((tag, value));
        read(&written(fields), Offset::UTC)
    }

    #[test]
    fn every_tag_is_read() {
        let metadata = read(&block(), Offset::UTC);
        assert_eq!(metadata.taken, time("2026-05-08T22:30:33.25Z"));
        assert_eq!(metadata.gps_time, time("2026-05-08T22:30:32.5Z"));
        assert_eq!((metadata.heading_deg, metadata.orientation), (Some(180.5), Orientation::from_exif(6)));
        let some = |text: &str| Some(text.to_owned());
        let camera = Camera { make: some("DJI"), model: some("M3E"), serial: some("1581F"), lens: some("24 mm") };
        assert_eq!(metadata.camera, camera);
        let exposure = Exposure {
            time_s: Some(1.0 / 800.0),
            f_number: Some(2.8),
            iso: Some(100),
            focal_length_mm: Some(12.29),
            focal_length_35mm_mm: Some(24.0),
        };
        assert_eq!(metadata.exposure, exposure);
        let position = Position {
            latitude_deg: -35.505,
            longitude_deg: -139.75,
            altitude_m: Some(-12.3),
            source: PositionSource::Exif,
            hdop: Some(1.2),
            std_m: Some(2.5),
            quality: Some(FixQuality::Differential),
            age_s: None,
        };
        assert_eq!(metadata.positions, Positions { exif: Some(position), ..Positions::default() });
        assert_eq!(metadata.drone, None);
    }

    fn time(text: &str) -> Option<Timestamp> {
        Some(text.parse().expect("a time"))
    }

    /// The moment of a block with these fields alone, for a camera in Japan.
    fn taken_of(fields: &[(Tag, &str)]) -> Option<Timestamp> {
        let fields = fields.iter().map(|(tag, text)| (*tag, ascii(text))).collect();
        read(&written(fields), Offset::constant(9)).taken
    }

    #[test]
    fn a_moment_is_found_wherever_the_camera_wrote_it() {
        use Tag as T;
        type Case = (&'static [(Tag, &'static str)], Option<&'static str>);
        let cases: [Case; 10] = [
            (
                &[(T::DateTimeDigitized, "2021:01:27 15:09:51"), (T::OffsetTimeDigitized, "-08:00")],
                Some("2021-01-27T23:09:51Z"),
            ),
            (
                &[(T::DateTimeOriginal, "0000:00:00 00:00:00"), (T::DateTimeDigitized, "2026:05:09 19:11:12")],
                Some("2026-05-09T10:11:12Z"),
            ),
            (
                &[(T::DateTime, "2026:05:09 19:11:12"), (T::OffsetTime, "+09:00"), (T::SubSecTime, "5")],
                Some("2026-05-09T10:11:12.5Z"),
            ),
            (&[(T::DateTimeOriginal, "2026:05:09 12:11:12"), (T::OffsetTime, "+02:00")], Some("2026-05-09T10:11:12Z")),
            (
                &[(T::DateTimeOriginal, "2026:05:09 10:11:12"), (T::OffsetTimeOriginal, "Z")],
                Some("2026-05-09T10:11:12Z"),
            ),
            (&[(T::DateTimeOriginal, "2026:05:09 24:08:19")], Some("2026-05-08T15:08:19Z")),
            (
                &[(T::DateTimeOriginal, "2026:12:31 24:00:00"), (T::OffsetTimeOriginal, "Z")],
                Some("2026-12-31T00:00:00Z"),
            ),
            (
                &[(T::DateTimeOriginal, "2026:05:09 19:11:12.25"), (T::SubSecTimeOriginal, "99")],
                Some("2026-05-09T10:11:12.25Z"),
            ),
            (&[(T::DateTimeOriginal, "2026:05:09 25:11:12")], None),
            (&[(T::DateTimeOriginal, "    :  :     :  :  ")], None),
        ];
        for (fields, expected) in cases {
            assert_eq!(taken_of(fields), expected.and_then(time), "{fields:?}");
        }
    }

    #[test]
    fn positions_are_read_whatever_numbers_they_are_written_in() {
        let latitude = |value| with(Tag::GPSLatitude, value).positions.exif.map(|at| at.latitude_deg);
        let signed = |values: &[(i32, i32)]| {
            Value::SRational(values.iter().map(|&(num, denom)| exif::SRational { num, denom }).collect())
        };
        assert_eq!(latitude(signed(&[(35, 1), (30, 1), (1800, 100)])), Some(-35.505));
        assert_eq!(latitude(signed(&[(-35, 1), (30, 1), (1800, 100)])), Some(-35.505), "the reference says S too");
        assert_eq!(latitude(fractions(&[(35, 1), (303, 10), (0, 0)])), Some(-35.505));
        assert_eq!(latitude(Value::Double(vec![35.0, 30.0, 18.0])), Some(-35.505));
        assert_eq!(latitude(Value::Short(vec![35, 30, 18])), Some(-35.505));
        assert_eq!(latitude(fractions(&[(35, 1), (60, 1), (0, 1)])), None);
        assert_eq!(latitude(fractions(&[(35, 1), (0, 0), (0, 1)])), None);
        assert_eq!(
            with(Tag::GPSAltitude, fractions(&[(u32::MAX, 1)])).positions.exif.expect("a place").altitude_m,
            None
        );
        let below = with(Tag::GPSAltitude, signed(&[(-123, 10)]));
        assert_eq!(below.positions.exif.expect("a place").altitude_m, Some(-12.3));
    }

    #[test]
    fn pointers_of_other_types_are_followed() {
        let block = block();
        let start = u32::from_le_bytes(*block[4..].first_chunk().expect("a pointer")) as usize;
        assert!(block.starts_with(b"II*\0"), "little-endian, as the writer makes it");
        for kind in [9, 13] {
            let mut other = block.clone();
            for entry in other[start + 2..].chunks_exact_mut(12) {
                if POINTERS.contains(&u16::from_le_bytes([entry[0], entry[1]])) {
                    entry[2] = kind;
                }
            }
            assert_ne!(other, block);
            assert_eq!(read(&other, Offset::UTC), read(&block, Offset::UTC), "type {kind}");
        }
    }

    #[test]
    fn signs_follow_the_references() {
        let latitude = |reference| with(Tag::GPSLatitudeRef, ascii(reference)).positions.exif.map(|at| at.latitude_deg);
        assert_eq!([latitude("N"), latitude("n"), latitude("s")], [Some(35.505), Some(35.505), Some(-35.505)]);
        assert_eq!([latitude("South"), latitude("North"), latitude("?")], [Some(-35.505), Some(35.505), None]);
        let altitude = |reference| {
            with(Tag::GPSAltitudeRef, Value::Byte(vec![reference])).positions.exif.and_then(|at| at.altitude_m)
        };
        assert_eq!([0, 1, 2, 3].map(altitude), [Some(12.3), Some(-12.3), Some(12.3), Some(-12.3)]);
    }

    #[test]
    fn positions_without_a_fix_or_beyond_the_earth_are_left_out() {
        let nothing = |tag, value| assert_eq!(with(tag, value).positions.exif, None);
        nothing(Tag::GPSStatus, ascii("V"));
        nothing(Tag::GPSLatitude, fractions(&[(90, 1), (0, 1), (1, 1)]));
        nothing(Tag::GPSLongitude, fractions(&[(181, 1), (0, 1), (0, 1)]));
        nothing(Tag::GPSLatitude, fractions(&[(35, 0), (0, 1), (0, 1)]));
        nothing(Tag::GPSLatitude, fractions(&[(35, 1)]));
        nothing(Tag::GPSLatitude, ascii("35"));
        let mut nowhere = fields();
        nowhere.retain(|(tag, _)| *tag != Tag::GPSLatitude && *tag != Tag::GPSLongitude);
        nowhere.push((Tag::GPSLatitude, fractions(&[(0, 1), (0, 1), (0, 1)])));
        nowhere.push((Tag::GPSLongitude, fractions(&[(0, 1), (0, 1), (0, 1)])));
        assert_eq!(read(&written(nowhere), Offset::UTC).positions.exif, None);
    }

    #[test]
    fn values_that_mean_nothing_are_left_out() {
        assert_eq!(with(Tag::FNumber, fractions(&[(0, 0)])).exposure.f_number, None);
        assert_eq!(with(Tag::ExposureTime, fractions(&[(0, 1)])).exposure.time_s, None);
        assert_eq!(with(Tag::FocalLengthIn35mmFilm, Value::Short(vec![0])).exposure.focal_length_35mm_mm, None);
        assert_eq!(with(Tag::DateTimeOriginal, ascii("0000:00:00 00:00:00")).taken, None);
        assert_eq!(with(Tag::GPSTimeStamp, fractions(&[(25, 1), (0, 1), (0, 1)])).gps_time, None);
        assert_eq!(with(Tag::GPSImgDirectionRef, ascii("M")).heading_deg, None);
        assert_eq!(with(Tag::Orientation, Value::Short(vec![9])).orientation, Orientation::UPRIGHT);
        assert_eq!(with(Tag::Make, ascii("   ")).camera.make, None);
        assert_eq!(with(Tag::Make, ascii(&"x".repeat(5000))).camera.make.map(|make| make.len()), Some(TEXT_BYTES_MAX));
    }

    #[test]
    fn a_clock_without_offset_is_local() {
        let mut fields = fields();
        fields.retain(|(tag, _)| *tag != Tag::OffsetTimeOriginal);
        let taken = read(&written(fields), Offset::constant(-3)).taken;
        assert_eq!(taken, "2026-05-09T10:30:33.25Z".parse().ok());
    }

    #[test]
    fn damage_and_impossible_lengths_end_well() {
        let block = block();
        for length in 0..block.len() {
            read(&block[..length], Offset::UTC);
        }
        for at in 0..block.len() {
            let mut damaged = block.clone();
            damaged[at] = !damaged[at];
            read(&damaged, Offset::UTC);
        }
        // A text of a gigabyte, announced in a block of 26 bytes.
        let mut huge = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0".to_vec();
        huge.extend(1_u32.wrapping_shl(30).to_le_bytes());
        huge.extend([0; 8]);
        assert_eq!(read(&huge, Offset::UTC), Metadata::default());
    }

    #[test]
    fn offsets_and_fractions() {
        assert_eq!(parse_offset("+09:00"), Offset::from_seconds(9 * 3600).ok());
        assert_eq!(parse_offset("-03:30"), Offset::from_seconds(-3 * 3600 - 1800).ok());
        for bad in ["", "09:00", "+9", "+09:60", "+99:00", "+é:00"] {
            assert_eq!(parse_offset(bad), None, "{bad}");
        }
        assert_eq!(fraction("25"), Some(SignedDuration::from_millis(250)));
        assert_eq!([fraction("x"), fraction("+5"), fraction("-5")], [None; 3]);
    }
}
