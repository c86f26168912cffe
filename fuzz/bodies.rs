//! Bodies of the photo fuzz targets. The tests of the main crate run them on every file of the corpus.

use std::num::NonZeroU32;

use bridgeclip::domain::THUMBNAIL_BYTES_MAX;
use bridgeclip::photo::{
    self, Decoding, EncoderInput, Limits, Preprocess, decode, encoder_input, orientation, quality, read_metadata,
    thumbnail,
};

/// Fuzzes a photo file, from its bytes to everything that the daemon makes from them.
pub fn photo(bytes: &[u8]) {
    // Small limits, so that an input takes milliseconds.
    let limits = Limits {
        pixels_max: 1_000_000,
        memory_bytes_max: 100_000_000,
        coefficient_bytes_max: 4_000_000,
        // Lets every fraction that a large photo can get occur.
        decoding: Decoding::Scaled { short_side_min: 8 },
    };
    let preprocess = Preprocess { resize: 8, size: 8, mean: [0.5; 3], std: [0.5; 3], apply_orientation: true };
    let metadata = read_metadata(bytes);
    let whole = decode(bytes, &Limits { decoding: Decoding::Exact, ..limits });
    match photo::open(bytes, &preprocess, &limits).and_then(|photo| encoder_input(&photo, &preprocess, None)) {
        Ok(EncoderInput { tensor, raster, pixels }) => {
            assert_eq!(tensor.len(), 3 * 8 * 8);
            assert!(tensor.iter().all(|value| (-1.0..=1.0).contains(value)));
            let quality = quality(&raster);
            assert!(quality.sharpness.is_finite() && (0.0..=1.0).contains(&quality.brightness));
            assert!(metadata.millimetres_per_pixel(pixels).is_none_or(|millimetres| millimetres > 0.0));
            assert!(
                thumbnail(&raster, orientation(bytes), NonZeroU32::MIN.saturating_add(319)).len()
                    <= THUMBNAIL_BYTES_MAX
            );
            let whole = whole.expect("what can be scaled can be decoded");
            assert_eq!((whole.pixels, whole.rgb.len()), (pixels, (pixels[0] * pixels[1] * 3) as usize));
        }
        Err(error) => assert_eq!(whole.expect_err("refused twice").to_string(), error.to_string()),
    }
}

/// Fuzzes a picture coded with HEVC, wrapped in a HEIC file that contains nothing else. Its first two bytes give the
/// length of the decoder configuration, which comes next; the rest is the data.
pub fn heic(picture: &[u8]) {
    let Some((length, rest)) = picture.split_first_chunk() else { return };
    let (config, data) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
    photo(&heic_file(config, data));
}

/// Returns a file with one item, number 1.
fn heic_file(config: &[u8], data: &[u8]) -> Vec<u8> {
    let part = |kind: &[u8; 4], body: &[u8]| [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat();
    let properties = [part(b"ipco", &part(b"hvcC", config)), part(b"ipma", b"\0\0\0\0\0\0\0\x01\0\x01\x01\x81")];
    // The data lie in the box `idat`, from its first byte to its last.
    let location = b"\x01\0\0\0\x40\0\0\x01\0\x01\0\x01\0\0\0\x01\0\0\0\0";
    let tables = [
        vec![0; 4],
        part(b"pitm", b"\0\0\0\0\0\x01"),
        part(b"iinf", &[&[0, 0, 0, 0, 0, 1][..], &part(b"infe", b"\x02\0\0\0\0\x01\0\0hvc1\0")].concat()),
        part(b"iloc", location),
        part(b"iprp", &properties.concat()),
        part(b"idat", data),
    ];
    [part(b"ftyp", b"heic\0\0\0\0mif1heic"), part(b"meta", &tables.concat())].concat()
}

/// Fuzzes an EXIF block, wrapped in a photo that contains nothing else.
pub fn exif(block: &[u8]) {
    let Ok(length) = u16::try_from(block.len() + 8) else { return };
    let photo = [b"\xff\xd8\xff\xe1", &length.to_be_bytes()[..], b"Exif\0\0", block].concat();
    let metadata = read_metadata(&photo);
    assert_eq!(metadata.orientation, orientation(&photo));
    if let Some(position) = &metadata.positions.exif {
        assert!(position.latitude_deg.abs() <= 90.0 && position.longitude_deg.abs() <= 180.0);
        serde_json::to_string(position).expect("JSON");
    }
    serde_json::to_string(&(&metadata.camera, &metadata.exposure)).expect("JSON");
}

/// Fuzzes an XMP packet, wrapped in a photo that contains nothing else. WebP has room for packets of any size.
pub fn xmp(packet: &[u8]) {
    let length = packet.len() as u32;
    let photo = [b"RIFF", &(length + 12).to_le_bytes()[..], b"WEBPXMP ", &length.to_le_bytes(), packet].concat();
    let metadata = read_metadata(&photo);
    let positions = [&metadata.positions.laser_target, &metadata.positions.rtk, &metadata.positions.xmp];
    for position in positions.into_iter().flatten() {
        assert!(position.latitude_deg.abs() <= 90.0 && position.longitude_deg.abs() <= 180.0);
    }
    serde_json::to_string(&(positions, &metadata.drone)).expect("JSON");
}
