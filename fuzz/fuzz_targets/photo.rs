//! A photo file, from its bytes to all that the daemon makes of them.

#![no_main]

use bridgeclip::photo::{
    Decoding, EncoderInput, Limits, Preprocess, THUMBNAIL_BYTES_MAX, decode, encoder_input, orientation, quality,
    read_metadata, thumbnail,
};
use jiff::tz::Offset;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Small enough that an input takes milliseconds.
    let limits = Limits {
        pixels_max: 1_000_000,
        coefficient_bytes_max: 4_000_000,
        decoding: Decoding::Scaled { short_side_min: 64 },
    };
    let preprocess = Preprocess { size: 32, mean: [0.5; 3], std: [0.5; 3], apply_orientation: true };
    let metadata = read_metadata(bytes, Offset::UTC);
    let whole = decode(bytes, &Limits { decoding: Decoding::Exact, ..limits });
    match encoder_input(bytes, &preprocess, &limits) {
        Ok(EncoderInput { tensor, raster, .. }) => {
            assert_eq!(tensor.len(), 3 * 32 * 32);
            assert!(tensor.iter().all(|value| (-1.0..=1.0).contains(value)));
            let quality = quality(&raster);
            assert!(metadata.millimetres_per_pixel(raster.pixels).is_none_or(|millimetres| millimetres >= 0.0));
            assert!(quality.sharpness.is_finite() && (0.0..=1.0).contains(&quality.brightness));
            assert!(thumbnail(&raster, orientation(bytes)).len() <= THUMBNAIL_BYTES_MAX);
            let whole = whole.expect("what can be scaled can be decoded");
            assert_eq!(whole.rgb.len(), (whole.width * whole.height * 3) as usize);
        }
        Err(error) => assert_eq!(whole.expect_err("refused twice").to_string(), error.to_string()),
    }
});
