//! Bytes to pixels. The only file that names the image decoder.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, ImageReader};

use super::jpeg::{self, JpegFlaw};

/// What a photo may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest width x height; a decoded pixel takes 3 to 8 bytes.
    pub pixels_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { pixels_max: 64_000_000 }
    }
}

/// Why a file gives no result. Each reason stands in the record of the failure.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    #[error("the file is empty")]
    Empty,
    #[error("not a photo: the file starts like no JPEG, PNG, TIFF or WebP")]
    UnknownFormat,
    #[error("truncated JPEG: {0}")]
    Truncated(JpegFlaw),
    #[error("broken JPEG: {0}")]
    BrokenJpeg(JpegFlaw),
    #[error("CMYK JPEG: print colours are not supported; export the photo as RGB")]
    Cmyk,
    #[error("{width} x {height} pixels are more than the limit of {limit}")]
    TooManyPixels { width: u32, height: u32, limit: u64 },
    #[error("cannot decode the {format}: {reason}")]
    Undecodable { format: &'static str, reason: String },
}

impl PhotoError {
    /// Whether the file may still be growing, so that looking again later can help.
    pub fn may_be_incomplete(&self) -> bool {
        matches!(self, PhotoError::Empty | PhotoError::Truncated(_) | PhotoError::Undecodable { .. })
    }
}

/// Decoded pixels: 8-bit RGB, row by row, `height * width * 3` bytes. Alpha is dropped, not composited; EXIF
/// orientation is not applied, as in the published pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
}

/// Decodes a whole photo. Nothing is allocated before its header has passed the limits.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Raster, PhotoError> {
    let format = format_of(bytes)?;
    if format == ImageFormat::Jpeg {
        check_jpeg(bytes)?;
    }
    let undecodable =
        |error: image::ImageError| PhotoError::Undecodable { format: name(format), reason: error.to_string() };
    let (width, height) =
        ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().map_err(undecodable)?;
    if width == 0 || height == 0 {
        return Err(PhotoError::Undecodable { format: name(format), reason: "it has no pixels".to_owned() });
    }
    if u64::from(width) * u64::from(height) > limits.pixels_max {
        return Err(PhotoError::TooManyPixels { width, height, limit: limits.pixels_max });
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(allocation_limits(limits));
    Ok(raster(reader.decode().map_err(undecodable)?))
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat, PhotoError> {
    if bytes.is_empty() {
        return Err(PhotoError::Empty);
    }
    match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Tiff | ImageFormat::WebP)) => Ok(format),
        _ => Err(PhotoError::UnknownFormat),
    }
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::Tiff => "TIFF",
        _ => "WebP",
    }
}

fn check_jpeg(bytes: &[u8]) -> Result<(), PhotoError> {
    let header = jpeg::inspect(bytes).map_err(|flaw| match flaw {
        JpegFlaw::Truncated(_) => PhotoError::Truncated(flaw),
        _ => PhotoError::BrokenJpeg(flaw),
    })?;
    if header.components == 4 { Err(PhotoError::Cmyk) } else { Ok(()) }
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
    Raster { width: rgb.width(), height: rgb.height(), rgb: rgb.into_raw() }
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

    #[test]
    fn lossless_formats_keep_their_pixels() {
        let image = gradient(50, 31);
        for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::WebP] {
            let raster = decode(&encoded(&image, format), &Limits::default()).expect("decodes");
            assert_eq!((raster.width, raster.height), (50, 31));
            assert_eq!(raster.rgb, image.as_bytes(), "{format:?}");
        }
    }

    #[test]
    fn alpha_is_dropped_and_16_bit_grey_rescaled() {
        let rgba = image::RgbaImage::from_pixel(2, 2, image::Rgba([10, 20, 30, 0]));
        let raster = decode(&encoded(&rgba.into(), ImageFormat::Png), &Limits::default()).unwrap();
        assert_eq!(raster.rgb[..3], [10, 20, 30]);
        let grey = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(2, 2, image::Luma([0x8080]));
        let raster = decode(&encoded(&grey.into(), ImageFormat::Png), &Limits::default()).unwrap();
        assert_eq!(raster.rgb[..3], [0x80, 0x80, 0x80]);
    }

    #[test]
    fn every_prefix_of_a_jpeg_is_refused() {
        let jpeg = encoded(&gradient(64, 48), ImageFormat::Jpeg);
        assert!(decode(&jpeg, &Limits::default()).is_ok());
        for length in 0..jpeg.len() {
            let error = decode(&jpeg[..length], &Limits::default()).unwrap_err();
            let early = length < 3; // too short to be recognised
            assert!(early || error.may_be_incomplete(), "{length} bytes: {error}");
        }
    }

    #[test]
    fn foreign_and_oversized_files_are_refused_with_the_reason() {
        let refused = |bytes: &[u8], limits| decode(bytes, &limits).unwrap_err().to_string();
        assert_eq!(refused(b"", Limits::default()), "the file is empty");
        assert!(refused(b"%PDF-1.7 report", Limits::default()).starts_with("not a photo"));
        let jpeg = encoded(&gradient(64, 48), ImageFormat::Jpeg);
        let message = refused(&jpeg, Limits { pixels_max: 64 * 48 - 1 });
        assert_eq!(message, "64 x 48 pixels are more than the limit of 3071");
    }
}
