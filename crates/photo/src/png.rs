//! Walks the chunks of a PNG file (W3C Portable Network Graphics, third edition, chapter 5).

use std::borrow::Cow;

use super::decode::{Limits, Memory};
use super::{Blocks, PhotoError};

pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// An uncompressed iTXt chunk of this keyword: no compression, language or translation (XMP specification part 3, 1.1.5).
const XMP_NAME: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";

const ANIMATED: PhotoError = PhotoError::Unsupported { what: "an animated PNG" };

/// More that is neither pixels nor needed for them is kept from the decoder.
const BESIDE_MAX: u64 = 1 << 20;

/// What a whole file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PngHeader {
    /// In pixels; 0 if the file has no header chunk, which the decoder refuses.
    pub width: u32,
    /// Bytes of chunks that are neither pixels nor needed for them.
    beside: u64,
}

impl PngHeader {
    /// Bytes of chunks that the decoder is given and that are no pixels.
    pub fn beside(&self) -> u64 {
        if self.beside > BESIDE_MAX { 0 } else { self.beside }
    }

    /// What the decoder is to be given of the file: a copy without chunks that it does not need, if these are large.
    pub fn essential<'a>(&self, bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, PhotoError> {
        if self.beside <= BESIDE_MAX {
            return Ok(bytes.into());
        }
        Memory { decoding: bytes.len() as u64 - self.beside, raster: 0 }.check(limits)?;
        let mut essential = SIGNATURE.to_vec();
        let mut at = SIGNATURE.len();
        while let Some((name, _, end)) = chunk(bytes, at) {
            if is_essential(name) {
                essential.extend_from_slice(&bytes[at..end]);
            }
            at = end;
        }
        Ok(essential.into())
    }
}

/// Critical chunks begin with a capital letter; beside them only transparency says something of pixels.
fn is_essential(name: &[u8; 4]) -> bool {
    name[0].is_ascii_uppercase() || name == b"tRNS"
}

/// Checks that every chunk up to the end is there, and that it is one picture.
pub fn inspect(bytes: &[u8]) -> Result<PngHeader, PhotoError> {
    let mut at = SIGNATURE.len();
    let mut header = PngHeader { width: 0, beside: 0 };
    loop {
        let (name, body, end) = chunk(bytes, at).ok_or_else(|| truncated(bytes))?;
        match name {
            b"IEND" => return Ok(header),
            b"acTL" => return Err(ANIMATED),
            b"IHDR" => header.width = body.first_chunk().map_or(0, |width| u32::from_be_bytes(*width)),
            name if !is_essential(name) => header.beside += body.len() as u64,
            _ => (),
        }
        at = end;
    }
}

fn truncated(bytes: &[u8]) -> PhotoError {
    PhotoError::Truncated { format: "PNG", end: bytes.len() }
}

/// The first EXIF and XMP block.
pub fn blocks(bytes: &[u8]) -> Blocks<'_> {
    let mut blocks = Blocks::default();
    let mut at = SIGNATURE.len();
    while let Some((name, body, end)) = chunk(bytes, at) {
        match name {
            b"eXIf" => blocks.exif = blocks.exif.or(Some(body)),
            b"iTXt" => blocks.xmp = blocks.xmp.or(body.strip_prefix(XMP_NAME)),
            _ => (),
        }
        at = end;
    }
    blocks
}

/// Name, body and end of the chunk at `at`. Its checksum is the decoder's concern.
fn chunk(bytes: &[u8], at: usize) -> Option<(&[u8; 4], &[u8], usize)> {
    let (length, rest) = bytes.get(at..)?.split_first_chunk()?;
    let (name, rest) = rest.split_first_chunk()?;
    let length = u32::from_be_bytes(*length) as usize;
    let end = length.checked_add(4)?; // the checksum
    (rest.len() >= end).then(|| (name, &rest[..length], at + 8 + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(chunks: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        for (name, body) in chunks {
            bytes.extend((body.len() as u32).to_be_bytes());
            bytes.extend([name.as_bytes(), body, b"\0\0\0\0"].concat());
        }
        bytes
    }

    #[test]
    fn a_whole_file_ends_with_its_end_chunk() {
        let bytes = png(&[("IHDR", b"size"), ("IDAT", b"pixels"), ("IEND", b"")]);
        let width = u32::from_be_bytes(*b"size");
        assert_eq!(inspect(&bytes), Ok(PngHeader { width, beside: 0 }));
        for length in 8..bytes.len() {
            assert_eq!(inspect(&bytes[..length]), Err(truncated(&bytes[..length])));
        }
        assert_eq!(inspect(&png(&[("acTL", b""), ("IEND", b"")])), Err(ANIMATED));
        let endless = [SIGNATURE, b"\xff\xff\xff\xffIDAT"].concat();
        assert_eq!(inspect(&endless), Err(truncated(&endless)));
    }

    #[test]
    fn much_that_is_no_pixels_is_kept_from_the_decoder() {
        let essential = [("IHDR", &b"size"[..]), ("PLTE", b"rgb"), ("tRNS", b"a"), ("IDAT", b"pixels"), ("IEND", b"")];
        let text = vec![b'x'; BESIDE_MAX as usize + 1];
        let mut chunks = essential.to_vec();
        chunks.insert(1, ("tEXt", &text[..10]));
        let few = png(&chunks);
        let header = inspect(&few).expect("whole");
        let limits = Limits::default();
        assert!(matches!(header.essential(&few, &limits), Ok(Cow::Borrowed(bytes)) if bytes == few));
        assert_eq!(header.beside(), 10);
        chunks.insert(4, ("iTXt", &text));
        let much = png(&chunks);
        let header = inspect(&much).expect("whole");
        assert_eq!(header.essential(&much, &limits).expect("little"), png(&essential));
        assert_eq!(header.beside(), 0);
    }

    #[test]
    fn finds_the_blocks_of_metadata() {
        let xmp = [XMP_NAME, b"<x/>"].concat();
        let bytes = png(&[("iTXt", b"Comment\0\0\0\0\0no"), ("iTXt", &xmp), ("eXIf", b"II*")]);
        assert_eq!(blocks(&bytes), Blocks { exif: Some(b"II*"), xmp: Some(b"<x/>") });
    }
}
