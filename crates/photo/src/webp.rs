//! Walks the chunks of a WebP file (RFC 9649, section 2).

use super::{Blocks, PhotoError, jpeg};

/// Animation flag in the first byte of the VP8X chunk.
const ANIMATION: u8 = 0b10;

/// Reports whether a file starts like a WebP file: `RIFF`, its length, `WEBP`.
pub fn is_webp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")
}

const ANIMATED: PhotoError = PhotoError::Unsupported { what: "an animated WebP" };

/// Checks that the file has its announced length, and that it holds a single picture.
pub fn inspect(bytes: &[u8]) -> Result<(), PhotoError> {
    let length = bytes.get(4..8).map(|field| u32::from_le_bytes(field.try_into().expect("4 bytes")));
    if length.is_none_or(|length| bytes.len() < 8 + length as usize) {
        return Err(truncated(bytes));
    }
    match chunk(bytes, 12) {
        Some((b"VP8X", [flags, ..], _)) if flags & ANIMATION != 0 => Err(ANIMATED),
        _ => Ok(()),
    }
}

fn truncated(bytes: &[u8]) -> PhotoError {
    PhotoError::Truncated { format: "WebP", end: bytes.len() }
}

/// Returns the first EXIF and XMP block.
pub fn blocks(bytes: &[u8]) -> Blocks<'_> {
    let mut blocks = Blocks::default();
    let mut at = 12;
    while let Some((name, body, end)) = chunk(bytes, at) {
        match name {
            // Some programs keep the prefix that the block has in a JPEG file.
            b"EXIF" => blocks.exif = blocks.exif.or(Some(body.strip_prefix(jpeg::EXIF_NAME).unwrap_or(body))),
            b"XMP " => blocks.xmp = blocks.xmp.or(Some(body)),
            _ => (),
        }
        at = end;
    }
    blocks
}

/// Returns name, body and end of the chunk at `at`. Chunks start at even offsets.
fn chunk(bytes: &[u8], at: usize) -> Option<(&[u8; 4], &[u8], usize)> {
    let (name, rest) = bytes.get(at..)?.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    (rest.len() >= length).then(|| (name, &rest[..length], at + 8 + length + length % 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webp(chunks: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = b"WEBP".to_vec();
        for (name, content) in chunks {
            body.extend(name.as_bytes());
            body.extend((content.len() as u32).to_le_bytes());
            body.extend(*content);
            body.extend(vec![0; content.len() % 2]);
        }
        [b"RIFF".as_slice(), &(body.len() as u32).to_le_bytes(), &body].concat()
    }

    #[test]
    fn a_whole_file_has_its_length() {
        let bytes = webp(&[("VP8 ", b"pixels")]);
        assert!(is_webp(&bytes));
        assert_eq!(inspect(&bytes), Ok(()));
        for length in 0..bytes.len() {
            assert_eq!(inspect(&bytes[..length]), Err(truncated(&bytes[..length])));
        }
        assert_eq!(inspect(&webp(&[("VP8X", &[ANIMATION, 0, 0, 0])])), Err(ANIMATED));
    }

    #[test]
    fn finds_the_blocks_of_metadata() {
        let bytes = webp(&[("VP8X", b"odd"), ("EXIF", b"Exif\0\0II*"), ("XMP ", b"<x/>")]);
        assert_eq!(blocks(&bytes), Blocks { exif: Some(b"II*"), xmp: Some(b"<x/>") });
    }
}
