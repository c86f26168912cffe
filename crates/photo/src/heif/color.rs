//! From luma and chroma to RGB (ITU-T H.273, section 8.3).

use super::hevc::Frame;

/// How the samples of a picture stand for colours (ITU-T H.273).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding {
    /// Code of the matrix; 2 means that none is given.
    pub matrix: u16,
    /// Whether the samples use all values. If not, those of 8-bit luma are 16 to 235.
    pub full_range: bool,
}

/// Fraction bits of the conversion. Its largest sum, 255 x 2^13 x 3.2, fits 32 bits.
const BITS: u32 = 13;
/// Largest number of bits of a sample.
pub const DEPTH_MAX: u8 = 12;

impl Coding {
    /// Reads a `colr` property, if it holds code points and no colour profile (ISO/IEC 14496-12, section 12.1.5).
    pub fn new(property: &[u8]) -> Option<Self> {
        let [_, _, _, _, matrix @ .., range] = *property.strip_prefix(b"nclx")?.first_chunk::<7>()?;
        Some(Coding { matrix: u16::from_be_bytes(matrix), full_range: range & 0x80 != 0 })
    }

    /// Returns the coding that the picture itself names. One that names none uses BT.601 and the limited range, as
    /// libheif has it.
    fn of(frame: &Frame) -> Self {
        Coding { matrix: u16::from(frame.matrix_coeffs), full_range: frame.full_range }
    }

    /// Returns the factors of luma and both chroma samples for red, green and blue, or `None` for a matrix that is not
    /// known. All samples are differences from zero, and luma is 1 for white (H.273, equations 41 to 80).
    fn factors(self) -> Option<[[f64; 3]; 3]> {
        let [red, blue] = match self.matrix {
            0 => return Some([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
            1 => [0.2126, 0.0722],
            4 => [0.30, 0.11],
            2 | 5 | 6 => [0.299, 0.114],
            7 => [0.212, 0.087],
            8 => return Some([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]]),
            9 => [0.2627, 0.0593],
            _ => return None,
        };
        let (to_red, to_blue, green) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue, 1.0 - red - blue);
        Some([[1.0, 0.0, to_red], [1.0, -to_blue * blue / green, -to_red * red / green], [1.0, to_blue, 0.0]])
    }
}

/// Conversion of samples to RGB with 8 bits.
#[derive(Clone, Copy, Debug)]
pub struct Conversion {
    /// Samples of luma and of chroma that are zero.
    zero: [i32; 2],
    /// Factors of luma and both chroma samples for red, green and blue, times 2^[`BITS`].
    factors: [[i32; 3]; 3],
    /// Whether a chroma sample stands for two columns, and for two rows.
    halved: [bool; 2],
}

impl Conversion {
    /// Returns the conversion for a picture, or `None` if its samples stand for colours in a way that is not known.
    pub fn new(frame: &Frame, coding: Option<Coding>) -> Option<Self> {
        let coding = coding.unwrap_or_else(|| Coding::of(frame));
        if frame.bit_depth.iter().any(|depth| !(8..=DEPTH_MAX).contains(depth)) {
            return None;
        }
        let [luma, chroma] = frame.bit_depth.map(u32::from);
        // With the identity matrix, the chroma planes hold colours.
        let planes = coding.matrix == 0;
        let black = |depth: u32| if coding.full_range { 0 } else { 16 << (depth - 8) };
        let zero = [black(luma), if planes { black(chroma) } else { 1 << (chroma - 1) }];
        let scale = |depth: u32, limited: f64| match coding.full_range {
            true => 255.0 / f64::from((1_u32 << depth) - 1),
            false => 255.0 / (limited * f64::from(1_u32 << (depth - 8))),
        };
        let scales = [scale(luma, 219.0), scale(chroma, if planes { 219.0 } else { 224.0 })];
        let fixed = |row: [f64; 3]| {
            [(row[0], scales[0]), (row[1], scales[1]), (row[2], scales[1])]
                .map(|(factor, scale)| (factor * scale * f64::from(1 << BITS)).round() as i32)
        };
        let halved = [matches!(frame.chroma_format, 1 | 2), frame.chroma_format == 1];
        Some(Conversion { zero, factors: coding.factors()?.map(fixed), halved })
    }

    /// Converts a part of row `y`, from the column `left`. As in libheif, every pixel has the chroma sample that covers
    /// it.
    pub fn convert(&self, frame: &Frame, left: usize, y: usize, line: &mut [[u8; 3]]) {
        let luma = &frame.planes[0][y * frame.widths[0] as usize + left..];
        let row = (y >> u32::from(self.halved[1])) * frame.widths[1] as usize;
        let [blue, red] = [&frame.planes[1], &frame.planes[2]].map(|plane| plane.get(row..).unwrap_or_default());
        let shift = u32::from(self.halved[0]);
        let (mut covered, mut offsets) = (usize::MAX, [1 << (BITS - 1); 3]);
        for (x, (pixel, &sample)) in line.iter_mut().zip(luma).enumerate() {
            let column = (left + x) >> shift;
            if column != covered && !blue.is_empty() {
                covered = column;
                let [blue, red] = [blue[column], red[column]].map(|sample| i32::from(sample) - self.zero[1]);
                offsets = self.factors.map(|[_, of_blue, of_red]| of_blue * blue + of_red * red + (1 << (BITS - 1)));
            }
            let sample = i32::from(sample) - self.zero[0];
            *pixel = std::array::from_fn(|color| {
                ((self.factors[color][0] * sample + offsets[color]) >> BITS).clamp(0, 255) as u8
            });
        }
    }
}
