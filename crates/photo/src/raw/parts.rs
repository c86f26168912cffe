//! Finds the parts of a raw file that is no TIFF.

/// Maximum number of previews that are looked at; cameras write up to five.
pub const PREVIEWS_MAX: usize = 64;

/// Returns the big-endian number at `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_be_bytes(*field) as usize)
}

/// Returns the range of the file, `None` if it ends before.
pub fn range(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}
