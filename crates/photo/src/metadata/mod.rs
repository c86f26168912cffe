//! Metadata that the camera wrote into the file: when, where and with which camera the photo was taken. All of it is
//! optional, and broken metadata never costs a photo its result.

mod drone;
mod exif;
mod values;
mod xmp;

pub use exif::parse_offset;
pub use values::{Metadata, Positions};

use std::panic;

use jiff::tz::Offset;

use super::format::Format;
use super::{Blocks, Orientation};

/// Reads the EXIF and XMP blocks of a photo, which may be incomplete. `local` is the UTC offset of camera clocks that
/// do not record one.
pub fn read(bytes: &[u8], local: Offset) -> Metadata {
    // A panic of the parser must not cost the photo its result.
    panic::catch_unwind(|| read_blocks(&blocks(bytes), local)).unwrap_or_default()
}

fn read_blocks(blocks: &Blocks, local: Offset) -> Metadata {
    let mut metadata = blocks.exif.map(|block| exif::read(block, local)).unwrap_or_default();
    if let Some(Ok(properties)) = blocks.xmp.map(xmp::parse) {
        drone::add(&properties, &mut metadata);
    }
    metadata
}

/// Returns the orientation of the stored pixels, upright if the file does not give one.
pub fn orientation(bytes: &[u8]) -> Orientation {
    let read = || blocks(bytes).exif.map(exif::orientation);
    panic::catch_unwind(read).ok().flatten().unwrap_or_default()
}

/// Returns the metadata blocks of a file of any format, none if it is not a photo.
fn blocks(bytes: &[u8]) -> Blocks<'_> {
    Format::of(bytes).map(|format| format.blocks(bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::{FixQuality, PositionSource};

    use super::*;

    #[test]
    fn no_metadata_is_no_error() {
        for bytes in [b"".as_slice(), b"no photo at all", b"\xff\xd8\xff\xe1\0", b"II*\0\xff\xff\xff\xff"] {
            assert_eq!(read(bytes, Offset::UTC), Metadata::default());
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
        let metadata = read(&bytes, Offset::UTC);
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
            read(&bytes[..length], Offset::UTC);
        }
    }
}
