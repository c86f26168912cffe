//! Bytes that start on a cache line.

use std::ops::{Deref, DerefMut};

/// Size and alignment of a cache line in bytes; also the width of the widest vector register.
const LINE: usize = 64;

/// Zeroed bytes, aligned to 64, with [`AlignedBytes::SLACK`] readable bytes after the last one.
#[derive(Debug)]
pub struct AlignedBytes {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBytes {
    /// Number of bytes after the end that kernels may read, because they load ahead of use.
    pub const SLACK: usize = 256;

    /// Allocates `len` zeroed bytes and the slack.
    pub fn zeroed(len: usize) -> Self {
        let bytes = vec![0; len + LINE + Self::SLACK];
        ask_for_huge_pages(&bytes);
        let start = bytes.as_ptr().align_offset(LINE);
        assert!(start < LINE, "bytes can be aligned");
        AlignedBytes { bytes, start, len }
    }
}

/// Size in bytes from which huge pages are requested.
const HUGE_FROM: usize = 8 << 20;
/// Largest base page size of supported processors, in bytes.
const PAGE: usize = 64 << 10;

/// Asks Linux to put many untouched bytes on large pages. Fewer pages have to be set up, and a scan has fewer address
/// translations to wait for.
fn ask_for_huge_pages(bytes: &[u8]) {
    #[cfg(target_os = "linux")]
    if bytes.len() >= HUGE_FROM {
        let start = bytes.as_ptr().align_offset(PAGE);
        let whole = &bytes[start..];
        let length = whole.len() / PAGE * PAGE;
        // SAFETY: the range lies within `bytes`; the advice changes neither content nor access.
        let advised =
            unsafe { rustix::mm::madvise(whole.as_ptr().cast_mut().cast(), length, rustix::mm::Advice::LinuxHugepage) };
        // A kernel without large pages works as well.
        let _ = advised;
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
