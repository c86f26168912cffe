//! Inverse DCT of a block at a fraction of its size: the lowest 2 x 2 coefficients of an 8 x 8 block, for example, give
//! a block of 2 x 2 samples.

use std::f64::consts::PI;

/// Zigzag numbers of a block's coefficients, by row and column (ITU-T T.81, figure A.6).
const ZIGZAG: [[u8; 8]; 8] = [
    [0, 1, 5, 6, 14, 15, 27, 28],
    [2, 4, 7, 13, 16, 26, 29, 42],
    [3, 8, 12, 17, 25, 30, 41, 43],
    [9, 11, 18, 24, 31, 40, 44, 53],
    [10, 19, 23, 32, 39, 45, 52, 54],
    [20, 22, 33, 38, 46, 51, 55, 60],
    [21, 34, 37, 47, 50, 56, 59, 61],
    [35, 36, 48, 49, 57, 58, 62, 63],
];

/// Transform of a block's coefficients to `width` x `height` samples, each side 1 to 8.
pub struct Idct {
    /// Number of samples in a row, 1 to 8.
    pub width: usize,
    /// Number of rows of samples, 1 to 8.
    pub height: usize,
    /// Factor of each coefficient and its index in a flattened [`Block`], in zigzag order.
    places: [(f32, u8); 64],
    /// Zigzag number of the last coefficient that affects the samples.
    pub last: usize,
    /// Contribution of the coefficient in column u to the sample at x: `across[u][x]`.
    across: [[f32; 8]; 8],
    /// Contribution of the coefficient in row u to the sample at y: `down[y][u]`.
    down: [[f32; 8]; 8],
}

/// Dequantised coefficients of a block that are kept, at most `SIDE` x `SIDE`, by row and column. The last row collects
/// all the others. There are two sizes, because `Block<4, 5>` costs half as much as `Block<8, 9>` where it suffices.
pub type Block<const SIDE: usize, const ROWS: usize> = [[f32; SIDE]; ROWS];

impl Idct {
    /// Prepares the transform to `width` x `height` samples, each 1 to 8. `quantization` holds the factors in zigzag
    /// order.
    pub fn new(width: usize, height: usize, quantization: &[u8; 64]) -> Self {
        let side = if width.max(height) <= 4 { 4 } else { 8 };
        let (mut places, mut last) = ([(0.0, side * side); 64], 0);
        for (row, numbers) in (0..).zip(ZIGZAG.iter().take(height)) {
            for (column, &number) in (0..).zip(numbers.iter().take(width)) {
                let number = usize::from(number);
                places[number] = (f32::from(quantization[number]), row * side + column);
                last = last.max(number);
            }
        }
        let (mut across, mut down) = ([[0.0; 8]; 8], [[0.0; 8]; 8]);
        for (frequency, waves) in across.iter_mut().enumerate().take(width) {
            for (x, wave) in waves.iter_mut().enumerate().take(width) {
                *wave = basis(frequency, x, width);
            }
        }
        for (y, waves) in down.iter_mut().enumerate().take(height) {
            for (frequency, wave) in waves.iter_mut().enumerate().take(height) {
                *wave = basis(frequency, y, height);
            }
        }
        Idct { width, height, places, last, across, down }
    }

    /// Reports whether a `Block<4, 5>` suffices.
    #[inline]
    pub fn is_small(&self) -> bool {
        self.width <= 4 && self.height <= 4
    }

    /// Stores coefficient `number`, in zigzag order, in the block.
    #[inline]
    pub fn place<const SIDE: usize, const ROWS: usize>(
        &self,
        number: usize,
        value: i16,
        block: &mut Block<SIDE, ROWS>,
    ) {
        let (factor, place) = self.places[number];
        block.as_flattened_mut()[usize::from(place)] = factor * f32::from(value);
    }

    /// Computes the samples, centred on 0, by row and column.
    #[inline]
    pub fn samples<const SIDE: usize, const ROWS: usize>(&self, block: &Block<SIDE, ROWS>) -> [[f32; SIDE]; SIDE] {
        let mut samples = [[0.0; SIDE]; SIDE];
        for (row, down) in samples.iter_mut().zip(&self.down).take(self.height) {
            let mut columns = [0.0; SIDE];
            for (coefficients, down) in block.iter().zip(down).take(self.height) {
                (0..SIDE).for_each(|column| columns[column] += down * coefficients[column]);
            }
            for (across, column) in self.across.iter().zip(columns).take(self.width) {
                (0..SIDE).for_each(|x| row[x] += across[x] * column);
            }
        }
        samples
    }
}

/// Returns the contribution of a coefficient of this frequency to sample `at` of `count`: the inverse DCT of 8 points
/// (A.3.3) evaluated at `count` points.
fn basis(frequency: usize, at: usize, count: usize) -> f32 {
    let scale = if frequency == 0 { 0.5_f64.sqrt() } else { 1.0 };
    let angle = (2 * at + 1) as f64 * frequency as f64 * PI / (2 * count) as f64;
    (scale * angle.cos() / 2.0) as f32
}

#[cfg(test)]
mod tests {
    use bridgeclip_random::Random;

    use super::*;

    /// Formula of ITU-T T.81, A.3.3, taken literally.
    fn by_the_standard(coefficients: &[[f64; 8]; 8], x: usize, y: usize) -> f64 {
        let constant = |frequency: usize| if frequency == 0 { 0.5_f64.sqrt() } else { 1.0 };
        let wave = |at: usize, frequency: usize| ((2 * at + 1) as f64 * frequency as f64 * PI / 16.0).cos();
        let mut sum = 0.0;
        for (v, row) in coefficients.iter().enumerate() {
            for (u, coefficient) in row.iter().enumerate() {
                sum += constant(u) * constant(v) * coefficient * wave(x, u) * wave(y, v);
            }
        }
        sum / 4.0
    }

    #[test]
    fn a_whole_block_is_that_of_the_standard() {
        let mut random = Random::new(&[9]);
        let quantization = [(); 64].map(|()| 1 + (random.bits() % 20) as u8);
        let values = [(); 64].map(|()| random.within(30.0) as i16);
        let idct = Idct::new(8, 8, &quantization);
        let mut block: Block<8, 9> = [[0.0; 8]; 9];
        values.iter().enumerate().for_each(|(number, value)| idct.place(number, *value, &mut block));
        let coefficients = ZIGZAG.map(|row| {
            row.map(|number| f64::from(quantization[usize::from(number)]) * f64::from(values[usize::from(number)]))
        });
        for (y, row) in idct.samples(&block).iter().enumerate() {
            for (x, sample) in row.iter().enumerate() {
                let expected = by_the_standard(&coefficients, x, y);
                assert!((f64::from(*sample) - expected).abs() < 1e-2, "{x}, {y}: {sample} instead of {expected}");
            }
        }
    }

    #[test]
    fn a_small_block_shows_the_lowest_coefficients_alone() {
        let idct = Idct::new(4, 2, &[2; 64]);
        assert_eq!((idct.last, idct.is_small()), (13, true));
        let mut block: Block<4, 5> = [[0.0; 4]; 5];
        // The mean is 40; the coefficients in column 4, row 2 and the last one are not kept.
        [(0, 160), (14, 99), (3, 99), (63, 99)]
            .iter()
            .for_each(|&(number, value)| idct.place(number, value, &mut block));
        let samples = idct.samples(&block);
        assert!(samples[..2].iter().flatten().all(|sample| (sample - 40.0).abs() < 1e-4), "{samples:?}");
        // One wave across, sampled at four points.
        idct.place(1, 20, &mut block);
        let [first, second, third, last] = idct.samples(&block)[0].map(|sample| sample - 40.0);
        assert!(first > second && second > 0.0 && (first + last).abs() < 1e-4 && (second + third).abs() < 1e-4);
    }
}
