//! Walks the directories of a TIFF file (TIFF 6.0, section 2), to find out whether the file is complete and which of
//! its pictures is the photo.
//!
//! A DNG file is a TIFF with a raw picture, which is not developed here, and JPEG previews (DNG 1.7, chapter 2). Its
//! photo is the largest preview. The photo of a TIFF with several pages is the first one.

use super::{Blocks, PhotoError, jpeg};

/// Tags, with their names in TIFF 6.0, TIFF/EP and DNG.
mod tag {
    pub const NEW_SUBFILE_TYPE: u16 = 254;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC_INTERPRETATION: u16 = 262;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const STRIP_BYTE_COUNTS: u16 = 279;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_BYTE_COUNTS: u16 = 325;
    pub const SUB_IFDS: u16 = 330;
    pub const JPEG_INTERCHANGE_FORMAT: u16 = 513;
    pub const JPEG_INTERCHANGE_FORMAT_LENGTH: u16 = 514;
    pub const XMP: u16 = 700;
    pub const EXIF_IFD: u16 = 34665;
    pub const GPS_IFD: u16 = 34853;
    pub const DNG_VERSION: u16 = 50706;
}

/// Pairs of tags that give the offsets and lengths of pixel data.
const PIXELS: [(u16, u16); 3] = [
    (tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS),
    (tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS),
    (tag::JPEG_INTERCHANGE_FORMAT, tag::JPEG_INTERCHANGE_FORMAT_LENGTH),
];
/// Values of `Compression` for JPEG, by TIFF 6.0 and by its second technical note.
const JPEG: [u32; 2] = [6, 7];
/// Value of `PhotometricInterpretation` for print colours.
const SEPARATED: u32 = 5;
/// Flag of `NewSubfileType` for a smaller version of another picture in the file.
const REDUCED: u32 = 1;
/// Maximum number of directories in a file; cameras write fewer than ten.
const DIRECTORIES_MAX: usize = 64;
/// Maximum number of entries in a directory.
const ENTRIES_MAX: usize = 4096;

/// Maximum number of strips or tiles of a picture. Each one costs a decoder a visit and table entries, however small it
/// is.
const PARTS_MAX: usize = 1 << 16;

/// Place of a file's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Pixels in a JPEG that previews a raw picture.
    Preview(&'a [u8]),
    /// Pixels in the file itself, in `parts` strips or tiles.
    Pixels { parts: usize },
}

/// Checks that the file contains everything that its directories refer to. Finds the preview of a DNG file.
pub fn inspect(bytes: &[u8]) -> Result<Content<'_>, PhotoError> {
    let tiff = Tiff::new(bytes);
    let directories = tiff.directories()?;
    let first = directories.first().ok_or_else(|| broken("it has no directory"))?;
    if first.entry(tag::DNG_VERSION).is_some() {
        let preview = tiff.largest_preview(&directories);
        return preview.map(Content::Preview).ok_or(PhotoError::Unsupported { what: "a DNG without a JPEG preview" });
    }
    if bytes.get(8..10) == Some(b"CR") || tiff.number(first, tag::NEW_SUBFILE_TYPE).unwrap_or(0) & REDUCED != 0 {
        return Err(PhotoError::Unsupported { what: "a raw file other than DNG" });
    }
    if tiff.number(first, tag::PHOTOMETRIC_INTERPRETATION) == Some(SEPARATED) {
        return Err(PhotoError::Unsupported { what: "a CMYK TIFF" });
    }
    let parts = PIXELS.iter().filter_map(|(offsets, _)| first.entry(*offsets)).map(|entry| entry.count);
    match parts.max().unwrap_or(0) {
        parts if parts > PARTS_MAX => Err(broken("it has more than 65,536 strips or tiles")),
        parts => Ok(Content::Pixels { parts }),
    }
}

/// Returns the metadata blocks. A TIFF file has the structure of an EXIF block, so it serves as its own.
pub fn blocks(bytes: &[u8]) -> Blocks<'_> {
    let tiff = Tiff::new(bytes);
    let first = tiff.u32(4).and_then(|offset| tiff.directory(offset).ok());
    let xmp = first.and_then(|(first, _)| tiff.value(first.entry(tag::XMP)?));
    Blocks { exif: Some(bytes), xmp }
}

struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

/// An image file directory.
struct Directory(Vec<Entry>);

#[derive(Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: usize,
    /// Offset of the values.
    at: usize,
}

impl Directory {
    fn entry(&self, tag: u16) -> Option<Entry> {
        self.0.iter().find(|entry| entry.tag == tag).copied()
    }
}

impl Entry {
    /// Returns the size of one value in bytes, or 0 for unknown kinds.
    fn size(kind: u16) -> usize {
        match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => 0,
        }
    }
}

impl<'a> Tiff<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Tiff { bytes, big_endian: bytes.starts_with(b"MM") }
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let field = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let field = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) })
    }

    fn slice(&self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(at..at.checked_add(length)?)
    }

    fn truncated(&self) -> PhotoError {
        PhotoError::Truncated { format: "TIFF", end: self.bytes.len() }
    }

    /// Reads all directories, beginning with the first one. Each is visited once, so a cycle ends.
    fn directories(&self) -> Result<Vec<Directory>, PhotoError> {
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
    fn directory(&self, offset: u32) -> Result<(Directory, u32), PhotoError> {
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
        let length = count.checked_mul(Entry::size(kind))?;
        let values = if length <= 4 { at + 8 } else { self.u32(at + 8)? as usize };
        self.slice(values, length)?;
        Some(Entry { tag, kind, count, at: values })
    }

    fn value(&self, entry: Entry) -> Option<&'a [u8]> {
        self.slice(entry.at, entry.count.checked_mul(Entry::size(entry.kind))?)
    }

    /// Iterates over the values of a tag with whole numbers.
    fn numbers(&self, directory: &Directory, tag: u16) -> impl Iterator<Item = u32> {
        let entry = directory.entry(tag).filter(|entry| matches!(entry.kind, 3 | 4 | 13));
        let (at, size, count) = entry.map_or((0, 0, 0), |entry| (entry.at, Entry::size(entry.kind), entry.count));
        (0..count).filter_map(move |index| match size {
            2 => self.u16(at + 2 * index).map(u32::from),
            _ => self.u32(at + 4 * index),
        })
    }

    fn number(&self, directory: &Directory, tag: u16) -> Option<u32> {
        self.numbers(directory, tag).next()
    }

    /// Returns an error if the file ends before pixel data that the directory refers to.
    fn check_pixels(&self, directory: &Directory) -> Result<(), PhotoError> {
        for (offsets, lengths) in PIXELS {
            let mut parts = self.numbers(directory, offsets).zip(self.numbers(directory, lengths));
            if parts.any(|(offset, length)| self.slice(offset as usize, length as usize).is_none()) {
                return Err(self.truncated());
            }
        }
        Ok(())
    }

    /// Returns the JPEG with the most pixels that can be decoded. Raw pictures may also be JPEGs, but of a lossless
    /// kind.
    fn largest_preview(&self, directories: &[Directory]) -> Option<&'a [u8]> {
        let pixels = |preview: &&[u8]| {
            let header = jpeg::inspect(preview).ok().filter(|header| header.refusal().is_none())?;
            Some(u64::from(header.width) * u64::from(header.height))
        };
        let candidates = directories.iter().flat_map(|directory| self.jpegs(directory));
        candidates
            .filter_map(|preview| Some((pixels(&preview)?, preview)))
            .max_by_key(|(pixels, _)| *pixels)
            .map(|it| it.1)
    }

    /// Iterates over the directory's pictures that are a JPEG in one piece.
    fn jpegs(&self, directory: &Directory) -> impl Iterator<Item = &'a [u8]> {
        let is_jpeg = self.number(directory, tag::COMPRESSION).is_some_and(|kind| JPEG.contains(&kind));
        PIXELS.into_iter().filter(move |_| is_jpeg).filter_map(|(offsets, lengths)| {
            let mut parts = self.numbers(directory, offsets).zip(self.numbers(directory, lengths));
            let (offset, length) = parts.next().filter(|_| parts.next().is_none())?;
            self.slice(offset as usize, length as usize).filter(|part| part.starts_with(&[0xFF, 0xD8]))
        })
    }
}

fn broken(reason: &str) -> PhotoError {
    PhotoError::Broken { format: "TIFF", reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A little-endian TIFF: consecutive directories of (tag, value) with LONG values, then the data.
    fn tiff(directories: &[&[(u16, u32)]], data: &[u8]) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        for (index, entries) in directories.iter().enumerate() {
            bytes.extend((entries.len() as u16).to_le_bytes());
            for (tag, value) in *entries {
                bytes.extend([tag.to_le_bytes(), 4_u16.to_le_bytes()].concat());
                bytes.extend([1_u32.to_le_bytes(), value.to_le_bytes()].concat());
            }
            let next = if index + 1 < directories.len() { bytes.len() as u32 + 4 } else { 0 };
            bytes.extend(next.to_le_bytes());
        }
        bytes.extend(data);
        bytes
    }

    /// Offset of the data in a file made by [`tiff`].
    fn data_at(entries: &[usize]) -> u32 {
        entries.iter().fold(8, |at, count| at + 2 + 12 * *count as u32 + 4)
    }

    #[test]
    fn every_part_must_be_in_the_file() {
        let at = data_at(&[2]);
        let bytes = tiff(&[&[(tag::STRIP_OFFSETS, at), (tag::STRIP_BYTE_COUNTS, 10)]], &[0; 10]);
        assert_eq!(inspect(&bytes), Ok(Content::Pixels { parts: 1 }));
        for length in 8..bytes.len() {
            let error = inspect(&bytes[..length]).expect_err("truncated");
            assert_eq!(error, PhotoError::Truncated { format: "TIFF", end: length });
        }
    }

    #[test]
    fn a_dng_is_its_largest_preview() {
        let raw = [&[0xFF, 0xD8][..], &[0xFF, 0xC3, 0, 11, 14, 9, 0, 9, 0, 1, 1, 0x11, 0], &SCAN].concat();
        let small = [&[0xFF, 0xD8][..], &[0xFF, 0xC0, 0, 11, 8, 0, 48, 0, 64, 1, 1, 0x11, 0], &SCAN].concat();
        let large = [&[0xFF, 0xD8][..], &[0xFF, 0xC0, 0, 11, 8, 0, 96, 0, 64, 1, 1, 0x11, 0], &SCAN].concat();
        let length = raw.len() as u32;
        let at = data_at(&[4, 3, 3]);
        let directory = |index: u32| {
            [(tag::COMPRESSION, 7), (tag::STRIP_OFFSETS, at + index * length), (tag::STRIP_BYTE_COUNTS, length)]
        };
        let first = [&directory(0)[..], &[(tag::DNG_VERSION, 0x0401)]].concat();
        let data = [small, large.clone(), raw].concat();
        let dng = tiff(&[&first, &directory(1), &directory(2)], &data);
        assert_eq!(inspect(&dng), Ok(Content::Preview(&large)));
        let without = tiff(&[&[(tag::DNG_VERSION, 0x0401)]], &[]);
        assert_eq!(inspect(&without), Err(PhotoError::Unsupported { what: "a DNG without a JPEG preview" }));
    }

    /// A scan of three bytes and the end of the picture.
    const SCAN: [u8; 15] = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 1, 2, 3, 0xFF, 0xD9];

    #[test]
    fn raw_files_and_print_colours_are_refused() {
        let refused = |entry| inspect(&tiff(&[&[entry]], &[])).expect_err("refused").to_string();
        assert!(refused((tag::NEW_SUBFILE_TYPE, 1)).contains("a raw file other than DNG"));
        assert!(refused((tag::PHOTOMETRIC_INTERPRETATION, 5)).contains("CMYK"));
    }

    #[test]
    fn circles_and_impossible_counts_end() {
        let mut circle = tiff(&[&[(tag::SUB_IFDS, 8)]], &[]);
        assert_eq!(inspect(&circle), Ok(Content::Pixels { parts: 0 }));
        let next = circle.len() - 4;
        circle[next] = 8;
        assert_eq!(inspect(&circle), Ok(Content::Pixels { parts: 0 }));
        let mut huge = tiff(&[&[(tag::STRIP_OFFSETS, 0)]], &[]);
        huge[14..18].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(inspect(&huge).expect_err("truncated").may_be_incomplete());
        let many = [b"II*\0\x08\0\0\0".as_slice(), &[0xFF; 2]].concat();
        assert!(inspect(&many).expect_err("refused").to_string().contains("too many entries"));
    }

    #[test]
    fn finds_the_xmp_packet() {
        let mut bytes = tiff(&[&[(tag::XMP, 26)]], b"<x/>!!");
        bytes[12] = 1; // kind: bytes
        bytes[14] = 6;
        assert_eq!(blocks(&bytes).xmp, Some(b"<x/>!!".as_slice()));
        assert_eq!(blocks(b"II*\0").xmp, None);
    }
}
