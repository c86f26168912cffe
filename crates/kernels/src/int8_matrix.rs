//! Products of activations with a packed matrix of int8 weights.

use std::io;
use std::ops::Range;

use super::Kernel;
use super::buffer::AlignedBytes;
use super::elementwise::{Activation, Function, QuantizeRow, finish, load_up_to, with_activation};
use super::micro::{Activations, Ahead, Layout, MicroAtDepth, PackedSlice, Tile};
use super::simd::{LANES, Lanes, Operation};
use super::threads::{self, ColumnsMut};

/// Maximum number of values in a row, so that their sum fits 32 bits: 65,536 * 127 * 255 < 2^31.
const DEPTH_MAX: usize = 65_536;

/// Reason why weights cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    #[error("{outputs} outputs of {depth} weights; 1 or more of 1 to {DEPTH_MAX} are possible")]
    Shape { outputs: usize, depth: usize },
    #[error("output {output} has a weight of -128; int8 weights lie within -127 and 127")]
    Range { output: usize },
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// Weights of a linear layer, `[outputs][depth]`, packed for one kernel.
#[derive(Debug)]
pub struct Int8Matrix {
    kernel: Kernel,
    outputs: usize,
    depth: usize,
    micro: MicroAtDepth,
    panels: AlignedBytes,
}

impl Int8Matrix {
    /// Step of the outputs at which a range may start. The panels of every kernel have this number of columns or a
    /// fraction of it.
    pub const RANGE_STEP: usize = 32;

    /// Packs weights that `read` supplies. It is called with the number of an output and a buffer for the weights of
    /// this output and those after it. Only one panel of unpacked weights is in memory at a time.
    ///
    /// # Errors
    /// If the shape is out of range, a weight is -128, or `read` fails.
    pub fn pack(
        kernel: Kernel,
        outputs: usize,
        depth: usize,
        mut read: impl FnMut(usize, &mut [i8]) -> io::Result<()>,
    ) -> Result<Self, MatrixError> {
        if outputs == 0 || depth == 0 || depth > DEPTH_MAX {
            return Err(MatrixError::Shape { outputs, depth });
        }
        let layout = &kernel.micro.layout;
        let micro = kernel.micro.at_depth(depth.next_multiple_of(layout.depth_step));
        let panel_bytes = micro.panel_bytes();
        let mut panels = AlignedBytes::zeroed(outputs.div_ceil(layout.panel_columns) * panel_bytes);
        let mut weights = vec![0; layout.panel_columns * depth];
        for (index, panel) in panels.chunks_exact_mut(panel_bytes).enumerate() {
            let first = index * layout.panel_columns;
            let weights = &mut weights[..layout.panel_columns.min(outputs - first) * depth];
            read(first, weights)?;
            pack_panel(layout, weights, depth, micro.depth(), panel)
                .map_err(|column| MatrixError::Range { output: first + column })?;
        }
        Ok(Int8Matrix { kernel, outputs, depth, micro, panels })
    }

    /// Returns the number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the number of weights of each output.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Computes `f(rows * weights^T)` with the scales of rows and outputs, as [`Finish`] describes. `out` is
    /// `[rows][outputs]`.
    ///
    /// # Panics
    /// If the rows have another depth or were packed for another kernel, or if a length does not fit.
    pub fn multiply(&self, rows: &QuantizedRows, finish: &Finish<'_>, out: &mut [f32]) {
        self.multiply_range(rows, finish, 0..self.outputs, out);
    }

    /// Computes some of the outputs of [`Self::multiply`], from a multiple of [`Self::RANGE_STEP`] on. `finish` holds
    /// the parameters of these outputs, and `out` is `[rows][range.len()]`.
    ///
    /// # Panics
    /// If there are no such outputs, the rows have another depth or were packed for another kernel, or a length does
    /// not fit.
    pub fn multiply_range(&self, rows: &QuantizedRows, finish: &Finish<'_>, range: Range<usize>, out: &mut [f32]) {
        let width = range.len();
        assert!(rows.depth == self.depth && rows.kernel.name == self.kernel.name, "rows packed for these weights");
        assert!(range.start.is_multiple_of(Self::RANGE_STEP) && range.end <= self.outputs, "outputs {range:?}");
        assert_eq!(out.len(), rows.count() * width, "output values");
        assert_eq!((finish.scales.len(), finish.bias.len()), (width, width), "parameters of each output");
        let columns = self.kernel.micro.layout.panel_columns;
        let from_start = |panel: usize| (range.start + panel * columns).min(range.end);
        let ranges = threads::ranges(width.div_ceil(columns));
        let parts = ranges.into_iter().map(|panels| from_start(panels.start)..from_start(panels.end));
        threads::for_each(threads::split_columns(out, width, parts), |mut part| {
            self.for_each_tile(rows, part.columns.clone(), None, |tile| {
                self.finish(rows, finish, &range, &tile, &mut part);
            });
        });
    }

    /// Computes the exact products of a few rows, which fit into one tile, with up to [`Self::RANGE_STEP`] outputs from
    /// `start` on, a multiple of it. Places of outputs that do not exist keep their content. Meanwhile, the weights of
    /// as many outputs from `next` on are fetched into the cache.
    ///
    /// # Panics
    /// If the rows are not `ROWS` in one tile, do not fit the weights, or if there is no output at `start`.
    pub fn products<const ROWS: usize>(
        &self,
        rows: &QuantizedRows,
        start: usize,
        next: Option<usize>,
        out: &mut [[i32; Self::RANGE_STEP]; ROWS],
    ) {
        assert!(rows.depth == self.depth && rows.kernel.name == self.kernel.name, "rows packed for these weights");
        assert!(rows.count() == ROWS && rows.tiles.len() == 1, "{ROWS} rows in one tile");
        assert!(start.is_multiple_of(Self::RANGE_STEP) && start < self.outputs, "output {start}");
        let columns = self.kernel.micro.layout.panel_columns;
        let range = start..self.outputs.min(start + Self::RANGE_STEP);
        let bytes_from = |output: usize| self.panels.get(output / columns * self.micro.panel_bytes()..);
        let next = next.and_then(bytes_from).unwrap_or_default();
        let next = &next[..next.len().min(Self::RANGE_STEP / columns * self.micro.panel_bytes())];
        let ahead = self.micro.ahead(next, range.len().div_ceil(columns));
        self.for_each_tile(rows, range, Some(ahead), |tile| {
            for (out, products) in out.iter_mut().zip(tile.products.chunks_exact(columns)) {
                out[tile.first_column - start..][..columns].copy_from_slice(products);
            }
        });
    }

    /// Computes the products of all rows with the panels of `columns`, panel by panel, and meanwhile prefetches
    /// `ahead`. Without it, each panel prefetches the next one.
    fn for_each_tile<'a>(
        &'a self,
        rows: &QuantizedRows,
        columns: Range<usize>,
        mut ahead: Option<Ahead<'a>>,
        mut then: impl FnMut(TileAt<'_>),
    ) {
        let panel_columns = self.kernel.micro.layout.panel_columns;
        let panel_bytes = self.micro.panel_bytes();
        let mut products: Tile = [0; _];
        for first in columns.step_by(panel_columns) {
            let start = first / panel_columns * panel_bytes;
            let panel = PackedSlice::of(&self.panels, start, panel_bytes);
            let next_panel = || self.panels.get(start + panel_bytes..start + 2 * panel_bytes).unwrap_or_default();
            let mut now = ahead.unwrap_or_else(|| self.micro.ahead(next_panel(), rows.tiles.len()));
            for tile in &rows.tiles {
                let activations = PackedSlice::of(&rows.bytes, tile.start, tile.bytes);
                // SAFETY: a `Kernel` exists only where its instructions do.
                unsafe { self.micro.tile(tile.padded_rows, activations, panel, &mut products, now) };
                now = now.next();
                then(TileAt { rows: tile.rows.clone(), first_column: first, products: &products });
            }
            ahead = ahead.map(|_| now);
        }
    }

    fn finish(
        &self,
        rows: &QuantizedRows,
        finish: &Finish<'_>,
        range: &Range<usize>,
        tile: &TileAt<'_>,
        part: &mut ColumnsMut<'_>,
    ) {
        let panel_columns = self.kernel.micro.layout.panel_columns;
        let columns = tile.first_column..(tile.first_column + panel_columns).min(part.columns.end);
        let place = columns.start - part.columns.start..columns.end - part.columns.start;
        let columns = columns.start - range.start..columns.end - range.start;
        self.kernel.isa.run(FinishTile {
            products: tile.products,
            panel_columns,
            row_scales: &rows.scales[tile.rows.clone()],
            scales: &finish.scales[columns.clone()],
            bias: &finish.bias[columns],
            activation: finish.activation,
            accumulate: finish.accumulate,
            rows: &mut part.rows[tile.rows.clone()],
            place,
        });
    }
}

/// Completion of each product: `activation(product * row scale * scale + bias)`, stored or added.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a> {
    /// Scale of each output.
    pub scales: &'a [f32],
    /// Bias of each output.
    pub bias: &'a [f32],
    pub activation: Option<Activation>,
    /// Whether to add to the output instead of replacing it.
    pub accumulate: bool,
}

/// Products of some rows with one panel.
struct TileAt<'a> {
    rows: Range<usize>,
    first_column: usize,
    products: &'a Tile,
}

struct FinishTile<'a, 'o> {
    products: &'a Tile,
    panel_columns: usize,
    row_scales: &'a [f32],
    scales: &'a [f32],
    bias: &'a [f32],
    activation: Option<Activation>,
    accumulate: bool,
    rows: &'a mut [&'o mut [f32]],
    place: Range<usize>,
}

impl Operation for FinishTile<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        with_activation!(self.activation, self.blocks::<L>());
    }
}

impl FinishTile<'_, '_> {
    /// Completes sixteen columns after another, each row by row.
    #[inline(always)]
    fn blocks<L: Lanes, F: Function>(self) {
        for (block, (scales, bias)) in self.scales.chunks(LANES).zip(self.bias.chunks(LANES)).enumerate() {
            let start = self.place.start + block * LANES;
            let place = start..self.place.end.min(start + LANES);
            let (scales, bias): (L, L) = (load_up_to(scales, 0.0), load_up_to(bias, 0.0));
            let products = self.products.chunks_exact(self.panel_columns);
            for ((products, row_scale), row) in products.zip(self.row_scales).zip(&mut *self.rows) {
                let scaled = L::from_i32(&products[block * LANES..]).mul(L::splat(*row_scale));
                finish::<L, F>(scaled.mul_add(scales, bias), self.accumulate, &mut row[place.clone()]);
            }
        }
    }
}

/// Rows of activations in int8, each with its own scale, packed for one kernel.
#[derive(Debug)]
pub struct QuantizedRows {
    kernel: Kernel,
    depth: usize,
    tiles: Vec<RowTile>,
    bytes: AlignedBytes,
    /// Scale of each row; see [`QuantizeRow`].
    scales: Vec<f32>,
}

#[derive(Debug)]
struct RowTile {
    rows: Range<usize>,
    padded_rows: usize,
    /// Offset of the tile in `bytes`.
    start: usize,
    bytes: usize,
}

impl QuantizedRows {
    /// Quantises `values`, `[rows][depth]`.
    ///
    /// # Panics
    /// If `values` is empty or does not make complete rows.
    pub fn quantize(kernel: Kernel, values: &[f32], depth: usize) -> Self {
        assert!(!values.is_empty() && values.len().is_multiple_of(depth), "whole rows of {depth} values");
        let layout = &kernel.micro.layout;
        let padded_depth = depth.next_multiple_of(layout.depth_step);
        let tiles = row_tiles(layout, values.len() / depth, padded_depth);
        let mut bytes = AlignedBytes::zeroed(tiles.iter().map(|tile| tile.bytes).sum());
        let mut scales = vec![0.0; values.len() / depth];
        let mut work = Vec::with_capacity(tiles.len());
        let (mut values, mut bytes_rest, mut scales_rest) = (values, &mut bytes[..], &mut scales[..]);
        for tile in &tiles {
            work.push((
                values.split_off(..tile.rows.len() * depth).expect("the tile's values"),
                bytes_rest.split_off_mut(..tile.bytes).expect("the tile's bytes"),
                scales_rest.split_off_mut(..tile.rows.len()).expect("the tile's scales"),
            ));
        }
        threads::for_each(work, |(values, bytes, scales)| {
            quantize_tile(kernel, values, depth, padded_depth, bytes, scales);
        });
        QuantizedRows { kernel, depth, tiles, bytes, scales }
    }

    /// Returns the number of rows.
    pub fn count(&self) -> usize {
        self.scales.len()
    }
}

/// Divides rows into tiles of nearly equal size.
fn row_tiles(layout: &Layout, rows: usize, padded_depth: usize) -> Vec<RowTile> {
    let count = rows.div_ceil(layout.tile_rows);
    let mut start = 0;
    let tile = |index: usize| {
        let rows = rows * index / count..rows * (index + 1) / count;
        let padded_rows = rows.len().next_multiple_of(layout.row_step);
        let bytes = padded_rows * layout.row_bytes(padded_depth);
        start += bytes;
        RowTile { rows, padded_rows, start: start - bytes, bytes }
    };
    (0..count).map(tile).collect()
}

/// Quantises the rows of one tile and stores them interleaved: `[depth / group][rows][group]`.
fn quantize_tile(
    kernel: Kernel,
    values: &[f32],
    depth: usize,
    padded_depth: usize,
    packed: &mut [u8],
    scales: &mut [f32],
) {
    let layout = &kernel.micro.layout;
    let flip = if layout.activations == Activations::Offset { 0x80 } else { 0 };
    let padded_rows = packed.len() / layout.row_bytes(padded_depth);
    let mut bytes = vec![0; padded_depth.next_multiple_of(LANES)];
    let mut magnitudes = Vec::new();
    for (row, (values, scale)) in values.chunks_exact(depth).zip(scales).enumerate() {
        *scale = kernel.isa.run(QuantizeRow { values, bytes: &mut bytes, flip });
        let bytes = &bytes[..padded_depth];
        match (layout.activations, layout.row_group) {
            (Activations::WithMagnitude, 4) => {
                magnitudes.clear();
                magnitudes.extend(bytes.iter().map(|byte| byte.cast_signed().unsigned_abs()));
                interleave::<4>(bytes, packed, 2 * row, 2 * padded_rows);
                interleave::<4>(&magnitudes, packed, 2 * row + 1, 2 * padded_rows);
            }
            (_, 1) => interleave::<1>(bytes, packed, row, padded_rows),
            (_, 4) => interleave::<4>(bytes, packed, row, padded_rows),
            (_, 8) => interleave::<8>(bytes, packed, row, padded_rows),
            (_, 16) => interleave::<16>(bytes, packed, row, padded_rows),
            (activations, group) => unreachable!("no kernel has {activations:?} in groups of {group}"),
        }
    }
}

fn interleave<const GROUP: usize>(bytes: &[u8], packed: &mut [u8], row: usize, rows: usize) {
    for (group, packed) in bytes.as_chunks::<GROUP>().0.iter().zip(packed.chunks_exact_mut(GROUP * rows)) {
        packed[GROUP * row..][..GROUP].copy_from_slice(group);
    }
}

/// Packs the weights of up to `panel_columns` outputs into `panel`, which must be zero. Fails with the first output
/// that has a weight of -128.
pub(super) fn pack_panel(
    layout: &Layout,
    weights: &[i8],
    depth: usize,
    padded_depth: usize,
    panel: &mut [u8],
) -> Result<(), usize> {
    let (header, body) = panel.split_at_mut((layout.header.bytes)(padded_depth));
    for (column, weights) in weights.chunks_exact(depth).enumerate() {
        if weights.contains(&i8::MIN) {
            return Err(column);
        }
        let block = layout.column_block;
        let body = &mut body[column / block * block * padded_depth..][..block * padded_depth];
        match layout.column_group {
            1 => pack_column::<1>(weights, body, column % block, block),
            4 => pack_column::<4>(weights, body, column % block, block),
            8 => pack_column::<8>(weights, body, column % block, block),
            16 => pack_column::<16>(weights, body, column % block, block),
            group => unreachable!("no kernel has weights in groups of {group}"),
        }
    }
    (layout.header.fill)(header, body);
    Ok(())
}

fn pack_column<const GROUP: usize>(weights: &[i8], body: &mut [u8], column: usize, columns: usize) {
    let (groups, rest) = weights.as_chunks::<GROUP>();
    let mut body = body.chunks_exact_mut(GROUP * columns);
    for (group, body) in groups.iter().zip(&mut body) {
        body[GROUP * column..][..GROUP].copy_from_slice(&group.map(i8::cast_unsigned));
    }
    if let Some(body) = body.next() {
        for (byte, weight) in body[GROUP * column..].iter_mut().zip(rest) {
            *byte = weight.cast_unsigned();
        }
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_random::Random;

    use super::*;

    /// Exact products of every row with every output.
    fn products(matrix: &Int8Matrix, rows: &QuantizedRows) -> Vec<i32> {
        let mut all = vec![0; rows.count() * matrix.outputs];
        let columns = matrix.kernel.micro.layout.panel_columns;
        matrix.for_each_tile(rows, 0..matrix.outputs, None, |tile| {
            for (row, products) in tile.rows.clone().zip(tile.products.chunks_exact(columns)) {
                let out = &mut all[row * matrix.outputs..]
                    [tile.first_column..matrix.outputs.min(tile.first_column + columns)];
                out.copy_from_slice(&products[..out.len()]);
            }
        });
        all
    }

    fn pack(kernel: Kernel, weights: &[i8], depth: usize) -> Int8Matrix {
        let read = |first: usize, out: &mut [i8]| {
            out.copy_from_slice(&weights[first * depth..][..out.len()]);
            Ok(())
        };
        Int8Matrix::pack(kernel, weights.len() / depth, depth, read).expect("packs")
    }

    /// Sizes around every kernel's tiles, panels and groups.
    fn shapes() -> Vec<[usize; 3]> {
        let mut random = Random::new(&[7]);
        let edges = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 15, 16, 17, 31, 32, 33, 50, 63, 64, 65, 77];
        let mut pick = || edges[random.below(edges.len())];
        let mut shapes: Vec<_> = (0..300).map(|_| [pick(), pick(), pick()]).collect();
        shapes.extend([[50, 96, 768], [1, 40, 3072], [77, 33, 129]]);
        shapes
    }

    #[test]
    fn every_kernel_multiplies_exactly() {
        let mut random = Random::new(&[1]);
        for kernel in Kernel::available() {
            for [rows, outputs, depth] in shapes() {
                let weights: Vec<i8> = (0..outputs * depth).map(|_| random.int8()).collect();
                // Rows of whole numbers that contain +-127 are quantised to themselves.
                let mut bytes: Vec<i8> = (0..rows * depth).map(|_| random.int8()).collect();
                bytes.iter_mut().step_by(depth).for_each(|first| *first = 127);
                let values: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte)).collect();
                let packed = QuantizedRows::quantize(kernel, &values, depth);
                let found = products(&pack(kernel, &weights, depth), &packed);
                let dot = |a: &[i8], b: &[i8]| a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
                let expected: Vec<i32> = bytes
                    .chunks_exact(depth)
                    .flat_map(|row| weights.chunks_exact(depth).map(move |weights| dot(row, weights)))
                    .collect();
                assert_eq!(found, expected, "{} {rows} x {outputs} x {depth}", kernel.name);
            }
        }
    }

    #[test]
    fn nothing_saturates_at_the_extremes() {
        for kernel in Kernel::available() {
            for (activation, weight) in [(127.0, 127), (127.0, -127), (-127.0, 127), (-127.0, -127)] {
                let depth = DEPTH_MAX;
                let rows = QuantizedRows::quantize(kernel, &vec![activation; depth], depth);
                let found = products(&pack(kernel, &vec![weight; depth], depth), &rows);
                assert_eq!(found, [activation as i32 * i32::from(weight) * depth as i32], "{}", kernel.name);
            }
        }
    }

    #[test]
    fn a_tile_of_every_kernel_fits_its_buffer() {
        for kernel in Kernel::available() {
            let layout = &kernel.micro.layout;
            assert!(layout.tile_rows * layout.panel_columns <= size_of::<Tile>() / size_of::<i32>());
            assert!(layout.tile_rows.is_multiple_of(layout.row_step));
            assert!(Int8Matrix::RANGE_STEP.is_multiple_of(layout.panel_columns));
            assert!(
                layout.panel_columns.is_multiple_of(LANES) && layout.panel_columns.is_multiple_of(layout.column_block)
            );
            assert!(layout.depth_step.is_multiple_of(layout.row_group));
            assert!(layout.depth_step.is_multiple_of(layout.column_group));
        }
    }

    #[test]
    fn finished_rows_have_the_same_bits_everywhere() {
        let mut random = Random::new(&[2]);
        for [rows, outputs, depth] in shapes() {
            let values: Vec<f32> = (0..rows * depth).map(|_| random.normal()).collect();
            let weights: Vec<i8> = (0..outputs * depth).map(|_| random.int8()).collect();
            let scales: Vec<f32> = (0..outputs).map(|_| 0.01 + random.normal().abs() * 0.01).collect();
            let bias: Vec<f32> = (0..outputs).map(|_| random.normal()).collect();
            let before: Vec<f32> = (0..rows * outputs).map(|_| random.normal()).collect();
            let activation = [None, Some(Activation::Gelu), Some(Activation::QuickGelu)][random.below(3)];
            let finish = Finish { scales: &scales, bias: &bias, activation, accumulate: random.below(2) == 1 };
            let result = |kernel| {
                let mut out = before.clone();
                let rows = QuantizedRows::quantize(kernel, &values, depth);
                pack(kernel, &weights, depth).multiply(&rows, &finish, &mut out);
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let scalar = result(Kernel::SCALAR);
            for kernel in Kernel::available() {
                assert_eq!(result(kernel), scalar, "{} {rows} x {outputs} x {depth}", kernel.name);
            }
            for threads in [2, 5] {
                let threads = super::super::Threads::new(threads).expect("threads");
                assert_eq!(threads.run(|| result(Kernel::available()[0])), scalar, "{threads:?}");
            }
        }
    }

    #[test]
    fn a_range_of_outputs_is_that_part_of_all() {
        let mut random = Random::new(&[6]);
        let (outputs, depth) = (200, 33);
        let weights: Vec<i8> = (0..outputs * depth).map(|_| random.int8()).collect();
        let scales: Vec<f32> = (0..outputs).map(|_| random.normal().abs()).collect();
        let bias: Vec<f32> = (0..outputs).map(|_| random.normal()).collect();
        let values: Vec<f32> = (0..3 * depth).map(|_| random.normal()).collect();
        for kernel in Kernel::available() {
            let (matrix, rows) = (pack(kernel, &weights, depth), QuantizedRows::quantize(kernel, &values, depth));
            let product = |range: Range<usize>| {
                let (scales, bias) = (&scales[range.clone()], &bias[range.clone()]);
                let mut out = vec![0.0; 3 * range.len()];
                let finish = Finish { scales, bias, activation: None, accumulate: false };
                matrix.multiply_range(&rows, &finish, range, &mut out);
                out
            };
            let all = product(0..outputs);
            for range in [0..1, 0..64, 32..33, 64..200, 192..200, 96..151] {
                let part: Vec<f32> = all.chunks(outputs).flat_map(|row| row[range.clone()].to_vec()).collect();
                assert_eq!(product(range.clone()), part, "{} {range:?}", kernel.name);
                let threads = super::super::Threads::new(3).expect("threads");
                assert_eq!(threads.run(|| product(range.clone())), part, "{} {range:?}", kernel.name);
            }
        }
    }

    #[test]
    fn a_row_that_is_not_finite_shows_in_the_result() {
        for kernel in Kernel::available() {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = [1.0; 2 * 20];
                values[25] = bad;
                let rows = QuantizedRows::quantize(kernel, &values, 20);
                let matrix = pack(kernel, &[1; 20], 20);
                let mut out = [0.0; 2];
                let finish = Finish { scales: &[1.0], bias: &[0.0], activation: None, accumulate: false };
                matrix.multiply(&rows, &finish, &mut out);
                assert!((out[0] - 20.0).abs() < 1e-4 && !out[1].is_finite(), "{} {bad}: {out:?}", kernel.name);
            }
        }
    }

    #[test]
    fn zeros_and_denormals_quantise_to_nothing() {
        for kernel in Kernel::available() {
            for value in [0.0, -0.0, f32::MIN_POSITIVE, 1e-40, -1e-38] {
                let rows = QuantizedRows::quantize(kernel, &[value; 16], 16);
                assert_eq!(products(&pack(kernel, &[127; 16], 16), &rows), [0], "{} {value}", kernel.name);
            }
        }
    }

    #[test]
    fn the_products_of_few_rows_are_those_of_all() {
        let mut random = Random::new(&[8]);
        let (outputs, depth) = (3 * Int8Matrix::RANGE_STEP + 5, 70);
        let weights: Vec<i8> = (0..outputs * depth).map(|_| random.int8()).collect();
        let values: Vec<f32> = (0..2 * depth).map(|_| random.normal()).collect();
        for kernel in Kernel::available() {
            let matrix = pack(kernel, &weights, depth);
            let rows = QuantizedRows::quantize(kernel, &values, depth);
            let all = products(&matrix, &rows);
            for start in (0..outputs).step_by(Int8Matrix::RANGE_STEP) {
                let mut some = [[0; Int8Matrix::RANGE_STEP]; 2];
                matrix.products(&rows, start, Some(start + 64), &mut some);
                let count = Int8Matrix::RANGE_STEP.min(outputs - start);
                for (some, all) in some.iter().zip(all.chunks_exact(outputs)) {
                    assert_eq!(some[..count], all[start..][..count], "{}", kernel.name);
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let kernel = Kernel::available()[0];
        let fill = |value: i8| {
            move |_: usize, out: &mut [i8]| {
                out.fill(value);
                Ok(())
            }
        };
        assert!(matches!(Int8Matrix::pack(kernel, 40, 8, fill(-128)), Err(MatrixError::Range { output: 0 })));
        for (outputs, depth) in [(0, 1), (1, 0), (1, DEPTH_MAX + 1)] {
            assert!(matches!(Int8Matrix::pack(kernel, outputs, depth, fill(1)), Err(MatrixError::Shape { .. })));
        }
        let truncated = |_: usize, _: &mut [i8]| Err(io::ErrorKind::UnexpectedEof.into());
        assert!(matches!(Int8Matrix::pack(kernel, 1, 1, truncated), Err(MatrixError::Read(_))));
    }
}
