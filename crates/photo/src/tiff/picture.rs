//! Layout of a picture in a TIFF file: what its directory says about samples, colours and parts. Everything that is not
//! decoded is refused here, before a pixel is allocated.

use super::colour::Colour;
use super::compression::Compression;
use super::directory::{Directory, PARTS_MAX, Tiff, tag};
use super::error::{broken, refused};
use crate::PhotoError;

/// Maximum size of the samples of a pixel in bytes. A photo has up to five of 16 bits.
const PIXEL_BYTES_MAX: usize = 64;
/// Value of `PlanarConfiguration` for each kind of sample in parts of its own.
const PLANAR: u32 = 2;
/// Value of `ExtraSamples` for an alpha by which the colours are already multiplied.
const ASSOCIATED_ALPHA: u32 = 1;
/// Values of `SampleFormat`: whole numbers, floats, and undefined, which some programs write for whole numbers.
const WHOLE: u32 = 1;
const FLOAT: u32 = 3;
const UNDEFINED: u32 = 4;

/// Picture of a TIFF file, in the layout that its directory describes.
#[derive(Debug, PartialEq)]
pub struct Picture<'a> {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Compressed bytes of each part, plane by plane and row by row.
    pub parts: Vec<&'a [u8]>,
    /// Width and height of a strip or tile in pixels. The last strip may have fewer rows; tiles are filled up.
    pub part: [u32; 2],
    pub is_tiled: bool,
    /// Whether each kind of sample has parts of its own.
    pub is_planar: bool,
    /// Number of samples of a pixel.
    pub samples: usize,
    /// Bits of a sample: 1, 2, 4, 8, 16, or 32 for floats.
    pub bits: usize,
    pub is_big_endian: bool,
    pub compression: Compression<'a>,
    pub colour: Colour,
    /// Whether 0 stands for white.
    pub is_inverted: bool,
    /// Index of a sample by which the colours are already multiplied.
    pub associated_alpha: Option<usize>,
}

impl<'a> Picture<'a> {
    /// Reads the layout of the picture that the directory describes.
    pub fn read(tiff: &Tiff<'a>, directory: &Directory) -> Result<Self, PhotoError> {
        let number = |tag, default| tiff.number(directory, tag).unwrap_or(default);
        let (width, height) = (number(tag::IMAGE_WIDTH, 0), number(tag::IMAGE_LENGTH, 0));
        if number(tag::FILL_ORDER, 1) != 1 {
            return Err(refused("a TIFF whose bits are in reverse order"));
        }
        let samples = number(tag::SAMPLES_PER_PIXEL, 1) as usize;
        let bits = bits(tiff, directory, samples)?;
        let is_planar = samples > 1 && number(tag::PLANAR_CONFIGURATION, 1) == PLANAR;
        let compression = Compression::read(tiff, directory, bits)?;
        let (colour, is_inverted) = Colour::read(tiff, directory, bits)?;
        let is_tiled = directory.entry(tag::TILE_OFFSETS).is_some();
        let part = match is_tiled {
            true => [number(tag::TILE_WIDTH, 0), number(tag::TILE_LENGTH, 0)],
            false => [width, number(tag::ROWS_PER_STRIP, u32::MAX).min(height)],
        };
        let alpha = tiff.number(directory, tag::EXTRA_SAMPLES) == Some(ASSOCIATED_ALPHA);
        let associated_alpha = (alpha && samples > colour.samples()).then(|| colour.samples());
        let is_big_endian = tiff.big_endian;
        let mut picture = Picture {
            width,
            height,
            parts: Vec::new(),
            part,
            is_tiled,
            is_planar,
            samples,
            bits,
            is_big_endian,
            compression,
            colour,
            is_inverted,
            associated_alpha,
        };
        picture.check()?;
        picture.parts = picture.find_parts(tiff, directory)?;
        Ok(picture)
    }

    /// Returns an error if the samples, the colours and the layout do not go together.
    fn check(&self) -> Result<(), PhotoError> {
        if self.part.contains(&0) && self.width > 0 && self.height > 0 {
            return Err(broken("its strips or tiles have no pixels"));
        }
        if self.samples < self.colour.samples() || self.samples.saturating_mul(self.bits).div_ceil(8) > PIXEL_BYTES_MAX
        {
            return Err(broken("its number of samples contradicts its colours"));
        }
        match &self.colour {
            Colour::Luma { chroma } if self.samples != 3 || (self.is_planar && !chroma.is_whole()) => {
                Err(refused("a TIFF in YCbCr with planes or further samples"))
            }
            Colour::Luma { chroma } if self.compression.has_predictor() && !chroma.is_whole() => {
                Err(refused("a TIFF in YCbCr with a predictor"))
            }
            _ => self.check_jpeg(),
        }
    }

    /// Returns an error if the parts are JPEGs of a kind that libjpeg does not turn into RGB.
    fn check_jpeg(&self) -> Result<(), PhotoError> {
        let is_usual = matches!(self.samples, 1 | 3) && self.bits == 8 && !self.is_planar;
        match (&self.compression, &self.colour) {
            (Compression::Jpeg { .. }, colour) if !is_usual || matches!(colour, Colour::Palette(_)) => {
                Err(refused("a TIFF of JPEGs that are neither grey nor RGB"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the number of parts across and down.
    pub fn grid(&self) -> [usize; 2] {
        [self.width.div_ceil(self.part[0].max(1)) as usize, self.height.div_ceil(self.part[1].max(1)) as usize]
    }

    /// Returns the number of planes, each of which has all parts.
    pub fn planes(&self) -> usize {
        if self.is_planar { self.samples } else { 1 }
    }

    /// Returns the number of samples that a part has of each pixel.
    pub fn part_samples(&self) -> usize {
        if self.is_planar { 1 } else { self.samples }
    }

    /// Returns the bytes of a row of a part, saturating: of samples, or, where several pixels share chroma, of their
    /// units, which have as many rows as the unit.
    pub fn row_bytes(&self) -> u64 {
        let width = u64::from(self.part[0]);
        match &self.colour {
            _ if self.is_jpeg() => 3 * width,
            Colour::Luma { chroma } => chroma.row_bytes(width, self.is_planar),
            _ => (width * self.part_samples() as u64 * self.bits as u64).div_ceil(8),
        }
    }

    /// Returns the rows in which the bytes of a part of `height` pixels come.
    pub fn rows(&self, height: u32) -> u64 {
        match &self.colour {
            Colour::Luma { chroma } if !self.is_jpeg() => u64::from(height).div_ceil(chroma.down as u64),
            _ => height.into(),
        }
    }

    pub fn is_jpeg(&self) -> bool {
        matches!(self.compression, Compression::Jpeg { .. })
    }

    fn find_parts(&self, tiff: &Tiff<'a>, directory: &Directory) -> Result<Vec<&'a [u8]>, PhotoError> {
        let [across, down] = self.grid();
        let count = across.saturating_mul(down).saturating_mul(self.planes());
        if count > PARTS_MAX {
            return Err(broken("it has more than 65,536 strips or tiles"));
        }
        let (offsets, lengths) = match self.is_tiled {
            true => (tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS),
            false => (tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS),
        };
        let places = tiff.numbers(directory, offsets).zip(tiff.numbers(directory, lengths)).take(count);
        let parts: Option<Vec<_>> = places.map(|(at, length)| tiff.slice(at as usize, length as usize)).collect();
        let parts = parts.ok_or_else(|| tiff.truncated())?;
        if parts.len() == count { Ok(parts) } else { Err(broken("it lacks strips or tiles")) }
    }
}

/// Returns the bits of a sample, which must be the same for all samples, and whole numbers or floats of 32 bits.
fn bits(tiff: &Tiff, directory: &Directory, samples: usize) -> Result<usize, PhotoError> {
    let same = |tag, default| {
        let mut values = tiff.numbers(directory, tag).take(samples.max(1));
        let first = values.next().unwrap_or(default);
        values.all(|value| value == first).then_some(first)
    };
    match (same(tag::BITS_PER_SAMPLE, 1), same(tag::SAMPLE_FORMAT, WHOLE)) {
        (Some(bits @ (1 | 2 | 4 | 8 | 16)), Some(WHOLE | UNDEFINED)) => Ok(bits as usize),
        (Some(32), Some(FLOAT)) => Ok(32),
        (None, _) => Err(refused("a TIFF whose samples differ in size")),
        _ => Err(refused("a TIFF whose samples are neither whole numbers of 1, 2, 4, 8 or 16 bits nor floats of 32")),
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::sample::{Field, LONG, Layout, SHORT, file};
    use super::*;
    use crate::{Limits, decode};

    pub fn rgb() -> Field {
        (tag::PHOTOMETRIC_INTERPRETATION, SHORT, vec![2])
    }

    /// A file of one pixel of RGB with further or other fields.
    pub fn pixel(other: &[Field]) -> Vec<u8> {
        let mut fields = vec![
            (tag::IMAGE_WIDTH, LONG, vec![1]),
            (tag::IMAGE_LENGTH, LONG, vec![1]),
            (tag::BITS_PER_SAMPLE, SHORT, vec![8; 3]),
            (tag::SAMPLES_PER_PIXEL, SHORT, vec![3]),
            rgb(),
        ];
        fields.retain(|(tag, ..)| other.iter().all(|(other, ..)| other != tag));
        file(false, &[&fields[..], other].concat(), &[vec![1, 2, 3]], false)
    }

    pub fn outcome(bytes: &[u8]) -> Result<Vec<u8>, String> {
        decode(bytes, &Limits::default()).map(|raster| raster.rgb).map_err(|error| error.to_string())
    }

    #[test]
    fn contradictions_are_refused_and_never_panic() {
        assert_eq!(outcome(&pixel(&[])), Ok(vec![1, 2, 3]));
        let cases: [(Field, &str); 13] = [
            ((tag::IMAGE_WIDTH, LONG, vec![0]), "no pixels"),
            ((tag::IMAGE_LENGTH, LONG, vec![u32::MAX]), "more than the limit"),
            ((tag::IMAGE_LENGTH, LONG, vec![3]), "damaged or incomplete"),
            ((tag::ROWS_PER_STRIP, LONG, vec![0]), "have no pixels"),
            ((tag::SAMPLES_PER_PIXEL, SHORT, vec![2]), "number of samples"),
            ((tag::SAMPLES_PER_PIXEL, SHORT, vec![0]), "number of samples"),
            ((tag::SAMPLES_PER_PIXEL, LONG, vec![u32::MAX]), "number of samples"),
            ((tag::SAMPLES_PER_PIXEL, SHORT, vec![65]), "number of samples"),
            ((tag::PHOTOMETRIC_INTERPRETATION, LONG, vec![u32::MAX]), "neither grey, RGB"),
            ((tag::TILE_OFFSETS, LONG, vec![8]), "have no pixels"),
            ((tag::YCBCR_SUBSAMPLING, SHORT, vec![3, 3]), "1, 2, 3"),
            ((tag::PLANAR_CONFIGURATION, SHORT, vec![2]), "lacks strips"),
            ((tag::COMPRESSION, SHORT, vec![7]), "damaged or incomplete"),
        ];
        for (field, reason) in cases {
            let found = format!("{:?}", outcome(&pixel(std::slice::from_ref(&field))));
            assert!(found.contains(reason), "{field:?}: {found}");
        }
        let chroma = [(tag::PHOTOMETRIC_INTERPRETATION, SHORT, vec![6]), (tag::YCBCR_SUBSAMPLING, SHORT, vec![3, 0])];
        assert!(outcome(&pixel(&chroma)).is_err_and(|message| message.contains("impossible size")));
    }

    #[test]
    fn damage_never_panics() {
        let stored = |x: usize, y: usize, index| vec![(x * y + index) as u8];
        for compression in [1, 5, 8, 32_773] {
            let predictor = if matches!(compression, 5 | 8) { 2 } else { 1 };
            let layout = Layout { part: [16, 16], compression, predictor, ..Layout::plain(40, 30) };
            let whole = layout.file(3, 1, &stored, &[rgb()]);
            let refused = (0..whole.len()).filter(|at| {
                let mut damaged = whole.clone();
                damaged[*at] = !damaged[*at];
                outcome(&damaged).is_err()
            });
            assert!(refused.count() > 20, "compression {compression}");
        }
    }
}
