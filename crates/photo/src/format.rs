//! Recognises a file's format by its first bytes.

use super::raw::Raw;
use super::{Blocks, PhotoError, heif, jpeg, png, tiff, webp};

/// Format that photos are decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    /// TIFF, including DNG and the raw files of most makers.
    Tiff,
    WebP,
    /// HEIF with pictures coded in HEVC, as phones write it.
    Heic,
    /// A raw file that is no TIFF.
    Raw(Raw),
}

/// Formats that are recognised but not decoded: offset and bytes of their signature, and their name. The signatures of
/// ISO media files include a brand (<https://mp4ra.org/registered-types/brands>).
const REFUSED: [(usize, &[u8], &str); 18] = [
    (4, b"ftypmif3", "HEIF of the minimized kind"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"II\xbc", "JPEG XR"),
    (0, b"II+\0", "BigTIFF"),
    (0, b"MM\0+", "BigTIFF"),
    (0, b"8BPS", "a Photoshop file (PSD)"),
    (0, b"FOVb", "a Sigma raw file (X3F)"),
    (0, b"\0MRM", "a Minolta raw file (MRW)"),
    (0, b"II\x1a\0\0\0HEAPCCDR", "a Canon raw file (CRW)"),
    (0, b"FFF\0", "a thermal picture (FLIR FFF)"),
    (0, b"SIMPLE  =", "FITS"),
];

/// Formats of files that are no photos: offset and bytes of their signature, and their name with its article. The last
/// brand of ISO media files is any.
const FOREIGN: [(usize, &[u8], &str); 14] = [
    (4, b"ftypqt  ", "a QuickTime video (MOV)"),
    (4, b"ftypisom", "an MP4 video"),
    (4, b"ftypiso", "an MP4 video"),
    (4, b"ftypmp4", "an MP4 video"),
    (4, b"ftypavc1", "an MP4 video"),
    (4, b"ftypM4A", "a sound file (M4A)"),
    (4, b"ftyp", "a video"),
    (4, b"moov", "a QuickTime video (MOV)"),
    (8, b"AVI ", "an AVI video"),
    (8, b"WAVE", "a sound file (WAV)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or an office document"),
    (0, b"\x1f\x8b", "a gzip archive"),
];

impl Format {
    /// Returns the format of a file. Fails with [`PhotoError::Empty`], [`PhotoError::UnknownFormat`] or, for a format
    /// that is recognised but not decoded, [`PhotoError::Unsupported`] or [`PhotoError::NotAPhoto`].
    pub fn of(bytes: &[u8]) -> Result<Self, PhotoError> {
        match bytes {
            [] => Err(PhotoError::Empty),
            [0xFF, 0xD8, 0xFF, ..] => Ok(Format::Jpeg),
            [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Ok(Format::Tiff),
            _ if bytes.starts_with(png::SIGNATURE) => Ok(Format::Png),
            _ if webp::is_webp(bytes) => Ok(Format::WebP),
            _ => match Raw::of(bytes) {
                Some(raw) => Ok(Format::Raw(raw)),
                None if heif::is_heif(bytes) => Ok(Format::Heic),
                None => Err(refusal(bytes)),
            },
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Tiff => "TIFF",
            Format::WebP => "WebP",
            Format::Heic => "HEIC",
            Format::Raw(raw) => raw.short_name(),
        }
    }

    /// Returns the EXIF block of a file that keeps it in several pieces.
    pub fn assembled_exif(self, bytes: &[u8]) -> Option<Vec<u8>> {
        if let Format::Raw(raw) = self { raw.assembled_exif(bytes) } else { None }
    }

    /// Returns the metadata blocks of a file, which may be incomplete.
    pub fn blocks(self, bytes: &[u8]) -> Blocks<'_> {
        match self {
            Format::Jpeg => jpeg::blocks(bytes),
            Format::Png => png::blocks(bytes),
            Format::Tiff => tiff::blocks(bytes),
            Format::WebP => webp::blocks(bytes),
            Format::Heic => heif::blocks(bytes),
            Format::Raw(raw) => raw.blocks(bytes),
        }
    }

    /// Reports whether the orientation in the EXIF block is that of the stored pixels. HEIF has properties of its own for
    /// it, which decoding applies; the EXIF field then only repeats what was done (ISO/IEC 23008-12, annex A.2.1).
    pub fn turns_by_exif(self) -> bool {
        self != Format::Heic
    }
}

/// Returns the error for a file that has none of the decoded formats.
fn refusal(bytes: &[u8]) -> PhotoError {
    let find = |known: &[(usize, &[u8], &'static str)]| {
        let is = |at: usize, mark: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(mark));
        known.iter().find(|(at, mark, _)| is(*at, mark)).map(|(_, _, what)| *what)
    };
    let unsupported = find(&REFUSED).map(|what| PhotoError::Unsupported { what });
    let foreign = || find(&FOREIGN).map(|what| PhotoError::NotAPhoto { what });
    unsupported.or_else(foreign).unwrap_or(PhotoError::UnknownFormat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        let known: [(&[u8], Format); 8] = [
            (b"\xff\xd8\xff\xe0", Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"II*\0", Format::Tiff),
            (b"MM\0*", Format::Tiff),
            (b"RIFF\0\0\0\0WEBP", Format::WebP),
            (b"\0\0\0\x18ftypheic", Format::Heic),
            (b"\0\0\0\x18ftypheix", Format::Heic),
            (b"\0\0\0\x18ftypmif1", Format::Heic),
        ];
        for (bytes, format) in known {
            assert_eq!(Format::of(bytes), Ok(format));
        }
        let raws: [(&[u8], Raw); 6] = [
            (b"FUJIFILMCCD-RAW 0201FF119504GFX 100S", Raw::Raf),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01", Raw::Cr3),
            (b"IIU\0\x18\0\0\0", Raw::Rw2),
            (b"IIRO\x08\0\0\0", Raw::Orf),
            (b"IIRS\x08\0\0\0", Raw::Orf),
            (b"MMOR\0\0\0\x08", Raw::Orf),
        ];
        for (bytes, raw) in raws {
            assert_eq!(Format::of(bytes), Ok(Format::Raw(raw)));
        }
        let refused: [(&[u8], &str); 20] = [
            (b"\0\0\0\x18ftypmif3", "HEIF of the minimized kind is not supported; export"),
            (b"\0\0\0\x1cftypavif", "AVIF is not"),
            (b"\0\0\0\x1cftypmp42", "not a photo: the file is an MP4 video"),
            (b"\0\0\0\x20ftypisom", "an MP4 video"),
            (b"\0\0\0\x14ftypqt  ", "a QuickTime video (MOV)"),
            (b"\0\0\0\x14ftyp3gp4", "a video"),
            (b"RIFF\0\0\0\0AVI LIST", "an AVI video"),
            (b"FOVb\0\0\x02\0", "a Sigma raw file (X3F)"),
            (b"\0MRM\0\0", "a Minolta raw file (MRW)"),
            (b"II\x1a\0\0\0HEAPCCDR", "a Canon raw file (CRW)"),
            (b"GIF89a", "GIF is not"),
            (b"BM6\0", "BMP is not"),
            (b"\xff\x0a\xfa", "JPEG XL is not"),
            (b"\xff\x4f\xff\x51", "JPEG 2000 is not"),
            (b"II+\0\x08", "BigTIFF is not"),
            (b"8BPS\0\x01", "Photoshop"),
            (b"", "empty"),
            (b"%PDF-1.7", "not a photo: the file is a PDF"),
            (b"PK\x03\x04", "not a photo: the file is a ZIP"),
            (b"hello", "not a photo: the file starts like no"),
        ];
        for (bytes, reason) in refused {
            let error = Format::of(bytes).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
