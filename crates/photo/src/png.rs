//! Walks the chunks of a PNG file (W3C Portable Network Graphics, third edition, chapter 5).

use std::borrow::Cow;

use super::limits::{Limits, Memory};
use super::{Blocks, PhotoError};

/// First bytes of every PNG file.
pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Start of an iTXt chunk that holds XMP: the keyword, then no compression, language or translation (XMP specification
/// part 3, 1.1.5).
const XMP_NAME: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";

const ANIMATED: PhotoError = PhotoError::Unsupported { what: "an animated PNG" };

/// Maximum size of the chunks not needed for the pixels, in bytes, at which the decoder gets the file as it is. Above
/// it, the decoder gets a copy without these chunks.
const BESIDE_MAX: u64 = 1 << 20;

/// Properties of a complete PNG file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PngHeader {
    /// Width in pixels; 0 if the file has no header chunk, which the decoder refuses.
    pub width: u32,
    /// Bytes of all chunks that are not needed for the pixels.
    beside: u64,
}

impl PngHeader {
    /// Returns the bytes of the chunks without pixels that the decoder gets.
    pub fn beside(&self) -> u64 {
        if self.beside > BESIDE_MAX { 0 } else { self.beside }
    }

    /// Returns what the decoder gets of the file: the file itself, or a copy without the chunks that it does not need
    /// if these are large. Fails if the copy would exceed the memory limit.
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

/// Reports whether a chunk is needed for the pixels. Critical chunks begin with a capital letter; of the others, only
/// transparency affects pixels.
fn is_essential(name: &[u8; 4]) -> bool {
    name[0].is_ascii_uppercase() || name == b"tRNS"
}

/// Checks that the file has every chunk up to the end, and that it holds a single picture.
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

/// Returns the first EXIF and XMP block.
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

/// Returns name, body and end of the chunk at `at`. The decoder checks its checksum.
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
