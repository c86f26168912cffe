//! Packs fixes for storage, and unpacks them. A fix takes 34 bytes.
//!
//! A piece begins with the version of the format. Each fix has its moment in milliseconds since 1970 (8 bytes), latitude
//! and longitude in 1e-7 degrees (4 each), altitude in centimetres (4), HDOP in hundredths (2), deviation in millimetres
//! (4), speed in cm/s (2), and a byte each for source, quality, satellites and the surface of the altitude; then two
//! spare bytes. All numbers are little-endian. The largest value of a number means unknown.

use jiff::Timestamp;

use bridgeclip_domain::{AltitudeAbove, FixQuality, Position, PositionSource};

use super::Fix;

const VERSION: u8 = 1;
const FIX_BYTES: usize = 34;
/// Value of a byte that means unknown.
const UNKNOWN: u8 = u8::MAX;

const SOURCES: [PositionSource; 6] = [
    PositionSource::SerialGps,
    PositionSource::Mavlink,
    PositionSource::Rtk,
    PositionSource::Exif,
    PositionSource::Xmp,
    PositionSource::LaserTarget,
];
const QUALITIES: [FixQuality; 5] = [
    FixQuality::Estimated,
    FixQuality::Autonomous,
    FixQuality::Differential,
    FixQuality::RtkFloat,
    FixQuality::RtkFixed,
];
const SURFACES: [AltitudeAbove; 2] = [AltitudeAbove::Sea, AltitudeAbove::Ellipsoid];

/// Time in milliseconds from which a fix of a device that stands still is packed again.
const STILL_MS: i64 = 8_000;
/// Distance in metres up to which a device stands still.
const STILL_M: f64 = 0.5;

/// Packs the dated fixes. Those of a device that stands still are thinned, in a way that positions between them are
/// still interpolated. Returns the first and the last moment in milliseconds since 1970 and the bytes; `None` without a
/// dated fix.
pub fn pack(fixes: &[Fix]) -> Option<(i64, i64, Vec<u8>)> {
    let dated: Vec<(i64, &Fix)> = fixes.iter().filter_map(|fix| Some((fix.utc?.as_millisecond(), fix))).collect();
    let (first, last) = (dated.first()?.0, dated.last()?.0);
    let mut bytes = vec![VERSION];
    let mut kept: Option<(i64, &Fix)> = None;
    for (index, (at_ms, fix)) in dated.iter().enumerate() {
        let is_last = index + 1 == dated.len();
        if is_last || kept.is_none_or(|(kept_ms, kept)| at_ms - kept_ms >= STILL_MS || has_changed(kept, fix)) {
            put(&mut bytes, *at_ms, fix);
            kept = Some((*at_ms, fix));
        }
    }
    Some((first.min(last), first.max(last), bytes))
}

fn has_changed(before: &Fix, after: &Fix) -> bool {
    let (before, after) = (&before.position, &after.position);
    before.quality != after.quality || before.source != after.source || before.distance_m(after) > STILL_M
}

fn put(bytes: &mut Vec<u8>, at_ms: i64, fix: &Fix) {
    let Position { latitude_deg, longitude_deg, altitude_m, altitude_above, source, hdop, std_m, quality, .. } =
        &fix.position;
    bytes.extend(at_ms.to_le_bytes());
    bytes.extend(((latitude_deg * 1e7).round() as i32).to_le_bytes());
    bytes.extend(((longitude_deg * 1e7).round() as i32).to_le_bytes());
    bytes.extend(altitude_m.map_or(i32::MAX, |metres| (metres * 1e2).round() as i32).to_le_bytes());
    bytes.extend(hdop.map_or(u16::MAX, |hdop| (hdop * 1e2).round().min(65_534.0) as u16).to_le_bytes());
    bytes.extend(std_m.map_or(u32::MAX, |metres| (metres * 1e3).ceil().min(4e9) as u32).to_le_bytes());
    bytes.extend(fix.speed_mps.map_or(u16::MAX, |speed| (speed * 1e2).round().min(65_534.0) as u16).to_le_bytes());
    let index = |found: Option<usize>| found.map_or(UNKNOWN, |index| index as u8);
    bytes.push(index(SOURCES.iter().position(|known| known == source)));
    bytes.push(index(QUALITIES.iter().position(|known| Some(*known) == *quality)));
    bytes.push(fix.satellites.unwrap_or(UNKNOWN));
    bytes.push(index(SURFACES.iter().position(|known| Some(*known) == *altitude_above)));
    bytes.extend([0; 2]);
}

/// Unpacks fixes. Bytes of another version, and fixes that cannot be true, are left out.
pub fn unpack(bytes: &[u8]) -> Vec<Fix> {
    match bytes.split_first() {
        Some((&VERSION, fixes)) => fixes.chunks_exact(FIX_BYTES).filter_map(get).collect(),
        _ => Vec::new(),
    }
}

fn get(bytes: &[u8]) -> Option<Fix> {
    let mut fields = Fields(bytes);
    let utc = Timestamp::from_millisecond(i64::from_le_bytes(fields.take()?)).ok()?;
    let [latitude_deg, longitude_deg] =
        [fields.take()?, fields.take()?].map(|raw| f64::from(i32::from_le_bytes(raw)) / 1e7);
    let altitude = Some(i32::from_le_bytes(fields.take()?)).filter(|raw| *raw != i32::MAX);
    let hdop = Some(u16::from_le_bytes(fields.take()?)).filter(|raw| *raw != u16::MAX);
    let std = Some(u32::from_le_bytes(fields.take()?)).filter(|raw| *raw != u32::MAX);
    let speed = Some(u16::from_le_bytes(fields.take()?)).filter(|raw| *raw != u16::MAX);
    let [source, quality, satellites, surface] = fields.take()?;
    if latitude_deg.abs() > 90.0 || longitude_deg.abs() > 180.0 {
        return None;
    }
    let position = Position {
        altitude_m: altitude.map(|raw| f64::from(raw) / 1e2),
        altitude_above: SURFACES.get(usize::from(surface)).copied(),
        hdop: hdop.map(|raw| f64::from(raw) / 1e2),
        std_m: std.map(|raw| f64::from(raw) / 1e3),
        quality: QUALITIES.get(usize::from(quality)).copied(),
        ..Position::at(latitude_deg, longitude_deg, *SOURCES.get(usize::from(source))?)
    };
    Some(Fix {
        position,
        utc: Some(utc),
        received_ns: 0,
        measured_ns: 0,
        speed_mps: speed.map(|raw| f64::from(raw) / 1e2),
        course_deg: None,
        satellites: Some(satellites).filter(|count| *count != UNKNOWN),
    })
}

/// Remaining bytes of a fix.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_random::Random;

    use super::*;

    fn fix(second: i64, latitude_deg: f64) -> Fix {
        let position = Position {
            altitude_m: Some(-3.25),
            altitude_above: Some(AltitudeAbove::Ellipsoid),
            hdop: Some(0.9),
            std_m: Some(0.014),
            quality: Some(FixQuality::RtkFixed),
            ..Position::at(latitude_deg, -139.5, PositionSource::Rtk)
        };
        Fix {
            position,
            utc: Timestamp::from_second(1_795_000_000 + second).ok(),
            received_ns: 0,
            measured_ns: 0,
            speed_mps: Some(4.5),
            course_deg: None,
            satellites: Some(12),
        }
    }

    #[test]
    fn fixes_come_back_as_they_were() {
        let bare = Fix {
            position: Position::at(-35.0, 139.0, PositionSource::SerialGps),
            speed_mps: None,
            satellites: None,
            ..fix(2, 0.0)
        };
        let fixes = [fix(0, 35.5), bare];
        let (first_ms, last_ms, bytes) = pack(&fixes).expect("dated");
        assert_eq!((first_ms, last_ms, bytes.len()), (1_795_000_000_000, 1_795_000_002_000, 1 + 2 * FIX_BYTES));
        assert_eq!(unpack(&bytes), fixes);
        assert_eq!(pack(&[Fix { utc: None, ..fix(0, 35.5) }]), None);
    }

    #[test]
    fn a_device_that_stands_still_takes_little_room() {
        let still: Vec<Fix> = (0..=100).map(|second| fix(second, 35.5)).collect();
        let (.., bytes) = pack(&still).expect("dated");
        let kept = unpack(&bytes);
        assert_eq!(kept.len(), 14);
        let gaps = kept.windows(2).filter_map(|pair| Some(pair[1].utc?.duration_since(pair[0].utc?).as_secs()));
        assert!(gaps.max() <= Some(10), "still interpolated");
        let moving: Vec<Fix> = (0..=100).map(|second| fix(second, 35.5 + second as f64 * 1e-5)).collect();
        assert_eq!(unpack(&pack(&moving).expect("dated").2).len(), 101);
    }

    #[test]
    fn any_bytes_are_taken() {
        let mut random = Random::new(&[34]);
        for length in 0..2_000 {
            let bytes: Vec<u8> = (0..length).map(|_| random.bits() as u8).collect();
            unpack(&[&[VERSION], bytes.as_slice()].concat());
            unpack(&bytes);
        }
    }
}
