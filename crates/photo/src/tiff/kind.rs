//! Types of the values in directories of TIFF files and EXIF blocks (TIFF 6.0, section 2 and supplement 1; UTF-8: CIPA
//! DC-008-2023, 4.6.2).

pub const BYTE: u16 = 1;
pub const ASCII: u16 = 2;
pub const SHORT: u16 = 3;
pub const LONG: u16 = 4;
pub const RATIONAL: u16 = 5;
pub const SBYTE: u16 = 6;
pub const UNDEFINED: u16 = 7;
pub const SSHORT: u16 = 8;
pub const SLONG: u16 = 9;
pub const SRATIONAL: u16 = 10;
pub const FLOAT: u16 = 11;
pub const DOUBLE: u16 = 12;
pub const IFD: u16 = 13;
pub const UTF8: u16 = 129;

/// Returns the bytes that a value of this type takes, `None` for an unknown type.
pub fn size(kind: u16) -> Option<usize> {
    match kind {
        BYTE | ASCII | SBYTE | UNDEFINED | UTF8 => Some(1),
        SHORT | SSHORT => Some(2),
        LONG | SLONG | FLOAT | IFD => Some(4),
        RATIONAL | SRATIONAL | DOUBLE => Some(8),
        _ => None,
    }
}
