//! Walks the marker structure of a JPEG file, to find out whether the file is complete, how large its picture is, and
//! what decoding costs.
//!
//! A camera that is still writing, a pulled card or a broken transfer leaves a file without its end. Decoders silently
//! fill such a picture with grey, so the structure is checked first (ITU-T T.81, annex B).

use std::iter;

use super::{Blocks, PhotoError};

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

/// Reason why a file is not a complete JPEG. Numbers are offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JpegFlaw {
    #[error("the file ends at byte {0}, before the end of the picture")]
    Truncated(usize),
    #[error("byte {0} is not the start of a JPEG segment")]
    NoMarker(usize),
    #[error("the segment at byte {0} has an impossible length")]
    BadLength(usize),
    #[error("the picture has no size before its first scan")]
    NoFrame,
}

const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
pub const START_OF_SCAN: u8 = 0xDA;
const TEMPORARY: u8 = 0x01;
const APP1: u8 = 0xE1;
/// Start of an APP1 segment's body that holds EXIF (EXIF 2.32, 4.7.2).
pub const EXIF_NAME: &[u8] = b"Exif\0\0";
/// Start of an APP1 segment's body that holds XMP (XMP specification part 3, 1.1.3).
const XMP_NAME: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// Walks all segments up to the end marker. Ignores what follows it, such as previews and the maker's trailer.
pub fn inspect(bytes: &[u8]) -> Result<JpegHeader, JpegFlaw> {
    let mut frame: Option<Frame> = None;
    let mut at = 2;
    loop {
        let (marker, after) = next_marker(bytes, at)?;
        at = match marker {
            END_OF_IMAGE => return Ok(frame.ok_or(JpegFlaw::NoFrame)?.header()),
            TEMPORARY | 0xD0..=START_OF_IMAGE => after,
            START_OF_SCAN => {
                let (body, end) = segment(bytes, after)?;
                let scan = body.first().ok_or(JpegFlaw::BadLength(after))?;
                frame.as_mut().ok_or(JpegFlaw::NoFrame)?.add_scan(*scan);
                end_of_entropy_data(bytes, end)?
            }
            _ => {
                let (body, end) = segment(bytes, after)?;
                if is_frame(marker) {
                    frame = Some(Frame::read(marker, body).ok_or(JpegFlaw::BadLength(after))?);
                }
                end
            }
        };
    }
}

/// A segment with its marker.
pub struct Segment<'a> {
    pub marker: u8,
    /// Contents without the length field.
    pub body: &'a [u8],
    /// Offset of the first byte after the segment.
    pub end: usize,
}

/// Iterates over the segments up to the header of the first scan. The file may be incomplete.
pub fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut next = Some(2);
    iter::from_fn(move || {
        let mut at = next.take()?;
        loop {
            let (marker, after) = next_marker(bytes, at).ok()?;
            match marker {
                END_OF_IMAGE => return None,
                TEMPORARY | 0xD0..=START_OF_IMAGE => at = after,
                _ => {
                    let (body, end) = segment(bytes, after).ok()?;
                    next = (marker != START_OF_SCAN).then_some(end);
                    return Some(Segment { marker, body, end });
                }
            }
        }
    })
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

/// Returns the marker at `at`, after any fill bytes, and the offset after it.
fn next_marker(bytes: &[u8], at: usize) -> Result<(u8, usize), JpegFlaw> {
    let mut position = at;
    match bytes.get(position) {
        None => return Err(JpegFlaw::Truncated(bytes.len())),
        Some(0xFF) => (),
        Some(_) => return Err(JpegFlaw::NoMarker(at)),
    }
    while bytes.get(position) == Some(&0xFF) {
        position += 1;
    }
    match bytes.get(position) {
        None => Err(JpegFlaw::Truncated(bytes.len())),
        Some(0) => Err(JpegFlaw::NoMarker(at)),
        Some(&marker) => Ok((marker, position + 1)),
    }
}

/// Returns the body of the segment whose length field is at `at`, and the offset after it.
fn segment(bytes: &[u8], at: usize) -> Result<(&[u8], usize), JpegFlaw> {
    let field = bytes.get(at..at + 2).ok_or(JpegFlaw::Truncated(bytes.len()))?;
    let length = usize::from(u16::from_be_bytes([field[0], field[1]]));
    if length < 2 {
        return Err(JpegFlaw::BadLength(at));
    }
    let body = bytes.get(at + 2..at + length).ok_or(JpegFlaw::Truncated(bytes.len()))?;
    Ok((body, at + length))
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
        let header = JpegHeader { width, height, components, precision, coding, scans: 0, coefficient_bytes: 0 };
        Some(Frame { header, bytes })
    }

    fn add_scan(&mut self, components: u8) {
        self.header.scans += 1;
        if self.header.coding == Coding::Progressive || components < self.header.components {
            self.header.coefficient_bytes = self.bytes;
        }
    }

    fn header(self) -> JpegHeader {
        self.header
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

/// Returns the offset of the first marker after entropy-coded data: an `FF` that is neither stuffed (`FF 00`) nor a
/// restart.
fn end_of_entropy_data(bytes: &[u8], start: usize) -> Result<usize, JpegFlaw> {
    for at in memchr::memchr_iter(0xFF, &bytes[start..]).map(|offset| start + offset) {
        match bytes.get(at + 1) {
            None => break,
            Some(0 | 0xD0..=0xD7 | 0xFF) => (),
            Some(_) => return Ok(at),
        }
    }
    Err(JpegFlaw::Truncated(bytes.len()))
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
        assert_eq!(broken(&|bytes| bytes[2] = 7), JpegFlaw::NoMarker(2));
        assert_eq!(broken(&|bytes| bytes[5] = 1), JpegFlaw::BadLength(4));
        assert_eq!(broken(&|bytes| drop(bytes.drain(10..23))), JpegFlaw::NoFrame);
    }
}
