//! A query and vectors as int8, and what the similarity of one to the other can be.
//!
//! For a vector x, a query q, and what stands for them, x' and c: `q x - c x' = (q - c) x + c (x - x')`, and by the
//! Cauchy-Schwarz inequality no more than `|q - c| |x| + |c| |x - x'|`.

use std::ops::Range;

use bridgeclip_kernels::{Int8Matrix, Kernel, QuantizedRows};

use crate::reference::code::{norm, round_up, whole_numbers};

/// Vectors that are looked at together.
pub const GROUP: usize = Int8Matrix::RANGE_STEP;
/// Relative rounding error of one f32 operation.
const ROUNDING: f32 = f32::EPSILON / 2.0;

/// Vectors as int8 with a bound on the error of each.
#[derive(Debug)]
pub struct Int8Vectors {
    pub matrix: Int8Matrix,
    /// Of each vector: its values are `scale` times the int8 ones, but for an error of this norm.
    pub scales: Vec<f32>,
    pub errors: Vec<f32>,
    /// The greatest norm of a vector, or more.
    norm_max: f32,
    error_max: f32,
}

impl Int8Vectors {
    pub fn new(matrix: Int8Matrix, scales: Vec<f32>, errors: Vec<f32>, norm_max: f32) -> Self {
        let error_max = errors.iter().copied().fold(0.0, f32::max);
        Int8Vectors { matrix, scales, errors, norm_max, error_max }
    }

    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// The places of a group's vectors.
    pub fn group(&self, group: usize) -> Range<usize> {
        group * GROUP..self.len().min((group + 1) * GROUP)
    }
}

/// A query as int8.
pub struct Query<'q> {
    pub values: &'q [f32],
    /// Upper bound on its norm.
    pub norm: f32,
    /// The query is `coarse_scale * coarse + fine_scale * fine`, both of whole numbers within -127 and 127, but for what
    /// is left over.
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
    /// A query for these rows and centres.
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

    /// The greatest similarity that one of the rows of a group can have, at a first look. Meanwhile the group `next` is
    /// fetched into the cache.
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

    /// The greatest similarity that one of some rows can have, by the products of `coarse` with the rows.
    pub fn highest_by_coarse(&self, products: &[f32], errors: &[f32]) -> f32 {
        self.coarse_bound.highest(products, self.coarse_scale, errors)
    }

    /// How similar the rows of a group are, as far as int8 tells: a score for each of them, and the greatest similarity that
    /// one can have.
    pub fn look(&self, rows: &Int8Vectors, group: usize, scores: &mut [f32; GROUP]) -> f32 {
        let range = self.score(rows, group, scores);
        self.fine_bound.highest(&scores[..range.len()], 1.0, &rows.errors[range])
    }

    /// What a score of [`Self::look`] can be off by, for a row of this error.
    pub fn doubt(&self, error: f32) -> f32 {
        self.fine_bound.norm * error + self.fine_bound.error
    }

    /// Upper bounds on the similarities to all centres. A row at a distance d from one is no more similar than its bound
    /// and [`Self::norm`] times d.
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

/// What a similarity to a vector can be off by: `norm` times the vector's own error, and `error`.
struct Bound {
    /// Upper bound on the norm of what stands for the query.
    norm: f32,
    error: f32,
}

impl Bound {
    /// For a query of this norm, of which so much is left over.
    fn new(norm: f64, rest: f64, vectors: &Int8Vectors) -> Self {
        let standing_for_it = round_up(norm + rest);
        // Float sums of so many terms, in any order, and a few operations more; none is greater than this.
        let size = standing_for_it * (vectors.norm_max + vectors.error_max);
        let rounding = (vectors.matrix.depth() + 32) as f32 * ROUNDING * 1.02 * size;
        Bound { norm: standing_for_it, error: round_up(rest) * vectors.norm_max + rounding }
    }

    /// The greatest similarity that one of some vectors can have, by `scale` times their scores.
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
