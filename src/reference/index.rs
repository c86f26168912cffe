//! Exact search for the nearest vectors.
//!
//! Rows are in memory as int8, a quarter of their size. A scan of these gives each row's similarity within a known error:
//! by the Cauchy-Schwarz inequality `|q x - q x'| <= |q| |x - x'|`, x' being the row as int8, and the same for the query.
//! Rows that cannot be among the nearest by these bounds are out.
//!
//! One query is slowed by memory, not by arithmetic. So its scan reads the upper four bits of the rows' values first, whose
//! bounds are wider, and the lower four only beside rows that are left; where few rows are out that way, it reads whole values
//! at once. Many queries share the reading and look at whole values.
//!
//! For rows that are left, while they are in the processor's cache, the query's own rounding is made good by a second int8
//! vector. Those that are in doubt at the end are compared in f32. What comes out is what a search in f32 over all rows
//! gives, for any data.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::convert::Infallible;
use std::io;
use std::ops::Range;

use super::code::{lower_norm, norm, quantize, round_up, whole_numbers};
use crate::domain::Embedding;
use crate::kernels::{Finish, Int8Matrix, Kernel, MatrixError, Part, QuantizedRows, SplitMatrix, over_ranges};

/// Rows that many queries look at together: the rows and their scores stay in the processor's second-level cache.
const BLOCK: usize = 1024;
/// Rows that are looked at and passed over together.
const GROUP: usize = Int8Matrix::RANGE_STEP;
/// Queries that are scanned at once.
const QUERIES: usize = 64;
/// Relative rounding error of one f32 operation.
const ROUNDING: f32 = f32::EPSILON / 2.0;

/// The vectors of a reference, as int8 with a bound on the error of each.
#[derive(Debug)]
pub struct Index {
    kernel: Kernel,
    dim: usize,
    rows: SplitMatrix,
    /// Of each row: its values are `scale` times the int8 ones, but for an error of this norm.
    scales: Vec<f32>,
    errors: Vec<f32>,
    /// Likewise if of the int8 values only the upper halves are known.
    upper_errors: Vec<f32>,
    upper_error_max: f32,
    /// The greatest norm of a row.
    norm_max: f32,
}

/// Gives the vectors themselves, for the rows that the bounds cannot tell apart.
pub trait ExactRows {
    type Error;

    /// Writes the values of the row at a position, from 0, into `values`.
    fn read(&self, position: usize, values: &mut [f32]) -> Result<(), Self::Error>;
}

/// All vectors in memory, row by row.
impl ExactRows for [f32] {
    type Error = Infallible;

    fn read(&self, position: usize, values: &mut [f32]) -> Result<(), Infallible> {
        values.copy_from_slice(&self[position * values.len()..][..values.len()]);
        Ok(())
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Rows at most.
    pub count: usize,
    /// Rows must be at least so similar.
    pub similarity_min: Option<f32>,
    /// Rows must be among these.
    pub among: Option<&'a RowSet>,
}

impl Search<'_> {
    /// The `count` most similar rows.
    pub fn nearest(count: usize) -> Self {
        Search { count, similarity_min: None, among: None }
    }
}

/// A set of rows, by their positions from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
}

impl RowSet {
    pub fn insert(&mut self, position: usize) {
        let word = position / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (position % 64);
    }

    pub fn contains(&self, position: usize) -> bool {
        self.words.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    /// Whether any of [`GROUP`] rows is in it, from a multiple of that on.
    fn contains_any(&self, start: usize) -> bool {
        let mask = (1 << GROUP) - 1;
        self.words.get(start / 64).is_some_and(|word| word >> (start % 64) & mask != 0)
    }

    /// The rows that are in both.
    pub fn intersection(&self, other: &RowSet) -> RowSet {
        RowSet { words: self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect() }
    }
}

impl FromIterator<usize> for RowSet {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        let mut set = RowSet::default();
        positions.into_iter().for_each(|position| set.insert(position));
        set
    }
}

/// A row and its cosine similarity to the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Of the row, from 0.
    pub position: usize,
    pub similarity: f32,
}

/// Collects the rows of an index; see [`Index::builder`].
#[derive(Debug)]
pub struct IndexBuilder {
    kernel: Kernel,
    dim: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
    errors: Vec<f32>,
    norm_max: f64,
}

impl IndexBuilder {
    /// Appends a row. A value that is not finite is returned as the error and nothing is added.
    ///
    /// # Panics
    /// If the row has another length.
    pub fn push(&mut self, row: &[f32]) -> Result<(), f32> {
        assert_eq!(row.len(), self.dim, "values of a row");
        if let Some(&value) = row.iter().find(|value| !value.is_finite()) {
            return Err(value);
        }
        let start = self.values.len();
        self.values.resize(start + self.dim, 0);
        let (scale, error) = quantize(row, &mut self.values[start..]);
        self.scales.push(scale);
        self.errors.push(error);
        self.norm_max = self.norm_max.max(norm(row));
        Ok(())
    }

    pub fn build(self) -> Index {
        let IndexBuilder { kernel, dim, values, scales, errors, norm_max } = self;
        let read = |first: usize, out: &mut [i8]| {
            out.copy_from_slice(&values[first * dim..][..out.len()]);
            Ok(())
        };
        let packed = Index::pack(kernel, dim, scales.len(), read).expect("int8 rows within -127 and 127");
        packed.with_errors(scales, errors, round_up(norm_max)).expect("finite scales and errors")
    }
}

/// The rows of an index that is still without their scales and errors; see [`Index::pack`].
#[derive(Debug)]
pub(super) struct PackedRows {
    kernel: Kernel,
    dim: usize,
    rows: SplitMatrix,
    /// Of each row: the norm of its values' lower halves.
    lower_norms: Vec<f32>,
}

impl PackedRows {
    /// The index, with each row's scale and error and the greatest norm of a row. None if their number is not that of
    /// the rows, or if one is negative or not finite.
    pub fn with_errors(self, scales: Vec<f32>, errors: Vec<f32>, norm_max: f32) -> Option<Index> {
        let PackedRows { kernel, dim, rows, lower_norms } = self;
        let are_good = |values: &[f32]| {
            values.len() == lower_norms.len() && values.iter().all(|value| value.is_finite() && *value >= 0.0)
        };
        if !are_good(&scales) || !are_good(&errors) {
            return None;
        }
        let upper_error = |((lower, scale), error): ((&f32, &f32), &f32)| {
            round_up(f64::from(*lower) * f64::from(*scale) + f64::from(*error))
        };
        let upper_errors: Vec<f32> = lower_norms.iter().zip(&scales).zip(&errors).map(upper_error).collect();
        let upper_error_max = upper_errors.iter().copied().fold(0.0, f32::max);
        Some(Index { kernel, dim, rows, scales, errors, upper_errors, upper_error_max, norm_max })
    }
}

impl Index {
    /// Collects rows from memory.
    ///
    /// # Panics
    /// If the dimension is 0 or above 65,536.
    pub fn builder(kernel: Kernel, dim: usize) -> IndexBuilder {
        assert!((1..=65_536).contains(&dim), "{dim} values per row");
        IndexBuilder { kernel, dim, values: Vec::new(), scales: Vec::new(), errors: Vec::new(), norm_max: 0.0 }
    }

    /// Takes int8 rows from wherever they are: `read` is called with the first row and a buffer for some rows.
    pub(super) fn pack(
        kernel: Kernel,
        dim: usize,
        count: usize,
        mut read: impl FnMut(usize, &mut [i8]) -> io::Result<()>,
    ) -> Result<PackedRows, MatrixError> {
        let mut lower_norms = Vec::with_capacity(count);
        let rows = match count {
            // A matrix has at least one row; that of an empty index is never looked at.
            0 => SplitMatrix::pack(kernel, 1, dim, |_, _| Ok(()))?,
            count => SplitMatrix::pack(kernel, count, dim, |first, values| {
                read(first, values)?;
                lower_norms.extend(values.chunks_exact(dim).map(lower_norm));
                Ok(())
            })?,
        };
        Ok(PackedRows { kernel, dim, rows, lower_norms })
    }

    /// Values per row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    /// The rows most similar to `query`, most similar first; equal similarities in the order of their positions.
    ///
    /// # Panics
    /// If the query has another dimension.
    pub fn search<R: ExactRows + ?Sized>(
        &self,
        query: &Embedding,
        search: &Search<'_>,
        rows: &R,
    ) -> Result<Vec<Hit>, R::Error> {
        Ok(self.search_all(std::slice::from_ref(query), search, rows)?.remove(0))
    }

    /// Likewise for many queries, which share the scans: the hits of each.
    pub fn search_all<R: ExactRows + ?Sized>(
        &self,
        queries: &[Embedding],
        search: &Search<'_>,
        rows: &R,
    ) -> Result<Vec<Vec<Hit>>, R::Error> {
        let mut hits = Vec::with_capacity(queries.len());
        for queries in queries.chunks(QUERIES) {
            let queries: Vec<Query> = queries.iter().map(|query| Query::new(query.values(), self)).collect();
            for (query, shortlist) in queries.iter().zip(self.scan(&queries, search)) {
                hits.push(self.compare(query, shortlist, search, rows)?);
            }
        }
        Ok(hits)
    }

    /// Rows that can be among each query's nearest, by int8 alone.
    fn scan(&self, queries: &[Query<'_>], search: &Search<'_>) -> Vec<Shortlist> {
        let new = || vec![Shortlist::new(search); queries.len()];
        if search.count == 0 || self.is_empty() {
            return new();
        }
        let values: Vec<f32> = queries.iter().flat_map(|query| query.coarse.iter().copied()).collect();
        let packed = QuantizedRows::quantize(self.kernel, &values, self.dim);
        let parts = over_ranges(self.len().div_ceil(BLOCK), |blocks| {
            let range = blocks.start * BLOCK..self.len().min(blocks.end * BLOCK);
            let mut shortlists = new();
            match (queries, &mut shortlists[..]) {
                ([query], [shortlist]) => self.scan_for_one(query, &packed, range, search, shortlist),
                _ => self.scan_for_many(queries, &packed, range, search, &mut shortlists),
            }
            shortlists
        });
        let together = |mut all: Vec<Shortlist>, part: Vec<Shortlist>| {
            all.iter_mut().zip(part).for_each(|(all, part)| all.add_part(part));
            all
        };
        parts.into_iter().fold(new(), together)
    }

    /// Looks at upper halves, and at whole values where rows are left.
    fn scan_for_one(
        &self,
        query: &Query<'_>,
        coarse: &QuantizedRows,
        range: Range<usize>,
        search: &Search<'_>,
        shortlist: &mut Shortlist,
    ) {
        let mut scratch = self.rows.scratch(GROUP.min(self.len()));
        let mut look = FirstLook::default();
        for start in range.clone().step_by(GROUP) {
            if search.among.is_some_and(|rows| !rows.contains_any(start)) {
                continue;
            }
            let rows = start..range.end.min(start + GROUP);
            let ahead = self.rows.upper_bytes(rows.end..rows.end + GROUP);
            if look.is_worth_it() {
                self.rows.join(Part::Upper, rows.clone(), &mut scratch);
                let mut products = [[0; GROUP]];
                scratch.products(coarse, 0, ahead, &mut products);
                let is_left = self.highest_by_upper(query, &products[0], &rows) >= shortlist.threshold();
                look.was_taken(is_left);
                if !is_left {
                    continue;
                }
            }
            self.rows.join(Part::Whole, rows.clone(), &mut scratch);
            let mut products = [[0; GROUP]; 2];
            scratch.products(&query.both, 0, ahead, &mut products);
            shortlist.take(rows, &products, query, search, self);
        }
    }

    /// Looks at whole values in blocks of rows.
    fn scan_for_many(
        &self,
        queries: &[Query<'_>],
        coarse: &QuantizedRows,
        range: Range<usize>,
        search: &Search<'_>,
        shortlists: &mut [Shortlist],
    ) {
        let zeros = vec![0.0; BLOCK.min(self.len())];
        let mut scratch = self.rows.scratch(zeros.len());
        let mut scores = vec![0.0; zeros.len() * queries.len()];
        for start in range.clone().step_by(BLOCK) {
            let rows = start..range.end.min(start + BLOCK);
            let (scales, errors) = (&self.scales[rows.clone()], &self.errors[rows.clone()]);
            let finish = Finish { scales, bias: &zeros[..rows.len()], activation: None, accumulate: false };
            let scores = &mut scores[..rows.len() * queries.len()];
            self.rows.join(Part::Whole, rows.clone(), &mut scratch);
            scratch.multiply_range(coarse, &finish, 0..rows.len(), scores);
            for ((query, scores), shortlist) in queries.iter().zip(scores.chunks(rows.len())).zip(&mut *shortlists) {
                for (group, (scores, errors)) in scores.chunks(GROUP).zip(errors.chunks(GROUP)).enumerate() {
                    let highest = query.coarse_bound.highest(scores, query.coarse_scale, errors);
                    if highest >= shortlist.threshold() {
                        let mut products = [[0; GROUP]; 2];
                        scratch.products(&query.both, group * GROUP, &[], &mut products);
                        let first = start + group * GROUP;
                        shortlist.take(first..first + scores.len(), &products, query, search, self);
                    }
                }
            }
        }
    }

    /// The greatest similarity that one of some rows can have, by the products of the query's first vector with the upper
    /// halves of their values.
    fn highest_by_upper(&self, query: &Query<'_>, products: &[i32; GROUP], rows: &Range<usize>) -> f32 {
        let mut scores = [0.0; GROUP];
        let scores = &mut scores[..rows.len()];
        for ((score, product), scale) in scores.iter_mut().zip(products).zip(&self.scales[rows.clone()]) {
            *score = *product as f32 * scale;
        }
        query.coarse_bound.highest(scores, query.coarse_scale, &self.upper_errors[rows.clone()])
    }

    /// Compares the rows that are left in f32, the most promising first.
    fn compare<R: ExactRows + ?Sized>(
        &self,
        query: &Query<'_>,
        mut shortlist: Shortlist,
        search: &Search<'_>,
        rows: &R,
    ) -> Result<Vec<Hit>, R::Error> {
        shortlist.drop_below_threshold();
        let mut candidates = shortlist.candidates;
        candidates.sort_by(|a, b| b.highest().total_cmp(&a.highest()));
        let mut values = vec![0.0; self.dim];
        let mut best: BinaryHeap<Ranked> = BinaryHeap::with_capacity(search.count.min(candidates.len()) + 1);
        for candidate in candidates {
            let worst = best.peek().filter(|_| best.len() == search.count);
            if worst.is_some_and(|worst| candidate.highest() < worst.0.similarity) {
                break;
            }
            let position = candidate.position as usize;
            rows.read(position, &mut values)?;
            let similarity = dot(&values, query.values);
            if search.similarity_min.is_none_or(|min| similarity >= min) {
                best.push(Ranked(Hit { position, similarity }));
                if best.len() > search.count {
                    best.pop();
                }
            }
        }
        Ok(best.into_sorted_vec().into_iter().map(|ranked| ranked.0).collect())
    }
}

/// Whether a first look at upper halves alone is worth its time: not while it leaves something in most groups.
#[derive(Default)]
struct FirstLook {
    looks: usize,
    left: usize,
    /// Groups that go without.
    without: usize,
}

impl FirstLook {
    /// So many looks are judged together.
    const LOOKS: usize = 32;
    /// For so many groups after bad looks.
    const WITHOUT: usize = 7 * Self::LOOKS;

    fn is_worth_it(&mut self) -> bool {
        let is_worth_it = self.without == 0;
        self.without = self.without.saturating_sub(1);
        is_worth_it
    }

    fn was_taken(&mut self, is_left: bool) {
        (self.looks, self.left) = (self.looks + 1, self.left + usize::from(is_left));
        if self.looks == Self::LOOKS {
            let without = if 2 * self.left > self.looks { Self::WITHOUT } else { 0 };
            *self = FirstLook { without, ..FirstLook::default() };
        }
    }
}

/// A query as int8.
struct Query<'q> {
    values: &'q [f32],
    /// The query is `coarse_scale * coarse + fine_scale * fine`, both of whole numbers within -127 and 127, but for the
    /// errors below.
    coarse: Vec<f32>,
    coarse_scale: f32,
    fine_scale: f32,
    /// `coarse` and `fine`.
    both: QuantizedRows,
    /// With `coarse` alone, and with both.
    coarse_bound: Bound,
    fine_bound: Bound,
}

/// What a similarity to a row can be off by: `norm` times the row's own error, and `error`.
struct Bound {
    /// Upper bound on the norm of what stands for the query.
    norm: f32,
    error: f32,
}

impl Bound {
    /// The greatest similarity that one of some rows can have, by `scale` times their scores.
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

impl<'q> Query<'q> {
    fn new(values: &'q [f32], index: &Index) -> Self {
        assert_eq!(values.len(), index.dim, "values of a query");
        let (coarse, coarse_scale) = whole_numbers(values);
        let rest: Vec<f32> = values.iter().zip(&coarse).map(|(q, whole)| q - coarse_scale * whole).collect();
        let (fine, fine_scale) = whole_numbers(&rest);
        let last: Vec<f32> = rest.iter().zip(&fine).map(|(rest, whole)| rest - fine_scale * whole).collect();
        let query_norm = norm(values);
        // For a row x, the query q, and what stands for them, x' and c: q x - c x' is (q - c) x + c (x - x').
        let bound = |rest: &[f32]| {
            let norm_of_rest = norm(rest);
            let norm = round_up(query_norm + norm_of_rest);
            // Float sums of so many terms, in any order, and a few operations more; none is greater than this.
            let size = norm * (index.norm_max + index.upper_error_max);
            let rounding = (index.dim + 32) as f32 * ROUNDING * 1.02 * size;
            Bound { norm, error: round_up(norm_of_rest) * index.norm_max + rounding }
        };
        Query {
            values,
            coarse_bound: bound(&rest),
            fine_bound: bound(&last),
            both: QuantizedRows::quantize(index.kernel, &[&coarse[..], &fine].concat(), index.dim),
            coarse,
            coarse_scale,
            fine_scale,
        }
    }
}

/// The rows that can be among a query's nearest, as far as the scan has come.
#[derive(Clone)]
struct Shortlist {
    similarity_min: f32,
    /// The best lower bounds: as many rows are surely so similar.
    lowest: Best,
    candidates: Vec<Candidate>,
}

/// A row that can be among the nearest.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    position: u32,
    /// Its similarity is this, give or take the error.
    score: f32,
    error: f32,
}

impl Candidate {
    fn highest(&self) -> f32 {
        self.score + self.error
    }
}

impl Shortlist {
    fn new(search: &Search<'_>) -> Self {
        let similarity_min = search.similarity_min.unwrap_or(f32::NEG_INFINITY);
        Shortlist { similarity_min, lowest: Best::new(search.count), candidates: Vec::new() }
    }

    /// Rows whose similarity is surely below this are out.
    fn threshold(&self) -> f32 {
        self.lowest.threshold().max(self.similarity_min)
    }

    /// Takes the products of some rows with both vectors of a query.
    fn take(
        &mut self,
        rows: Range<usize>,
        products: &[[i32; GROUP]; 2],
        query: &Query<'_>,
        search: &Search<'_>,
        index: &Index,
    ) {
        let mut scores = [0.0; GROUP];
        let scores = &mut scores[..rows.len()];
        let [coarse, fine] = products;
        for (((score, coarse), fine), scale) in scores.iter_mut().zip(coarse).zip(fine).zip(&index.scales[rows.clone()])
        {
            *score = scale * (query.coarse_scale * *coarse as f32 + query.fine_scale * *fine as f32);
        }
        let errors = &index.errors[rows.clone()];
        if query.fine_bound.highest(scores, 1.0, errors) < self.threshold() {
            return;
        }
        for ((position, score), error) in rows.zip(&*scores).zip(errors) {
            let error = error * query.fine_bound.norm + query.fine_bound.error;
            let candidate = Candidate { position: position as u32, score: *score, error };
            let is_wanted = search.among.is_none_or(|rows| rows.contains(position));
            if is_wanted && candidate.highest() >= self.threshold() {
                self.lowest.push(candidate.score - candidate.error);
                self.candidates.push(candidate);
            }
        }
    }

    /// Adds what was found among other rows.
    fn add_part(&mut self, part: Shortlist) {
        part.lowest.values.into_iter().for_each(|Reverse(Ordered(value))| self.lowest.push(value));
        self.candidates.extend(part.candidates);
    }

    fn drop_below_threshold(&mut self) {
        let threshold = self.threshold();
        self.candidates.retain(|candidate| candidate.highest() >= threshold);
    }
}

/// The greatest `count` of many values.
#[derive(Clone)]
struct Best {
    count: usize,
    values: BinaryHeap<Reverse<Ordered>>,
}

impl Best {
    fn new(count: usize) -> Self {
        Best { count, values: BinaryHeap::new() }
    }

    fn push(&mut self, value: f32) {
        self.values.push(Reverse(Ordered(value)));
        if self.values.len() > self.count {
            self.values.pop();
        }
    }

    /// The least of them, once there are so many.
    fn threshold(&self) -> f32 {
        match self.values.peek() {
            Some(Reverse(Ordered(least))) if self.values.len() == self.count => *least,
            _ => f32::NEG_INFINITY,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Ordered(f32);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ordered {}

/// A hit that is ordered by rank: the best is the smallest.
struct Ranked(Hit);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.similarity.total_cmp(&self.0.similarity).then(self.0.position.cmp(&other.0.position))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

/// Sixteen sums side by side, so that the compiler can keep them in vector registers. The same bits on every machine.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_lanes.remainder().iter().zip(b_lanes.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_lanes.zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Threads;

    /// xorshift64*
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
        }

        fn below(&mut self, bound: usize) -> usize {
            (self.next() >> 33) as usize % bound
        }

        /// Sum of uniform ones: near enough to normal, mean 0, variance 1.
        fn normal(&mut self) -> f32 {
            (0..12).map(|_| (self.next() >> 40) as f32 / 16_777_216.0).sum::<f32>() - 6.0
        }

        fn vector(&mut self, dim: usize) -> Vec<f32> {
            (0..dim).map(|_| self.normal()).collect()
        }
    }

    fn build(kernel: Kernel, rows: &[f32], dim: usize) -> Index {
        let mut builder = Index::builder(kernel, dim);
        rows.chunks_exact(dim).for_each(|row| builder.push(row).expect("finite"));
        builder.build()
    }

    /// The definition: every row in f32.
    fn brute_force(rows: &[f32], query: &Embedding, search: &Search<'_>) -> Vec<Hit> {
        let rows = rows.chunks_exact(query.values().len()).enumerate();
        let mut hits: Vec<Hit> = rows
            .map(|(position, row)| Hit { position, similarity: dot(row, query.values()) })
            .filter(|hit| search.among.is_none_or(|rows| rows.contains(hit.position)))
            .filter(|hit| search.similarity_min.is_none_or(|min| hit.similarity >= min))
            .collect();
        hits.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.position.cmp(&b.position)));
        hits.truncate(search.count);
        hits
    }

    /// Data of every kind that could be hard: each is rows, row by row.
    fn data(random: &mut Random, kind: usize, count: usize, dim: usize) -> Vec<f32> {
        let unit = |values: Vec<f32>| {
            let norm = norm(&values).max(1e-9) as f32;
            values.into_iter().map(move |value| value / norm).collect::<Vec<_>>()
        };
        let centre = random.vector(dim);
        let mut row = |index: usize| match kind {
            0 => unit(random.vector(dim)),
            // Many equal rows.
            1 => unit(centre.iter().enumerate().map(|(i, c)| c + ((index % 3) * (i % 2)) as f32).collect()),
            // Nearly equal rows: less apart than int8 can tell.
            2 => unit(centre.iter().map(|c| c + 1e-4 * random.normal()).collect()),
            // Differences in the last bits only.
            3 => {
                unit(centre.clone()).into_iter().map(|c| f32::from_bits(c.to_bits() ^ random.below(4) as u32)).collect()
            }
            // One value each.
            4 => (0..dim).map(|i| if i == index % dim { 1.0 } else { 0.0 }).collect(),
            // Norms over twelve orders of magnitude, zeros among them.
            5 => {
                let factor = [0.0, 1e-6, 1e-3, 1.0, 1e6][random.below(5)];
                random.vector(dim).into_iter().map(|value| factor * value).collect()
            }
            // One outlier that takes the whole int8 range.
            6 => (0..dim).map(|i| if i == 0 { 100.0 } else { random.normal() }).collect(),
            // The hardest for a running threshold: ever nearer to the query below.
            _ => unit((0..dim).map(|i| centre[i] + 0.001 * (count - index) as f32 * random.normal()).collect()),
        };
        (0..count).flat_map(&mut row).collect()
    }

    #[test]
    fn hits_are_those_of_a_search_in_f32() {
        let mut random = Random(5);
        let kernels = Kernel::available();
        for round in 0..200 {
            let (kind, kernel) = (round % 8, kernels[random.below(kernels.len())]);
            let (count, dim) = (1 + random.below(400), 1 + random.below(70));
            let rows = data(&mut random, kind, count, dim);
            let index = build(kernel, &rows, dim);
            let near = random.below(count);
            let query = rows[near * dim..][..dim].iter().map(|value| value + 0.01 * random.normal()).collect();
            let Ok(query) = Embedding::normalise(query) else { continue };
            let some: RowSet = (0..count).filter(|_| random.below(3) == 0).collect();
            for (k, similarity_min, among) in [
                (10, None, None),
                (1, None, None),
                (0, None, None),
                (500, Some(0.1), None),
                (7, Some(0.0), Some(&some)),
            ] {
                let search = Search { count: k, similarity_min, among };
                let found = index.search(&query, &search, &rows[..]).expect("infallible");
                let expected = brute_force(&rows, &query, &search);
                assert_eq!(found, expected, "data {kind}, {count} x {dim}, {} {search:?}", kernel.name);
            }
        }
    }

    #[test]
    fn many_queries_and_threads_change_nothing() {
        let mut random = Random(11);
        let (count, dim) = (3 * BLOCK + 100, 24);
        let rows = data(&mut random, 0, count, dim);
        let index = build(Kernel::available()[0], &rows, dim);
        let query = |_| Embedding::normalise(random.vector(dim)).expect("a direction");
        let queries: Vec<Embedding> = (0..QUERIES + 3).map(query).collect();
        let search = Search::nearest(10);
        let expected: Vec<_> = queries.iter().map(|query| brute_force(&rows, query, &search)).collect();
        let together = || index.search_all(&queries, &search, &rows[..]).expect("infallible");
        let one_by_one = || queries.iter().map(|query| index.search(query, &search, &rows[..]).expect("infallible"));
        let three = Threads::new(3).expect("threads");
        assert_eq!(together(), expected);
        assert_eq!(three.run(together), expected);
        assert_eq!(one_by_one().collect::<Vec<_>>(), expected);
        assert_eq!(three.run(|| one_by_one().collect::<Vec<_>>()), expected);
    }

    /// A first look is no use among rows that are all alike, and of use again where they are not.
    #[test]
    fn hits_are_found_with_and_without_a_first_look() {
        let mut random = Random(12);
        let (count, dim) = (400 * GROUP, 16);
        let alike = data(&mut random, 2, count, dim);
        let others = data(&mut random, 0, count, dim);
        let rows = [&alike[..], &others, &alike, &others].concat();
        let query = Embedding::normalise(alike[..dim].to_vec()).expect("a direction");
        for kernel in Kernel::available() {
            let index = build(kernel, &rows, dim);
            for similarity_min in [None, Some(0.9), Some(2.0)] {
                let search = Search { similarity_min, ..Search::nearest(10) };
                let found = index.search(&query, &search, &rows[..]).expect("infallible");
                assert_eq!(found, brute_force(&rows, &query, &search), "{} {similarity_min:?}", kernel.name);
            }
        }
    }

    #[test]
    fn first_looks_stop_where_they_are_no_use_and_begin_again() {
        let mut look = FirstLook::default();
        let mut looks = |groups: usize, is_left: bool| {
            let looked = (0..groups).filter(|_| look.is_worth_it().then(|| look.was_taken(is_left)).is_some());
            looked.count()
        };
        assert_eq!(looks(10 * FirstLook::LOOKS, false), 10 * FirstLook::LOOKS);
        assert_eq!(looks(16 * FirstLook::LOOKS, true), 2 * FirstLook::LOOKS);
        assert_eq!(looks(8 * FirstLook::LOOKS, false), 8 * FirstLook::LOOKS);
    }

    #[test]
    fn most_rows_are_decided_without_their_vectors() {
        struct Counted<'a>(&'a [f32], std::cell::Cell<usize>);
        impl ExactRows for Counted<'_> {
            type Error = Infallible;
            fn read(&self, position: usize, values: &mut [f32]) -> Result<(), Infallible> {
                self.1.set(self.1.get() + 1);
                self.0.read(position, values)
            }
        }
        let mut random = Random(3);
        let (count, dim) = (20_000, 128);
        let rows = data(&mut random, 0, count, dim);
        let index = build(Kernel::available()[0], &rows, dim);
        let query = Embedding::normalise(random.vector(dim)).expect("a direction");
        let counted = Counted(&rows, 0.into());
        index.search(&query, &Search::nearest(10), &counted).expect("infallible");
        assert!((10..200).contains(&counted.1.get()), "{} of {count} rows were read", counted.1.get());
    }

    #[test]
    fn a_row_that_is_not_finite_is_refused() {
        let mut builder = Index::builder(Kernel::SCALAR, 2);
        assert!(builder.push(&[0.0, f32::NAN]).is_err());
        let index = builder.build();
        assert!(index.is_empty());
        let query = Embedding::normalise(vec![1.0, 0.0]).expect("a direction");
        assert_eq!(index.search(&query, &Search::nearest(3), &[][..]).expect("infallible"), []);
    }

    #[test]
    fn an_error_of_the_source_comes_through() {
        struct Broken;
        impl ExactRows for Broken {
            type Error = &'static str;
            fn read(&self, _: usize, _: &mut [f32]) -> Result<(), &'static str> {
                Err("broken")
            }
        }
        let index = build(Kernel::SCALAR, &[1.0, 0.0], 2);
        let query = Embedding::normalise(vec![1.0, 0.0]).expect("a direction");
        assert_eq!(index.search(&query, &Search::nearest(1), &Broken), Err("broken"));
    }

    #[test]
    fn the_dot_product_covers_every_length() {
        for length in 0..40 {
            let values: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let expected: f32 = values.iter().map(|value| value * value).sum();
            assert_eq!(dot(&values, &values), expected);
        }
    }
}
