//! Walks the directories of a TIFF file (TIFF 6.0, section 2), to find out whether the file is complete and which of
//! its pictures is the photo.
//!
//! Raw files of most cameras are TIFFs with a raw picture, which is not developed here, and JPEG previews (DNG 1.7,
//! chapter 2). Their photo is the largest preview. The photo of a TIFF with several pages is the first one: `picture`
//! reads its layout, `colour` and `compression` what its samples and bytes mean, `cost` what decoding costs, `unpack`
//! decompresses its parts, `rgb` converts their samples, and `decode` puts the photo together.

mod colour;
mod compression;
mod cost;
mod decode;
pub mod directory;
mod error;
pub mod kind;
mod picture;
mod rgb;
#[cfg(test)]
pub mod sample;
mod unpack;

use super::raw::{self, Raw};
use super::{Blocks, PhotoError};
use directory::{Tiff, tag};
use error::broken;
pub use picture::Picture;

/// Place of a file's pixels.
#[derive(Debug, PartialEq)]
pub enum Content<'a> {
    /// Pixels in a JPEG that previews a raw picture.
    Preview(&'a [u8]),
    /// Pixels in the file itself.
    Pixels(Box<Picture<'a>>),
}

/// Checks that the file contains everything that its directories refer to. Finds the preview of a raw file.
pub fn inspect(bytes: &[u8]) -> Result<Content<'_>, PhotoError> {
    let tiff = Tiff::new(bytes);
    let directories = tiff.directories()?;
    let first = directories.first().ok_or_else(|| broken("it has no directory"))?;
    match Raw::of_tiff(&tiff, &directories) {
        Some(raw) => raw::largest(tiff.previews(&directories), raw, bytes.len()).map(Content::Preview),
        None => Picture::read(&tiff, first).map(Box::new).map(Content::Pixels),
    }
}

/// Returns the metadata blocks. A TIFF file has the structure of an EXIF block, so it serves as its own.
pub fn blocks(bytes: &[u8]) -> Blocks<'_> {
    let tiff = Tiff::new(bytes);
    let first = tiff.u32(4).and_then(|offset| tiff.directory(offset).ok());
    let xmp = first.and_then(|(first, _)| tiff.value(first.entry(tag::XMP)?));
    Blocks { exif: Some(bytes), xmp }
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
        assert_eq!(Tiff::new(&bytes).directories().map(|found| found.len()), Ok(1));
        for length in 8..bytes.len() {
            let error = inspect(&bytes[..length]).expect_err("truncated");
            assert_eq!(error, PhotoError::Truncated { format: "TIFF", end: length });
        }
    }

    #[test]
    fn no_more_parts_are_visited_than_a_picture_may_have() {
        let (first, beyond) = (directory::PARTS_MAX, 5);
        let mut strips = vec![0; first + beyond];
        let inspected = |strips: &[u32]| {
            let fields = [(tag::IMAGE_WIDTH, sample::LONG, vec![1]), (tag::IMAGE_LENGTH, sample::LONG, vec![1 << 17])];
            let fields = [&fields[..], &[(tag::STRIP_OFFSETS, sample::LONG, strips.to_vec())]].concat();
            let fields = [&fields[..], &[(tag::STRIP_BYTE_COUNTS, sample::LONG, vec![1; strips.len()])]].concat();
            Tiff::new(&sample::file(false, &fields, &[], true)).directories().map(|found| found.len())
        };
        strips[first] = u32::MAX;
        assert_eq!(inspected(&strips), Ok(1));
        strips[first - 1] = u32::MAX;
        assert!(inspected(&strips).is_err_and(|error| error.may_be_incomplete()));
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
        assert_eq!(inspect(&without), Err(PhotoError::NoPreview { what: "a DNG" }));
    }

    /// A scan of three bytes and the end of the picture.
    const SCAN: [u8; 15] = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 1, 2, 3, 0xFF, 0xD9];

    #[test]
    fn circles_and_impossible_counts_end() {
        let count = |bytes: &[u8]| Tiff::new(bytes).directories().map(|found| found.len());
        let mut circle = tiff(&[&[(tag::SUB_IFDS, 8)]], &[]);
        assert_eq!(count(&circle), Ok(1));
        let next = circle.len() - 4;
        circle[next] = 8;
        assert_eq!(count(&circle), Ok(1));
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
