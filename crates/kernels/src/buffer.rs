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
        ask_for_huge_pages(&bytes);
        let start = bytes.as_ptr().align_offset(LINE);
        assert!(start < LINE, "bytes can be aligned");
        AlignedBytes { bytes, start, len }
    }
}

/// Whatever is smaller stays on ordinary pages.
const HUGE_FROM: usize = 8 << 20;
/// The greatest page size of ordinary memory on the processors we know.
const PAGE: usize = 64 << 10;

/// Asks Linux to put many bytes, none of which has been touched yet, on large pages: fewer of them to set up, and a scan
/// does not stop at each for its address.
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
