//! Bytes that start on a cache line.

use std::ops::{Deref, DerefMut};

/// Size and alignment of a cache line; also of the widest vector register.
const LINE: usize = 64;

/// Zeroed bytes, aligned to 64, with [`AlignedBytes::SLACK`] readable bytes behind the last one.
#[derive(Debug)]
pub struct AlignedBytes {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBytes {
    /// Kernels load ahead of what they use; this much lies behind the end for them to read.
    pub const SLACK: usize = 256;

    pub fn zeroed(len: usize) -> Self {
        let bytes = vec![0; len + LINE + Self::SLACK];
        let start = bytes.as_ptr().align_offset(LINE);
        assert!(start < LINE, "bytes can be aligned");
        AlignedBytes { bytes, start, len }
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..][..self.len]
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..self.len]
    }
}
