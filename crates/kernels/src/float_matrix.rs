//! Products of activations with a packed matrix of float weights, for layers that stay in float and for attention.

use std::marker::PhantomData;
use std::ops::Range;

use super::Kernel;
use super::elementwise::{Activation, Function, finish, load_up_to, with_activation};
use super::simd::{LANES, Lanes, Operation};
use super::threads::{self, ColumnsMut};

/// Weights of a linear layer, `[outputs][depth]`, packed as `[outputs / 16][depth][16]`.
#[derive(Debug)]
pub struct FloatMatrix {
    kernel: Kernel,
    outputs: usize,
    depth: usize,
    panels: Vec<f32>,
}

impl FloatMatrix {
    /// Packs `[outputs][depth]` weights.
    ///
    /// # Panics
    /// If there are no weights, or if they do not make complete outputs.
    pub fn pack(kernel: Kernel, weights: &[f32], depth: usize) -> Self {
        assert!(depth > 0 && !weights.is_empty() && weights.len().is_multiple_of(depth), "outputs of {depth} weights");
        let outputs = weights.len() / depth;
        let mut panels = vec![0.0; outputs.next_multiple_of(LANES) * depth];
        for (output, weights) in weights.chunks_exact(depth).enumerate() {
            let panel = &mut panels[output / LANES * LANES * depth..];
            for (place, weight) in panel[output % LANES..].iter_mut().step_by(LANES).zip(weights) {
                *place = *weight;
            }
        }
        FloatMatrix { kernel, outputs, depth, panels }
    }

    /// Packs weights that are stored as `[depth][outputs]`.
    ///
    /// # Panics
    /// If there are no weights, or if they do not make complete rows.
    pub fn pack_transposed(kernel: Kernel, weights: &[f32], outputs: usize) -> Self {
        assert!(
            outputs > 0 && !weights.is_empty() && weights.len().is_multiple_of(outputs),
            "rows of {outputs} weights"
        );
        let depth = weights.len() / outputs;
        let mut panels = vec![0.0; outputs.next_multiple_of(LANES) * depth];
        for (panel, first) in panels.chunks_exact_mut(LANES * depth).zip((0..outputs).step_by(LANES)) {
            let width = LANES.min(outputs - first);
            for (to, weights) in panel.chunks_exact_mut(LANES).zip(weights.chunks_exact(outputs)) {
                to[..width].copy_from_slice(&weights[first..][..width]);
            }
        }
        FloatMatrix { kernel, outputs, depth, panels }
    }

    /// Returns the number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the number of weights of each output.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Computes `activation(rows * weights^T + bias)` and stores it in `out`, or adds it if `accumulate` is set. `rows`
    /// is `[rows][depth]`, `out` is `[rows][outputs]`.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn multiply(
        &self,
        rows: &[f32],
        bias: &[f32],
        activation: Option<Activation>,
        accumulate: bool,
        out: &mut [f32],
    ) {
        let count = rows.len() / self.depth;
        assert!(rows.len() == count * self.depth && out.len() == count * self.outputs && bias.len() == self.outputs);
        let ranges = threads::ranges(self.outputs.div_ceil(LANES)).into_iter();
        let parts = ranges.map(|panels| panels.start * LANES..(panels.end * LANES).min(self.outputs));
        threads::for_each(threads::split_columns(out, self.outputs, parts), |part| {
            self.kernel.isa.run(Multiply { matrix: self, rows, bias, activation, accumulate, part });
        });
    }
}

struct Multiply<'a> {
    matrix: &'a FloatMatrix,
    rows: &'a [f32],
    bias: &'a [f32],
    activation: Option<Activation>,
    accumulate: bool,
    part: ColumnsMut<'a>,
}

impl Operation for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        with_activation!(self.activation, self.columns::<L>());
    }
}

impl Multiply<'_> {
    #[inline(always)]
    fn columns<L: Lanes, F: Function>(mut self) {
        let depth = self.matrix.depth;
        let first = self.part.columns.start;
        for column in self.part.columns.clone().step_by(LANES) {
            let panel = &self.matrix.panels[column * depth..][..LANES * depth];
            let bias: L = load_up_to(&self.bias[column..], 0.0);
            let columns = column - first..self.part.columns.len().min(column - first + LANES);
            let function = PhantomData::<F>;
            let mut finish =
                FinishRow { bias, accumulate: self.accumulate, rows: &mut self.part.rows, columns, function };
            for_each_product::<L>(self.rows, depth, depth, panel, &mut finish);
        }
    }
}

/// Destination that completes sixteen products of each row of a layer.
struct FinishRow<'a, 'o, L, F> {
    bias: L,
    accumulate: bool,
    rows: &'a mut [&'o mut [f32]],
    columns: Range<usize>,
    function: PhantomData<F>,
}

impl<L: Lanes, F: Function> Products<L> for FinishRow<'_, '_, L, F> {
    #[inline(always)]
    fn take(&mut self, row: usize, product: L) {
        let out = &mut self.rows[row][self.columns.clone()];
        finish::<L, F>(product.add(self.bias), self.accumulate, out);
    }
}

/// Destination of products. `take` must be `#[inline(always)]`.
pub(super) trait Products<L> {
    fn take(&mut self, row: usize, product: L);
}

/// Multiplies rows, which start `stride` values apart, by a panel `[depth][16]`, and passes on each row's sixteen
/// products.
#[inline(always)]
pub(super) fn for_each_product<L: Lanes>(
    rows: &[f32],
    stride: usize,
    depth: usize,
    panel: &[f32],
    products: &mut impl Products<L>,
) {
    let count = (rows.len() + stride - depth) / stride;
    let tiles = count.div_ceil(L::TILE_ROWS);
    for tile in 0..tiles {
        let (start, end) = (count * tile / tiles, count * (tile + 1) / tiles);
        let rows = &rows[start * stride..];
        macro_rules! tile {
            ($($size:literal)*) => {
                match end - start {
                    // Decided at compile time, so that sizes without a use on an instruction set are not compiled for
                    // it.
                    $($size if const { $size <= L::TILE_ROWS } => {
                        let tile: [L; $size] = product_tile(rows, stride, depth, panel);
                        for (row, product) in tile.into_iter().enumerate() {
                            products.take(start + row, product);
                        }
                    })*
                    size => unreachable!("{size} rows in a tile"),
                }
            };
        }
        tile!(1 2 3 4 5 6 7 8 9 10);
    }
}

#[inline(always)]
fn product_tile<L: Lanes, const ROWS: usize>(rows: &[f32], stride: usize, depth: usize, panel: &[f32]) -> [L; ROWS] {
    assert!(rows.len() >= (ROWS - 1) * stride + depth && panel.len() >= depth * LANES, "operands of a tile");
    let mut row_starts = [rows.as_ptr(); ROWS];
    for (row, start) in row_starts.iter_mut().enumerate() {
        *start = start.wrapping_add(row * stride);
    }
    let mut sums = [L::splat(0.0); ROWS];
    let (fours, rest) = panel[..depth * LANES].as_chunks::<{ 4 * LANES }>();
    for (step, weights) in fours.iter().enumerate() {
        let first = row_starts.map(|start| start.wrapping_add(4 * step).cast::<[f32; 4]>());
        // SAFETY: 4 * `step` + 3 < `depth`, and each row has `depth` values from its start on, as asserted above.
        let values: [L::Four<'_>; ROWS] = std::array::from_fn(|row| L::four(unsafe { &*first[row] }));
        macro_rules! add_products {
            ($($index:literal)*) => {$(
                let column = L::load(&weights[$index * LANES..]);
                for (sum, values) in sums.iter_mut().zip(values) {
                    *sum = L::spread::<$index>(values).mul_add(column, *sum);
                }
            )*};
        }
        add_products!(0 1 2 3);
    }
    for (index, weights) in (4 * fours.len()..).zip(rest.as_chunks::<LANES>().0) {
        let weights = L::load(weights);
        for (sum, start) in sums.iter_mut().zip(row_starts) {
            // SAFETY: `index` < `depth`, and each row has `depth` values from its start on, as asserted above.
            let value = unsafe { *start.add(index) };
            *sum = L::splat(value).mul_add(weights, *sum);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use bridgeclip_random::Random;

    use super::super::Threads;
    use super::*;

    #[test]
    fn products_are_right_and_the_same_everywhere() {
        let mut random = Random::new(&[5]);
        for (rows, outputs, depth) in [(1, 1, 1), (3, 17, 5), (50, 32, 64), (13, 40, 129), (7, 16, 16), (77, 5, 31)] {
            let values: Vec<f32> = (0..rows * depth).map(|_| random.normal()).collect();
            let weights: Vec<f32> = (0..outputs * depth).map(|_| random.normal()).collect();
            let bias: Vec<f32> = (0..outputs).map(|_| random.normal()).collect();
            let result = |kernel| {
                let mut out = vec![0.0; rows * outputs];
                FloatMatrix::pack(kernel, &weights, depth).multiply(&values, &bias, None, false, &mut out);
                out
            };
            let scalar = result(Kernel::SCALAR);
            for (row, found) in values.chunks_exact(depth).zip(scalar.chunks_exact(outputs)) {
                for ((weights, bias), found) in weights.chunks_exact(depth).zip(&bias).zip(found) {
                    let dot: f64 = row.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    assert!((f64::from(*found) - dot - f64::from(*bias)).abs() < 1e-4);
                }
            }
            for kernel in Kernel::available() {
                assert_eq!(result(kernel), scalar, "{} {rows} x {outputs} x {depth}", kernel.name);
                let threads = Threads::new(3).expect("threads");
                assert_eq!(threads.run(|| result(kernel)), scalar, "{} {rows} x {outputs} x {depth}", kernel.name);
            }
        }
    }

    #[test]
    fn both_ways_of_packing_give_the_same_panels() {
        let mut random = Random::new(&[6]);
        for (outputs, depth) in [(1, 1), (17, 5), (32, 64), (40, 3), (5, 31)] {
            let weights: Vec<f32> = (0..outputs * depth).map(|_| random.normal()).collect();
            let column = |column: usize| weights.iter().skip(column).step_by(depth).copied();
            let transposed: Vec<f32> = (0..depth).flat_map(column).collect();
            let packed = FloatMatrix::pack(Kernel::SCALAR, &weights, depth);
            let other = FloatMatrix::pack_transposed(Kernel::SCALAR, &transposed, outputs);
            assert_eq!((packed.panels, packed.depth), (other.panels, other.depth), "{outputs} x {depth}");
        }
    }
}
