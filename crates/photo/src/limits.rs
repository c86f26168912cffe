//! Limits on what a photo may cost, and the memory that it takes.

use super::PhotoError;
use super::jpeg::JpegHeader;
use super::raster::PASS_PIXELS_MAX;

/// Limits on the cost of decoding one photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum width x height in pixels, which bounds decoding time.
    pub pixels_max: u64,
    /// Maximum memory in bytes beside the file itself. See [`OpenPhoto::memory`].
    pub memory_bytes_max: u64,
    /// Maximum size in bytes of the coefficients of a JPEG with several scans (progressive), two bytes each.
    pub coefficient_bytes_max: u64,
    /// Scale at which JPEGs are decoded.
    pub decoding: Decoding,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            pixels_max: 250_000_000,
            memory_bytes_max: 400_000_000,
            coefficient_bytes_max: 200_000_000,
            decoding: Decoding::default(),
        }
    }
}

/// Part of a JPEG's detail that is decoded. A HEIC photo is decoded completely if it fits the memory, and other formats
/// always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// Every pixel, as in the published pipeline.
    Exact,
    /// The smallest of 1/8, 2/8, ... 8/8 of the size that leaves at least this many pixels on the short side. It saves
    /// most of the time and memory and changes embeddings very little: twice the encoder's side is enough for a cosine
    /// of 0.999.
    Scaled { short_side_min: u32 },
}

impl Default for Decoding {
    fn default() -> Self {
        Decoding::Scaled { short_side_min: 448 }
    }
}

impl Decoding {
    /// Returns a decoding that keeps at least `size` pixels on the short side, as an encoder with that input side
    /// needs.
    pub fn at_least(self, size: u32) -> Self {
        match self {
            Decoding::Exact => Decoding::Exact,
            Decoding::Scaled { short_side_min } => Decoding::Scaled { short_side_min: short_side_min.max(size) },
        }
    }

    /// Returns the scale for this JPEG in eighths, 1 to 8.
    pub fn eighths(self, header: &JpegHeader) -> u8 {
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

/// Memory in bytes that a photo takes beside its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Peak while the photo is decoded and converted.
    pub decoding: u64,
    /// Decoded pixels, which remain until everything is made from them.
    pub raster: u64,
}

/// Upper bound in bytes on the result of the first resizing pass; see [`Raster::resample`].
const RESIZED_BYTES_MAX: u64 = 3 * PASS_PIXELS_MAX;
/// Allowance in bytes for the encoder's input, the pixels searched for codes and the encoded thumbnail.
const SMALL_BYTES: u64 = 8 << 20;

impl Memory {
    /// Returns the peak in bytes, including what is made from the raster.
    pub fn total(self) -> u64 {
        self.decoding.max(self.raster + self.raster.min(RESIZED_BYTES_MAX)) + SMALL_BYTES
    }

    /// Returns itself, or [`PhotoError::TooMuchMemory`] if the total exceeds the limit.
    pub fn check(self, limits: &Limits) -> Result<Self, PhotoError> {
        let (needed, limit) = (self.total(), limits.memory_bytes_max);
        if needed > limit { Err(PhotoError::TooMuchMemory { needed, limit }) } else { Ok(self) }
    }
}

/// Returns an error if a picture is empty or has more pixels than the limit.
pub fn check_pixels([width, height]: [u32; 2], format: &'static str, limits: &Limits) -> Result<(), PhotoError> {
    if width == 0 || height == 0 {
        return Err(PhotoError::Broken { format, reason: "it has no pixels".to_owned() });
    }
    match u64::from(width) * u64::from(height) > limits.pixels_max {
        true => Err(PhotoError::TooManyPixels { width, height, limit: limits.pixels_max }),
        false => Ok(()),
    }
}
