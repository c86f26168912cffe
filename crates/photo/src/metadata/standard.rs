//! Reads the properties of XMP's own namespaces: moments and the position (XMP specification part 2, and CIPA
//! DC-010, EXIF metadata for XMP).

use jiff::Timestamp;
use jiff::tz::Offset;

use bridgeclip_domain::{AltitudeAbove, Position, PositionSource};

use super::civil;
use super::datum::to_wgs84;
use super::moments::{CameraMoment, MomentKind};
use super::values::{plausible_altitude, plausible_dop, plausible_error, plausible_place};
use super::xmp::Properties;

/// Properties with moments by the camera's clock, the most trusted first. Editors keep the first ones. `xap` is the
/// prefix of `xmp` until 2004.
const MOMENTS: [(&str, MomentKind); 8] = [
    ("exif:DateTimeOriginal", MomentKind::Xmp),
    ("photoshop:DateCreated", MomentKind::Xmp),
    ("xmp:CreateDate", MomentKind::Xmp),
    ("xap:CreateDate", MomentKind::Xmp),
    ("drone-dji:CreateDate", MomentKind::Xmp),
    ("exif:DateTimeDigitized", MomentKind::Xmp),
    ("xmp:ModifyDate", MomentKind::Changed),
    ("xap:ModifyDate", MomentKind::Changed),
];

/// Returns the moments by the camera's clock, the most trusted first.
///
/// Adobe's programs add the offset of their own computer to times of cameras without one, so offsets of theirs do not
/// count.
pub fn camera(properties: &Properties) -> Vec<CameraMoment> {
    let tools = ["xmp:CreatorTool", "xap:CreatorTool"];
    let is_edited = tools.iter().filter_map(|tool| properties.text(tool)).any(|tool| tool.contains("Adobe"));
    let moment = |(name, kind): &(&str, MomentKind)| {
        let moment = CameraMoment::new(civil::parse(properties.text(name)?)?, *kind);
        Some(CameraMoment { offset: moment.offset.filter(|_| !is_edited), ..moment })
    };
    MOMENTS.iter().filter_map(moment).collect()
}

/// Returns the moment of the position. XMP joins EXIF's date and time of day.
pub fn gps(properties: &Properties) -> Option<Timestamp> {
    utc(properties.text("exif:GPSTimeStamp").or_else(|| properties.text("exif:GPSDateTime"))?)
}

/// Parses a moment that is in UTC if it has no offset.
pub fn utc(text: &str) -> Option<Timestamp> {
    let stated = civil::parse(text)?;
    stated.offset.unwrap_or(Offset::UTC).to_timestamp(stated.civil).ok()
}

/// Returns the position that a program copied from an EXIF block.
pub fn position(properties: &Properties) -> Option<Position> {
    let latitude_deg = degrees(properties.text("exif:GPSLatitude")?, ['N', 'S'], 90.0)?;
    let longitude_deg = degrees(properties.text("exif:GPSLongitude")?, ['E', 'W'], 180.0)?;
    let (latitude_deg, longitude_deg) = plausible_place(latitude_deg, longitude_deg)?;
    let (altitude_m, altitude_above) = altitude(properties).unzip();
    let position = Position {
        altitude_m,
        altitude_above: altitude_above.flatten(),
        hdop: properties.number("exif:GPSDOP").and_then(plausible_dop),
        std_m: properties.number("exif:GPSHPositioningError").and_then(plausible_error),
        ..Position::at(latitude_deg, longitude_deg, PositionSource::Xmp)
    };
    Some(to_wgs84(position, properties.text("exif:GPSMapDatum")))
}

/// Returns the altitude in metres and its surface. References 0 and 1 do not tell the surface, because the version of
/// EXIF that they are from is unknown.
fn altitude(properties: &Properties) -> Option<(f64, Option<AltitudeAbove>)> {
    let metres = properties.number("exif:GPSAltitude")?;
    let reference = properties.text("exif:GPSAltitudeRef");
    let metres = if matches!(reference, Some("1" | "3")) { -metres.abs() } else { metres };
    let surface = matches!(reference, Some("2" | "3")).then_some(AltitudeAbove::Sea);
    Some((plausible_altitude(metres)?, surface))
}

/// Parses `degrees,minutes,seconds` or `degrees,minutes` with a letter for the hemisphere, such as `35,30.3N` (XMP
/// specification part 2, 3.3), or decimal degrees with one. Without a letter, only a negative value tells its
/// hemisphere.
fn degrees(text: &str, hemispheres: [char; 2], limit: f64) -> Option<f64> {
    let text = text.trim();
    let letter = text.chars().next_back()?.to_ascii_uppercase();
    let side = hemispheres.iter().position(|hemisphere| *hemisphere == letter);
    let numbers = if side.is_some() { &text[..text.len() - 1] } else { text };
    let mut parts = [0.0; 3];
    let mut words = numbers.split(',');
    for (part, word) in parts.iter_mut().zip(words.by_ref()) {
        *part = decimal(word)?;
    }
    let [degrees, minutes, seconds] = parts;
    let is_form = words.next().is_none() && (0.0..=60.0).contains(&minutes) && (0.0..=60.0).contains(&seconds);
    let sign = if degrees < 0.0 { -1.0 } else { [1.0, -1.0][side?] };
    let value = degrees.abs() + minutes / 60.0 + seconds / 3600.0;
    (is_form && value <= limit).then_some(sign * value)
}

fn decimal(word: &str) -> Option<f64> {
    word.trim().parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::xmp;

    fn properties(attributes: &str) -> Properties {
        let packet = format!("<x:xmpmeta><rdf:RDF><rdf:Description {attributes}/></rdf:RDF></x:xmpmeta>");
        xmp::parse(packet.as_bytes()).expect("parses")
    }

    fn place(attributes: &str) -> Option<Position> {
        position(&properties(attributes))
    }

    #[test]
    fn positions_in_every_form() {
        let north = |text| degrees(text, ['N', 'S'], 90.0);
        assert_eq!(
            [north("35,30.3N"), north("35,30.3S"), north("35,30,18N")],
            [Some(35.505), Some(-35.505), Some(35.505)]
        );
        assert_eq!(
            [north("35.505N"), north("-35.505"), north(" 35,30.3n ")],
            [Some(35.505), Some(-35.505), Some(35.505)]
        );
        for bad in [
            "",
            "N",
            "35.505",
            "35,30.3",
            "35,30.3E",
            "91,0.0N",
            "35,61.0N",
            "35,30,18,1N",
            "x,30N",
            "NaN,0N",
            "35,-30N",
            "北",
        ] {
            assert_eq!(north(bad), None, "{bad}");
        }
        let full = place(
            "exif:GPSLatitude='35,30.3N' exif:GPSLongitude='139,45.6W' exif:GPSAltitude='1234/10' \
             exif:GPSAltitudeRef='1' exif:GPSDOP='12/10' exif:GPSHPositioningError='5/2'",
        );
        let expected = Position {
            altitude_m: Some(-123.4),
            hdop: Some(1.2),
            std_m: Some(2.5),
            ..Position::at(35.505, -139.76, PositionSource::Xmp)
        };
        assert_eq!(full, Some(expected));
        assert_eq!(place("exif:GPSLatitude='35,30.3N'"), None);
        assert_eq!(place("exif:GPSLatitude='0,0.0N' exif:GPSLongitude='0,0.0E'"), None);
        let altitude = |attributes: &str| {
            let place =
                place(&format!("exif:GPSLatitude='1,0N' exif:GPSLongitude='1,0E' {attributes}")).expect("a place");
            (place.altitude_m, place.altitude_above)
        };
        assert_eq!(altitude("exif:GPSAltitude='4294967295/1'"), (None, None));
        assert_eq!(altitude("exif:GPSAltitude='20/1' exif:GPSAltitudeRef='2'"), (Some(20.0), Some(AltitudeAbove::Sea)));
    }

    #[test]
    fn moments_come_in_a_written_order() {
        let first = |attributes: &str| camera(&properties(attributes)).first().copied();
        let kind = |attributes| first(attributes).map(|moment| moment.kind);
        let date = |name: &str, day: u8| format!("{name}='2026-05-{day:02}T19:11:12+09:00' ");
        let all: Vec<String> = MOMENTS.iter().zip(1..).map(|((name, _), day)| date(name, day)).collect();
        for (skipped, day) in (0..all.len()).zip(1_i8..) {
            assert_eq!(first(&all[skipped..].concat()).expect("a moment").civil.day(), day);
        }
        assert_eq!(kind("xmp:ModifyDate='2026-05-09T19:11:12'"), Some(MomentKind::Changed));
        assert_eq!(kind("xmp:CreateDate='2026-05-09T19:11:12'"), Some(MomentKind::Xmp));
        assert_eq!(kind("xmp:CreateDate='2026-05-09'"), None, "a date is no moment");
        let offset = |tool: &str| first(&format!("{}xmp:CreatorTool='{tool}'", all[2])).expect("a moment").offset;
        assert_eq!([offset("DJI"), offset("Adobe Photoshop Lightroom 3.2")], [Some(Offset::constant(9)), None]);
    }

    #[test]
    fn moments_in_utc() {
        let expected = "2022-07-23T07:12:22.872778Z".parse().ok();
        assert_eq!(utc("2022-07-23T07:12:22.872778"), expected);
        assert_eq!(utc("2022-07-23T16:12:22.872778+09:00"), expected);
        assert_eq!(gps(&properties("exif:GPSTimeStamp='2022-07-23T07:12:22.872778Z'")), expected);
        assert_eq!(gps(&properties("exif:GPSTimeStamp='07:12:22'")), None);
    }
}
