//! Recognises a file's format by its first bytes.

use super::{Blocks, PhotoError, jpeg, png, tiff, webp};

/// Format that photos are decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    /// TIFF, including DNG.
    Tiff,
    WebP,
}

/// Formats that are recognised but not decoded: offset and bytes of their signature, and their name. The signatures of
/// ISO media files include a brand.
const REFUSED: [(usize, &[u8], &str); 18] = [
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypheim", "HEIC"),
    (4, b"ftypheis", "HEIC"),
    (4, b"ftyphevc", "HEIC"),
    (4, b"ftyphevx", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyp", "video"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"II+\0", "BigTIFF"),
    (0, b"MM\0+", "BigTIFF"),
];

impl Format {
    /// Returns the format of a file. Fails with [`PhotoError::Empty`], [`PhotoError::UnknownFormat`] or, for a format
    /// that is recognised but not decoded, [`PhotoError::Unsupported`].
    pub fn of(bytes: &[u8]) -> Result<Self, PhotoError> {
        match bytes {
            [] => Err(PhotoError::Empty),
            [0xFF, 0xD8, 0xFF, ..] => Ok(Format::Jpeg),
            [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Ok(Format::Tiff),
            _ if bytes.starts_with(png::SIGNATURE) => Ok(Format::Png),
            _ if webp::is_webp(bytes) => Ok(Format::WebP),
            _ => Err(refusal(bytes)),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Tiff => "TIFF",
            Format::WebP => "WebP",
        }
    }

    /// Returns the metadata blocks of a file, which may be incomplete.
    pub fn blocks(self, bytes: &[u8]) -> Blocks<'_> {
        match self {
            Format::Jpeg => jpeg::blocks(bytes),
            Format::Png => png::blocks(bytes),
            Format::Tiff => tiff::blocks(bytes),
            Format::WebP => webp::blocks(bytes),
        }
    }
}

/// Returns the error for a file that has none of the decoded formats.
fn refusal(bytes: &[u8]) -> PhotoError {
    let known = REFUSED.iter().find(|(at, mark, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark)));
    known.map_or(PhotoError::UnknownFormat, |&(_, _, what)| PhotoError::Unsupported { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        let known: [(&[u8], Format); 5] = [
            (b"\xff\xd8\xff\xe0", Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"II*\0", Format::Tiff),
            (b"MM\0*", Format::Tiff),
            (b"RIFF\0\0\0\0WEBP", Format::WebP),
        ];
        for (bytes, format) in known {
            assert_eq!(Format::of(bytes), Ok(format));
        }
        let refused: [(&[u8], &str); 6] = [
            (b"\0\0\0\x18ftypheic", "HEIC is not supported; export"),
            (b"\0\0\0\x1cftypavif", "AVIF is not"),
            (b"\0\0\0\x1cftypmp42", "video is not"),
            (b"GIF89a", "GIF is not"),
            (b"", "empty"),
            (b"%PDF-1.7", "not a photo"),
        ];
        for (bytes, reason) in refused {
            let error = Format::of(bytes).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
