//! Zip archives as spreadsheet programs write them (APPNOTE 6.3): stored or deflated entries, one disk, no encryption.

pub mod read;
pub mod write;

/// Signature of an entry's local header.
const LOCAL: u32 = 0x0403_4b50;
/// Signature of an entry in the central directory.
const CENTRAL: u32 = 0x0201_4b50;
/// Signature of the end of the central directory.
const END: u32 = 0x0605_4b50;
/// Size of the fixed part of a local header in bytes.
const LOCAL_BYTES: usize = 30;
/// Size of the fixed part of an entry in the central directory in bytes.
const CENTRAL_BYTES: usize = 46;
/// Size of the end of the central directory in bytes, without its comment.
const END_BYTES: usize = 22;
/// Method of an entry that is not compressed.
const STORED: u16 = 0;
/// Method of an entry that is compressed with deflate.
const DEFLATED: u16 = 8;
/// Flag of an entry whose name is UTF-8.
const UTF8: u16 = 1 << 11;
