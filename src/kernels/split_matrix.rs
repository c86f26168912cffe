//! Int8 weights in two halves: the upper four bits of each value, and the lower four.
//!
//! A product with the upper halves alone is a good guess and reads half of the memory. An upper half stands for the
//! middle of the sixteen values that share it: `(value & -16) + 8`, and so within -120 and 120. The lower half is what the
//! value differs from that, from -8 to 7.

use std::io;
use std::ops::Range;

use super::buffer::AlignedBytes;
use super::int8_matrix::MatrixError;
use super::simd::{Lanes, Operation};
use super::{Int8Matrix, Kernel};

/// Packed as [`Int8Matrix`], but for the halves.
#[derive(Debug)]
pub struct SplitMatrix {
    /// What a panel's halves are put together in; its own weights mean nothing.
    shape: Int8Matrix,
    outputs: usize,
    /// Of each panel: its header for whole values, then that for upper halves.
    headers: Vec<u8>,
    /// Of each panel half as many bytes as it has weights. The upper four bits of a byte belong to a weight in the
    /// second half of the panel, the lower four to the one as far behind the panel's start.
    upper: AlignedBytes,
    lower: AlignedBytes,
}

/// What of the values is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    Upper,
}

impl SplitMatrix {
    /// Packs weights that `read` gives, as [`Int8Matrix::pack`] does.
    pub fn pack(
        kernel: Kernel,
        outputs: usize,
        depth: usize,
        mut read: impl FnMut(usize, &mut [i8]) -> io::Result<()>,
    ) -> Result<Self, MatrixError> {
        let shape = Int8Matrix::zeroed(kernel, outputs.min(Int8Matrix::RANGE_STEP), depth)?;
        let (header_bytes, panel_bytes) = (shape.header_bytes(), shape.panel_bytes());
        let half = (panel_bytes - header_bytes) / 2;
        let panels = outputs.div_ceil(kernel.micro.layout.panel_columns);
        let mut headers = Vec::with_capacity(panels * 2 * header_bytes);
        let [mut upper, mut lower] = [(); 2].map(|()| AlignedBytes::zeroed(panels * half));
        let mut places = upper.chunks_exact_mut(half).zip(lower.chunks_exact_mut(half));
        for start in (0..outputs).step_by(Int8Matrix::RANGE_STEP) {
            let count = (outputs - start).min(Int8Matrix::RANGE_STEP);
            let mut some = Int8Matrix::pack(kernel, count, depth, |first, weights| read(start + first, weights))
                .map_err(|error| error.after(start))?;
            for (panel, (upper, lower)) in some.panels_mut().chunks_exact_mut(panel_bytes).zip(&mut places) {
                let (header, body) = panel.split_at_mut(header_bytes);
                split(body, upper, lower);
                headers.extend_from_slice(header);
                kernel.isa.run(JoinUpper { upper, out: body });
                (kernel.micro.layout.header.adapt)(header, body);
                headers.extend_from_slice(header);
            }
        }
        Ok(SplitMatrix { shape, outputs, headers, upper, lower })
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// A matrix of so many outputs for [`Self::join`].
    ///
    /// # Panics
    /// If there is none.
    pub fn scratch(&self, outputs: usize) -> Int8Matrix {
        Int8Matrix::zeroed(self.shape.kernel(), outputs, self.shape.depth()).expect("a depth that was packed")
    }

    /// Puts a part of some outputs' weights together, from a multiple of [`Int8Matrix::RANGE_STEP`] on, as the first
    /// outputs of `matrix`; those behind them are left.
    ///
    /// # Panics
    /// If there are no such outputs, or if `matrix` is not from [`Self::scratch`] or too small.
    pub fn join(&self, part: Part, range: Range<usize>, matrix: &mut Int8Matrix) {
        assert!(range.start.is_multiple_of(Int8Matrix::RANGE_STEP) && range.end <= self.outputs, "outputs {range:?}");
        assert!(range.len() <= matrix.outputs() && matrix.depth() == self.shape.depth(), "a matrix for {range:?}");
        let kernel = self.shape.kernel();
        let (header_bytes, panel_bytes) = (self.shape.header_bytes(), self.shape.panel_bytes());
        let half = (panel_bytes - header_bytes) / 2;
        let panels = self.panels(&range);
        for (index, panel) in panels.zip(matrix.panels_mut().chunks_exact_mut(panel_bytes)) {
            let (header, out) = panel.split_at_mut(header_bytes);
            let stored = 2 * index + usize::from(part == Part::Upper);
            header.copy_from_slice(&self.headers[stored * header_bytes..][..header_bytes]);
            let upper = &self.upper[index * half..][..half];
            match part {
                Part::Upper => kernel.isa.run(JoinUpper { upper, out }),
                Part::Whole => {
                    kernel.isa.run(JoinWhole { upper, lower: &self.lower[index * half..][..half], out });
                }
            }
        }
    }

    /// The bytes that a look at the upper halves of some outputs' weights reads; empty where there are no such outputs.
    pub fn upper_bytes(&self, range: Range<usize>) -> &[u8] {
        let half = (self.shape.panel_bytes() - self.shape.header_bytes()) / 2;
        let panels = self.panels(&(range.start..range.end.min(self.outputs)));
        self.upper.get(panels.start * half..panels.end * half).unwrap_or_default()
    }

    fn panels(&self, range: &Range<usize>) -> Range<usize> {
        let columns = self.shape.kernel().micro.layout.panel_columns;
        range.start / columns..range.end.div_ceil(columns)
    }
}

/// The halves of a panel's weights.
fn split(body: &[u8], upper: &mut [u8], lower: &mut [u8]) {
    let (first, second) = body.split_at(upper.len());
    for (((upper, lower), first), second) in upper.iter_mut().zip(lower).zip(first).zip(second) {
        *upper = first >> 4 | second & 0xF0;
        *lower = first & 0x0F | second << 4;
    }
}

/// Puts upper halves together, each with the middle of what the lower one could be.
struct JoinUpper<'a> {
    upper: &'a [u8],
    /// Twice as many.
    out: &'a mut [u8],
}

impl Operation for JoinUpper<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let (first, second) = self.out.split_at_mut(self.upper.len());
        for ((upper, first), second) in self.upper.iter().zip(first).zip(second) {
            *first = upper << 4 | 8;
            *second = upper & 0xF0 | 8;
        }
    }
}

struct JoinWhole<'a> {
    upper: &'a [u8],
    lower: &'a [u8],
    /// Twice as many.
    out: &'a mut [u8],
}

impl Operation for JoinWhole<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let (first, second) = self.out.split_at_mut(self.upper.len());
        for (((upper, lower), first), second) in self.upper.iter().zip(self.lower).zip(first).zip(second) {
            *first = upper << 4 | lower & 0x0F;
            *second = upper & 0xF0 | lower >> 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::QuantizedRows;
    use super::super::random::Random;
    use super::*;

    const STEP: usize = Int8Matrix::RANGE_STEP;

    fn fill(weights: &[i8], depth: usize) -> impl FnMut(usize, &mut [i8]) -> io::Result<()> {
        move |first, out| {
            out.copy_from_slice(&weights[first * depth..][..out.len()]);
            Ok(())
        }
    }

    fn all_products(matrix: &Int8Matrix, row: &QuantizedRows) -> Vec<i32> {
        let mut all = Vec::new();
        for start in (0..matrix.outputs()).step_by(STEP) {
            let mut products = [[0; STEP]];
            matrix.products(row, start, &[], &mut products);
            all.extend_from_slice(&products[0][..STEP.min(matrix.outputs() - start)]);
        }
        all
    }

    #[test]
    fn both_halves_are_the_whole_and_the_upper_one_is_its_middle() {
        let mut random = Random::new(3);
        for kernel in Kernel::available() {
            for (outputs, depth) in [(1, 1), (16, 7), (33, 8), (70, 33), (96, 64), (129, 130)] {
                let weights: Vec<i8> = (0..outputs * depth).map(|_| random.int8()).collect();
                let middles: Vec<i8> = weights.iter().map(|weight| (weight & -16) + 8).collect();
                let values: Vec<f32> = (0..depth).map(|_| random.normal()).collect();
                let row = QuantizedRows::quantize(kernel, &values, depth);
                let matrix = SplitMatrix::pack(kernel, outputs, depth, fill(&weights, depth)).expect("packs");
                for (part, weights) in [(Part::Whole, &weights), (Part::Upper, &middles)] {
                    let expected = Int8Matrix::pack(kernel, outputs, depth, fill(weights, depth)).expect("packs");
                    let expected = all_products(&expected, &row);
                    for start in (0..outputs).step_by(STEP) {
                        let range = start..outputs.min(start + STEP);
                        let mut scratch = matrix.scratch(range.len());
                        matrix.join(part, range.clone(), &mut scratch);
                        let found = all_products(&scratch, &row);
                        assert_eq!(found, expected[range], "{} {part:?} {outputs} x {depth}", kernel.name);
                    }
                }
            }
        }
    }

    #[test]
    fn all_values_at_the_extremes_stay_exact() {
        let depth = 4096;
        for kernel in Kernel::available() {
            for (weight, middle) in [(127, 120), (-127, -120), (-128 + 1, -120), (-1, -8), (0, 8)] {
                for activation in [127.0, -127.0] {
                    let row = QuantizedRows::quantize(kernel, &vec![activation; depth], depth);
                    let matrix = SplitMatrix::pack(kernel, 1, depth, fill(&vec![weight; depth], depth)).expect("packs");
                    let mut scratch = matrix.scratch(1);
                    for (part, value) in [(Part::Whole, weight), (Part::Upper, middle)] {
                        matrix.join(part, 0..1, &mut scratch);
                        let expected = activation as i32 * i32::from(value) * depth as i32;
                        assert_eq!(all_products(&scratch, &row), [expected], "{} {part:?} {weight}", kernel.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_weight_out_of_range_is_named_by_its_output() {
        let read = |first: usize, out: &mut [i8]| {
            out.fill(0);
            if (first..first + out.len() / 4).contains(&40) {
                out[(40 - first) * 4] = -128;
            }
            Ok(())
        };
        let error = SplitMatrix::pack(Kernel::SCALAR, 50, 4, read).expect_err("-128");
        assert!(matches!(error, MatrixError::Range { output: 40 }), "{error}");
    }
}
