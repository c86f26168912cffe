use std::io::Cursor;

use ::exif::experimental::Writer;
use ::exif::{Field, In, Rational, SRational, Tag, Value};
use bridgeclip_domain::{AltitudeAbove, FixQuality, Position, PositionSource};
use jiff::Timestamp;
use jiff::tz::Offset;

use super::*;
use crate::Blocks;
use crate::metadata::{MomentKind, Moments};

fn ascii(text: &str) -> Value {
    Value::Ascii(vec![text.as_bytes().to_vec()])
}

fn fractions(values: &[(u32, u32)]) -> Value {
    Value::Rational(values.iter().map(|&(num, denom)| Rational { num, denom }).collect())
}

fn signed(values: &[(i32, i32)]) -> Value {
    Value::SRational(values.iter().map(|&(num, denom)| SRational { num, denom }).collect())
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
        (Tag::GPSSpeedRef, ascii("K")),
        (Tag::GPSSpeed, fractions(&[(36, 1)])),
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

/// The same block as a drone writes it without a position: empty references and zeros.
pub fn without_a_position() -> Vec<u8> {
    let mut fields = fields();
    for (tag, value) in &mut fields {
        match *tag {
            Tag::GPSLatitude | Tag::GPSLongitude => *value = fractions(&[(0, 1), (0, 1), (0, 1)]),
            Tag::GPSLatitudeRef | Tag::GPSLongitudeRef => *value = ascii(""),
            _ => (),
        }
    }
    written(fields)
}

fn read(block: &[u8]) -> Metadata {
    crate::metadata::read_blocks(&Blocks { exif: Some(block), xmp: None })
}

/// Metadata of the block with these tags changed or added, and those without a value removed.
fn edited(edits: &[(Tag, Option<Value>)]) -> Metadata {
    let mut fields = fields();
    fields.retain(|(known, _)| edits.iter().all(|(tag, _)| tag != known));
    fields.extend(edits.iter().filter_map(|(tag, value)| Some((*tag, value.clone()?))));
    read(&written(fields))
}

fn with(tag: Tag, value: Value) -> Metadata {
    edited(&[(tag, Some(value))])
}

fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().expect("a time"))
}

#[test]
fn every_tag_is_read() {
    let metadata = read(&block());
    let camera = CameraMoment {
        civil: "2026-05-09T07:30:33.25".parse().expect("a time"),
        offset: Some(Offset::constant(9)),
        has_fraction: true,
        kind: MomentKind::Original,
    };
    let moments = Moments { camera: Some(camera), gps: time("2026-05-08T22:30:32.5Z"), utc: None };
    assert_eq!(metadata.moments, moments);
    assert_eq!(metadata.taken(Offset::UTC), time("2026-05-08T22:30:33.25Z"));
    assert_eq!((metadata.heading_deg, metadata.orientation), (Some(180.5), Orientation::from_exif(6)));
    assert_eq!(metadata.speed_mps, Some(10.0));
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
        altitude_m: Some(-12.3),
        hdop: Some(1.2),
        std_m: Some(2.5),
        quality: Some(FixQuality::Differential),
        age_s: Some(0.75),
        ..Position::at(-35.505, -139.75, PositionSource::Exif)
    };
    assert_eq!(metadata.positions, Positions { exif: Some(position), ..Positions::default() });
    assert_eq!(metadata.drone, None);
}

/// The moment of a block with these fields alone, for a camera in Japan.
fn taken_of(fields: &[(Tag, &str)]) -> Option<Timestamp> {
    let fields = fields.iter().map(|(tag, text)| (*tag, ascii(text))).collect();
    read(&written(fields)).taken(Offset::constant(9))
}

#[test]
fn a_moment_is_found_wherever_the_camera_wrote_it() {
    use Tag as T;
    type Case = (&'static [(Tag, &'static str)], Option<&'static str>);
    let cases: [Case; 13] = [
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
        (&[(T::DateTimeOriginal, "2026:05:09 10:11:12"), (T::OffsetTimeOriginal, "Z")], Some("2026-05-09T10:11:12Z")),
        (
            &[
                (T::DateTimeOriginal, "2026:05:09 12:11:12"),
                (T::OffsetTimeOriginal, "   :  "),
                (T::OffsetTime, "+0200"),
            ],
            Some("2026-05-09T10:11:12Z"),
        ),
        (&[(T::DateTimeOriginal, "2026:05:09 24:08:19")], Some("2026-05-08T15:08:19Z")),
        (&[(T::DateTimeOriginal, "2026:12:31 24:00:00"), (T::OffsetTimeOriginal, "Z")], Some("2026-12-31T00:00:00Z")),
        (
            &[(T::DateTimeOriginal, "2026:05:09 19:11:12.25"), (T::SubSecTimeOriginal, "99")],
            Some("2026-05-09T10:11:12.25Z"),
        ),
        (&[(T::DateTimeOriginal, "2026:05:09 19:11:12+02:00")], Some("2026-05-09T17:11:12Z")),
        (&[(T::DateTimeOriginal, "2026-05-09T19:11:12")], Some("2026-05-09T10:11:12Z")),
        (&[(T::DateTimeOriginal, "2026:05:09 25:11:12")], None),
        (&[(T::DateTimeOriginal, "    :  :     :  :  ")], None),
    ];
    for (fields, expected) in cases {
        assert_eq!(taken_of(fields), expected.and_then(time), "{fields:?}");
    }
}

#[test]
fn the_kind_and_the_precision_of_a_moment_are_told() {
    let camera = |fields: &[(Tag, &str)]| {
        let fields = fields.iter().map(|(tag, text)| (*tag, ascii(text))).collect();
        read(&written(fields)).moments.camera.map(|moment| (moment.kind, moment.has_fraction, moment.offset))
    };
    let text = "2026:05:09 19:11:12";
    assert_eq!(camera(&[(Tag::DateTime, text)]), Some((MomentKind::Changed, false, None)));
    assert_eq!(
        camera(&[(Tag::DateTime, text), (Tag::DateTimeDigitized, text)]),
        Some((MomentKind::Digitized, false, None))
    );
    let zeros = [(Tag::DateTimeOriginal, text), (Tag::SubSecTimeOriginal, "00")];
    assert_eq!(camera(&zeros), Some((MomentKind::Original, false, None)));
    let fraction = [(Tag::DateTimeOriginal, text), (Tag::SubSecTimeOriginal, "017")];
    assert_eq!(camera(&fraction), Some((MomentKind::Original, true, None)));
}

#[test]
fn the_time_of_the_position_in_every_form() {
    let gps = |edits: &[(Tag, Option<Value>)]| edited(edits).moments.gps;
    let time_of_day = |value| gps(&[(Tag::GPSTimeStamp, Some(value))]);
    let expected = time("2026-05-08T22:30:32.5Z");
    assert_eq!(time_of_day(signed(&[(22, 1), (30, 1), (65, 2)])), expected);
    assert_eq!(time_of_day(Value::Double(vec![22.0, 30.0, 32.5])), expected);
    assert_eq!(time_of_day(ascii("22:30:32.5")), expected);
    assert_eq!(time_of_day(ascii("22 30 32.5")), expected);
    assert_eq!(time_of_day(fractions(&[(22, 1), (30, 1), (60, 1)])), time("2026-05-08T22:31:00Z"));
    for bad in
        [[(25, 1), (0, 1), (0, 1)], [(22, 1), (60, 1), (0, 1)], [(22, 1), (30, 1), (61, 1)], [(22, 1), (30, 0), (0, 1)]]
    {
        assert_eq!(time_of_day(fractions(&bad)), None, "{bad:?}");
    }
    let date = |value| gps(&[(Tag::GPSDateStamp, value)]);
    let form = |text: &str| date(Some(ascii(text)));
    for text in ["2026:5:8", "2026-05-08", "20260508", "2026/05/08", "2026:05:08 22:30:32"] {
        assert_eq!(form(text), expected, "{text}");
    }
    assert_eq!(date(Some(Value::Undefined(b"2026\x0005\x0008".to_vec(), 0))), expected);
    // Without a date, the camera's clock tells the day.
    assert_eq!([date(None), form("0"), form("0000:00:00"), form("  ")], [expected; 4]);
    assert_eq!([form("1980:01:06"), form("2006:09:22"), form("2101:01:01")], [None; 3], "no receiver's time");
    let tokyo_morning = [(Tag::GPSDateStamp, None), (Tag::OffsetTimeOriginal, None)];
    assert_eq!(gps(&tokyo_morning), expected, "the zone is nine hours to the east");
}

#[test]
fn the_age_of_a_position_shows() {
    let age = |hours, edits: &[(Tag, Option<Value>)]| {
        let time = (Tag::GPSTimeStamp, Some(fractions(&[(hours, 1), (30, 1), (33, 1)])));
        edited(&[edits, &[time]].concat()).positions.exif.expect("a place").age_s
    };
    assert_eq!([age(22, &[]), age(21, &[])], [Some(0.25), Some(3600.25)]);
    assert_eq!(age(22, &[(Tag::GPSDateStamp, Some(ascii("2026:04:29")))]), Some(9.0 * 86_400.0 + 0.25));
    assert_eq!(age(22, &[(Tag::OffsetTimeOriginal, None)]), None);
}

#[test]
fn positions_are_read_whatever_numbers_they_are_written_in() {
    let latitude = |value| with(Tag::GPSLatitude, value).positions.exif.map(|at| at.latitude_deg);
    assert_eq!(latitude(signed(&[(35, 1), (30, 1), (1800, 100)])), Some(-35.505));
    assert_eq!(latitude(signed(&[(-35, 1), (30, 1), (1800, 100)])), Some(-35.505), "the reference says S too");
    assert_eq!(latitude(fractions(&[(35, 1), (303, 10), (0, 0)])), Some(-35.505));
    assert_eq!(latitude(fractions(&[(35, 1), (303, 10)])), Some(-35.505));
    assert_eq!(latitude(Value::Double(vec![35.0, 30.0, 18.0])), Some(-35.505));
    assert_eq!(latitude(Value::Double(vec![35.505])), Some(-35.505));
    assert_eq!(latitude(Value::Short(vec![35, 30, 18])), Some(-35.505));
    assert_eq!(latitude(ascii("35.505")), Some(-35.505));
    assert_eq!(latitude(ascii("35 30 18.0")), Some(-35.505));
    assert_eq!(latitude(fractions(&[(35, 1), (29, 1), (6000, 100)])), Some(-35.5), "rounded up to 60 seconds");
    assert_eq!(latitude(fractions(&[(35, 1), (61, 1), (0, 1)])), None);
    assert_eq!(latitude(fractions(&[(35, 1), (0, 1), (61, 1)])), None);
    assert_eq!(latitude(fractions(&[(35, 1), (0, 0), (0, 1)])), None);
}

#[test]
fn pointers_of_other_types_are_followed() {
    let block = block();
    let start = u32::from_le_bytes(*block[4..].first_chunk().expect("a pointer")) as usize;
    assert!(block.starts_with(b"II*\0"), "little-endian, as the writer makes it");
    for kind in [9, 13] {
        let mut other = block.clone();
        for entry in other[start + 2..].chunks_exact_mut(12) {
            if [0x8769, 0x8825].contains(&u16::from_le_bytes([entry[0], entry[1]])) {
                entry[2] = kind;
            }
        }
        assert_ne!(other, block);
        assert_eq!(read(&other), read(&block), "type {kind}");
    }
}

#[test]
fn signs_follow_the_references() {
    let latitude = |reference| with(Tag::GPSLatitudeRef, ascii(reference)).positions.exif.map(|at| at.latitude_deg);
    assert_eq!([latitude("N"), latitude("n"), latitude("s")], [Some(35.505), Some(35.505), Some(-35.505)]);
    assert_eq!([latitude("South"), latitude("North"), latitude("?")], [Some(-35.505), Some(35.505), None]);
    let bytes = with(Tag::GPSLatitudeRef, Value::Undefined(b"N\0".to_vec(), 0)).positions.exif;
    assert_eq!(bytes.map(|at| at.latitude_deg), Some(35.505));
}

#[test]
fn without_a_reference_only_a_negative_value_tells_its_hemisphere() {
    let latitude = |reference: Option<&str>, degrees: i32| {
        let value = signed(&[(degrees, 1), (30, 1), (18, 1)]);
        let edits = [(Tag::GPSLatitudeRef, reference.map(ascii)), (Tag::GPSLatitude, Some(value))];
        edited(&edits).positions.exif.map(|at| at.latitude_deg)
    };
    assert_eq!([latitude(None, 35), latitude(None, -35)], [None, Some(-35.505)]);
    assert_eq!(latitude(Some("N"), -35), Some(-35.505), "a program that always writes N");
}

#[test]
fn altitudes_say_from_where_they_count() {
    let altitude = |make: &str, version: &str, reference| {
        let edits = [
            (Tag::Make, Some(ascii(make))),
            (Tag::ExifVersion, Some(Value::Undefined(version.as_bytes().to_vec(), 0))),
            (Tag::GPSAltitudeRef, Some(Value::Byte(vec![reference]))),
        ];
        let place = edited(&edits).positions.exif.expect("a place");
        (place.altitude_m, place.altitude_above)
    };
    let (sea, ellipsoid) = (Some(AltitudeAbove::Sea), Some(AltitudeAbove::Ellipsoid));
    let old = [0, 1, 2, 3, 4].map(|reference| altitude("Apple", "0232", reference));
    assert_eq!(old, [(Some(12.3), sea), (Some(-12.3), sea), (Some(12.3), sea), (Some(-12.3), sea), (Some(12.3), None)]);
    let new = [0, 1, 2, 3].map(|reference| altitude("Apple", "0300", reference));
    assert_eq!(new, [(Some(12.3), ellipsoid), (Some(-12.3), ellipsoid), (Some(12.3), sea), (Some(-12.3), sea)]);
    assert_eq!([altitude("DJI", "0230", 0).1, altitude("samsung", "0220", 0).1], [None; 2]);
    let missing = edited(&[(Tag::GPSAltitudeRef, None)]).positions.exif.expect("a place");
    assert_eq!((missing.altitude_m, missing.altitude_above), (Some(12.3), None));
    let value = |value| with(Tag::GPSAltitude, value).positions.exif.expect("a place").altitude_m;
    assert_eq!(value(signed(&[(-123, 10)])), Some(-12.3));
    for impossible in [(u32::MAX, 1), (0, 0), (1, 0), (9999, 1)] {
        assert_eq!(value(fractions(&[impossible])), None, "{impossible:?}");
    }
}

#[test]
fn what_a_position_is_worth() {
    let place = |tag, value| with(tag, value).positions.exif.expect("a place");
    assert_eq!(place(Tag::GPSStatus, ascii("V")).quality, Some(FixQuality::Estimated));
    assert_eq!(place(Tag::GPSStatus, ascii("A")).quality, Some(FixQuality::Differential));
    let method = |text: &[u8]| place(Tag::GPSProcessingMethod, Value::Undefined(text.to_vec(), 0)).quality;
    assert_eq!(method(b"ASCII\0\0\0CELLID"), Some(FixQuality::Estimated));
    assert_eq!(method(b"ASCII\0\0\0GPS"), Some(FixQuality::Differential));
    assert_eq!(place(Tag::GPSDOP, fractions(&[(999, 10)])).hdop, None);
    assert_eq!(place(Tag::GPSHPositioningError, fractions(&[(u32::MAX, 1)])).std_m, None);
    let tokyo = place(Tag::GPSMapDatum, ascii("TOKYO"));
    assert!(tokyo.latitude_deg > -35.505 && tokyo.std_m.is_some_and(|std_m| std_m > 5.0), "{tokyo:?}");
    assert_eq!(place(Tag::GPSMapDatum, ascii("WGS-84")).std_m, Some(2.5));
}

#[test]
fn positions_without_a_fix_or_beyond_the_earth_are_left_out() {
    let nothing = |tag, value| assert_eq!(with(tag, value).positions.exif, None);
    nothing(Tag::GPSLatitude, fractions(&[(90, 1), (0, 1), (1, 1)]));
    nothing(Tag::GPSLongitude, fractions(&[(181, 1), (0, 1), (0, 1)]));
    nothing(Tag::GPSLatitude, fractions(&[(35, 0), (0, 1), (0, 1)]));
    nothing(Tag::GPSLatitude, fractions(&[(0, 0), (0, 0), (0, 0)]));
    nothing(Tag::GPSLatitude, fractions(&[(35, 1)]));
    nothing(Tag::GPSLatitude, ascii("35"));
    let zero = || Some(fractions(&[(0, 1), (0, 1), (0, 1)]));
    let edits = [(Tag::GPSLatitude, zero()), (Tag::GPSLongitude, zero())];
    assert_eq!(edited(&edits).positions.exif, None);
}

#[test]
fn speeds_in_every_unit() {
    let speed = |unit: Option<&str>, value| {
        edited(&[(Tag::GPSSpeedRef, unit.map(ascii)), (Tag::GPSSpeed, Some(fractions(&[value])))]).speed_mps
    };
    let rounded = |unit| speed(unit, (10, 1)).map(|speed| (speed * 1000.0).round());
    assert_eq!([rounded(Some("K")), rounded(None)], [Some(2778.0); 2]);
    assert_eq!([rounded(Some("M")), rounded(Some("N")), rounded(Some("?"))], [Some(4470.0), Some(5144.0), None]);
    assert_eq!([speed(Some("K"), (u32::MAX, 1)), speed(Some("K"), (0, 0))], [None; 2]);
}

#[test]
fn values_that_mean_nothing_are_left_out() {
    assert_eq!(with(Tag::FNumber, fractions(&[(0, 0)])).exposure.f_number, None);
    assert_eq!(with(Tag::ExposureTime, fractions(&[(0, 1)])).exposure.time_s, None);
    assert_eq!(with(Tag::FocalLengthIn35mmFilm, Value::Short(vec![0])).exposure.focal_length_35mm_mm, None);
    assert_eq!(with(Tag::DateTimeOriginal, ascii("0000:00:00 00:00:00")).moments.camera, None);
    assert_eq!(with(Tag::GPSImgDirectionRef, ascii("M")).heading_deg, None);
    assert_eq!(with(Tag::Orientation, Value::Short(vec![9])).orientation, Orientation::UPRIGHT);
    assert_eq!(with(Tag::Make, ascii("   ")).camera.make, None);
}

#[test]
fn a_clock_without_offset_is_local_unless_its_position_shows_the_zone() {
    let taken = |edits: &[(Tag, Option<Value>)]| edited(edits).taken(Offset::constant(-3));
    let none = [(Tag::OffsetTimeOriginal, None), (Tag::GPSTimeStamp, None)];
    assert_eq!(taken(&none), time("2026-05-09T10:30:33.25Z"));
    assert_eq!(taken(&[(Tag::OffsetTimeOriginal, None)]), time("2026-05-08T22:30:33.25Z"));
}

#[test]
fn damage_and_impossible_lengths_end_well() {
    let block = block();
    for length in 0..block.len() {
        read(&block[..length]);
    }
    for at in 0..block.len() {
        let mut damaged = block.clone();
        damaged[at] = !damaged[at];
        read(&damaged);
    }
    // A text of a gigabyte, announced in a block of 26 bytes.
    let mut huge = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0".to_vec();
    huge.extend(1_u32.wrapping_shl(30).to_le_bytes());
    huge.extend([0; 8]);
    assert_eq!(read(&huge), Metadata::default());
}
