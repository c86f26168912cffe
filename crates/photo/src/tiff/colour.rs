//! Meaning of the samples of a TIFF's picture: grey, RGB, the colours of a palette, or luma and chroma.

use super::directory::{Directory, Tiff, tag};
use super::error::{broken, refused};
use crate::PhotoError;

/// Values of `PhotometricInterpretation`.
mod photometric {
    pub const WHITE_IS_ZERO: u32 = 0;
    pub const BLACK_IS_ZERO: u32 = 1;
    pub const RGB: u32 = 2;
    pub const PALETTE: u32 = 3;
    pub const SEPARATED: u32 = 5;
    pub const YCBCR: u32 = 6;
    pub const LAB: [u32; 3] = [8, 9, 10];
}

/// What the samples of a pixel stand for.
#[derive(Clone, Debug, PartialEq)]
pub enum Colour {
    Grey,
    Rgb,
    /// Colours by number.
    Palette(Vec<[u8; 3]>),
    /// Luma and chroma.
    Luma {
        chroma: Chroma,
    },
}

/// Places and meaning of luma and chroma (TIFF 6.0, section 21).
#[derive(Clone, Debug, PartialEq)]
pub struct Chroma {
    /// Columns that share a pair of chroma samples: 1, 2 or 4.
    pub across: usize,
    /// Rows that share a pair of chroma samples: 1, 2 or 4.
    pub down: usize,
    /// Shares of red, green and blue in luma.
    weights: [f32; 3],
    /// Values of black and white for luma and both kinds of chroma.
    range: [f32; 6],
}

impl Colour {
    /// Reads the kind of colours, and whether 0 stands for white.
    pub fn read(tiff: &Tiff, directory: &Directory, bits: usize) -> Result<(Self, bool), PhotoError> {
        let kind = tiff.number(directory, tag::PHOTOMETRIC_INTERPRETATION);
        let kind = kind.ok_or_else(|| broken("it does not say what its samples stand for"))?;
        let colour = match kind {
            photometric::WHITE_IS_ZERO | photometric::BLACK_IS_ZERO if bits <= 16 => Colour::Grey,
            photometric::RGB if bits >= 8 => Colour::Rgb,
            photometric::PALETTE if bits <= 8 => Colour::palette(tiff, directory, bits)?,
            photometric::YCBCR if bits == 8 => Colour::Luma { chroma: Chroma::read(tiff, directory)? },
            photometric::WHITE_IS_ZERO | photometric::BLACK_IS_ZERO => {
                return Err(refused("a grey TIFF of floating-point samples"));
            }
            photometric::SEPARATED => return Err(refused("a CMYK TIFF")),
            kind if photometric::LAB.contains(&kind) => return Err(refused("a TIFF in CIELab")),
            _ => return Err(refused("a TIFF whose colours are neither grey, RGB, YCbCr nor a palette")),
        };
        Ok((colour, kind == photometric::WHITE_IS_ZERO))
    }

    /// Reads the palette: all values of red, then green, then blue. Some programs write 8 bits instead of 16.
    fn palette(tiff: &Tiff, directory: &Directory, bits: usize) -> Result<Self, PhotoError> {
        let count = 1 << bits;
        let map: Vec<u32> = tiff.numbers(directory, tag::COLOR_MAP).take(3 * count).collect();
        if map.len() < 3 * count {
            return Err(broken("its palette is incomplete"));
        }
        let shift = if map.iter().any(|value| *value > 255) { 8 } else { 0 };
        let at = |index: usize| (map[index] >> shift) as u8;
        Ok(Colour::Palette((0..count).map(|index| [0, 1, 2].map(|channel| at(index + channel * count))).collect()))
    }

    /// Returns the number of samples that make the colour of a pixel.
    pub fn samples(&self) -> usize {
        match self {
            Colour::Grey | Colour::Palette(_) => 1,
            Colour::Rgb | Colour::Luma { .. } => 3,
        }
    }
}

impl Chroma {
    /// Reads the fields of TIFF 6.0, section 21, with their defaults.
    fn read(tiff: &Tiff, directory: &Directory) -> Result<Self, PhotoError> {
        let mut factors = tiff.numbers(directory, tag::YCBCR_SUBSAMPLING).map(|factor| factor as usize);
        let [across, down] = [0, 1].map(|_| factors.next().unwrap_or(2));
        if ![across, down].iter().all(|factor| matches!(factor, 1 | 2 | 4)) {
            return Err(broken("its chroma has an impossible size"));
        }
        let weights = tiff.fractions(directory, tag::YCBCR_COEFFICIENTS).unwrap_or([0.299, 0.587, 0.114]);
        let range = tiff.fractions(directory, tag::REFERENCE_BLACK_WHITE);
        let range = range.unwrap_or([0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
        let is_usable = weights.iter().all(|weight| (0.01..1.0).contains(weight))
            && range.chunks_exact(2).all(|pair| pair[0].is_finite() && pair[1].is_finite() && pair[1] - pair[0] >= 1.0);
        let chroma = Chroma { across, down, weights, range };
        if is_usable { Ok(chroma) } else { Err(broken("its definition of YCbCr is impossible")) }
    }

    /// Reports whether each pixel has chroma samples of its own.
    pub fn is_whole(&self) -> bool {
        self.across == 1 && self.down == 1
    }

    /// Returns the bytes of a row of units: the luma of the pixels that share chroma, then both chroma samples.
    pub fn row_bytes(&self, width: u64, is_planar: bool) -> u64 {
        if is_planar { width } else { width.div_ceil(self.across as u64) * (self.across * self.down + 2) as u64 }
    }

    /// Returns RGB for luma and chroma.
    pub fn rgb(&self, samples: [u8; 3]) -> [u8; 3] {
        // Chroma spans 127 levels to each side of its zero (TIFF 6.0, section 21, and libtiff's `Code2V`).
        let scaled = |index: usize, span: f32| {
            let [black, white] = [self.range[2 * index], self.range[2 * index + 1]];
            (f32::from(samples[index]) - black) * span / (white - black)
        };
        let (luma, blue, red) = (scaled(0, 255.0), scaled(1, 127.0), scaled(2, 127.0));
        let [for_red, for_green, for_blue] = self.weights;
        let r = luma + red * (2.0 - 2.0 * for_red);
        let b = luma + blue * (2.0 - 2.0 * for_blue);
        let g = (luma - for_red * r - for_blue * b) / for_green;
        [r, g, b].map(|value| value.round() as u8)
    }
}
