//! Walks the marker structure of a JPEG file: is it whole, and how large is its picture?
//!
//! A camera that is still writing, a pulled card or a broken transfer leaves a file without its end. Decoders fill
//! such a picture with grey and say nothing, so the structure is checked first (ITU-T T.81, annex B).

/// What a whole JPEG file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JpegHeader {
    pub width: u32,
    pub height: u32,
    /// 1 grey, 3 colour, 4 CMYK.
    pub components: u8,
}

/// Why a file is not a whole JPEG.
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
const START_OF_SCAN: u8 = 0xDA;
const TEMPORARY: u8 = 0x01;

/// Walks all segments up to the end marker. What follows it (previews, maker's trailers) is ignored.
pub fn inspect(bytes: &[u8]) -> Result<JpegHeader, JpegFlaw> {
    let mut header = None;
    let mut at = 2;
    loop {
        let (marker, after) = next_marker(bytes, at)?;
        at = match marker {
            END_OF_IMAGE => return header.ok_or(JpegFlaw::NoFrame),
            TEMPORARY | 0xD0..=START_OF_IMAGE => after,
            START_OF_SCAN => {
                header.ok_or(JpegFlaw::NoFrame)?;
                end_of_entropy_data(bytes, segment(bytes, after)?.1)?
            }
            _ => {
                let (body, end) = segment(bytes, after)?;
                if is_frame(marker) {
                    header = Some(frame(body).ok_or(JpegFlaw::BadLength(after))?);
                }
                end
            }
        };
    }
}

/// SOF0..SOF15 without DHT (C4), JPG (C8) and DAC (CC).
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

/// The marker at `at` (fill bytes skipped) and the position after it.
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

/// The body of the segment whose length field is at `at`, and the position after it.
fn segment(bytes: &[u8], at: usize) -> Result<(&[u8], usize), JpegFlaw> {
    let field = bytes.get(at..at + 2).ok_or(JpegFlaw::Truncated(bytes.len()))?;
    let length = usize::from(u16::from_be_bytes([field[0], field[1]]));
    if length < 2 {
        return Err(JpegFlaw::BadLength(at));
    }
    let body = bytes.get(at + 2..at + length).ok_or(JpegFlaw::Truncated(bytes.len()))?;
    Ok((body, at + length))
}

/// Frame header: precision, height, width, number of components.
fn frame(body: &[u8]) -> Option<JpegHeader> {
    let word = |at: usize| Some(u32::from(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?])));
    Some(JpegHeader { height: word(1)?, width: word(3)?, components: *body.get(5)? })
}

/// The position of the first marker after entropy-coded data: an `FF` that neither is stuffed (`FF 00`) nor restarts.
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

    /// A structurally whole JPEG: APP1 holding a thumbnail's end marker, SOF0, SOS, entropy data with stuffing, EOI.
    fn sample() -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8];
        bytes.extend([0xFF, 0xE1, 0, 6, b'x', 0xFF, 0xD9, 0]);
        bytes.extend([0xFF, 0xC0, 0, 11, 8, 0, 48, 0, 64, 1, 1, 0x11, 0]);
        bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
        bytes.extend([1, 2, 0xFF, 0, 3, 0xFF, 0xD0, 4, 5]);
        bytes.extend([0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn reads_the_frame_and_ignores_what_follows_the_end() {
        let header = JpegHeader { width: 64, height: 48, components: 1 };
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
