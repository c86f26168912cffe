//! Decodes and encodes JPEGs with libjpeg, in mozjpeg's edition. The only file that names it.
//!
//! libjpeg decodes row by row, and directly at m/8 of the size where that is wanted. Its errors are panics that unwind
//! through C; they are caught here. Where data is missing or damaged, libjpeg warns and invents grey; such a warning
//! also ends the decoding.

use std::ffi::c_int;
use std::panic;
use std::ptr;

use mozjpeg::decompress::DecompressStarted;
use mozjpeg::{ColorSpace, Compress, Decompress};
use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr};

use super::jpeg::JpegHeader;

/// Bytes per column and component of a JPEG for the rows of blocks that a decoder has in transit.
pub const COLUMN_BYTES: u64 = 160;

/// Reason why libjpeg made no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LibjpegError {
    #[error("its data is damaged or incomplete")]
    Damaged,
    #[error("its headers contradict each other or the standard")]
    Invalid,
}

/// Decodes at `eighths`/8 of the size that the header announces. Returns width, height and RGB rows.
pub fn decode(bytes: &[u8], header: &JpegHeader, eighths: u8) -> Result<(u32, u32, Vec<u8>), LibjpegError> {
    panic::catch_unwind(|| rows(bytes, header, eighths))
        .unwrap_or_else(|payload| Err(payload.downcast_ref().copied().unwrap_or(LibjpegError::Invalid)))
}

/// Reports whether libjpeg accepts everything before the picture's data.
pub fn accepts_header(bytes: &[u8], header: &JpegHeader, eighths: u8) -> bool {
    panic::catch_unwind(|| started(bytes, header, eighths).is_ok()).unwrap_or(false)
}

fn rows(bytes: &[u8], header: &JpegHeader, eighths: u8) -> Result<(u32, u32, Vec<u8>), LibjpegError> {
    let mut picture = started(bytes, header, eighths)?;
    let (width, height) = (picture.width(), picture.height());
    let mut rgb = vec![0; width * height * 3];
    picture.read_scanlines_into(&mut rgb).map_err(|_| LibjpegError::Damaged)?;
    Ok((width as u32, height as u32, rgb))
}

fn started<'a>(bytes: &'a [u8], header: &JpegHeader, eighths: u8) -> Result<DecompressStarted<&'a [u8]>, LibjpegError> {
    let invalid = |_| LibjpegError::Invalid;
    let mut jpeg = Decompress::builder().with_err(error_manager()).from_mem(bytes).map_err(invalid)?;
    // The picture that was checked against the limits must be the one that is decoded.
    if jpeg.size() != (header.width as usize, header.height as usize) {
        return Err(LibjpegError::Invalid);
    }
    jpeg.scale(eighths);
    jpeg.to_colorspace(ColorSpace::JCS_RGB).map_err(invalid)
}

/// Encodes RGB rows as a JPEG. `quality` is 1 to 100.
pub fn encode(width: u32, height: u32, rgb: &[u8], quality: u8) -> Vec<u8> {
    compress(settings(width, height, quality), rgb)
}

/// Encodes with one Cb and Cr sample per `sampling` pixels, across and down, and with Huffman codes optimised for the
/// picture.
#[cfg(test)]
pub fn encode_sampled(width: u32, height: u32, rgb: &[u8], quality: u8, sampling: [u8; 2]) -> Vec<u8> {
    let mut settings = settings(width, height, quality);
    settings.set_optimize_coding(true);
    settings.set_chroma_sampling_pixel_sizes(sampling.into(), sampling.into());
    compress(settings, rgb)
}

fn settings(width: u32, height: u32, quality: u8) -> Compress {
    let mut settings = Compress::new(ColorSpace::JCS_RGB);
    settings.set_fastest_defaults();
    settings.set_size(width as usize, height as usize);
    settings.set_quality(f32::from(quality));
    settings
}

fn compress(settings: Compress, rgb: &[u8]) -> Vec<u8> {
    let mut jpeg = settings.start_compress(Vec::new()).expect("memory can be written");
    jpeg.write_scanlines(rgb).expect("memory can be written");
    jpeg.finish().expect("memory can be written")
}

/// Returns the error handlers. libjpeg calls these functions and uses none of the other fields.
fn error_manager() -> jpeg_error_mgr {
    jpeg_error_mgr {
        error_exit: Some(on_error),
        emit_message: Some(on_message),
        output_message: Some(ignore),
        format_message: Some(format_nothing),
        reset_error_mgr: Some(ignore),
        msg_code: 0,
        msg_parm: Default::default(),
        trace_level: 0,
        num_warnings: 0,
        jpeg_message_table: ptr::null(),
        last_jpeg_message: 0,
        addon_message_table: ptr::null(),
        first_addon_message: 0,
        last_addon_message: 0,
    }
}

extern "C-unwind" fn on_error(_: &mut jpeg_common_struct) {
    panic::resume_unwind(Box::new(LibjpegError::Invalid));
}

/// Ends the decoding on a warning (level -1), which means damaged or missing data. Other levels only trace progress.
extern "C-unwind" fn on_message(_: &mut jpeg_common_struct, level: c_int) {
    if level < 0 {
        panic::resume_unwind(Box::new(LibjpegError::Damaged));
    }
}

extern "C-unwind" fn ignore(_: &mut jpeg_common_struct) {}

extern "C-unwind" fn format_nothing(_: &mut jpeg_common_struct, _: &[u8; 80]) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::inspect;

    fn gradient(width: u32, height: u32) -> Vec<u8> {
        (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8 * 2, y as u8 * 3, (x + y) as u8])).collect()
    }

    #[test]
    fn decodes_what_it_encodes_at_every_scale() {
        let jpeg = encode(61, 43, &gradient(61, 43), 95);
        let header = inspect(&jpeg).expect("whole");
        for eighths in 1..=8 {
            let (width, height, rgb) = decode(&jpeg, &header, eighths).expect("decodes");
            let scaled = |full: u32| (full * u32::from(eighths)).div_ceil(8);
            assert_eq!((width, height, rgb.len()), (scaled(61), scaled(43), (width * height * 3) as usize));
            // The centre of the picture keeps its colour.
            let middle = ((height / 2 * width + width / 2) * 3) as usize;
            assert!(rgb[middle].abs_diff(61) < 20, "{eighths}/8: {}", rgb[middle]);
        }
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        let jpeg = encode(64, 48, &gradient(64, 48), 90);
        let header = inspect(&jpeg).expect("whole");
        let scan = jpeg.windows(2).position(|marker| marker == [0xFF, 0xDA]).expect("a scan") + 14;
        let mut cut = jpeg[..scan + 40].to_vec();
        cut.extend([0xFF, 0xD9]);
        assert_eq!(decode(&cut, &header, 8), Err(LibjpegError::Damaged));
        assert_eq!(decode(&jpeg[..scan], &header, 8), Err(LibjpegError::Damaged));
        assert_eq!(decode(b"garbage", &header, 8), Err(LibjpegError::Invalid));
        assert_eq!(decode(b"", &header, 8), Err(LibjpegError::Invalid));
        assert_eq!(decode(&jpeg, &JpegHeader { width: 63, ..header }, 8), Err(LibjpegError::Invalid));
    }
}
