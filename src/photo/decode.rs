//! Bytes to pixels. The only file that names the decoder of all formats but JPEG.

use std::io::Cursor;
use std::panic;

use image::{DynamicImage, ImageFormat, ImageReader};

use super::format::Format;
use super::jpeg::{self, JpegFlaw, JpegHeader};
use super::{PhotoError, Raster, baseline, libjpeg, png, tiff, webp};

/// What a photo may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest width x height; a decoded pixel takes 3 to 8 bytes.
    pub pixels_max: u64,
    /// For the coefficients of a JPEG that comes in several scans (progressive), two bytes each.
    pub coefficient_bytes_max: u64,
    pub decoding: Decoding,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { pixels_max: 64_000_000, coefficient_bytes_max: 200_000_000, decoding: Decoding::default() }
    }
}

/// How much of a JPEG is decoded. Other formats are always decoded as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// Every pixel, as the published pipeline does.
    Exact,
    /// At the smallest of 1/8, 2/8, ... 8/8 of the size that leaves the short side so many pixels. It saves most of the
    /// time and memory, and changes embeddings very little: twice the encoder's side is enough for a cosine of 0.999.
    Scaled { short_side_min: u32 },
}

impl Default for Decoding {
    fn default() -> Self {
        Decoding::Scaled { short_side_min: 448 }
    }
}

impl Decoding {
    /// Never decodes to less than an encoder of this side needs.
    pub fn at_least(self, size: u32) -> Self {
        match self {
            Decoding::Exact => Decoding::Exact,
            Decoding::Scaled { short_side_min } => Decoding::Scaled { short_side_min: short_side_min.max(size) },
        }
    }

    fn eighths(self, header: &JpegHeader) -> u8 {
        let short_side = u64::from(header.width.min(header.height));
        match self {
            Decoding::Exact => 8,
            Decoding::Scaled { short_side_min } => {
                let enough = |eighths: &u8| short_side * u64::from(*eighths) >= 8 * u64::from(short_side_min);
                (1..8).find(enough).unwrap_or(8)
            }
        }
    }
}

/// Decodes a photo. Nothing is allocated for its pixels before its header has passed the limits.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Raster, PhotoError> {
    match Format::of(bytes)? {
        Format::Jpeg => decode_jpeg(bytes, limits),
        Format::Png => {
            png::inspect(bytes)?;
            decode_whole(bytes, ImageFormat::Png, Format::Png, limits)
        }
        Format::WebP => {
            webp::inspect(bytes)?;
            decode_whole(bytes, ImageFormat::WebP, Format::WebP, limits)
        }
        Format::Tiff => match tiff::inspect(bytes)? {
            Some(preview) => decode_jpeg(preview, limits),
            None => decode_whole(bytes, ImageFormat::Tiff, Format::Tiff, limits),
        },
    }
}

fn decode_jpeg(bytes: &[u8], limits: &Limits) -> Result<Raster, PhotoError> {
    let format = Format::Jpeg.name();
    let header = jpeg::inspect(bytes).map_err(|flaw| match flaw {
        JpegFlaw::Truncated(end) => PhotoError::Truncated { format, end },
        _ => PhotoError::Broken { format, reason: flaw.to_string() },
    })?;
    if let Some(refusal) = header.refusal() {
        return Err(refusal);
    }
    check_pixels(header.width, header.height, format, limits)?;
    let (needed, limit) = (header.coefficient_bytes, limits.coefficient_bytes_max);
    if needed > limit {
        return Err(PhotoError::TooMuchMemory { needed, limit });
    }
    let eighths = limits.decoding.eighths(&header);
    let undecodable = |error: libjpeg::LibjpegError| PhotoError::Undecodable { format, reason: error.to_string() };
    let (width, height, rgb) = match baseline::decode(bytes, &header, eighths) {
        Some(picture) if libjpeg::accepts_header(bytes, &header, eighths) => picture,
        _ => libjpeg::decode(bytes, &header, eighths).map_err(undecodable)?,
    };
    Ok(Raster { pixels: [header.width, header.height], eighths, ..Raster::whole(width, height, rgb) })
}

/// A file that makes the decoder panic must cost its own result and nothing else.
fn decode_whole(bytes: &[u8], kind: ImageFormat, format: Format, limits: &Limits) -> Result<Raster, PhotoError> {
    let failed = |_| Err(PhotoError::Undecodable { format: format.name(), reason: "the decoder failed".to_owned() });
    panic::catch_unwind(|| by_image(bytes, kind, format, limits)).unwrap_or_else(failed)
}

fn by_image(bytes: &[u8], kind: ImageFormat, format: Format, limits: &Limits) -> Result<Raster, PhotoError> {
    let undecodable =
        |error: image::ImageError| PhotoError::Undecodable { format: format.name(), reason: error.to_string() };
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), kind).into_dimensions().map_err(undecodable)?;
    check_pixels(width, height, format.name(), limits)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind);
    reader.limits(allocation_limits(limits));
    Ok(raster(reader.decode().map_err(undecodable)?))
}

fn check_pixels(width: u32, height: u32, format: &'static str, limits: &Limits) -> Result<(), PhotoError> {
    if width == 0 || height == 0 {
        return Err(PhotoError::Broken { format, reason: "it has no pixels".to_owned() });
    }
    match u64::from(width) * u64::from(height) > limits.pixels_max {
        true => Err(PhotoError::TooManyPixels { width, height, limit: limits.pixels_max }),
        false => Ok(()),
    }
}

/// 16-bit RGBA, the widest pixel that a decoder makes, takes 8 bytes.
fn allocation_limits(limits: &Limits) -> image::Limits {
    let mut allocation = image::Limits::default();
    allocation.max_alloc = Some(limits.pixels_max.saturating_mul(8));
    allocation
}

/// 16-bit samples are rescaled, not clipped; grey is repeated in all three channels.
fn raster(image: DynamicImage) -> Raster {
    let rgb = image.into_rgb8();
    Raster::whole(rgb.width(), rgb.height(), rgb.into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // The structure is whole, but there is data for a few rows only.
        assert!(refused(seed!("short-data.jpg")).contains("damaged or incomplete"));
    }

    #[test]
    fn headers_that_announce_too_much_are_refused_before_anything_is_allocated() {
        for bomb in [seed!("bomb.jpg"), seed!("bomb.png"), seed!("bomb.tif"), seed!("bomb.webp")] {
            let error = decode(bomb, &Limits::default()).expect_err("refused");
            let expected = PhotoError::TooManyPixels { width: 65_535, height: 65_535, limit: 64_000_000 };
            assert_eq!(error, expected);
        }
        let limits = Limits { pixels_max: 64 * 48 - 1, ..Limits::default() };
        let message = decode(&jpeg(64, 48), &limits).expect_err("refused").to_string();
        assert_eq!(message, "64 x 48 pixels are more than the limit of 3071");
    }

    #[test]
    fn a_progressive_picture_is_measured_before_it_is_decoded() {
        let limits = Limits { coefficient_bytes_max: 100_000_000, ..Limits::default() };
        let error = decode(seed!("progressive-48mp.jpg"), &limits).expect_err("refused");
        assert_eq!(error, PhotoError::TooMuchMemory { needed: 144_000_000, limit: 100_000_000 });
        let small = decoded(seed!("progressive.jpg"));
        assert_eq!(small.pixels, [33, 47]);
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
        // Each holds 24 MB of zeros, one as a colour profile, one behind its 8 x 8 pixels.
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
