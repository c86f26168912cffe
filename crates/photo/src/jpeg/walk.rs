//! Steps from marker to marker through a JPEG file, as libjpeg does (`jdmarker.c`, `next_marker`). Everything that reads
//! the structure of a JPEG uses this walk, so that all of it sees the same segments.
//!
//! libjpeg, Pillow and browsers pass over bytes that are no marker where a marker is due, and some cameras and editors
//! leave such bytes. The walk does the same. It only moves forward, so its time is linear in the size of the file.

/// Reason why a file is not a complete JPEG. Numbers are offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JpegFlaw {
    #[error("the file ends at byte {0}, before the end of the picture")]
    Truncated(usize),
    #[error("the marker at byte {0} is none of the standard's")]
    UnknownMarker(usize),
    #[error("a second picture starts at byte {0}, before the end of the first one")]
    SecondImage(usize),
    #[error("the segment at byte {0} has an impossible length")]
    BadLength(usize),
    #[error("the picture has no size before its first scan")]
    NoFrame,
}

pub const START_OF_IMAGE: u8 = 0xD8;
pub const END_OF_IMAGE: u8 = 0xD9;
pub const START_OF_SCAN: u8 = 0xDA;
const TEMPORARY: u8 = 0x01;
const APP0: u8 = 0xE0;
pub const APP1: u8 = 0xE1;
const APP14: u8 = 0xEE;
const COMMENT: u8 = 0xFE;
/// Start of an APP1 segment's body that holds EXIF (EXIF 2.32, 4.7.2).
pub const EXIF_NAME: &[u8] = b"Exif\0\0";
/// Start of an APP1 segment's body that holds XMP (XMP specification part 3, 1.1.3).
pub const XMP_NAME: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// Offset of the major version in the body of a JFIF segment, after its name (JFIF 1.02, page 5).
const JFIF_VERSION: usize = 5;
/// Minimum length in bytes of a JFIF segment's body that libjpeg reads (`jdmarker.c`, `APP0_DATA_LEN`).
const JFIF_LENGTH: usize = 14;
/// Offset of the transformation of colours in the body of Adobe's segment (Adobe technical note 5116, page 23).
const ADOBE_TRANSFORM: usize = 11;

/// A segment with its marker.
#[derive(Debug)]
pub struct Segment<'a> {
    pub marker: u8,
    /// Contents without the length field; empty for the end marker.
    pub body: &'a [u8],
    /// Offset of the marker's second byte.
    pub start: usize,
    /// Offset of the first byte after the segment.
    pub end: usize,
    /// Whether bytes before the segment are no part of any, or its marker has lost its first byte.
    follows_stray_bytes: bool,
}

impl Segment<'_> {
    /// Reports whether libjpeg warns of this segment, or of what precedes it.
    pub fn is_irregular(&self) -> bool {
        self.follows_stray_bytes || self.mended().is_some()
    }

    /// Writes the segment as the standard wants it.
    pub fn write(&self, to: &mut Vec<u8>) {
        to.extend([0xFF, self.marker]);
        if self.marker == END_OF_IMAGE {
            return;
        }
        to.extend((self.body.len() as u16 + 2).to_be_bytes());
        let at = to.len();
        to.extend_from_slice(self.body);
        if let Some((offset, value)) = self.mended() {
            to[at + offset] = value;
        }
    }

    /// Returns the offset and the right value of a byte of the body that libjpeg warns of and then takes for the right
    /// one: a version of JFIF after 1, or a transformation that Adobe does not define, taken for YCbCr.
    fn mended(&self) -> Option<(usize, u8)> {
        let is_jfif = self.marker == APP0 && self.body.starts_with(b"JFIF\0") && self.body.len() >= JFIF_LENGTH;
        if is_jfif {
            return (self.body[JFIF_VERSION] != 1).then_some((JFIF_VERSION, 1));
        }
        let is_adobe = self.marker == APP14 && self.body.starts_with(b"Adobe");
        let transform = self.body.get(ADOBE_TRANSFORM).filter(|_| is_adobe)?;
        (*transform > 2).then_some((ADOBE_TRANSFORM, 1))
    }
}

/// Position between two segments of a file, which may be incomplete.
pub struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// Starts after the marker with which every JPEG begins.
    pub fn new(bytes: &'a [u8]) -> Self {
        Walk { bytes, at: 2 }
    }

    /// Returns the next segment, or the end marker. Markers without a segment of their own are passed over.
    pub fn advance(&mut self) -> Result<Segment<'a>, JpegFlaw> {
        let (mut from, mut follows_stray_bytes) = (self.at, false);
        loop {
            let (marker, start, is_stray) = self.marker(from)?;
            follows_stray_bytes |= is_stray;
            match marker {
                TEMPORARY | 0xD0..=0xD7 => from = start + 1,
                START_OF_IMAGE => return Err(JpegFlaw::SecondImage(start - 1)),
                0x02..=0xBF | 0xF0..=0xFD => return Err(JpegFlaw::UnknownMarker(start - 1)),
                _ => {
                    let (body, end) = match marker {
                        END_OF_IMAGE => (&[][..], start + 1),
                        _ => self.body(marker, start + 1)?,
                    };
                    self.at = end;
                    return Ok(Segment { marker, body, start, end, follows_stray_bytes });
                }
            }
        }
    }

    /// Passes over the data of a scan, up to the first marker: an `FF` that is neither stuffed (`FF 00`) nor a restart.
    pub fn scan_data(&mut self) -> Result<&'a [u8], JpegFlaw> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        for at in memchr::memchr_iter(0xFF, rest).map(|offset| start + offset) {
            match self.bytes.get(at + 1) {
                None => break,
                Some(0 | 0xD0..=0xD7 | 0xFF) => (),
                Some(_) => {
                    self.at = at;
                    return Ok(&self.bytes[start..at]);
                }
            }
        }
        Err(self.truncated())
    }

    /// Returns the first marker at or after `from`, the offset of its second byte, and whether bytes before it were
    /// passed over that are no fill bytes.
    fn marker(&self, from: usize) -> Result<(u8, usize, bool), JpegFlaw> {
        if let Some(start) = self.lost_marker(from) {
            return Ok((APP1, start, true));
        }
        let (mut at, mut is_stray) = (from, false);
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let stray = memchr::memchr(0xFF, rest).ok_or_else(|| self.truncated())?;
            let fill = rest[stray..].iter().take_while(|byte| **byte == 0xFF).count();
            at += stray + fill;
            is_stray |= stray > 0;
            match self.bytes.get(at) {
                None => return Err(self.truncated()),
                // Stuffed data, which is no marker.
                Some(0) => (at, is_stray) = (at + 1, true),
                Some(&marker) => return Ok((marker, at, is_stray)),
            }
        }
    }

    /// Returns the offset of the second byte of an APP1 marker whose first byte is lost or another one. The name of the
    /// segment's contents and the marker after it leave no doubt.
    fn lost_marker(&self, at: usize) -> Option<usize> {
        let is_segment = |start: &usize| {
            let length = self.bytes.get(start + 1..)?.first_chunk().map(|length| u16::from_be_bytes(*length))?;
            let name = self.bytes.get(start + 3..)?;
            let is_named = name.starts_with(EXIF_NAME) || name.starts_with(XMP_NAME);
            let is_followed = self.bytes.get(start + 1 + usize::from(length)) == Some(&0xFF);
            Some(self.bytes[*start] == APP1 && is_named && is_followed)
        };
        let is_lost = self.bytes.get(at).is_some_and(|byte| *byte != 0xFF);
        [at, at + 1].into_iter().filter(|_| is_lost).find(|start| is_segment(start) == Some(true))
    }

    /// Returns the body of the segment whose length field is at `at`, and the offset after it.
    fn body(&self, marker: u8, at: usize) -> Result<(&'a [u8], usize), JpegFlaw> {
        let field = self.bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(|| self.truncated())?;
        let length = usize::from(u16::from_be_bytes(*field));
        // libjpeg takes a length that does not even count itself for that of an empty segment where it needs no contents.
        let length = if matches!(marker, APP0..=0xEF | COMMENT) { length.max(2) } else { length };
        if length < 2 {
            return Err(JpegFlaw::BadLength(at));
        }
        let body = self.bytes.get(at + 2..at + length).ok_or_else(|| self.truncated())?;
        Ok((body, at + length))
    }

    fn truncated(&self) -> JpegFlaw {
        JpegFlaw::Truncated(self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Returns the markers of a file that begins with these bytes after its first marker, and whether each is regular.
    fn markers(parts: &[&[u8]]) -> Vec<(u8, bool)> {
        let bytes = [&[0xFF, 0xD8][..], &parts.concat(), &[0xFF, 0xD9]].concat();
        let (mut walk, mut found) = (Walk::new(&bytes), Vec::new());
        while let Ok(segment) = walk.advance() {
            found.push((segment.marker, !segment.is_irregular()));
            if segment.marker == END_OF_IMAGE {
                break;
            }
        }
        found
    }

    const COMMENT_SEGMENT: &[u8] = &[0xFF, 0xFE, 0, 3, b'c'];

    #[test]
    fn what_is_no_marker_is_passed_over() {
        let after = |stray: &[u8]| markers(&[stray, COMMENT_SEGMENT]);
        assert_eq!(after(b""), [(COMMENT, true), (END_OF_IMAGE, true)]);
        for fill in [&[0xFF][..], &[0xFF; 9], &[0xFF, 1], &[0xFF, 0xD3]] {
            assert_eq!(after(fill), [(COMMENT, true), (END_OF_IMAGE, true)], "{fill:x?}");
        }
        for stray in [&[0x3F, 0x3E][..], &[0; 100], &[0xFF, 0], &[0, 0xE1, 0, 4, 1, 2], &[0xFF, 0, 0xFF, 1, 7]] {
            assert_eq!(after(stray), [(COMMENT, false), (END_OF_IMAGE, true)], "{stray:x?}");
        }
        assert_eq!(after(&[0xFF, 0xD8]), [], "a second picture");
        assert_eq!(after(&[0xFF, 0x3C]), [], "an unknown marker");
        assert_eq!(after(&[0xFF, 0xE5, 0, 0]), [(0xE5, true), (COMMENT, true), (END_OF_IMAGE, true)], "empty");
        assert_eq!(after(&[0xFF, 0xDB, 0, 1]), [], "a table needs its contents");
    }

    #[test]
    fn metadata_whose_marker_lost_a_byte_are_known_by_their_name() {
        let block = [EXIF_NAME, b"II* with \xff\xd8 a thumbnail \xff\xd9"].concat();
        let length = (block.len() as u16 + 2).to_be_bytes();
        for lost in [&[0, 0xE1][..], &[0xE1]] {
            let parts = [lost, &length, &block, COMMENT_SEGMENT].concat();
            assert_eq!(markers(&[&parts]), [(APP1, false), (COMMENT, true), (END_OF_IMAGE, true)]);
        }
        // Neither a length that leads elsewhere nor another name is certain; the bytes are passed over.
        let wrong = (block.len() as u16 + 3).to_be_bytes();
        assert_eq!(markers(&[&[0, 0xE1], &wrong, &block, COMMENT_SEGMENT]), [], "the thumbnail is a second picture");
        assert_eq!(markers(&[&[0, 0xE1, 0, 6], b"Ezif", COMMENT_SEGMENT]), [(COMMENT, false), (END_OF_IMAGE, true)]);
    }

    #[test]
    fn what_libjpeg_warns_of_is_mended() {
        let jfif = |version| [&[0xFF, 0xE0, 0, 16][..], b"JFIF\0", &[version, 2, 0, 0, 1, 0, 1, 0, 0]].concat();
        let adobe = |transform| [&[0xFF, 0xEE, 0, 14][..], b"Adobe", &[0, 100, 0, 0, 0, 0, transform]].concat();
        assert_eq!(markers(&[&jfif(1), &adobe(0), &adobe(2)])[..3], [(APP0, true), (APP14, true), (APP14, true)]);
        for (wrong, right) in [(jfif(2), jfif(1)), (jfif(0), jfif(1)), (adobe(3), adobe(1))] {
            let bytes = [&[0xFF, 0xD8][..], &wrong].concat();
            let (mut written, segment) = (Vec::new(), Walk::new(&bytes).advance().expect("a segment"));
            segment.write(&mut written);
            assert!(segment.is_irregular() && written == right, "{written:x?}");
        }
    }

    #[test]
    fn the_walk_is_linear() {
        let begin = Instant::now();
        for unit in [&[0xFF][..], &[0], &[0xFF, 0], &[0xFF, 1], &[0xE1], &[0xFF, 0xFE, 0, 0]] {
            let bytes = [&[0xFF, 0xD8][..], &unit.repeat(10_000_000 / unit.len())].concat();
            let mut walk = Walk::new(&bytes);
            let flaw = loop {
                if let Err(flaw) = walk.advance() {
                    break flaw;
                }
            };
            assert_eq!(flaw, JpegFlaw::Truncated(bytes.len()));
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    }
}
