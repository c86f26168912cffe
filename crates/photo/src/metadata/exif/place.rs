//! Reads the position, its error, its altitude, and the camera's speed and direction (CIPA DC-008, 4.6.6).

use bridgeclip_domain::{AltitudeAbove, FixQuality, Position, PositionSource};

use super::ifd::Block;
use super::ifd::Directory::{Exif, Gps};
use super::ifd::Tag;
use super::tag::MAKE;
use crate::metadata::datum::to_wgs84;
use crate::metadata::values::{plausible_altitude, plausible_dop, plausible_error, plausible_place, plausible_speed};

const LATITUDE_REF: Tag = Tag(Gps, 0x0001);
const LATITUDE: Tag = Tag(Gps, 0x0002);
const LONGITUDE_REF: Tag = Tag(Gps, 0x0003);
const LONGITUDE: Tag = Tag(Gps, 0x0004);
const ALTITUDE_REF: Tag = Tag(Gps, 0x0005);
const ALTITUDE: Tag = Tag(Gps, 0x0006);
const STATUS: Tag = Tag(Gps, 0x0009);
const DOP: Tag = Tag(Gps, 0x000B);
const SPEED_REF: Tag = Tag(Gps, 0x000C);
const SPEED: Tag = Tag(Gps, 0x000D);
const DIRECTION_REF: Tag = Tag(Gps, 0x0010);
const DIRECTION: Tag = Tag(Gps, 0x0011);
const MAP_DATUM: Tag = Tag(Gps, 0x0012);
const METHOD: Tag = Tag(Gps, 0x001B);
const DIFFERENTIAL: Tag = Tag(Gps, 0x001E);
const POSITIONING_ERROR: Tag = Tag(Gps, 0x001F);
const EXIF_VERSION: Tag = Tag(Exif, 0x9000);

/// Returns the position, with the errors that the block states.
pub fn position(block: &Block) -> Option<Position> {
    let latitude_deg = degrees(block, LATITUDE, LATITUDE_REF, ['N', 'S'], 90.0)?;
    let longitude_deg = degrees(block, LONGITUDE, LONGITUDE_REF, ['E', 'W'], 180.0)?;
    let (latitude_deg, longitude_deg) = plausible_place(latitude_deg, longitude_deg)?;
    let altitude_m = altitude(block);
    let position = Position {
        altitude_m,
        altitude_above: altitude_m.and_then(|_| surface(block)),
        // For a three-dimensional fix this tag is the PDOP, which is never smaller than the HDOP.
        hdop: block.number(DOP).and_then(plausible_dop),
        // The standard calls it the error in metres, without a probability. Android's cameras write the radius of 68 %
        // (`Location.getAccuracy`), and Apple's a radius without a stated probability. In two dimensions the standard
        // deviation is the radius of 63 %.
        std_m: block.number(POSITIONING_ERROR).and_then(plausible_error),
        quality: quality(block),
        ..Position::at(latitude_deg, longitude_deg, PositionSource::Exif)
    };
    Some(to_wgs84(position, block.text(MAP_DATUM).as_deref()))
}

/// Words for methods that estimate a position without satellites, or take it from a person (CIPA DC-008, 4.6.6, and
/// the providers of Android).
const ESTIMATED: [&str; 4] = ["CELLID", "WLAN", "NETWORK", "MANUAL"];

/// Returns how the position was found. A receiver that states that it has no fix gives its last position, or none; some
/// of DJI's cameras always state that.
fn quality(block: &Block) -> Option<FixQuality> {
    let has_no_fix = block.text(STATUS).is_some_and(|status| status.starts_with(['V', 'v']));
    let method = block.bytes(METHOD).map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(32)]).to_uppercase());
    if has_no_fix || method.is_some_and(|method| ESTIMATED.iter().any(|word| method.contains(word))) {
        return Some(FixQuality::Estimated);
    }
    match block.whole(DIFFERENTIAL)? {
        0 => Some(FixQuality::Autonomous),
        1 => Some(FixQuality::Differential),
        _ => None,
    }
}

/// Returns degrees, minutes and seconds with the sign of their hemisphere; `None` beyond `limit`. `hemispheres` are the
/// letters of the positive and the negative one.
///
/// A negative value is in the negative hemisphere, whatever the letter: some programs always write `N` and `E`. A
/// positive value without a letter has no known hemisphere, and is no position.
fn degrees(block: &Block, tag: Tag, reference: Tag, hemispheres: [char; 2], limit: f64) -> Option<f64> {
    let parts = block.numbers(tag)?;
    // A single whole number has lost its fraction, which is up to 111 km.
    let is_one = matches!(parts.as_slice(), [degrees] if degrees.fract() != 0.0);
    let [degrees, minutes, seconds] = match *parts.as_slice() {
        [degrees] if is_one => [degrees, 0.0, 0.0],
        [degrees, minutes] => [degrees, minutes, 0.0],
        // Cameras that write minutes with a fraction leave the seconds undefined (0/0).
        [degrees, minutes, seconds] => [degrees, minutes, if seconds.is_nan() { 0.0 } else { seconds }],
        _ => return None,
    };
    // Up to 60 itself: rounded seconds may come to that.
    if !(0.0..=60.0).contains(&minutes.abs()) || !(0.0..=60.0).contains(&seconds.abs()) {
        return None;
    }
    let value = degrees.abs() + minutes.abs() / 60.0 + seconds.abs() / 3600.0;
    let is_negative = [degrees, minutes, seconds].iter().any(|part| *part < 0.0);
    // A letter, or a word such as "South".
    let letter = block.text(reference).and_then(|text| Some(text.chars().next()?.to_ascii_uppercase()));
    let side = hemispheres.iter().position(|hemisphere| Some(*hemisphere) == letter);
    let sign = if is_negative { -1.0 } else { [1.0, -1.0][side?] };
    (value <= limit).then_some(sign * value)
}

/// Returns the altitude in metres. References 1 and 3 mean below the surface.
fn altitude(block: &Block) -> Option<f64> {
    let metres = block.number(ALTITUDE)?;
    let is_below = block.whole(ALTITUDE_REF).is_some_and(|reference| reference == 1 || reference == 3);
    // A signed altitude may have both a sign and a reference, which say the same.
    plausible_altitude(if is_below { -metres.abs() } else { metres })
}

/// Beginnings of the makes whose altitudes are not above the sea although their files say so: drones ("Camera" is the
/// make of Autel's XL715), and phones with Android, whose `Location.getAltitude` is above the ellipsoid.
const NOT_ABOVE_THE_SEA: [&str; 31] = [
    "dji",
    "hasselblad",
    "skydio",
    "parrot",
    "autel",
    "camera",
    "yuneec",
    "google",
    "samsung",
    "xiaomi",
    "redmi",
    "huawei",
    "honor",
    "oneplus",
    "oppo",
    "realme",
    "vivo",
    "motorola",
    "lg",
    "htc",
    "fairphone",
    "hmd",
    "zte",
    "asus",
    "kyocera",
    "sharp",
    "fcnt",
    "tcl",
    "nothing",
    "lenovo",
    "blackview",
];

/// Returns the surface that the altitude's reference names. Up to EXIF 2.32 references 0 and 1 mean the sea; since
/// EXIF 3.0 they mean the ellipsoid, and 2 and 3 the sea (CIPA DC-008-2023, 4.6.7, GPSAltitudeRef).
fn surface(block: &Block) -> Option<AltitudeAbove> {
    let version: Option<u32> = block.text(EXIF_VERSION).and_then(|version| version.get(..2)?.parse().ok());
    let make = block.text(MAKE).unwrap_or_default().to_lowercase();
    match block.whole(ALTITUDE_REF)? {
        2 | 3 => Some(AltitudeAbove::Sea),
        0 | 1 if version.is_some_and(|version| version >= 3) => Some(AltitudeAbove::Ellipsoid),
        0 | 1 => (!NOT_ABOVE_THE_SEA.iter().any(|known| make.starts_with(known))).then_some(AltitudeAbove::Sea),
        _ => None,
    }
}

/// Metres per second in a kilometre per hour, the default, in a mile per hour and in a knot.
const SPEED_UNITS: [(char, f64); 3] = [('K', 1.0 / 3.6), ('M', 0.447_04), ('N', 1852.0 / 3600.0)];

/// Returns the speed over the ground in metres per second.
pub fn speed(block: &Block) -> Option<f64> {
    let letter = block.text(SPEED_REF).and_then(|text| text.chars().next()).unwrap_or('K').to_ascii_uppercase();
    let (_, unit) = SPEED_UNITS.iter().find(|(known, _)| *known == letter)?;
    plausible_speed(block.number(SPEED)? * unit)
}

/// Returns the camera's direction in degrees from true north. A magnetic direction is left out, because it would need
/// the local declination.
pub fn heading(block: &Block) -> Option<f64> {
    let is_true = block.text(DIRECTION_REF).is_none_or(|reference| reference == "T");
    block.number(DIRECTION).filter(|degrees| is_true && (0.0..=360.0).contains(degrees))
}
