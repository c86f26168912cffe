//! Bytes to pixels. The only file that names the decoder of all formats but JPEG.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, ImageReader};

use super::format::Format;
use super::jpeg::{self, JpegFlaw, JpegHeader};
use super::{PhotoError, Raster, libjpeg, png, tiff, webp};

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
    let (width, height, rgb) = libjpeg::decode(bytes, &header, eighths).map_err(undecodable)?;
    Ok(Raster { pixels: [header.width, header.height], eighths, ..Raster::whole(width, height, rgb) })
}

fn decode_whole(bytes: &[u8], kind: ImageFormat, format: Format, limits: &Limits) -> Result<Raster, PhotoError> {
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
