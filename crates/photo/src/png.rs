//! Walks the chunks of a PNG file (W3C Portable Network Graphics, third edition, chapter 5).

use std::borrow::Cow;

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use super::limits::{Limits, Memory};
use super::{Blocks, PhotoError};

/// First bytes of every PNG file.
pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Start of an iTXt chunk that holds XMP: the keyword, then no compression, language or translation (XMP specification
/// part 3, 1.1.5).
const XMP_NAME: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";
/// Keyword of an iTXt chunk that holds XMP.
const XMP_KEYWORD: &[u8] = b"XML:com.adobe.xmp";
/// Keyword of a text chunk that holds a block in hexadecimal digits, up to the kind of the block. ImageMagick wrote
/// these chunks before PNG had one for EXIF, and still does beside it (`coders/png.c`).
const RAW_PROFILE: &[u8] = b"Raw profile type ";
/// Maximum size of a block that comes packed, in bytes. In JPEG, where these blocks are from, a segment holds 64 KiB.
const PACKED_MAX: usize = 128 * 1024;
/// Maximum size of the text of such a block: two digits for a byte, a line break after 36 bytes, and the header.
const TEXT_MAX: usize = 5 * PACKED_MAX / 2;

const ANIMATED: PhotoError = PhotoError::Unsupported { what: "an animated PNG" };

/// Maximum size of the chunks not needed for the pixels, in bytes, at which the decoder gets the file as it is. Above
/// it, the decoder gets a copy without these chunks.
const BESIDE_MAX: u64 = 1 << 20;
/// Number of text chunks that are unpacked. ImageMagick writes up to six profiles, and a small chunk can unpack to a
/// large text.
const TRIES_MAX: usize = 16;

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

/// Metadata blocks that a file holds compressed or as text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PackedBlocks {
    /// EXIF block, structured like a TIFF file.
    pub exif: Option<Vec<u8>>,
    /// XMP packet, an XML document.
    pub xmp: Option<Vec<u8>>,
}

/// Returns the first EXIF and XMP block that is compressed or written as text.
pub fn packed_blocks(bytes: &[u8]) -> PackedBlocks {
    let mut blocks = PackedBlocks::default();
    let (mut at, mut tries) = (SIGNATURE.len(), 0);
    while let Some((name, body, end)) = chunk(bytes, at) {
        if let Some((keyword, text)) = text_chunk(name, body)
            && (keyword == XMP_KEYWORD || keyword.starts_with(RAW_PROFILE))
            && tries < TRIES_MAX
        {
            blocks.add(keyword, text);
            tries += 1;
        }
        at = end;
    }
    blocks
}

impl PackedBlocks {
    /// Unpacks the block of a text chunk with this keyword, unless the same block was found before.
    fn add(&mut self, keyword: &[u8], text: Text) {
        if keyword == XMP_KEYWORD {
            self.xmp = self.xmp.take().or_else(|| text.unpack());
            return;
        }
        let is_wanted = match keyword.strip_prefix(RAW_PROFILE) {
            Some(b"exif") => self.exif.is_none(),
            Some(b"xmp") => self.xmp.is_none(),
            Some(b"APP1") => self.exif.is_none() || self.xmp.is_none(),
            _ => false,
        };
        let Some(block) = is_wanted.then(|| raw_profile(&text.unpack()?)).flatten() else { return };
        let xmp = block.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0");
        if xmp.is_some() || keyword.ends_with(b"xmp") {
            let packet = xmp.unwrap_or(&block).to_vec();
            self.xmp.get_or_insert(packet);
        } else {
            self.exif.get_or_insert(block);
        }
    }
}

/// Text of a chunk.
#[derive(Clone, Copy)]
enum Text<'a> {
    Plain(&'a [u8]),
    Compressed(&'a [u8]),
}

impl Text<'_> {
    /// Returns the text, `None` if it is too long or damaged.
    fn unpack(self) -> Option<Vec<u8>> {
        match self {
            Text::Plain(text) => (text.len() <= TEXT_MAX).then(|| text.to_vec()),
            Text::Compressed(data) => decompress_to_vec_zlib_with_limit(data, TEXT_MAX).ok(),
        }
    }
}

/// Returns keyword and text of a text chunk (chapter 11.3.3).
fn text_chunk<'a>(name: &[u8; 4], body: &'a [u8]) -> Option<(&'a [u8], Text<'a>)> {
    let (keyword, rest) = split_nul(body)?;
    let text = match (name, rest) {
        (b"tEXt", text) => Text::Plain(text),
        (b"zTXt", [0, data @ ..]) => Text::Compressed(data),
        (b"iTXt", [is_compressed, _, rest @ ..]) => {
            let (_language, rest) = split_nul(rest)?;
            let (_translated, text) = split_nul(rest)?;
            if *is_compressed == 0 { Text::Plain(text) } else { Text::Compressed(text) }
        }
        _ => return None,
    };
    Some((keyword, text))
}

fn split_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(0, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Returns the block of a raw profile: a line with its name, one with its length in bytes, and hexadecimal digits in
/// lines.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim_start();
    let (_name, rest) = text.split_once('\n')?;
    let (length, digits) = rest.trim_start().split_once('\n')?;
    let length: usize = length.trim().parse().ok()?;
    let mut digits =
        digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| char::from(byte).to_digit(16));
    let mut block = Vec::with_capacity(length.min(PACKED_MAX));
    // A digit alone at the end is half a byte, which counts for nothing.
    while let (Some(high), Some(low)) = (digits.next(), digits.next()) {
        block.push(u8::try_from(high? << 4 | low?).ok()?);
    }
    (!block.is_empty() && block.len() <= PACKED_MAX).then_some(block)
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

    /// Raw profile as ImageMagick writes it.
    fn profile(kind: &str, block: &[u8]) -> Vec<u8> {
        let mut text = format!("\n{kind}\n{:8}", block.len());
        for (index, byte) in block.iter().enumerate() {
            text += &format!("{}{byte:02x}", if index % 36 == 0 { "\n" } else { "" });
        }
        (text + "\n").into_bytes()
    }

    fn compressed(text: &[u8]) -> Vec<u8> {
        miniz_oxide::deflate::compress_to_vec_zlib(text, 6)
    }

    #[test]
    fn blocks_are_unpacked_from_every_kind_of_text() {
        let exif: Vec<u8> = [b"Exif\0\0II*\0".as_slice(), &[0xA5; 100]].concat();
        let profile = profile("exif", &exif);
        let chunks: [(&str, Vec<u8>); 4] = [
            ("tEXt", [b"Raw profile type exif\0", profile.as_slice()].concat()),
            ("zTXt", [b"Raw profile type exif\0\0", compressed(&profile).as_slice()].concat()),
            ("zTXt", [b"Raw profile type APP1\0\0", compressed(&profile).as_slice()].concat()),
            ("iTXt", [b"Raw profile type exif\0\x01\0en\0exif\0", compressed(&profile).as_slice()].concat()),
        ];
        for (name, body) in &chunks {
            let packed = packed_blocks(&png(&[("IHDR", b"size"), (name, body)]));
            assert_eq!(packed, PackedBlocks { exif: Some(exif.clone()), xmp: None }, "{name}");
        }
        let packet = b"<x:xmpmeta/>".to_vec();
        let app1 = [b"http://ns.adobe.com/xap/1.0/\0", packet.as_slice()].concat();
        let chunks: [(&str, Vec<u8>); 3] = [
            ("iTXt", [b"XML:com.adobe.xmp\0\x01\0\0\0", compressed(&packet).as_slice()].concat()),
            ("tEXt", [b"Raw profile type xmp\0", self::profile("xmp", &packet).as_slice()].concat()),
            ("tEXt", [b"Raw profile type APP1\0", self::profile("generic", &app1).as_slice()].concat()),
        ];
        for (name, body) in &chunks {
            let packed = packed_blocks(&png(&[("IHDR", b"size"), (name, body)]));
            assert_eq!(packed, PackedBlocks { exif: None, xmp: Some(packet.clone()) }, "{name}");
        }
    }

    #[test]
    fn hostile_texts_are_no_blocks() {
        let bomb = compressed(&vec![b'0'; 50 * TEXT_MAX]);
        let texts: [(&str, Vec<u8>); 9] = [
            ("zTXt", [b"Raw profile type exif\0\0", bomb.as_slice()].concat()),
            ("zTXt", b"Raw profile type exif\0\0not compressed".to_vec()),
            ("zTXt", b"Raw profile type exif\0".to_vec()),
            ("tEXt", b"Raw profile type exif".to_vec()),
            ("tEXt", b"Raw profile type exif\0\nexif\n  4\nxyz".to_vec()),
            ("tEXt", b"Raw profile type exif\0\nexif\n  1\n12x4".to_vec()),
            ("tEXt", b"Raw profile type exif\0\nexif\n  99999999999999999999\n12".to_vec()),
            ("tEXt", b"Raw profile type exif\0\nexif\n  0\n".to_vec()),
            ("iTXt", b"Raw profile type exif\0\0\0".to_vec()),
        ];
        for (name, body) in &texts {
            assert_eq!(packed_blocks(&png(&[(name, body)])), PackedBlocks::default(), "{body:?}");
        }
        let announced = b"Raw profile type exif\0\nexif\n  18446744073709551615\n49492a00";
        assert_eq!(packed_blocks(&png(&[("tEXt", announced)])).exif.as_deref(), Some(&b"II*\0"[..]));
    }
}
