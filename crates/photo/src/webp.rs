//! Walks the chunks of a WebP file (RFC 9649, section 2).

mod codes;

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
        Some((b"VP8X", header, _)) => check_sizes(bytes, canvas(header)),
        _ => Ok(()),
    }
}

/// Returns an error if a lossy picture has another size than the file. The decoder would notice it after decoding.
fn check_sizes(bytes: &[u8], canvas: Option<[usize; 2]>) -> Result<(), PhotoError> {
    if find(bytes, b"ANMF").is_some() {
        return Err(ANIMATED);
    }
    match find(bytes, b"VP8 ").map(lossy_size) {
        Some(size) if size != canvas => {
            Err(PhotoError::Broken { format: "WebP", reason: "its picture has another size than the file".to_owned() })
        }
        _ => Ok(()),
    }
}

/// Returns width and height in a `VP8X` chunk.
fn canvas(header: &[u8]) -> Option<[usize; 2]> {
    let side = |at: usize| {
        header.get(at..at + 3).map(|side| 1 + side.iter().rfold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    Some([side(4)?, side(7)?])
}

/// Returns width and height in a `VP8 ` chunk (RFC 6386, section 9.1).
fn lossy_size(chunk: &[u8]) -> Option<[usize; 2]> {
    let side = |at: usize| Some(usize::from(u16::from_le_bytes([*chunk.get(at)?, *chunk.get(at + 1)?]) & 0x3FFF));
    Some([side(6)?, side(8)?])
}

/// Returns the bytes that the decoder takes for tables of Huffman codes. They depend on the codes alone, not on the size
/// of the picture or the file.
pub fn codes_memory(bytes: &[u8]) -> Result<u64, PhotoError> {
    let reason = "its codes are damaged or incomplete".to_owned();
    let damaged = || PhotoError::Undecodable { format: "WebP", reason };
    let canvas = chunk(bytes, 12).filter(|(name, ..)| *name == b"VP8X").and_then(|(_, header, _)| canvas(header));
    let tables = match (find(bytes, b"VP8L"), find(bytes, b"ALPH"), canvas) {
        (Some(picture), ..) => codes::memory(picture),
        // The lowest bits of the first byte are 1 for a lossless alpha.
        (None, Some([first, alpha @ ..]), Some(canvas)) if first & 3 == 1 => codes::alpha_memory(alpha, canvas),
        _ => Some(0),
    };
    tables.ok_or_else(damaged)
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

/// Returns the body of the first chunk with this name, or what there is of it.
fn find<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    let mut at = 12;
    while let Some((name, body, end)) = chunk(bytes, at) {
        if name == wanted {
            return Some(body);
        }
        at = end;
    }
    bytes.get(at..)?.strip_prefix(wanted)?.get(4..)
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

    fn decoded(bytes: &[u8]) -> Result<[u32; 2], PhotoError> {
        crate::decode(bytes, &crate::Limits::default()).map(|raster| raster.pixels)
    }

    #[test]
    fn tables_of_codes_count() {
        for real in [seed!("lossless.webp"), seed!("alpha.webp"), seed!("drone.webp"), seed!("lossy.webp")] {
            assert!(codes_memory(real).expect("codes") < 200_000);
            assert!(decoded(real).is_ok());
        }
        // The file of the large one has 4 MB, and its tables 1.4 GB.
        let (few, many) = (codes::tests::groups(3), codes::tests::groups(65_536));
        assert_eq!(decoded(&few), Ok([1, 1]));
        assert!(many.len() < 5_000_000, "{}", many.len());
        assert!(matches!(decoded(&many), Err(PhotoError::TooMuchMemory { needed: 1_300_000_000.., .. })));
        let cut = webp(&[("VP8L", &few[20..60])]);
        assert!(decoded(&cut).expect_err("refused").to_string().contains("codes are damaged"));
        // The same codes for alpha, without the header that a picture has; its size is that of the file.
        let lossy = find(seed!("lossy.webp"), b"VP8 ").expect("a picture");
        let [width, height] = lossy_size(lossy).expect("a size").map(|side| (side as u32 - 1).to_le_bytes());
        let header = [&[0x10, 0, 0, 0][..], &width[..3], &height[..3]].concat();
        let alpha = [&[1][..], &many[25..]].concat();
        let bomb = webp(&[("VP8X", &header), ("ALPH", &alpha), ("VP8 ", lossy)]);
        assert!(matches!(decoded(&bomb), Err(PhotoError::TooMuchMemory { .. } | PhotoError::Undecodable { .. })));
    }

    #[test]
    fn a_lossy_picture_has_the_size_of_the_file() {
        let lossy = find(seed!("lossy.webp"), b"VP8 ").expect("a picture");
        let size = lossy_size(lossy).expect("a size");
        let file = |[width, height]: [usize; 2]| {
            let sides = [width, height].map(|side| (side as u32 - 1).to_le_bytes());
            webp(&[("VP8X", &[&[0; 4][..], &sides[0][..3], &sides[1][..3]].concat()), ("VP8 ", lossy)])
        };
        assert_eq!(decoded(&file(size)), Ok(size.map(|side| side as u32)));
        let message = decoded(&file([1, 1])).expect_err("refused").to_string();
        assert!(message.contains("another size than the file"), "{message}");
        let hidden = webp(&[("VP8X", &[0; 10]), ("VP8L", b"/"), ("ANMF", &[0; 24])]);
        assert_eq!(inspect(&hidden), Err(ANIMATED));
    }

    #[test]
    fn finds_the_blocks_of_metadata() {
        let bytes = webp(&[("VP8X", b"odd"), ("EXIF", b"Exif\0\0II*"), ("XMP ", b"<x/>")]);
        assert_eq!(blocks(&bytes), Blocks { exif: Some(b"II*"), xmp: Some(b"<x/>") });
    }
}
