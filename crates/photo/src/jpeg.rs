//! Walks the marker structure of a JPEG file, to find out whether the file is complete, how large its picture is, and
//! what decoding costs.
//!
//! A camera that is still writing, a pulled card or a broken transfer leaves a file without its end. Decoders silently
//! fill such a picture with grey, so the structure is checked first (ITU-T T.81, annex B).

mod walk;

use std::iter;

use super::{Blocks, PhotoError};
use walk::{APP1, END_OF_IMAGE, START_OF_IMAGE, Walk, XMP_NAME};
pub use walk::{EXIF_NAME, JpegFlaw, START_OF_SCAN, Segment};

/// Properties of a complete JPEG file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JpegHeader {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Number of colour components: 1 for grey, 3 for colour, 4 for CMYK.
    pub components: u8,
    /// Bits per sample.
    pub precision: u8,
    pub coding: Coding,
    /// Number of scans.
    pub scans: u32,
    /// Bytes that a decoder must hold of the whole picture before it can output the first row: 0 if one scan has all
    /// components, otherwise two bytes per coefficient.
    pub coefficient_bytes: u64,
    /// Whether libjpeg would warn of the file's structure, although it passes over what it warns of; see [`regular`].
    pub irregular: bool,
}

/// Coding process that a frame header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Rows from top to bottom (SOF0, SOF1).
    Sequential,
    /// The whole picture, refined scan by scan (SOF2).
    Progressive,
    Lossless,
    Arithmetic,
    Hierarchical,
}

/// Maximum number of scans; a progressive photo has about ten. Each scan costs a pass over the whole picture, however
/// short it is.
const SCANS_MAX: u32 = 100;

impl JpegHeader {
    /// Returns the reason not to decode such a file even if it is complete, or `None`.
    pub fn refusal(&self) -> Option<PhotoError> {
        let what = match *self {
            JpegHeader { coding: Coding::Lossless, .. } => "a lossless JPEG",
            JpegHeader { coding: Coding::Arithmetic, .. } => "a JPEG with arithmetic coding",
            JpegHeader { coding: Coding::Hierarchical, .. } => "a hierarchical JPEG",
            JpegHeader { precision, .. } if precision != 8 => "a JPEG whose samples have more than 8 bits",
            JpegHeader { components: 4, .. } => "a CMYK JPEG (print colours)",
            JpegHeader { components, .. } if components != 1 && components != 3 => {
                "a JPEG that is neither grey nor RGB"
            }
            JpegHeader { scans, .. } if scans > SCANS_MAX => "a JPEG of more than 100 scans",
            _ => return None,
        };
        Some(PhotoError::Unsupported { what })
    }
}

impl Coding {
    /// Returns the coding process of a frame marker (ITU-T T.81, table B.1).
    fn of_marker(marker: u8) -> Self {
        match marker {
            0xC0 | 0xC1 => Coding::Sequential,
            0xC2 => Coding::Progressive,
            0xC3 | 0xCB => Coding::Lossless,
            0xC9 | 0xCA => Coding::Arithmetic,
            _ => Coding::Hierarchical,
        }
    }
}

/// Walks all segments up to the end marker. Ignores what follows it, such as previews and the maker's trailer.
pub fn inspect(bytes: &[u8]) -> Result<JpegHeader, JpegFlaw> {
    let mut frame: Option<Frame> = None;
    let mut walk = Walk::new(bytes);
    let mut irregular = false;
    loop {
        let segment = walk.advance()?;
        irregular |= segment.is_irregular();
        match segment.marker {
            END_OF_IMAGE => {
                let header = frame.ok_or(JpegFlaw::NoFrame)?.header;
                return Ok(JpegHeader { irregular, ..header });
            }
            START_OF_SCAN => {
                let scan = segment.body.first().ok_or(JpegFlaw::BadLength(segment.start))?;
                frame.as_mut().ok_or(JpegFlaw::NoFrame)?.add_scan(*scan);
                walk.scan_data()?;
            }
            marker if is_frame(marker) => {
                frame = Some(Frame::read(marker, segment.body).ok_or(JpegFlaw::BadLength(segment.start))?);
            }
            _ => (),
        }
    }
}

/// Iterates over the segments up to the header of the first scan. The file may be incomplete.
pub fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut walk = Some(Walk::new(bytes));
    iter::from_fn(move || {
        let segment = walk.as_mut()?.advance().ok().filter(|segment| segment.marker != END_OF_IMAGE)?;
        if segment.marker == START_OF_SCAN {
            walk = None;
        }
        Some(segment)
    })
}

/// Returns the maximum size in bytes of the copy that [`regular`] makes of a file of this size. Each marker that has
/// lost its first byte gets it back; the shortest segment that is known without it has ten bytes.
pub fn regular_bytes_max(bytes: usize) -> usize {
    bytes + bytes / 8 + 4
}

/// Returns the file up to its end marker as the standard wants it, for decoders that take a stray byte for damage. The
/// pixels are those that libjpeg makes of the file itself.
pub fn regular(bytes: &[u8]) -> Vec<u8> {
    let mut regular = Vec::with_capacity(regular_bytes_max(bytes.len()));
    regular.extend([0xFF, START_OF_IMAGE]);
    let mut walk = Walk::new(bytes);
    while let Ok(segment) = walk.advance() {
        segment.write(&mut regular);
        match segment.marker {
            END_OF_IMAGE => break,
            START_OF_SCAN => regular.extend_from_slice(walk.scan_data().unwrap_or_default()),
            _ => (),
        }
    }
    regular
}

/// Returns the first EXIF and XMP block before the first scan. The file may be incomplete.
pub fn blocks(bytes: &[u8]) -> Blocks<'_> {
    let mut blocks = Blocks::default();
    for segment in segments(bytes).filter(|segment| segment.marker == APP1) {
        blocks.exif = blocks.exif.or(segment.body.strip_prefix(EXIF_NAME));
        blocks.xmp = blocks.xmp.or(segment.body.strip_prefix(XMP_NAME));
    }
    blocks
}

/// Reports whether a marker starts a frame: SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC).
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

/// A frame header, updated by the scans seen so far.
struct Frame {
    header: JpegHeader,
    /// Bytes of all coefficients of the picture.
    bytes: u64,
}

impl Frame {
    /// Reads precision, height, width and number of components, then three bytes for each component.
    fn read(marker: u8, body: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?])));
        let (precision, height, width, components) = (*body.first()?, word(1)?, word(3)?, *body.get(5)?);
        let samplings = body.get(6..6 + 3 * usize::from(components))?.chunks_exact(3).map(|component| component[1]);
        let bytes = coefficient_bytes(width, height, samplings)?;
        let coding = Coding::of_marker(marker);
        let header = JpegHeader {
            width,
            height,
            components,
            precision,
            coding,
            scans: 0,
            coefficient_bytes: 0,
            irregular: false,
        };
        Some(Frame { header, bytes })
    }

    fn add_scan(&mut self, components: u8) {
        self.header.scans += 1;
        if self.header.coding == Coding::Progressive || components < self.header.components {
            self.header.coefficient_bytes = self.bytes;
        }
    }
}

/// Returns the size in bytes of all coefficients, which come in blocks of 64 per component. A sampling byte holds the
/// horizontal and vertical factor, 1 to 4; `None` if one is out of range.
fn coefficient_bytes(width: u32, height: u32, samplings: impl Iterator<Item = u8> + Clone) -> Option<u64> {
    let factors = samplings.map(|sampling| (u64::from(sampling >> 4), u64::from(sampling & 15)));
    let (across, down) = factors.clone().fold((1, 1), |most, factor| (most.0.max(factor.0), most.1.max(factor.1)));
    let units = u64::from(width).div_ceil(8 * across) * u64::from(height).div_ceil(8 * down);
    let valid = factors.clone().all(|(x, y)| (1..=4).contains(&x) && (1..=4).contains(&y));
    valid.then(|| factors.map(|(x, y)| x * y * units * 64 * 2).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A structurally complete JPEG: APP1 with the end marker of a thumbnail, SOF0, SOS, entropy-coded data with
    /// stuffing, EOI.
    fn sample() -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8];
        bytes.extend([0xFF, 0xE1, 0, 6, b'x', 0xFF, 0xD9, 0]);
        bytes.extend([0xFF, 0xC0, 0, 11, 8, 0, 48, 0, 64, 1, 1, 0x11, 0]);
        bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
        bytes.extend([1, 2, 0xFF, 0, 3, 0xFF, 0xD0, 4, 5]);
        bytes.extend([0xFF, 0xD9]);
        bytes
    }

    const HEADER: JpegHeader = JpegHeader {
        width: 64,
        height: 48,
        components: 1,
        precision: 8,
        coding: Coding::Sequential,
        scans: 1,
        coefficient_bytes: 0,
        irregular: false,
    };

    #[test]
    fn reads_the_frame_and_ignores_what_follows_the_end() {
        let header = HEADER;
        assert_eq!(inspect(&sample()), Ok(header));
        let mut with_trailer = sample();
        with_trailer.extend(b"MPF preview");
        assert_eq!(inspect(&with_trailer), Ok(header));
    }

    #[test]
    fn every_prefix_is_truncated() {
        let bytes = sample();
        for length in 3..bytes.len() {
            assert_eq!(inspect(&bytes[..length]), Err(JpegFlaw::Truncated(length)), "{length} bytes");
        }
    }

    #[test]
    fn a_picture_in_several_scans_needs_all_its_coefficients() {
        let mut progressive = sample();
        progressive[11] = 0xC2;
        let expected = JpegHeader { coding: Coding::Progressive, coefficient_bytes: 8 * 6 * 128, ..HEADER };
        assert_eq!(inspect(&progressive), Ok(expected));
        // 4:2:0 has one luma block per 8 x 8 pixels and half as many chroma blocks, in complete units of 16 x 16
        // pixels.
        assert_eq!(coefficient_bytes(8000, 6000, [0x22, 0x11, 0x11].into_iter()), Some(500 * 375 * 6 * 128));
        assert_eq!(coefficient_bytes(1, 1, [0x22, 0x11, 0x11].into_iter()), Some(6 * 128));
        assert_eq!(coefficient_bytes(8, 8, [0x05].into_iter()), None);
    }

    #[test]
    fn kinds_that_are_not_decoded_are_named() {
        let cases = [
            (HEADER, None),
            (JpegHeader { components: 3, scans: 10, ..HEADER }, None),
            (JpegHeader { components: 4, ..HEADER }, Some("CMYK")),
            (JpegHeader { components: 2, ..HEADER }, Some("neither grey nor RGB")),
            (JpegHeader { precision: 12, ..HEADER }, Some("more than 8 bits")),
            (JpegHeader { coding: Coding::of_marker(0xC3), ..HEADER }, Some("lossless")),
            (JpegHeader { coding: Coding::of_marker(0xC9), ..HEADER }, Some("arithmetic")),
            (JpegHeader { coding: Coding::of_marker(0xC5), ..HEADER }, Some("hierarchical")),
            (JpegHeader { scans: 101, ..HEADER }, Some("100 scans")),
        ];
        for (header, expected) in cases {
            let refusal = header.refusal().map(|error| error.to_string());
            match expected {
                None => assert_eq!(refusal, None),
                Some(reason) => assert!(refusal.is_some_and(|refusal| refusal.contains(reason)), "{reason}"),
            }
        }
    }

    #[test]
    fn finds_the_blocks_of_metadata() {
        let mut bytes = vec![0xFF, 0xD8];
        for body in [b"Exif\0\0II*".as_slice(), b"http://ns.adobe.com/xap/1.0/\0<x/>", b"Exif\0\0again"] {
            bytes.extend([0xFF, 0xE1, 0, body.len() as u8 + 2]);
            bytes.extend(body);
        }
        let expected = Blocks { exif: Some(b"II*"), xmp: Some(b"<x/>") };
        assert_eq!(blocks(&bytes), expected);
        assert_eq!(blocks(&[bytes, sample()[2..].to_vec()].concat()), expected);
        assert_eq!(blocks(&sample()), Blocks::default());
    }

    #[test]
    fn names_a_broken_structure() {
        let broken = |edit: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = sample();
            edit(&mut bytes);
            inspect(&bytes).unwrap_err()
        };
        assert_eq!(broken(&|bytes| bytes[2] = 7), JpegFlaw::NoFrame, "the next marker is the thumbnail's end");
        assert_eq!(broken(&|bytes| bytes[11] = 0x3C), JpegFlaw::UnknownMarker(10));
        assert_eq!(broken(&|bytes| bytes[13] = 1), JpegFlaw::BadLength(12));
        assert_eq!(broken(&|bytes| drop(bytes.drain(10..23))), JpegFlaw::NoFrame);
        assert_eq!(broken(&|bytes| bytes[43] = 0xD8), JpegFlaw::SecondImage(42));
    }

    #[test]
    fn the_regular_copy_ends_where_the_picture_does() {
        let whole = sample();
        assert_eq!(regular(&[&whole[..], b"trailer"].concat()), whole);
        let mut stray = whole.clone();
        stray.splice(10..10, [0x3F, 0x3E]);
        assert_eq!(inspect(&stray), Ok(JpegHeader { irregular: true, ..HEADER }));
        assert_eq!(regular(&stray), whole);
        for length in 3..stray.len() {
            assert_eq!(inspect(&stray[..length]), Err(JpegFlaw::Truncated(length)), "{length} bytes");
        }
    }

    #[test]
    fn the_largest_copy_fits() {
        let lost = [b"\xE1\0\x08".as_slice(), EXIF_NAME, b"\xFF\xFE\0\x02"].concat().repeat(1000);
        let bytes = [&[0xFF, 0xD8][..], &lost, &sample()[2..]].concat();
        let copy = regular(&bytes);
        assert_eq!(copy.len(), bytes.len() + 1000);
        assert!(copy.len() <= regular_bytes_max(bytes.len()));
    }
}
