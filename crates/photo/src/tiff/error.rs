//! Errors of TIFF files.

use crate::PhotoError;

/// Returns the error for a file that contradicts TIFF 6.0 or itself.
pub fn broken(reason: &str) -> PhotoError {
    PhotoError::Broken { format: "TIFF", reason: reason.to_owned() }
}

/// Returns the error for a kind of TIFF that is not decoded.
pub fn refused(what: &'static str) -> PhotoError {
    PhotoError::UnusualTiff { what }
}
