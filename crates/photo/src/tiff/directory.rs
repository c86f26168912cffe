//! Reads the directories of a file in the structure of a TIFF (TIFF 6.0, section 2): TIFF itself, and most raw files.

use super::error::broken;
use super::kind;
use crate::PhotoError;

/// Tags, with their names in TIFF 6.0, its technical notes, TIFF/EP and DNG.
pub mod tag {
    pub const NEW_SUBFILE_TYPE: u16 = 254;
    pub const IMAGE_WIDTH: u16 = 256;
    pub const IMAGE_LENGTH: u16 = 257;
    pub const BITS_PER_SAMPLE: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC_INTERPRETATION: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const MAKE: u16 = 271;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const SAMPLES_PER_PIXEL: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_BYTE_COUNTS: u16 = 279;
    pub const PLANAR_CONFIGURATION: u16 = 284;
    pub const PREDICTOR: u16 = 317;
    pub const COLOR_MAP: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_LENGTH: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_BYTE_COUNTS: u16 = 325;
    pub const SUB_IFDS: u16 = 330;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const JPEG_INTERCHANGE_FORMAT: u16 = 513;
    pub const JPEG_INTERCHANGE_FORMAT_LENGTH: u16 = 514;
    pub const YCBCR_COEFFICIENTS: u16 = 529;
    pub const YCBCR_SUBSAMPLING: u16 = 530;
    pub const REFERENCE_BLACK_WHITE: u16 = 532;
    pub const XMP: u16 = 700;
    pub const EXIF_IFD: u16 = 34665;
    pub const GPS_IFD: u16 = 34853;
    pub const MAKER_NOTE: u16 = 37500;
    pub const DNG_VERSION: u16 = 50706;
}

/// Pairs of tags that give the offsets and lengths of pixel data.
const PIXELS: [(u16, u16); 3] = [
    (tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS),
    (tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS),
    (tag::JPEG_INTERCHANGE_FORMAT, tag::JPEG_INTERCHANGE_FORMAT_LENGTH),
];
/// Maximum number of directories in a file; cameras write fewer than ten.
const DIRECTORIES_MAX: usize = 64;
/// Maximum number of strips or tiles of a picture. Each one costs a visit and a table entry, however small it is, and
/// all directories may share a table of them.
pub const PARTS_MAX: usize = 1 << 16;
/// Maximum number of entries in a directory.
const ENTRIES_MAX: usize = 4096;

/// A file in the structure of a TIFF, whatever its first four bytes are.
pub struct Tiff<'a> {
    pub bytes: &'a [u8],
    pub big_endian: bool,
}

/// An image file directory.
pub struct Directory(Vec<Entry>);

/// An entry of a directory, whose values are in the file.
#[derive(Clone, Copy)]
pub struct Entry {
    tag: u16,
    kind: u16,
    count: usize,
    /// Offset of the values.
    pub at: usize,
}

impl Directory {
    pub fn entry(&self, tag: u16) -> Option<Entry> {
        self.0.iter().find(|entry| entry.tag == tag).copied()
    }
}

impl Entry {
    /// Returns the size of all values in bytes. Those of an unknown type count for nothing.
    fn length(&self) -> Option<usize> {
        self.count.checked_mul(kind::size(self.kind).unwrap_or(0))
    }
}

impl<'a> Tiff<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Tiff { bytes, big_endian: bytes.starts_with(b"MM") }
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let field = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) })
    }

    pub fn u32(&self, at: usize) -> Option<u32> {
        let field = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) })
    }

    pub fn slice(&self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(at..at.checked_add(length)?)
    }

    pub fn truncated(&self) -> PhotoError {
        PhotoError::Truncated { format: "TIFF", end: self.bytes.len() }
    }

    /// Reads all directories, beginning with the first one. Each is visited once, so a cycle ends.
    pub fn directories(&self) -> Result<Vec<Directory>, PhotoError> {
        let (mut found, mut seen) = (Vec::new(), Vec::new());
        let mut open = vec![(self.u32(4).ok_or_else(|| self.truncated())?, true)];
        while let Some((offset, in_chain)) = open.pop() {
            if offset == 0 || seen.contains(&offset) {
                continue;
            }
            if seen.len() == DIRECTORIES_MAX {
                return Err(broken("it has too many directories"));
            }
            seen.push(offset);
            let (directory, next) = self.directory(offset)?;
            self.check_pixels(&directory)?;
            // The standard does not define what follows a directory that another one points to.
            open.extend(in_chain.then_some((next, true)));
            for tag in [tag::SUB_IFDS, tag::EXIF_IFD, tag::GPS_IFD] {
                open.extend(self.numbers(&directory, tag).take(DIRECTORIES_MAX).map(|offset| (offset, false)));
            }
            found.push(directory);
        }
        Ok(found)
    }

    /// Reads the directory at `offset`, whose values must all be in the file, and the offset of the next one.
    pub fn directory(&self, offset: u32) -> Result<(Directory, u32), PhotoError> {
        let truncated = || self.truncated();
        let at = offset as usize;
        let count = usize::from(self.u16(at).ok_or_else(truncated)?);
        if count > ENTRIES_MAX {
            return Err(broken("a directory has too many entries"));
        }
        let entry = |index| self.entry(at + 2 + 12 * index);
        let entries = (0..count).map(entry).collect::<Option<_>>().ok_or_else(truncated)?;
        let next = self.u32(at + 2 + 12 * count).ok_or_else(truncated)?;
        Ok((Directory(entries), next))
    }

    /// Reads tag, kind and count, then the values themselves if they fit into four bytes, or else their offset.
    fn entry(&self, at: usize) -> Option<Entry> {
        let (tag, kind, count) = (self.u16(at)?, self.u16(at + 2)?, self.u32(at + 4)? as usize);
        let entry = Entry { tag, kind, count, at: at + 8 };
        let length = entry.length()?;
        let at = if length <= 4 { entry.at } else { self.u32(entry.at)? as usize };
        self.slice(at, length)?;
        Some(Entry { at, ..entry })
    }

    pub fn value(&self, entry: Entry) -> Option<&'a [u8]> {
        self.slice(entry.at, entry.length()?)
    }

    /// Iterates over the values of a tag with whole numbers.
    pub fn numbers(&self, directory: &Directory, tag: u16) -> impl Iterator<Item = u32> {
        let entry = directory.entry(tag).filter(|entry| matches!(entry.kind, kind::SHORT | kind::LONG | kind::IFD));
        let (at, kind, count) = entry.map_or((0, 0, 0), |entry| (entry.at, entry.kind, entry.count));
        (0..count).filter_map(move |index| match kind {
            kind::SHORT => self.u16(at + 2 * index).map(u32::from),
            _ => self.u32(at + 4 * index),
        })
    }

    pub fn number(&self, directory: &Directory, tag: u16) -> Option<u32> {
        self.numbers(directory, tag).next()
    }

    /// Returns an error if the file ends before pixel data that the directory refers to.
    fn check_pixels(&self, directory: &Directory) -> Result<(), PhotoError> {
        for (offsets, lengths) in PIXELS {
            let parts = self.numbers(directory, offsets).zip(self.numbers(directory, lengths));
            if parts.take(PARTS_MAX).any(|(offset, length)| self.slice(offset as usize, length as usize).is_none()) {
                return Err(self.truncated());
            }
        }
        Ok(())
    }

    /// Iterates over the pictures in all directories that may be a JPEG in one piece.
    pub fn previews(&self, directories: &[Directory]) -> impl Iterator<Item = &'a [u8]> {
        let parts = move |directory| PIXELS.into_iter().filter_map(move |pair| self.only_part(directory, pair));
        directories.iter().flat_map(parts)
    }

    /// Returns the pixel data that these two tags refer to if they are in one piece.
    fn only_part(&self, directory: &Directory, (offsets, lengths): (u16, u16)) -> Option<&'a [u8]> {
        let mut parts = self.numbers(directory, offsets).zip(self.numbers(directory, lengths));
        let (offset, length) = parts.next().filter(|_| parts.next().is_none())?;
        self.slice(offset as usize, length as usize)
    }

    /// Returns the first values of a tag with fractions, NaN or infinite for a fraction over zero.
    pub fn fractions<const COUNT: usize>(&self, directory: &Directory, tag: u16) -> Option<[f32; COUNT]> {
        let entry = directory.entry(tag).filter(|entry| entry.kind == kind::RATIONAL && entry.count >= COUNT)?;
        let mut values = [0.0; COUNT];
        for (index, value) in values.iter_mut().enumerate() {
            *value = self.u32(entry.at + 8 * index)? as f32 / self.u32(entry.at + 8 * index + 4)? as f32;
        }
        Some(values)
    }
}
