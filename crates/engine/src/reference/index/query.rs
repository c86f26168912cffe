//! A query and vectors as int8, and bounds on their similarity.
//!
//! Let c be the int8 form of a query q, and x' that of a vector x. Then `q x - c x' = (q - c) x + c (x - x')`, which by
//! the Cauchy-Schwarz inequality is at most `|q - c| |x| + |c| |x - x'|`.

use std::ops::Range;

use bridgeclip_kernels::{Int8Matrix, Kernel, QuantizedRows};

use crate::reference::code::{norm, round_up, whole_numbers};

/// Number of vectors that are compared together.
pub const GROUP: usize = Int8Matrix::RANGE_STEP;
/// Relative rounding error of one f32 operation.
const ROUNDING: f32 = f32::EPSILON / 2.0;

/// Vectors as int8, each with a bound on its error.
#[derive(Debug)]
pub struct Int8Vectors {
    /// The int8 values, one vector a row.
    pub matrix: Int8Matrix,
    /// Scale of each vector: the vector is `scale` times its int8 values, with an error whose norm is at most `errors`.
    pub scales: Vec<f32>,
    /// Upper bound on the norm of each vector's error.
    pub errors: Vec<f32>,
    /// Upper bound on the norm of every vector.
    norm_max: f32,
    error_max: f32,
}

impl Int8Vectors {
    /// Combines the int8 values with the scale and the error bound of each vector. `norm_max` is an upper bound on the
    /// norm of every vector.
    pub fn new(matrix: Int8Matrix, scales: Vec<f32>, errors: Vec<f32>, norm_max: f32) -> Self {
        let error_max = errors.iter().copied().fold(0.0, f32::max);
        Int8Vectors { matrix, scales, errors, norm_max, error_max }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Returns the places of a group's vectors.
    pub fn group(&self, group: usize) -> Range<usize> {
        group * GROUP..self.len().min((group + 1) * GROUP)
    }
}

/// A query in f32 and as int8, with bounds on the error of its similarities.
pub struct Query<'q> {
    /// The query in f32.
    pub values: &'q [f32],
    /// Upper bound on the norm of the query.
    pub norm: f32,
    /// Whole numbers within -127 and 127, the first row of `both_rows`; its second row is called `fine`. The query is
    /// `coarse_scale * coarse + fine_scale * fine` plus a small rest.
    pub coarse: Vec<f32>,
    coarse_scale: f32,
    fine_scale: f32,
    coarse_row: QuantizedRows,
    both_rows: QuantizedRows,
    coarse_bound: Bound,
    fine_bound: Bound,
    centre_bound: Bound,
}

impl<'q> Query<'q> {
    /// Quantises a query for these rows and centres.
    pub fn new(kernel: Kernel, values: &'q [f32], rows: &Int8Vectors, centres: &Int8Vectors) -> Self {
        assert_eq!(values.len(), rows.matrix.depth(), "values of a query");
        let (coarse, coarse_scale) = whole_numbers(values);
        let rest: Vec<f32> = values.iter().zip(&coarse).map(|(q, whole)| q - coarse_scale * whole).collect();
        let (fine, fine_scale) = whole_numbers(&rest);
        let last: Vec<f32> = rest.iter().zip(&fine).map(|(rest, whole)| rest - fine_scale * whole).collect();
        let (norm, rest, last) = (norm(values), norm(&rest), norm(&last));
        Query {
            values,
            norm: round_up(norm),
            coarse_row: QuantizedRows::quantize(kernel, &coarse, values.len()),
            both_rows: QuantizedRows::quantize(kernel, &[&coarse[..], &fine].concat(), values.len()),
            coarse_bound: Bound::new(norm, rest, rows),
            fine_bound: Bound::new(norm, last, rows),
            centre_bound: Bound::new(norm, last, centres),
            coarse,
            coarse_scale,
            fine_scale,
        }
    }

    /// Returns an upper bound on the similarity of a group's rows by `coarse` alone. Prefetches the group `next` into
    /// the cache.
    pub fn highest_at_first_look(&self, rows: &Int8Vectors, group: usize, next: Option<usize>) -> f32 {
        let mut products = [[0; GROUP]];
        rows.matrix.products(&self.coarse_row, group * GROUP, next.map(|next| next * GROUP), &mut products);
        let range = rows.group(group);
        let mut scores = [0.0; GROUP];
        let scores = &mut scores[..range.len()];
        for ((score, product), scale) in scores.iter_mut().zip(&products[0]).zip(&rows.scales[range.clone()]) {
            *score = *product as f32 * scale;
        }
        self.highest_by_coarse(scores, &rows.errors[range])
    }

    /// Returns an upper bound on the similarity of rows, from the products of `coarse` with them.
    pub fn highest_by_coarse(&self, products: &[f32], errors: &[f32]) -> f32 {
        self.coarse_bound.highest(products, self.coarse_scale, errors)
    }

    /// Compares the rows of a group by both int8 vectors: writes a score for each row, and returns an upper bound on
    /// their similarity.
    pub fn look(&self, rows: &Int8Vectors, group: usize, scores: &mut [f32; GROUP]) -> f32 {
        let range = self.score(rows, group, scores);
        self.fine_bound.highest(&scores[..range.len()], 1.0, &rows.errors[range])
    }

    /// Returns the greatest error of a score from [`Self::look`], for a row whose own error is `error`.
    pub fn doubt(&self, error: f32) -> f32 {
        self.fine_bound.norm * error + self.fine_bound.error
    }

    /// Returns upper bounds on the similarities to all centres. A row at distance d from a centre is at most as similar
    /// as that centre's bound plus [`Self::norm`] times d.
    pub fn highest_by_centres(&self, centres: &Int8Vectors) -> Vec<f32> {
        let mut bounds = Vec::with_capacity(centres.len());
        for group in 0..centres.len().div_ceil(GROUP) {
            let mut scores = [0.0; GROUP];
            let range = self.score(centres, group, &mut scores);
            let bound = |(score, error): (&f32, &f32)| {
                score + self.centre_bound.norm * error + self.centre_bound.error + self.fine_bound.error
            };
            bounds.extend(scores.iter().zip(&centres.errors[range]).map(bound));
        }
        bounds
    }

    fn score(&self, vectors: &Int8Vectors, group: usize, scores: &mut [f32; GROUP]) -> Range<usize> {
        let mut products = [[0; GROUP]; 2];
        vectors.matrix.products(&self.both_rows, group * GROUP, None, &mut products);
        let range = vectors.group(group);
        let [coarse, fine] = &products;
        for (((score, coarse), fine), scale) in
            scores.iter_mut().zip(coarse).zip(fine).zip(&vectors.scales[range.clone()])
        {
            *score = scale * (self.coarse_scale * *coarse as f32 + self.fine_scale * *fine as f32);
        }
        range
    }
}

/// Bound on the error of a similarity: `norm` times the vector's own error, plus `error`.
struct Bound {
    /// Upper bound on the norm of the int8 form of the query.
    norm: f32,
    error: f32,
}

impl Bound {
    /// Returns the bound for a query of this norm, whose int8 form leaves a rest of norm `rest`.
    fn new(norm: f64, rest: f64, vectors: &Int8Vectors) -> Self {
        let standing_for_it = round_up(norm + rest);
        // `size` is an upper bound on every intermediate sum. Rounding adds up over `depth` terms in any order, and a
        // few further operations.
        let size = standing_for_it * (vectors.norm_max + vectors.error_max);
        let rounding = (vectors.matrix.depth() + 32) as f32 * ROUNDING * 1.02 * size;
        Bound { norm: standing_for_it, error: round_up(rest) * vectors.norm_max + rounding }
    }

    /// Returns an upper bound on the similarity of vectors, given `scale` times their scores.
    fn highest(&self, scores: &[f32], scale: f32, errors: &[f32]) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; 16];
        for (scores, errors) in scores.chunks(16).zip(errors.chunks(16)) {
            for ((lane, score), error) in lanes.iter_mut().zip(scores).zip(errors) {
                let bound = scale * score + self.norm * error;
                *lane = if bound > *lane { bound } else { *lane };
            }
        }
        lanes.into_iter().fold(f32::NEG_INFINITY, f32::max) + self.error
    }
}
