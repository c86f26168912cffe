//! Decodes bytes to pixels. The cost of decoding a photo is known before decoding starts.

use std::borrow::Cow;

use super::format::Format;
use super::jpeg::{self, JpegFlaw, JpegHeader};
use super::limits::{Limits, Memory, check_pixels};
use super::others::Other;
use super::{PhotoError, Raster, baseline, libjpeg, png, tiff, webp};

/// A photo whose structure and header are within the limits, with the memory that decoding it takes. None of its pixels
/// have been allocated yet.
#[derive(Debug)]
pub struct OpenPhoto<'a> {
    bytes: &'a [u8],
    source: Source<'a>,
    limits: Limits,
    memory: Memory,
}

#[derive(Debug)]
enum Source<'a> {
    Jpeg { bytes: &'a [u8], header: JpegHeader },
    Other { bytes: Cow<'a, [u8]>, form: Other },
}

/// Bytes per column and component of a JPEG for the rows of blocks that a decoder has in transit.
const JPEG_COLUMN_BYTES: u64 = 160;

impl<'a> OpenPhoto<'a> {
    /// Checks the structure and header of a file against the limits, without allocating any pixels.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, PhotoError> {
        match Format::of(bytes)? {
            Format::Jpeg => Self::jpeg(bytes, bytes, limits),
            Format::Png => {
                let header = png::inspect(bytes)?;
                let essential = header.essential(bytes, limits)?;
                Self::other(bytes, essential, Other::png(&header), limits)
            }
            Format::WebP => {
                webp::inspect(bytes)?;
                Self::other(bytes, bytes.into(), Other::webp(bytes, limits), limits)
            }
            Format::Tiff => match tiff::inspect(bytes)? {
                tiff::Content::Preview(preview) => Self::jpeg(bytes, preview, limits),
                tiff::Content::Pixels { parts } => Self::other(bytes, bytes.into(), Other::tiff(parts, limits), limits),
            },
        }
    }

    /// Returns the peak memory in bytes, without the file itself, until everything made from the pixels exists. Turning
    /// a picture by a quarter (`turned`) takes a second raster.
    pub fn memory(&self, turned: bool) -> u64 {
        self.memory.total() + if turned { self.memory.raster } else { 0 }
    }

    /// Returns the bytes of the file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Decodes the pixels. Damaged data gives [`PhotoError::Undecodable`].
    pub fn decode(&self) -> Result<Raster, PhotoError> {
        match &self.source {
            Source::Jpeg { bytes, header } => decode_jpeg(bytes, header, &self.limits),
            Source::Other { bytes, form } => form.decode(bytes),
        }
    }

    /// Opens the JPEG `jpeg`, which is the file `bytes` itself or a preview inside it.
    fn jpeg(bytes: &'a [u8], jpeg: &'a [u8], limits: &Limits) -> Result<Self, PhotoError> {
        let format = Format::Jpeg.name();
        let header = jpeg::inspect(jpeg).map_err(|flaw| match flaw {
            JpegFlaw::Truncated(end) => PhotoError::Truncated { format, end },
            _ => PhotoError::Broken { format, reason: flaw.to_string() },
        })?;
        if let Some(refusal) = header.refusal() {
            return Err(refusal);
        }
        check_pixels([header.width, header.height], format, limits)?;
        let (needed, limit) = (header.coefficient_bytes, limits.coefficient_bytes_max);
        if needed > limit {
            return Err(PhotoError::TooManyCoefficients { needed, limit });
        }
        let eighths = u64::from(limits.decoding.eighths(&header));
        let [width, height] = [header.width, header.height].map(|side| (u64::from(side) * eighths).div_ceil(8));
        let raster = 3 * width * height;
        let rows = JPEG_COLUMN_BYTES * u64::from(header.components) * u64::from(header.width);
        let memory = Memory { decoding: raster + header.coefficient_bytes + rows, raster }.check(limits)?;
        Ok(OpenPhoto { bytes, source: Source::Jpeg { bytes: jpeg, header }, limits: *limits, memory })
    }

    /// Opens a file of another format. `given` is the part of the file that the decoder gets.
    fn other(bytes: &'a [u8], given: Cow<'a, [u8]>, form: Other, limits: &Limits) -> Result<Self, PhotoError> {
        let copied = if let Cow::Owned(copy) = &given { copy.len() as u64 } else { 0 };
        let memory = form.measure(&given, limits)?;
        let memory = Memory { decoding: memory.decoding + copied, ..memory }.check(limits)?;
        Ok(OpenPhoto { bytes, source: Source::Other { bytes: given, form }, limits: *limits, memory })
    }
}

/// Decodes a photo. Nothing is allocated for its pixels until its header has passed the limits.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Raster, PhotoError> {
    OpenPhoto::new(bytes, limits)?.decode()
}

fn decode_jpeg(bytes: &[u8], header: &JpegHeader, limits: &Limits) -> Result<Raster, PhotoError> {
    let eighths = limits.decoding.eighths(header);
    let undecodable = |error: libjpeg::LibjpegError| PhotoError::Undecodable {
        format: Format::Jpeg.name(),
        reason: error.to_string(),
    };
    let (width, height, rgb) = match baseline::decode(bytes, header, eighths) {
        Some(picture) if libjpeg::accepts_header(bytes, header, eighths) => picture,
        _ => libjpeg::decode(bytes, header, eighths).map_err(undecodable)?,
    };
    Ok(Raster { pixels: [header.width, header.height], eighths, ..Raster::whole(width, height, rgb) })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use super::*;
    use crate::limits::Decoding;

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), format).expect("encode");
        bytes
    }

    fn gradient(width: u32, height: u32) -> DynamicImage {
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8])).into()
    }

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        libjpeg::encode(width, height, gradient(width, height).as_bytes(), 90)
    }

    fn decoded(bytes: &[u8]) -> Raster {
        decode(bytes, &Limits::default()).expect("decodes")
    }

    fn refused(bytes: &[u8]) -> String {
        decode(bytes, &Limits::default()).expect_err("refused").to_string()
    }

    #[test]
    fn lossless_formats_keep_their_pixels() {
        let image = gradient(50, 31);
        for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::WebP] {
            let raster = decoded(&encoded(&image, format));
            assert_eq!(raster, Raster::whole(50, 31, image.as_bytes().to_vec()), "{format:?}");
        }
    }

    #[test]
    fn alpha_is_dropped_and_16_bit_grey_rescaled() {
        let rgba = image::RgbaImage::from_pixel(2, 2, image::Rgba([10, 20, 30, 0]));
        assert_eq!(decoded(&encoded(&rgba.into(), ImageFormat::Png)).rgb[..3], [10, 20, 30]);
        for (stored, expected) in [(0, 0), (0x8080, 0x80), (0x80FF, 0x80), (0x8101, 0x81), (u16::MAX, 255)] {
            let grey = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(2, 2, image::Luma([stored]));
            assert_eq!(decoded(&encoded(&grey.into(), ImageFormat::Png)).rgb[..3], [expected; 3], "{stored:x}");
        }
    }

    #[test]
    fn the_short_side_decides_the_scale() {
        let header =
            |width: u32, height: u32| JpegHeader { width, height, ..jpeg::inspect(&jpeg(8, 8)).expect("whole") };
        let eighths = |width, height| Decoding::default().eighths(&header(width, height));
        assert_eq!([eighths(5472, 3648), eighths(3584, 9000), eighths(3583, 9000)], [1, 1, 2]);
        assert_eq!([eighths(4000, 3000), eighths(1600, 1200), eighths(640, 480), eighths(3, 2)], [2, 3, 8, 8]);
        assert_eq!(Decoding::Exact.eighths(&header(5472, 3648)), 8);
        let at_least = |size| Decoding::default().at_least(size).eighths(&header(8000, 6000));
        assert_eq!([at_least(224), at_least(768), at_least(6001)], [1, 2, 8]);
    }

    #[test]
    fn a_scaled_jpeg_knows_its_full_size() {
        let limits = Limits { decoding: Decoding::Scaled { short_side_min: 100 }, ..Limits::default() };
        let raster = decode(&jpeg(613, 411), &limits).expect("decodes");
        assert_eq!((raster.width, raster.height, raster.eighths, raster.pixels), (154, 103, 2, [613, 411]));
        assert_eq!(raster.rgb.len(), 154 * 103 * 3);
    }

    #[test]
    fn every_prefix_is_refused() {
        let image = gradient(160, 120);
        let files = [
            jpeg(160, 120),
            seed!("progressive.jpg").to_vec(),
            seed!("preview.dng").to_vec(),
            encoded(&image, ImageFormat::Png),
            encoded(&image, ImageFormat::Tiff),
            encoded(&image, ImageFormat::WebP),
        ];
        for whole in files {
            decoded(&whole);
            let step = (whole.len() / 500).max(1);
            for length in (0..whole.len()).step_by(step).chain(whole.len() - 8..whole.len()) {
                let error = decode(&whole[..length], &Limits::default()).expect_err("refused");
                let early = length < 12; // too short to be recognised
                assert!(early || error.may_be_incomplete(), "{length} of {} bytes: {error}", whole.len());
            }
        }
    }

    #[test]
    fn damage_within_the_data_is_refused() {
        // The structure is complete, but only a few rows have data.
        assert!(refused(seed!("short-data.jpg")).contains("damaged or incomplete"));
    }

    #[test]
    fn headers_that_announce_too_much_are_refused_before_anything_is_allocated() {
        for bomb in [seed!("bomb.jpg"), seed!("bomb.png"), seed!("bomb.tif"), seed!("bomb.webp")] {
            let error = decode(bomb, &Limits::default()).expect_err("refused");
            let expected = PhotoError::TooManyPixels { width: 65_535, height: 65_535, limit: 250_000_000 };
            assert_eq!(error, expected);
        }
        let limits = Limits { pixels_max: 64 * 48 - 1, ..Limits::default() };
        let message = decode(&jpeg(64, 48), &limits).expect_err("refused").to_string();
        assert_eq!(message, "64 x 48 pixels are more than the limit of 3071 (photo_megapixels_max)");
    }

    #[test]
    fn a_progressive_picture_is_measured_before_it_is_decoded() {
        let limits = Limits { coefficient_bytes_max: 100_000_000, ..Limits::default() };
        let error = decode(seed!("progressive-48mp.jpg"), &limits).expect_err("refused");
        assert_eq!(error, PhotoError::TooManyCoefficients { needed: 144_000_000, limit: 100_000_000 });
        let small = decoded(seed!("progressive.jpg"));
        assert_eq!(small.pixels, [33, 47]);
    }

    #[test]
    fn a_picture_that_needs_more_memory_than_allowed_is_refused() {
        let bytes = encoded(&gradient(2000, 1000), ImageFormat::Png);
        let needed = OpenPhoto::new(&bytes, &Limits::default()).expect("opens").memory(false);
        let within = |memory_bytes_max| decode(&bytes, &Limits { memory_bytes_max, ..Limits::default() });
        assert_eq!(within(needed).expect("decodes").pixels, [2000, 1000]);
        let error = within(needed - 1).expect_err("refused");
        assert_eq!(error, PhotoError::TooMuchMemory { needed, limit: needed - 1 });
        assert!(error.to_string().contains("memory_megabytes_max") && !error.may_be_incomplete(), "{error}");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let cases = [
            (seed!("cmyk.jpg"), "CMYK JPEG"),
            (seed!("cmyk.tif"), "CMYK TIFF"),
            (seed!("12-bit.jpg"), "more than 8 bits"),
            (seed!("arithmetic.jpg"), "arithmetic"),
            (seed!("animated.png"), "an animated PNG"),
            (seed!("animated.webp"), "an animated WebP"),
            (seed!("header.heic"), "HEIC is not supported"),
            (b"%PDF-1.7 report", "not a photo"),
            (b"", "the file is empty"),
        ];
        for (bytes, expected) in cases {
            let message = refused(bytes);
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn data_that_unpacks_to_more_than_the_picture_is_left_alone() {
        // Each file holds 24 MB of zeros: one as a colour profile, the other after its 8 x 8 pixels.
        for bomb in [seed!("icc-bomb.png"), seed!("data-bomb.png")] {
            assert_eq!(decoded(bomb).pixels, [8, 8]);
        }
    }

    #[test]
    fn the_first_page_and_the_preview_are_the_photo() {
        assert_eq!(decoded(seed!("pages.tif")).pixels, [8, 8]);
        assert_eq!(decoded(seed!("preview.dng")).rgb, decoded(seed!("drone.jpg")).rgb);
    }
}
