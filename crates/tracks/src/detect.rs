//! Recognises a format by its first bytes.

use bridgeclip_position::{Arrival, nmea};

use crate::error::TrackError;
use crate::report::TrackFormat;
use crate::{dataflash, tlog, ulog};

/// Number of bytes that are looked at.
pub const HEAD: usize = 64 * 1024;

/// Mark that some programs put before UTF-8.
pub const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Files that people take for tracks: their first bytes, where these are, what it is, and what to do.
const OTHERS: [(usize, &[u8], &str, &str); 8] = [
    (0, b"PK\x03\x04", "a ZIP archive, as KMZ is", "unpack it, or export GPX"),
    (0, b"\x1F\x8B", "a gzip file", "unpack it first"),
    (8, b".FIT", "a FIT file", "export GPX from the program of the watch or recorder"),
    (0, b"\xB5\x62", "a u-blox recording without NMEA", "convert it to NMEA or GPX, for example with RTKLIB"),
    (0, b"\xFF\xFE", "text in UTF-16", "save it as UTF-8"),
    (0, b"\xFE\xFF", "text in UTF-16", "save it as UTF-8"),
    (0, b"\xFF\xD8\xFF", "a JPEG", "give photos to `bridgeclip ingest`"),
    (0, b"SQLite format 3\0", "a database", "export GPX"),
];

/// Returns the format of a file that begins with `head`.
///
/// # Errors
/// If the format is not supported, or unknown.
pub fn format(head: &[u8]) -> Result<TrackFormat, TrackError> {
    let found = by_mark(head).or_else(|| xml(head)).or_else(|| has_sentence(head).then_some(Ok(TrackFormat::Nmea)));
    let other = || OTHERS.iter().find(|(at, mark, ..)| head.get(*at..).is_some_and(|bytes| bytes.starts_with(mark)));
    match (found, other()) {
        (Some(found), _) => found,
        (None, Some((.., found, remedy))) => Err(TrackError::Unsupported { found, remedy }),
        (None, None) => Err(TrackError::Unknown),
    }
}

fn by_mark(head: &[u8]) -> Option<Result<TrackFormat, TrackError>> {
    if head.starts_with(&ulog::MAGIC) {
        return Some(Ok(TrackFormat::Ulog));
    }
    if dataflash::is_binary(head) {
        return Some(Ok(TrackFormat::DataFlash));
    }
    if dataflash::is_text(head) {
        return Some(Ok(TrackFormat::DataFlashText));
    }
    tlog::is_log(head).then_some(Ok(TrackFormat::Tlog))
}

/// Recognises XML by its first element, whatever prefix the element's name has.
fn xml(head: &[u8]) -> Option<Result<TrackFormat, TrackError>> {
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
    if text.first() != Some(&b'<') {
        return None;
    }
    let has = |name: &[u8]| memchr::memmem::find_iter(text, name).any(|at| is_element(text, at, name.len()));
    if has(b"gpx") {
        return Some(Ok(TrackFormat::Gpx));
    }
    let remedy = "export GPX; tracks without times cannot place photos";
    let others = [(&b"kml"[..], "KML"), (b"TrainingCenterDatabase", "a TCX file"), (b"html", "a page of a web site")];
    let found = others.into_iter().find(|(name, _)| has(name))?.1;
    Some(Err(TrackError::Unsupported { found, remedy }))
}

/// Reports whether a name at this place begins an element.
fn is_element(text: &[u8], at: usize, length: usize) -> bool {
    let ends = text.get(at + length).is_some_and(|byte| matches!(byte, b'>' | b'/') || byte.is_ascii_whitespace());
    let prefix = text[..at].iter().rposition(|byte| !byte.is_ascii_alphanumeric() && *byte != b':');
    ends && prefix.is_some_and(|start| text[start] == b'<')
}

fn has_sentence(head: &[u8]) -> bool {
    let mut found = false;
    nmea::Decoder::default().push(head, 0, |arrival| found |= arrival == Arrival::Valid);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(head: &[u8]) -> Option<TrackFormat> {
        format(head).ok()
    }

    #[test]
    fn formats_are_recognised_by_content() {
        let cases: [(&[u8], TrackFormat); 10] = [
            (b"<?xml version=\"1.0\"?>\n<gpx version=\"1.1\">", TrackFormat::Gpx),
            (b"\xEF\xBB\xBF \n<!-- a --><g:gpx>", TrackFormat::Gpx),
            (b"<gpx/>", TrackFormat::Gpx),
            (b"\n\n12:00:01 $GPTXT,a*02\r\n", TrackFormat::Nmea),
            (b"\xB5\x62\x01\x07$GPTXT,a*02\r\n", TrackFormat::Nmea),
            (b"ULog\x01\x12\x35\x01\0\0\0\0\0\0\0\0", TrackFormat::Ulog),
            (b"\xA3\x95\x80\x80\x59FMT\0BBnNZ", TrackFormat::DataFlash),
            (b"FMT, 128, 89, FMT, BBnNZ, Type,Length,Name,Format,Columns\r\n", TrackFormat::DataFlashText),
            (b"\x00\x05\xE0\x00\x00\x00\x00\x00\xFE\x09\x00\x01\x01\x00", TrackFormat::Tlog),
            (b"\x00\x05\xE0\x00\x00\x00\x00\x00\xFD\x09\x00\x00\x00\x01\x01\x00\x00\x00", TrackFormat::Tlog),
        ];
        for (head, format) in cases {
            assert_eq!(found(head), Some(format), "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn what_is_no_track_is_refused_with_a_remedy() {
        let cases: [(&[u8], &str); 7] = [
            (b"PK\x03\x04....", "ZIP"),
            (b"\x1F\x8B\x08", "gzip"),
            (b"\x0E\x10\x00\x00\x00\x00\x00\x00.FIT", "FIT"),
            (b"<?xml version=\"1.0\"?><kml xmlns=\"gpx\">", "KML"),
            (b"<!DOCTYPE html><html>", "page"),
            (b"\xFF\xFE<\0g\0", "UTF-16"),
            (b"lat,lon\n1,2\n", "not a known track file"),
        ];
        for (head, part) in cases {
            let message = format(head).expect_err("refused").to_string();
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(found(b""), None, "an empty file");
    }
}
