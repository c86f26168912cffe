//! Walks the chunks of a PNG file (W3C Portable Network Graphics, third edition, chapter 5).

use super::{Blocks, PhotoError};

pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// An uncompressed iTXt chunk of this keyword: no compression, language or translation (XMP specification part 3, 1.1.5).
const XMP_NAME: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";

const ANIMATED: PhotoError = PhotoError::Unsupported { what: "an animated PNG" };

/// Checks that every chunk up to the end is there, and that it is one picture.
pub fn inspect(bytes: &[u8]) -> Result<(), PhotoError> {
    let mut at = SIGNATURE.len();
    loop {
        let (name, _, end) = chunk(bytes, at).ok_or_else(|| truncated(bytes))?;
        match name {
            b"IEND" => return Ok(()),
            b"acTL" => return Err(ANIMATED),
            _ => at = end,
        }
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
        assert_eq!(inspect(&bytes), Ok(()));
        for length in 8..bytes.len() {
            assert_eq!(inspect(&bytes[..length]), Err(truncated(&bytes[..length])));
        }
        assert_eq!(inspect(&png(&[("acTL", b""), ("IEND", b"")])), Err(ANIMATED));
        let endless = [SIGNATURE, b"\xff\xff\xff\xffIDAT"].concat();
        assert_eq!(inspect(&endless), Err(truncated(&endless)));
    }

    #[test]
    fn finds_the_blocks_of_metadata() {
        let xmp = [XMP_NAME, b"<x/>"].concat();
        let bytes = png(&[("iTXt", b"Comment\0\0\0\0\0no"), ("iTXt", &xmp), ("eXIf", b"II*")]);
        assert_eq!(blocks(&bytes), Blocks { exif: Some(b"II*"), xmp: Some(b"<x/>") });
    }
}
