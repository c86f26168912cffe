//! Multi-head self-attention over one sequence, in float.

use super::Kernel;
use std::ops::Range;

use super::elementwise::{softmax, store_up_to};
use super::float_matrix::{Products, for_each_product};
use super::simd::{LANES, Lanes, Operation};
use super::threads::{self, ColumnsMut};

/// Sizes of an attention, common to all heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Number of tokens whose output is computed.
    pub queries: usize,
    /// Number of tokens that are attended to.
    pub tokens: usize,
    /// Number of heads.
    pub heads: usize,
    /// Number of values in one head.
    pub head_width: usize,
    /// Whether a token sees only itself and earlier tokens.
    pub causal: bool,
}

impl AttentionShape {
    fn width(&self) -> usize {
        self.heads * self.head_width
    }
}

/// Queries, keys and values, with a row for each token that consists of `[heads][head width]`.
#[derive(Clone, Copy, Debug)]
pub struct AttentionInput<'a> {
    pub queries: Columns<'a>,
    pub keys: Columns<'a>,
    pub values: Columns<'a>,
}

/// A range of columns of a row-major matrix.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// Values of the matrix, row by row.
    pub matrix: &'a [f32],
    /// Number of values in a row of the matrix.
    pub row: usize,
    /// Index of the first column.
    pub first: usize,
}

impl<'a> Columns<'a> {
    fn has(&self, rows: usize, width: usize) -> bool {
        self.matrix.len() == rows * self.row && self.first + width <= self.row
    }

    fn slice(&self, row: usize, first: usize, width: usize) -> &'a [f32] {
        &self.matrix[row * self.row + self.first + first..][..width]
    }
}

/// Computes softmax(Q K^T / sqrt(head width)) V for each head; `out` is `[queries][width]`.
///
/// # Panics
/// If a length does not fit, or if a causal attention has more or fewer queries than tokens.
pub fn attention(kernel: Kernel, shape: AttentionShape, input: &AttentionInput<'_>, out: &mut [f32]) {
    let AttentionShape { queries, tokens, causal, .. } = shape;
    let width = shape.width();
    assert!(queries > 0 && tokens > 0 && width > 0, "an empty attention");
    assert!(!causal || queries == tokens, "{queries} queries of a causal attention over {tokens} tokens");
    assert!(input.queries.has(queries, width), "queries of an attention");
    assert!(input.keys.has(tokens, width) && input.values.has(tokens, width), "keys and values of an attention");
    assert_eq!(out.len(), queries * width, "output of an attention");
    let heads = threads::ranges(shape.heads).into_iter();
    let parts = heads.map(|heads| heads.start * shape.head_width..heads.end * shape.head_width);
    threads::for_each(threads::split_columns(out, width, parts), |part| {
        kernel.isa.run(Heads { shape, input: *input, part });
    });
}

/// Attention of the heads whose output columns are in `part`.
struct Heads<'a> {
    shape: AttentionShape,
    input: AttentionInput<'a>,
    part: ColumnsMut<'a>,
}

impl Operation for Heads<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        let AttentionShape { queries, tokens, head_width, causal, .. } = self.shape;
        let scale = 1.0 / (head_width as f32).sqrt();
        let padded = tokens.next_multiple_of(LANES);
        let mut keys = vec![0.0; padded * head_width];
        let mut values = vec![0.0; head_width.next_multiple_of(LANES) * tokens];
        let mut scores = vec![0.0; queries * padded];
        let mut inverse_sums = vec![0.0; queries];
        for first in self.part.columns.clone().step_by(head_width) {
            pack_keys(&mut keys, head_width, tokens, |token| self.input.keys.slice(token, first, head_width));
            pack_values(&mut values, head_width, tokens, |token| self.input.values.slice(token, first, head_width));
            let Columns { matrix, row, first: column } = self.input.queries;
            let rows = &matrix[column + first..][..(queries - 1) * row + head_width];
            for (block, panel) in keys.chunks_exact(LANES * head_width).enumerate() {
                let mut store = StoreScores { scores: &mut scores[block * LANES..], stride: padded };
                for_each_product::<L>(rows, row, head_width, panel, &mut store);
            }
            for (query, scores) in scores.chunks_exact_mut(padded).enumerate() {
                let seen = if causal { query + 1 } else { tokens };
                inverse_sums[query] = softmax::<L>(scores, seen, scale);
            }
            let place = first - self.part.columns.start;
            for (block, panel) in values.chunks_exact(LANES * tokens).enumerate() {
                let end = head_width.min((block + 1) * LANES);
                let columns = place + block * LANES..place + end;
                let mut store = StoreContext { inverse_sums: &inverse_sums, rows: &mut self.part.rows, columns };
                for_each_product::<L>(&scores[..(queries - 1) * padded + tokens], padded, tokens, panel, &mut store);
            }
        }
    }
}

/// Destination for the scores of one block of sixteen keys.
struct StoreScores<'a> {
    scores: &'a mut [f32],
    stride: usize,
}

impl<L: Lanes> Products<L> for StoreScores<'_> {
    #[inline(always)]
    fn take(&mut self, token: usize, product: L) {
        product.store(&mut self.scores[token * self.stride..]);
    }
}

/// Destination for one block of a head's output, which is divided by the sum of the token's weights.
struct StoreContext<'a, 'o> {
    inverse_sums: &'a [f32],
    rows: &'a mut [&'o mut [f32]],
    columns: Range<usize>,
}

impl<L: Lanes> Products<L> for StoreContext<'_, '_> {
    #[inline(always)]
    fn take(&mut self, token: usize, sum: L) {
        store_up_to(sum.mul(L::splat(self.inverse_sums[token])), &mut self.rows[token][self.columns.clone()]);
    }
}

/// Packs keys as `[tokens / 16][head width][16]`.
#[inline(always)]
fn pack_keys<'a>(panels: &mut [f32], head_width: usize, tokens: usize, key: impl Fn(usize) -> &'a [f32]) {
    for token in 0..tokens {
        let panel = &mut panels[token / LANES * LANES * head_width..][..LANES * head_width];
        for (place, value) in panel.chunks_exact_mut(LANES).zip(key(token)) {
            place[token % LANES] = *value;
        }
    }
}

/// Packs values as `[head width / 16][tokens][16]`.
#[inline(always)]
fn pack_values<'a>(panels: &mut [f32], head_width: usize, tokens: usize, value: impl Fn(usize) -> &'a [f32]) {
    for (block, panel) in panels.chunks_exact_mut(LANES * tokens).enumerate() {
        let columns = block * LANES..head_width.min((block + 1) * LANES);
        for (token, place) in panel.chunks_exact_mut(LANES).enumerate() {
            place[..columns.len()].copy_from_slice(&value(token)[columns.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_random::Random;

    use super::super::Threads;
    use super::*;

    /// Uses queries, keys and values that are adjacent in each token's row.
    fn joined(shape: AttentionShape, qkv: &[f32]) -> AttentionInput<'_> {
        let width = shape.width();
        let part = |first| Columns { matrix: qkv, row: 3 * width, first };
        AttentionInput { queries: part(0), keys: part(width), values: part(2 * width) }
    }

    fn expected(shape: AttentionShape, qkv: &[f32]) -> Vec<f64> {
        let width = shape.width();
        let at = |part: usize, token: usize, head: usize, i: usize| {
            f64::from(qkv[token * 3 * width + part * width + head * shape.head_width + i])
        };
        let mut out = Vec::new();
        for token in 0..shape.tokens {
            for head in 0..shape.heads {
                let seen = if shape.causal { token + 1 } else { shape.tokens };
                let dot = |key| (0..shape.head_width).map(|i| at(0, token, head, i) * at(1, key, head, i)).sum::<f64>();
                let weights: Vec<f64> =
                    (0..seen).map(|key| (dot(key) / (shape.head_width as f64).sqrt()).exp()).collect();
                let sum: f64 = weights.iter().sum();
                out.extend((0..shape.head_width).map(|i| {
                    weights.iter().enumerate().map(|(key, weight)| weight / sum * at(2, key, head, i)).sum::<f64>()
                }));
            }
        }
        out
    }

    #[test]
    fn attention_is_that_of_the_definition_and_the_same_everywhere() {
        let mut random = Random::new(&[4]);
        for (tokens, heads, head_width) in [(1, 1, 1), (2, 3, 5), (50, 2, 64), (77, 3, 24), (16, 4, 16), (17, 1, 33)] {
            for causal in [false, true] {
                let shape = AttentionShape { queries: tokens, tokens, heads, head_width, causal };
                let qkv: Vec<f32> = (0..tokens * 3 * heads * head_width).map(|_| random.normal()).collect();
                let result = |kernel| {
                    let mut out = vec![0.0; tokens * heads * head_width];
                    attention(kernel, shape, &joined(shape, &qkv), &mut out);
                    out
                };
                let scalar = result(Kernel::SCALAR);
                for (found, expected) in scalar.iter().zip(expected(shape, &qkv)) {
                    assert!((f64::from(*found) - expected).abs() < 1e-5, "{shape:?}: {found}, {expected}");
                }
                let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
                let scalar = bits(scalar);
                for kernel in Kernel::available() {
                    assert_eq!(bits(result(kernel)), scalar, "{} {shape:?}", kernel.name);
                    let threads = Threads::new(2).expect("threads");
                    assert_eq!(bits(threads.run(|| result(kernel))), scalar, "{} {shape:?}", kernel.name);
                }
            }
        }
    }

    #[test]
    fn some_queries_alone_give_the_same_rows() {
        let mut random = Random::new(&[5]);
        for (tokens, heads, head_width) in [(1, 1, 1), (50, 2, 64), (17, 3, 5)] {
            let shape = AttentionShape { queries: tokens, tokens, heads, head_width, causal: false };
            let width = shape.width();
            let qkv: Vec<f32> = (0..tokens * 3 * width).map(|_| random.normal()).collect();
            let queries: Vec<f32> = qkv.chunks(3 * width).flat_map(|row| &row[..width]).copied().collect();
            for kernel in Kernel::available() {
                let mut all = vec![0.0; tokens * width];
                attention(kernel, shape, &joined(shape, &qkv), &mut all);
                for count in [1, tokens.div_ceil(2)] {
                    let queries = Columns { matrix: &queries[..count * width], row: width, first: 0 };
                    let mut some = vec![0.0; count * width];
                    let shape = AttentionShape { queries: count, ..shape };
                    attention(kernel, shape, &AttentionInput { queries, ..joined(shape, &qkv) }, &mut some);
                    assert_eq!(some, all[..some.len()], "{} {shape:?}", kernel.name);
                }
            }
        }
    }
}
