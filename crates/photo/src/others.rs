//! PNG and WebP through the library `image`: the memory that its decoders take, and decoding. Together with
//! `pixels`, the only file that names them.

use std::io::Cursor;

use image::{ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult};

use super::format::Format;
use super::limits::{Limits, Memory, check_pixels};
use super::pixels::{self, to_rgb};
use super::png::PngHeader;
use super::{PhotoError, Raster};

/// Bytes reserved for the unpacked colour profile of a PNG; the decoder skips larger ones.
const PROFILE_BYTES: u64 = 4 << 20;
/// Copies that a PNG decoder makes of a chunk without pixels: the raw one, and the parts parsed from it.
const CHUNK_COPIES: u64 = 4;
/// Rows that a PNG decoder holds: the previous one, the next one, and unpacked bytes of those that follow.
const PNG_ROWS: u64 = 3;

/// Format of a file that `image` decodes, with what its decoder may allocate.
#[derive(Clone, Copy, Debug)]
pub struct Other {
    format: Format,
    kind: ImageFormat,
    /// Bytes that the decoder keeps beside the pixels.
    beside: u64,
    /// Bytes that the decoder may allocate, by its own way of counting.
    allowed: u64,
}

impl Other {
    /// Describes a PNG, whose decoder counts rows and chunks without pixels.
    pub fn png(header: &PngHeader) -> Self {
        let beside = CHUNK_COPIES * header.beside() + PROFILE_BYTES;
        let row = 8 * u64::from(header.width);
        Other { format: Format::Png, kind: ImageFormat::Png, beside, allowed: beside + 2 * row }
    }

    /// Describes a WebP, whose decoder copies parts of the file.
    pub fn webp(bytes: &[u8], limits: &Limits) -> Self {
        let beside = 2 * bytes.len() as u64;
        Other { format: Format::WebP, kind: ImageFormat::WebP, beside, allowed: limits.memory_bytes_max }
    }

    /// Reads the header and returns the memory that decoding takes. The decoders' peaks were measured with the version
    /// in use; see `tests/photo_memory.rs`.
    pub fn measure(&self, bytes: &[u8], limits: &Limits) -> Result<Memory, PhotoError> {
        let reader = self.open(bytes)?;
        let ((width, height), color) = (reader.dimensions(), reader.color_type());
        check_pixels([width, height], self.format.name(), limits)?;
        let (pixels, samples) = (u64::from(width) * u64::from(height), reader.total_bytes());
        let inside = match self.format {
            // A lossless picture takes four bytes a pixel; a lossy one takes planes of luma, chroma and alpha.
            Format::WebP => 6 * pixels,
            _ => PNG_ROWS * samples / u64::from(height),
        };
        let converted = pixels::memory(samples, pixels, color);
        Ok(Memory { decoding: (samples + inside).max(converted) + self.beside, raster: 3 * pixels })
    }

    /// Decodes the pixels.
    pub fn decode(&self, bytes: &[u8]) -> Result<Raster, PhotoError> {
        let reader = self.open(bytes)?;
        let ((width, height), color) = (reader.dimensions(), reader.color_type());
        let mut samples = vec![0; usize::try_from(reader.total_bytes()).unwrap_or(usize::MAX)];
        reader.read_image(&mut samples).map_err(|error| self.undecodable(&error))?;
        let rgb = to_rgb(samples, color).ok_or(PhotoError::Unsupported { what: "a photo of unusual samples" })?;
        Ok(Raster::whole(width, height, rgb))
    }

    fn open(&self, bytes: &[u8]) -> Result<impl ImageDecoder, PhotoError> {
        bounded(bytes, self.kind, self.allowed).map_err(|error| self.undecodable(&error))
    }

    fn undecodable(&self, error: &ImageError) -> PhotoError {
        PhotoError::Undecodable { format: self.format.name(), reason: error.to_string() }
    }
}

/// Creates a decoder that may allocate at most `allowed` bytes.
fn bounded(bytes: &[u8], kind: ImageFormat, allowed: u64) -> ImageResult<impl ImageDecoder> {
    let mut bounds = image::Limits::no_limits();
    bounds.max_alloc = Some(allowed);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind);
    reader.limits(bounds);
    reader.into_decoder()
}
