//! Reasons why a file gives no result. The record of the failure quotes them.

/// Fault of a photo file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhotoError {
    #[error("the file is empty")]
    Empty,
    #[error("not a photo: the file starts like no JPEG, PNG, TIFF, WebP, HEIC or raw file")]
    UnknownFormat,
    #[error("{what} is not supported; export the photo as an RGB JPEG")]
    Unsupported { what: &'static str },
    #[error("{what} is not supported; save it as an uncompressed or LZW RGB TIFF, or as a JPEG")]
    UnusualTiff { what: &'static str },
    #[error("{what} is read by its JPEG preview, and this one contains none that is large enough; export it as a JPEG")]
    NoPreview { what: &'static str },
    #[error("not a photo: the file is {what}")]
    NotAPhoto { what: &'static str },
    #[error("truncated {format}: the file ends at byte {end}, before the end of the picture")]
    Truncated { format: &'static str, end: usize },
    #[error("broken {format}: {reason}")]
    Broken { format: &'static str, reason: String },
    #[error(
        "{width} x {height} pixels are more than the limit of {limit}; raise photo_megapixels_max in [intake], or \
         --megapixels-max on the command line"
    )]
    TooManyPixels { width: u32, height: u32, limit: u64 },
    #[error(
        "this JPEG comes in several scans, and decoding it takes {needed} bytes; the limit is {limit} \
         (progressive_megabytes_max in [photo]); set the camera to baseline JPEG"
    )]
    TooManyCoefficients { needed: u64, limit: u64 },
    #[error(
        "decoding this photo takes {needed} bytes of memory; the limit is {limit} (memory_megabytes_max in [photo]); \
         save it as a baseline JPEG"
    )]
    TooMuchMemory { needed: u64, limit: u64 },
    #[error("cannot decode the {format}: {reason}")]
    Undecodable { format: &'static str, reason: String },
}

impl PhotoError {
    /// Reports whether the file may still be growing, so that a later attempt can succeed.
    pub fn may_be_incomplete(&self) -> bool {
        matches!(self, PhotoError::Empty | PhotoError::Truncated { .. } | PhotoError::Undecodable { .. })
    }
}
