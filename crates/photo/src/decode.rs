//! Decodes bytes to pixels. The cost of decoding a photo is known before decoding starts.

use std::borrow::Cow;

use super::format::Format;
use super::guard::guarded;
use super::jpeg::{self, JpegFlaw, JpegHeader};
use super::limits::{Limits, Memory, check_pixels};
use super::others::Other;
use super::{PhotoError, Raster, baseline, heif, libjpeg, png, tiff, webp};

/// A photo whose structure and header are within the limits, with the memory that decoding it takes. None of its pixels
/// have been allocated yet.
#[derive(Debug)]
pub struct OpenPhoto<'a> {
    bytes: &'a [u8],
    format: Format,
    source: Source<'a>,
    limits: Limits,
    memory: Memory,
}

#[derive(Debug)]
enum Source<'a> {
    Jpeg { bytes: &'a [u8], header: JpegHeader },
    Tiff(Box<tiff::Picture<'a>>),
    Other { bytes: Cow<'a, [u8]>, form: Other },
    Heif(heif::Photo<'a>),
}

impl<'a> OpenPhoto<'a> {
    /// Checks the structure and header of a file against the limits, without allocating any pixels.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, PhotoError> {
        let format = Format::of(bytes)?;
        let (source, memory) = unless_it_panics(format, || Source::open(bytes, format, limits))?;
        Ok(OpenPhoto { bytes, format, source, limits: *limits, memory })
    }

    /// Returns the peak memory in bytes, without the file itself, until everything made from the pixels exists. Turning
    /// a picture by a quarter (`turned`) takes a second raster.
    pub fn memory(&self, turned: bool) -> u64 {
        self.memory.total() + if turned { self.memory.raster } else { 0 }
    }

    /// Returns the bytes of the file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Decodes the pixels. Damaged data gives [`PhotoError::Undecodable`].
    pub fn decode(&self) -> Result<Raster, PhotoError> {
        unless_it_panics(self.format, || match &self.source {
            Source::Jpeg { bytes, header } => decode_jpeg(bytes, header, &self.limits),
            Source::Tiff(picture) => picture.decode(),
            Source::Other { bytes, form } => form.decode(bytes),
            Source::Heif(photo) => photo.decode(),
        })
    }
}

/// Runs a step of decoding. A panic of a decoder gives [`PhotoError::Undecodable`], so that a bad file costs only its own
/// result.
fn unless_it_panics<T>(format: Format, step: impl FnOnce() -> Result<T, PhotoError>) -> Result<T, PhotoError> {
    let failed = || PhotoError::Undecodable { format: format.name(), reason: "the decoder failed".to_owned() };
    guarded(step).unwrap_or_else(|| Err(failed()))
}

impl<'a> Source<'a> {
    /// Opens a file of this format. Returns its pixels' source and the memory that decoding them takes.
    fn open(bytes: &'a [u8], format: Format, limits: &Limits) -> Result<(Self, Memory), PhotoError> {
        match format {
            Format::Jpeg => Self::jpeg(bytes, limits),
            Format::Png => {
                let header = png::inspect(bytes)?;
                let essential = header.essential(bytes, limits)?;
                Self::other(essential, Other::png(&header), limits)
            }
            Format::WebP => {
                webp::inspect(bytes)?;
                let (source, memory) = Self::other(bytes.into(), Other::webp(bytes, limits), limits)?;
                let decoding = memory.decoding + webp::codes_memory(bytes)?;
                Ok((source, Memory { decoding, ..memory }.check(limits)?))
            }
            Format::Heic => {
                let photo = heif::Photo::new(bytes, limits)?;
                let memory = photo.memory().check(limits)?;
                Ok((Source::Heif(photo), memory))
            }
            Format::Tiff => match tiff::inspect(bytes)? {
                tiff::Content::Preview(preview) => Self::jpeg(preview, limits),
                tiff::Content::Pixels(picture) => Self::tiff(bytes, picture, limits),
            },
            Format::Raw(raw) => Self::jpeg(raw.preview(bytes)?, limits),
        }
    }

    /// Opens a JPEG, which is a whole file or a preview inside it.
    fn jpeg(bytes: &'a [u8], limits: &Limits) -> Result<(Self, Memory), PhotoError> {
        let format = Format::Jpeg.name();
        let header = jpeg::inspect(bytes).map_err(|flaw| match flaw {
            JpegFlaw::Truncated(end) => PhotoError::Truncated { format, end },
            _ => PhotoError::Broken { format, reason: flaw.to_string() },
        })?;
        if let Some(refusal) = header.refusal() {
            return Err(refusal);
        }
        check_pixels([header.width, header.height], format, limits)?;
        let (needed, limit) = (header.coefficient_bytes, limits.coefficient_bytes_max);
        if needed > limit {
            return Err(PhotoError::TooManyCoefficients { needed, limit });
        }
        let eighths = u64::from(limits.decoding.eighths(&header));
        let [width, height] = [header.width, header.height].map(|side| (u64::from(side) * eighths).div_ceil(8));
        let raster = 3 * width * height;
        let rows = libjpeg::COLUMN_BYTES * u64::from(header.components) * u64::from(header.width);
        let copied = if header.irregular { jpeg::regular_bytes_max(bytes.len()) as u64 } else { 0 };
        let memory = Memory { decoding: raster + header.coefficient_bytes + rows + copied, raster }.check(limits)?;
        Ok((Source::Jpeg { bytes, header }, memory))
    }

    fn tiff(bytes: &'a [u8], picture: Box<tiff::Picture<'a>>, limits: &Limits) -> Result<(Self, Memory), PhotoError> {
        check_pixels([picture.width, picture.height], Format::Tiff.name(), limits)?;
        let memory = picture.memory().check(limits)?;
        picture.check_time(bytes.len(), limits)?;
        Ok((Source::Tiff(picture), memory))
    }

    /// Opens a file of another format. `bytes` are the part of the file that the decoder gets.
    fn other(bytes: Cow<'a, [u8]>, form: Other, limits: &Limits) -> Result<(Self, Memory), PhotoError> {
        let copied = if let Cow::Owned(copy) = &bytes { copy.len() as u64 } else { 0 };
        let memory = form.measure(&bytes, limits)?;
        let memory = Memory { decoding: memory.decoding + copied, ..memory }.check(limits)?;
        Ok((Source::Other { bytes, form }, memory))
    }
}

/// Decodes a photo. Nothing is allocated for its pixels until its header has passed the limits.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Raster, PhotoError> {
    OpenPhoto::new(bytes, limits)?.decode()
}

fn decode_jpeg(bytes: &[u8], header: &JpegHeader, limits: &Limits) -> Result<Raster, PhotoError> {
    let regular: Cow<[u8]> = if header.irregular { jpeg::regular(bytes).into() } else { bytes.into() };
    let bytes = &*regular;
    let eighths = limits.decoding.eighths(header);
    let undecodable = |error: libjpeg::LibjpegError| PhotoError::Undecodable {
        format: Format::Jpeg.name(),
        reason: error.to_string(),
    };
    let (width, height, rgb) = match baseline::decode(bytes, header, eighths) {
        Some(picture) if libjpeg::accepts_header(bytes, header, eighths) => picture,
        _ => libjpeg::decode(bytes, header, eighths).map_err(undecodable)?,
    };
    Ok(Raster { pixels: [header.width, header.height], eighths, ..Raster::whole(width, height, rgb) })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use super::*;
    use crate::limits::Decoding;

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), format).expect("encode");
        bytes
    }

    fn gradient(width: u32, height: u32) -> DynamicImage {
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8])).into()
    }

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        libjpeg::encode(width, height, gradient(width, height).as_bytes(), 90)
    }

    fn decoded(bytes: &[u8]) -> Raster {
        decode(bytes, &Limits::default()).expect("decodes")
    }

    fn refused(bytes: &[u8]) -> String {
        decode(bytes, &Limits::default()).expect_err("refused").to_string()
    }

    #[test]
    fn lossless_formats_keep_their_pixels() {
        let image = gradient(50, 31);
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let raster = decoded(&encoded(&image, format));
            assert_eq!(raster, Raster::whole(50, 31, image.as_bytes().to_vec()), "{format:?}");
        }
    }

    #[test]
    fn alpha_is_dropped_and_16_bit_grey_rescaled() {
        let rgba = image::RgbaImage::from_pixel(2, 2, image::Rgba([10, 20, 30, 0]));
        assert_eq!(decoded(&encoded(&rgba.into(), ImageFormat::Png)).rgb[..3], [10, 20, 30]);
        for (stored, expected) in [(0, 0), (0x8080, 0x80), (0x80FF, 0x80), (0x8101, 0x81), (u16::MAX, 255)] {
            let grey = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(2, 2, image::Luma([stored]));
            assert_eq!(decoded(&encoded(&grey.into(), ImageFormat::Png)).rgb[..3], [expected; 3], "{stored:x}");
        }
    }

    #[test]
    fn the_short_side_decides_the_scale() {
        let header =
            |width: u32, height: u32| JpegHeader { width, height, ..jpeg::inspect(&jpeg(8, 8)).expect("whole") };
        let eighths = |width, height| Decoding::default().eighths(&header(width, height));
        assert_eq!([eighths(5472, 3648), eighths(3584, 9000), eighths(3583, 9000)], [1, 1, 2]);
        assert_eq!([eighths(4000, 3000), eighths(1600, 1200), eighths(640, 480), eighths(3, 2)], [2, 3, 8, 8]);
        assert_eq!(Decoding::Exact.eighths(&header(5472, 3648)), 8);
        let at_least = |size| Decoding::default().at_least(size).eighths(&header(8000, 6000));
        assert_eq!([at_least(224), at_least(768), at_least(6001)], [1, 2, 8]);
    }

    #[test]
    fn a_scaled_jpeg_knows_its_full_size() {
        let limits = Limits { decoding: Decoding::Scaled { short_side_min: 100 }, ..Limits::default() };
        let raster = decode(&jpeg(613, 411), &limits).expect("decodes");
        assert_eq!((raster.width, raster.height, raster.eighths, raster.pixels), (154, 103, 2, [613, 411]));
        assert_eq!(raster.rgb.len(), 154 * 103 * 3);
    }

    #[test]
    fn every_prefix_is_refused() {
        let image = gradient(160, 120);
        let files = [
            jpeg(160, 120),
            seed!("progressive.jpg").to_vec(),
            seed!("preview.dng").to_vec(),
            encoded(&image, ImageFormat::Png),
            seed!("deflate.tif").to_vec(),
            seed!("lzw.tif").to_vec(),
            encoded(&image, ImageFormat::WebP),
        ];
        for whole in files {
            decoded(&whole);
            let step = (whole.len() / 500).max(1);
            for length in (0..whole.len()).step_by(step).chain(whole.len() - 8..whole.len()) {
                let error = decode(&whole[..length], &Limits::default()).expect_err("refused");
                let early = length < 12; // too short to be recognised
                assert!(early || error.may_be_incomplete(), "{length} of {} bytes: {error}", whole.len());
            }
        }
    }

    #[test]
    fn a_panic_of_a_decoder_is_an_error_of_its_file() {
        let panics = || -> Result<(), PhotoError> { [Ok(())][seed!("bomb.png").len()].clone() };
        let reason = "the decoder failed".to_owned();
        assert_eq!(unless_it_panics(Format::Heic, panics), Err(PhotoError::Undecodable { format: "HEIC", reason }));
        assert_eq!(unless_it_panics(Format::Heic, || Err::<(), _>(PhotoError::Empty)), Err(PhotoError::Empty));
    }

    #[test]
    fn damage_within_the_data_is_refused() {
        // The structure is complete, but only a few rows have data.
        assert!(refused(seed!("short-data.jpg")).contains("damaged or incomplete"));
    }

    #[test]
    fn headers_that_announce_too_much_are_refused_before_anything_is_allocated() {
        for bomb in [seed!("bomb.jpg"), seed!("bomb.png"), seed!("bomb.tif"), seed!("bomb.webp")] {
            let error = decode(bomb, &Limits::default()).expect_err("refused");
            let expected = PhotoError::TooManyPixels { width: 65_535, height: 65_535, limit: 250_000_000 };
            assert_eq!(error, expected);
        }
        let limits = Limits { pixels_max: 64 * 48 - 1, ..Limits::default() };
        let message = decode(&jpeg(64, 48), &limits).expect_err("refused").to_string();
        let remedy = "raise photo_megapixels_max in [intake], or --megapixels-max on the command line";
        assert_eq!(message, format!("64 x 48 pixels are more than the limit of 3071; {remedy}"));
    }

    #[test]
    fn a_progressive_picture_is_measured_before_it_is_decoded() {
        let limits = Limits { coefficient_bytes_max: 100_000_000, ..Limits::default() };
        let error = decode(seed!("progressive-48mp.jpg"), &limits).expect_err("refused");
        assert_eq!(error, PhotoError::TooManyCoefficients { needed: 144_000_000, limit: 100_000_000 });
        let small = decoded(seed!("progressive.jpg"));
        assert_eq!(small.pixels, [33, 47]);
    }

    #[test]
    fn a_picture_that_needs_more_memory_than_allowed_is_refused() {
        let bytes = encoded(&gradient(2000, 1000), ImageFormat::Png);
        let needed = OpenPhoto::new(&bytes, &Limits::default()).expect("opens").memory(false);
        let within = |memory_bytes_max| decode(&bytes, &Limits { memory_bytes_max, ..Limits::default() });
        assert_eq!(within(needed).expect("decodes").pixels, [2000, 1000]);
        let error = within(needed - 1).expect_err("refused");
        assert_eq!(error, PhotoError::TooMuchMemory { needed, limit: needed - 1 });
        assert!(error.to_string().contains("memory_megabytes_max") && !error.may_be_incomplete(), "{error}");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let cases = [
            (seed!("cmyk.jpg"), "CMYK JPEG"),
            (seed!("cmyk.tif"), "CMYK TIFF"),
            (seed!("12-bit.jpg"), "more than 8 bits"),
            (seed!("arithmetic.jpg"), "arithmetic"),
            (seed!("animated.png"), "an animated PNG"),
            (seed!("animated.webp"), "an animated WebP"),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "a Canon raw file (CR3)"),
            (b"%PDF-1.7 report", "not a photo"),
            (b"", "the file is empty"),
        ];
        for (bytes, expected) in cases {
            let message = refused(bytes);
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn data_that_unpacks_to_more_than_the_picture_is_left_alone() {
        // Each file holds 24 MB of zeros: one as a colour profile, the other after its 8 x 8 pixels.
        for bomb in [seed!("icc-bomb.png"), seed!("data-bomb.png")] {
            assert_eq!(decoded(bomb).pixels, [8, 8]);
        }
    }

    #[test]
    fn the_first_page_and_the_preview_are_the_photo() {
        assert_eq!(decoded(seed!("pages.tif")).pixels, [8, 8]);
        assert_eq!(decoded(seed!("preview.dng")).rgb, decoded(seed!("drone.jpg")).rgb);
    }
    /// Returns the JPEG with these bytes in front of each segment up to the scan.
    fn with_stray(whole: &[u8], stray: &[u8]) -> Vec<u8> {
        let starts: Vec<usize> = jpeg::segments(whole).map(|segment| segment.start - 1).collect();
        let ends = starts.iter().skip(1).copied().chain([whole.len()]);
        let parts = starts.iter().zip(ends);
        parts.fold(whole[..2].to_vec(), |bytes, (start, end)| [&bytes, stray, &whole[*start..end]].concat())
    }

    #[test]
    fn what_libjpeg_passes_over_costs_no_photo() {
        for whole in [jpeg(160, 120), seed!("drone.jpg").to_vec(), seed!("progressive.jpg").to_vec()] {
            let right = decoded(&whole);
            // Two letters, a segment that lost its marker, fill bytes, and zeros.
            for stray in [&b"?>"[..], b"\0\xE1\0\x10zzzzzzzzzzzzzz", &[0xFF; 9], &[0; 3000]] {
                // A third byte of `FF` is what the format is known by.
                let bytes = [&[0xFF, 0xD8, 0xFF, 0xFE, 0, 2][..], &with_stray(&whole, stray)[2..]].concat();
                assert_eq!(decoded(&bytes), right, "{stray:x?}");
                for length in (6..bytes.len()).step_by(bytes.len() / 40) {
                    let error = decode(&bytes[..length], &Limits::default()).expect_err("truncated");
                    assert!(error.may_be_incomplete(), "{length} of {} bytes: {error}", bytes.len());
                }
            }
            assert_eq!(decoded(&[&whole[..], b"\0\0trailer\xFF\xD8\xFF"].concat()), right);
        }
    }

    #[test]
    fn exif_without_its_marker_is_found_and_no_part_of_the_picture() {
        let whole = seed!("drone.jpg");
        let exif = jpeg::segments(whole).find(|segment| segment.marker == 0xE1).expect("EXIF").start;
        let mut lost = [&[0xFF, 0xD8, 0xFF, 0xFE, 0, 2][..], &whole[2..]].concat();
        lost[exif - 1 + 4] = 0;
        assert_eq!(decoded(&lost), decoded(whole));
        let read = |bytes| crate::read_metadata(bytes);
        assert_eq!(read(&lost), read(whole));
        assert_ne!(read(whole), crate::Metadata::default());
    }

    #[test]
    fn a_later_version_of_jfif_is_read_like_the_first() {
        let whole = jpeg(64, 48);
        let mut second = whole.clone();
        let at = whole.windows(5).position(|name| name == b"JFIF\0").expect("JFIF") + 5;
        second[at] = 2;
        assert_eq!(decoded(&second), decoded(&whole));
    }

    #[test]
    fn a_photo_of_200_megapixels_is_decoded_unless_it_is_progressive() {
        let sized = |bytes: &[u8], marker: u8| {
            let at = jpeg::segments(bytes).find(|segment| segment.marker == marker).expect("a frame").start;
            let mut sized = bytes.to_vec();
            sized[at + 4..at + 8].copy_from_slice(&[12_240_u16.to_be_bytes(), 16_320_u16.to_be_bytes()].concat());
            OpenPhoto::new(&sized, &Limits::default())
                .map(|photo| photo.memory(false))
                .map_err(|error| error.to_string())
        };
        assert!(sized(seed!("textured-420.jpg"), 0xC0).expect("opens") < 60_000_000);
        let message = sized(seed!("progressive-48mp.jpg"), 0xC2).expect_err("refused");
        assert!(message.contains("progressive_megabytes_max in [photo]") && message.contains("baseline"), "{message}");
    }

    #[test]
    fn a_photo_of_64_megapixels_needs_no_setting() {
        let (width, height) = (9248, 6944);
        let bytes = libjpeg::encode(width, height, &vec![90; (width * height * 3) as usize], 50);
        let photo = OpenPhoto::new(&bytes, &Limits::default()).expect("opens");
        assert!(photo.memory(false) < 60_000_000, "{}", photo.memory(false));
        assert_eq!(photo.decode().expect("decodes").pixels, [width, height]);
    }
}
