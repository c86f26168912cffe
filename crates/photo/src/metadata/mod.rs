//! Metadata that the camera wrote into the file: when, where and with which camera the photo was taken. All of it is
//! optional, and broken metadata never costs a photo its result.

mod civil;
mod datum;
mod drone;
mod exif;
mod moments;
mod standard;
mod values;
mod xmp;

pub use civil::parse_offset;
pub use moments::{CameraMoment, MomentKind, Moments};
pub use values::{Metadata, Positions};

use jiff::{SignedDuration, Timestamp};

use super::format::Format;
use super::guard::guarded;
use super::{Blocks, Orientation, png};
use exif::Times;
use xmp::Properties;

/// Reads the EXIF and XMP blocks of a photo, which may be incomplete.
pub fn read(bytes: &[u8]) -> Metadata {
    let Ok(format) = Format::of(bytes) else { return Metadata::default() };
    // A panic of the parser must not cost the photo its result.
    let mut metadata = guarded(|| with_blocks(bytes, format, read_blocks)).unwrap_or_default();
    if !format.turns_by_exif() {
        metadata.orientation = Orientation::UPRIGHT;
    }
    metadata
}

/// Returns the orientation of the stored pixels, upright if the file does not give one.
pub fn orientation(bytes: &[u8]) -> Orientation {
    let Some(format) = Format::of(bytes).ok().filter(|format| format.turns_by_exif()) else {
        return Orientation::UPRIGHT;
    };
    let read = |blocks: &Blocks| blocks.exif.map(exif::orientation);
    guarded(|| with_blocks(bytes, format, read)).flatten().unwrap_or_default()
}

/// Calls `work` with the metadata blocks of a file of this format.
fn with_blocks<T>(bytes: &[u8], format: Format, work: impl FnOnce(&Blocks) -> T) -> T {
    let blocks = format.blocks(bytes);
    if let Some(exif) = format.assembled_exif(bytes) {
        return work(&Blocks { exif: Some(&exif), ..blocks });
    }
    if format != Format::Png || (blocks.exif.is_some() && blocks.xmp.is_some()) {
        return work(&blocks);
    }
    let packed = png::packed_blocks(bytes);
    work(&Blocks { exif: blocks.exif.or(packed.exif.as_deref()), xmp: blocks.xmp.or(packed.xmp.as_deref()) })
}

fn read_blocks(blocks: &Blocks) -> Metadata {
    let (mut metadata, times) = blocks.exif.map(exif::read).unwrap_or_default();
    let properties = blocks.xmp.and_then(|packet| xmp::parse(packet).ok()).unwrap_or_default();
    let utc = drone::add(&properties, &mut metadata);
    metadata.moments = moments(times, &properties, utc);
    let age_s = metadata.moments.stated_fix_age_s();
    if let Some(position) = &mut metadata.positions.exif {
        position.age_s = age_s;
    }
    if metadata.positions.rtk.is_none() && metadata.positions.xmp.is_none() {
        metadata.positions.xmp = standard::position(&properties);
    }
    metadata
}

/// Difference up to which moments of the two blocks are one moment: EXIF's has seconds alone, and each may be rounded.
const SAME_MOMENT: SignedDuration = SignedDuration::from_secs(1);

/// Combines the moments of both blocks: EXIF's exposure and digitisation, XMP's, and the last change.
fn moments(times: Times, properties: &Properties, utc: Option<Timestamp>) -> Moments {
    let from_xmp = standard::camera(properties);
    // The first of the most trusted kind.
    let mut camera = times.camera.into_iter().chain(from_xmp.iter().copied()).min_by_key(|moment| moment.kind);
    if let Some(camera) = camera.as_mut().filter(|camera| camera.offset.is_none()) {
        let is_same = |other: &&CameraMoment| other.civil.duration_since(camera.civil).abs() <= SAME_MOMENT;
        camera.offset = from_xmp.iter().filter(is_same).find_map(|other| other.offset);
    }
    Moments::new(camera, times.gps.or_else(|| standard::gps(properties)), utc)
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::{AltitudeAbove, FixQuality, PositionSource};
    use jiff::tz::Offset;

    use super::*;

    #[test]
    fn no_metadata_is_no_error() {
        for bytes in [b"".as_slice(), b"no photo at all", b"\xff\xd8\xff\xe1\0", b"II*\0\xff\xff\xff\xff"] {
            assert_eq!(read(bytes), Metadata::default());
            assert_eq!(orientation(bytes), Orientation::UPRIGHT);
        }
    }

    #[test]
    fn exif_and_xmp_come_together() {
        let packet = r#"<x:xmpmeta><rdf:RDF><rdf:Description drone-dji:RtkFlag="50" drone-dji:GpsLatitude="+35.5"
            drone-dji:GpsLongitude="+139.5" drone-dji:RelativeAltitude="+12.30"/></rdf:RDF></x:xmpmeta>"#;
        let mut bytes = vec![0xFF, 0xD8];
        for body in [
            [b"Exif\0\0", exif::tests::block().as_slice()].concat(),
            [b"http://ns.adobe.com/xap/1.0/\0", packet.as_bytes()].concat(),
        ] {
            bytes.extend([0xFF, 0xE1]);
            bytes.extend((body.len() as u16 + 2).to_be_bytes());
            bytes.extend(body);
        }
        let metadata = read(&bytes);
        let (rtk, exif) = (metadata.positions.rtk.expect("rtk"), metadata.positions.exif.expect("exif"));
        assert_eq!(
            (rtk.latitude_deg, rtk.source, rtk.quality),
            (35.5, PositionSource::Rtk, Some(FixQuality::RtkFixed))
        );
        assert_eq!((exif.source, exif.quality), (PositionSource::Exif, Some(FixQuality::RtkFixed)));
        assert_eq!(metadata.drone.expect("a drone").relative_altitude_m, Some(12.3));
        assert_eq!(metadata.orientation, Orientation::from_exif(6));
        assert_eq!(orientation(&bytes), Orientation::from_exif(6));
        for length in 0..bytes.len() {
            read(&bytes[..length]);
        }
    }

    fn both(exif: &[u8], attributes: &str) -> Metadata {
        let packet = format!("<x:xmpmeta><rdf:RDF><rdf:Description {attributes}/></rdf:RDF></x:xmpmeta>");
        read_blocks(&Blocks { exif: Some(exif), xmp: Some(packet.as_bytes()) })
    }

    /// EXIF block with nothing but this text under this tag of the first directory.
    fn text_block(tag: u16, text: &str) -> Vec<u8> {
        let [low, high] = tag.to_le_bytes();
        let mut block = vec![b'I', b'I', b'*', 0, 8, 0, 0, 0, 1, 0, low, high, 2, 0];
        block.extend((text.len() as u32).to_le_bytes());
        block.extend([26, 0, 0, 0, 0, 0, 0, 0]);
        block.truncate(26);
        block.extend(text.as_bytes());
        block
    }

    #[test]
    fn a_moment_may_be_in_either_block() {
        let original = text_block(0x9003, "2026:05:09 19:11:12");
        let changed = text_block(0x0132, "2026:05:10 19:11:12");
        let taken = |exif: &[u8], xmp: &str| both(exif, xmp).taken(Offset::UTC).map(|at| at.to_string());
        let expected = |text: &str| Some(text.to_owned());
        let created = "xmp:CreateDate='2026-05-09T19:11:12+09:00'";
        assert_eq!(taken(b"", created), expected("2026-05-09T10:11:12Z"));
        assert_eq!(taken(&original, created), expected("2026-05-09T10:11:12Z"), "the offset is from the packet");
        assert_eq!(taken(&changed, created), expected("2026-05-09T10:11:12Z"), "before the last change");
        let later = "xmp:CreateDate='2026-05-09T20:11:12+09:00'";
        assert_eq!(taken(&original, later), expected("2026-05-09T19:11:12Z"), "another moment's offset");
        let modified = "xmp:ModifyDate='2026-05-11T20:11:12'";
        assert_eq!(taken(&original, modified), expected("2026-05-09T19:11:12Z"));
        let utc = "drone-dji:UTCAtExposure='2026-05-09T10:11:14.019996'";
        let metadata = both(&original, utc);
        assert_eq!(metadata.taken(Offset::UTC).map(|at| at.to_string()), expected("2026-05-09T10:11:14.019996Z"));
        assert_eq!(metadata.moments.zone(), Some(Offset::constant(9)));
    }

    #[test]
    fn the_packet_has_the_position_if_the_block_has_none() {
        let place = "drone-dji:GpsLatitude='35.505' drone-dji:GpsLongitude='139.76'";
        let standard = "exif:GPSLatitude='35,30.3N' exif:GPSLongitude='139,45.6E'";
        for attributes in [place, standard] {
            let positions = both(&text_block(0x010F, "DJI"), attributes).positions;
            assert_eq!(positions.exif, None);
            let xmp = positions.xmp.expect("a place");
            assert_eq!((xmp.latitude_deg, xmp.longitude_deg, xmp.source), (35.505, 139.76, PositionSource::Xmp));
        }
        let none = exif::tests::without_a_position();
        let positions = both(&none, place).positions;
        assert_eq!((positions.exif, positions.xmp.map(|xmp| xmp.latitude_deg)), (None, Some(35.505)));
        let drone = both(b"", &format!("{standard} {}", place.replace("35.505", "36.5"))).positions.xmp;
        assert_eq!(drone.expect("a place").latitude_deg, 36.5, "the drone's own word");
    }

    #[test]
    fn a_drone_says_from_where_the_altitude_of_the_block_counts() {
        let altitude =
            |attributes| both(&exif::tests::block(), attributes).positions.exif.expect("a place").altitude_above;
        assert_eq!(altitude("drone-dji:RtkFlag='50'"), Some(AltitudeAbove::Ellipsoid));
        assert_eq!(altitude("drone-dji:AltitudeType='GpsFusionAlt'"), None);
    }

    #[test]
    fn the_blocks_of_a_png_may_be_text() {
        let block = exif::tests::block();
        let hex: String = block.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("Raw profile type exif\0\nexif\n    {}\n{hex}\n", block.len());
        let chunk =
            |name: &str, body: &[u8]| [&(body.len() as u32).to_be_bytes(), name.as_bytes(), body, &[0; 4]].concat();
        let png = |chunks: &[Vec<u8>]| [png::SIGNATURE, &chunks.concat()].concat();
        let profile = chunk("tEXt", text.as_bytes());
        let expected = read_blocks(&Blocks { exif: Some(&block), xmp: None });
        assert_eq!(read(&png(std::slice::from_ref(&profile))), expected);
        assert_eq!(orientation(&png(std::slice::from_ref(&profile))), Orientation::from_exif(6));
        let own = chunk("eXIf", &text_block(0x010F, "Owner"));
        let make = read(&png(&[profile, own])).camera.make;
        assert_eq!(make.as_deref(), Some("Owner"), "the chunk for EXIF comes first");
    }
}
