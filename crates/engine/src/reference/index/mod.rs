//! Exact search for the nearest vectors.
//!
//! The index keeps rows in memory as int8, a quarter of their size in f32. The int8 product gives each row's similarity
//! within a known error ([`query`]). Rows that these bounds exclude from the nearest are dropped. The remaining rows
//! are compared again while they are in the processor's cache, with a second int8 vector that corrects the rounding of
//! the query. Rows that are still in doubt at the end are compared in f32.
//!
//! Neighbouring rows are stored together ([`block`]). Each group of rows is within a ball around a centre: a row's
//! similarity to a query exceeds the centre's by at most the query's norm times the ball's radius. A search visits the
//! most promising groups first and ends when no other group can contain one of the nearest rows. If most groups can, it
//! visits them in the order of memory, for many queries together.
//!
//! The result is that of a search in f32 over all rows, for any data.

mod block;
mod query;
mod search;
mod shortlist;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::ops::Range;

use bridgeclip_domain::Embedding;
use bridgeclip_kernels::{Finish, Int8Matrix, Kernel, MatrixError, QuantizedRows, over_ranges};

use super::code::{norm, quantize, round_up};
pub(super) use block::Block;
use query::{GROUP, Int8Vectors, Query};
pub use search::{ExactRows, Hit, RowSet, Search};
pub(super) use shortlist::dot;
use shortlist::{Ordered, Shortlist};

/// Number of rows that many queries scan together: the rows and their scores stay in the processor's second-level
/// cache.
const BLOCK: usize = 1024;
/// Number of queries that scan rows together.
const QUERIES: usize = 64;
/// Number of promising groups that a search visits before it decides whether visiting by promise is worth its time.
const FIRST_GROUPS: usize = 16;

/// The vectors of a reference as int8, each with a bound on its error.
#[derive(Debug)]
pub struct Index {
    kernel: Kernel,
    rows: Int8Vectors,
    /// Position in the reference, from 0, of the row at each place in `rows`.
    positions: Vec<u32>,
    centres: Int8Vectors,
    balls: Vec<Ball>,
}

/// The rows of one group that belong to one centre.
#[derive(Clone, Copy, Debug)]
struct Ball {
    /// Index of the group in the rows.
    group: u32,
    /// Index of the centre.
    centre: u32,
    /// Upper bound on the distance of a row from the centre.
    radius: f32,
}

const TOO_MANY: &str = "there are more rows than photos";

/// The data of all blocks, except the int8 values.
#[derive(Default)]
struct Loaded {
    positions: Vec<u32>,
    scales: Vec<f32>,
    errors: Vec<f32>,
    /// Centres of the blocks, `[blocks][dim]`.
    centres: Vec<f32>,
    balls: Vec<Ball>,
}

impl Loaded {
    /// Adds a block's rows. Fails if they are unsound, or if there would be more than `count` rows.
    fn add(&mut self, block: &Block, dim: usize, count: usize) -> Result<(), &'static str> {
        let first = self.positions.len();
        if !block.is_sound(dim) {
            return Err("a block of rows is unsound");
        }
        if block.len() > count - first {
            return Err(TOO_MANY);
        }
        let centre = (self.centres.len() / dim) as u32;
        let end = first + block.len();
        for group in first / GROUP..end.div_ceil(GROUP) {
            // Distances ascend, so the group's last row is the furthest from the centre.
            let radius = block.distances[end.min((group + 1) * GROUP) - 1 - first];
            self.balls.push(Ball { group: group as u32, centre, radius });
        }
        self.positions.extend(&block.positions);
        self.scales.extend(&block.scales);
        self.errors.extend(&block.errors);
        self.centres.extend(&block.centre);
        Ok(())
    }

    /// Reports whether every position below the number of rows is present.
    fn is_complete(&self) -> bool {
        let seen: RowSet =
            self.positions.iter().map(|&position| position as usize).filter(|&p| p < self.positions.len()).collect();
        (0..self.positions.len()).all(|position| seen.contains(position))
    }
}

impl Index {
    /// Builds an index of `count` rows from the blocks that `next` returns. `norm_max` is an upper bound on the norm of
    /// every row.
    pub(super) fn pack(
        kernel: Kernel,
        dim: usize,
        count: usize,
        norm_max: f32,
        mut next: impl FnMut() -> io::Result<Option<Block>>,
    ) -> Result<Self, MatrixError> {
        let mut loaded = Loaded::default();
        // The values of the current block, and the number of them that are used up.
        let (mut int8, mut used): (Vec<i8>, usize) = (Vec::new(), 0);
        let read = |_: usize, out: &mut [i8]| -> io::Result<()> {
            let mut filled = 0;
            while filled < out.len() {
                if used == int8.len() {
                    let block = next()?.ok_or(io::ErrorKind::UnexpectedEof)?;
                    loaded.add(&block, dim, count).map_err(io::Error::other)?;
                    (int8, used) = (block.int8, 0);
                }
                let count = (int8.len() - used).min(out.len() - filled);
                out[filled..][..count].copy_from_slice(&int8[used..][..count]);
                (used, filled) = (used + count, filled + count);
            }
            Ok(())
        };
        // A matrix needs at least one row; a search never reads that of an empty index.
        let matrix = match count {
            0 => Int8Matrix::pack(kernel, 1, dim, |_, _| Ok(()))?,
            count => Int8Matrix::pack(kernel, count, dim, read)?,
        };
        if next()?.is_some() {
            return Err(io::Error::other(TOO_MANY).into());
        }
        if !loaded.is_complete() {
            return Err(io::Error::other("a row is there twice or not at all").into());
        }
        let Loaded { positions, scales, errors, centres, balls } = loaded;
        let rows = Int8Vectors::new(matrix, scales, errors, norm_max);
        Ok(Index { kernel, rows, positions, centres: pack_centres(kernel, dim, &centres)?, balls })
    }

    /// Builds an index of rows in memory, `[rows][dim]`, all around one centre.
    ///
    /// # Panics
    /// If a value is not finite, or if the dimension is 0 or above 65,536.
    pub fn of(kernel: Kernel, dim: usize, rows: &[f32]) -> Self {
        assert!(rows.iter().all(|value| value.is_finite()), "finite values");
        let numbered = (0..).zip(rows.chunks_exact(dim).map(<[f32]>::to_vec)).collect::<Vec<_>>();
        let norm_max = numbered.iter().map(|(_, row)| round_up(norm(row))).fold(0.0, f32::max);
        let mut block = (!numbered.is_empty()).then(|| Block::new(vec![0.0; dim], &numbered));
        Self::pack(kernel, dim, numbered.len(), norm_max, || Ok(block.take())).expect("sound rows")
    }

    /// Number of values of a row.
    pub fn dim(&self) -> usize {
        self.rows.matrix.depth()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the rows most similar to `query`, most similar first; rows of equal similarity in the order of their
    /// positions.
    ///
    /// # Panics
    /// If `query` has another dimension.
    pub fn search<R: ExactRows + ?Sized>(
        &self,
        query: &Embedding,
        search: &Search<'_>,
        rows: &R,
    ) -> Result<Vec<Hit>, R::Error> {
        Ok(self.search_all(std::slice::from_ref(query), search, rows)?.remove(0))
    }

    /// Returns the hits of each query, like [`Self::search`]. Queries scan rows together where that saves time.
    pub fn search_all<R: ExactRows + ?Sized>(
        &self,
        queries: &[Embedding],
        search: &Search<'_>,
        rows: &R,
    ) -> Result<Vec<Vec<Hit>>, R::Error> {
        let mut hits = Vec::with_capacity(queries.len());
        for queries in queries.chunks(QUERIES) {
            let queries =
                queries.iter().map(|query| Query::new(self.kernel, query.values(), &self.rows, &self.centres));
            let queries: Vec<Query> = queries.collect();
            for (query, shortlist) in queries.iter().zip(self.scan(&queries, search)) {
                hits.push(shortlist.compare(query.values, search, rows)?);
            }
        }
        Ok(hits)
    }

    /// Returns, for each query, the rows that can be among the nearest judging by int8 alone.
    fn scan(&self, queries: &[Query<'_>], search: &Search<'_>) -> Vec<Shortlist> {
        if search.count == 0 || self.is_empty() {
            return vec![Shortlist::new(search); queries.len()];
        }
        let looks = over_ranges(queries.len(), |range| {
            queries[range].iter().map(|query| self.look_nearby(query, search)).collect::<Vec<_>>()
        });
        let (mut shortlists, left): (Vec<_>, Vec<_>) = looks.into_iter().flatten().unzip();
        let is_open: Vec<usize> = (0..queries.len()).filter(|&index| !left[index].is_empty()).collect();
        match is_open[..] {
            [] => (),
            [one] => self.look_at_groups(&queries[one], &left[one], search, &mut shortlists[one]),
            _ => {
                let open: Vec<&Query> = is_open.iter().map(|&index| &queries[index]).collect();
                let again: Vec<_> = is_open.iter().map(|&index| shortlists[index].again(search)).collect();
                for (index, shortlist) in is_open.into_iter().zip(self.look_at_all(&open, again, search)) {
                    shortlists[index] = shortlist;
                }
            }
        }
        shortlists
    }

    /// Visits the most promising groups, best first, as long as that saves time. Returns the shortlist and the groups
    /// that remain, in the order of memory.
    fn look_nearby(&self, query: &Query<'_>, search: &Search<'_>) -> (Shortlist, Vec<u32>) {
        let by_centre = query.highest_by_centres(&self.centres);
        let groups = self.len().div_ceil(GROUP);
        let mut bounds = vec![f32::NEG_INFINITY; groups];
        for ball in &self.balls {
            let bound = &mut bounds[ball.group as usize];
            *bound = bound.max(by_centre[ball.centre as usize] + query.norm * ball.radius);
        }
        // Ordered by the greatest similarity that a row of the group can have; of equal groups the first one wins.
        let mut promising: BinaryHeap<(Ordered, Reverse<u32>)> =
            bounds.into_iter().zip(0..).map(|(highest, group)| (Ordered(highest), Reverse(group))).collect();
        let mut shortlist = Shortlist::new(search);
        let mut looks = 0;
        while let Some((_, Reverse(best))) = promising.pop().filter(|(highest, _)| highest.0 >= shortlist.threshold()) {
            let next = promising.peek().map(|(_, Reverse(next))| *next);
            self.look(query, best, next, search, &mut shortlist);
            looks += 1;
            if looks == FIRST_GROUPS {
                promising.retain(|(highest, _)| highest.0 >= shortlist.threshold());
                if promising.len() > groups / 4 {
                    let mut left: Vec<u32> = promising.into_iter().map(|(_, Reverse(group))| group).collect();
                    left.sort_unstable();
                    return (shortlist, left);
                }
            }
        }
        (shortlist, Vec::new())
    }

    /// Visits groups that were not visited before.
    fn look_at_groups(&self, query: &Query<'_>, groups: &[u32], search: &Search<'_>, shortlist: &mut Shortlist) {
        let parts = over_ranges(groups.len(), |range| {
            let mut part = shortlist.beside();
            let next = groups[range.clone()].iter().skip(1).map(|next| Some(*next)).chain([None]);
            for (group, next) in groups[range].iter().zip(next) {
                self.look(query, *group, next, search, &mut part);
            }
            part
        });
        parts.into_iter().for_each(|part| shortlist.add(part));
    }

    /// Visits one group, and prefetches the next one into the cache.
    fn look(&self, query: &Query<'_>, group: u32, next: Option<u32>, search: &Search<'_>, shortlist: &mut Shortlist) {
        let (group, next) = (group as usize, next.map(|next| next as usize));
        if query.highest_at_first_look(&self.rows, group, next) >= shortlist.threshold() {
            self.take(query, group, search, shortlist);
        }
    }

    /// Scans all rows for many queries together.
    fn look_at_all(&self, queries: &[&Query<'_>], shortlists: Vec<Shortlist>, search: &Search<'_>) -> Vec<Shortlist> {
        let values: Vec<f32> = queries.iter().flat_map(|query| query.coarse.iter().copied()).collect();
        let packed = QuantizedRows::quantize(self.kernel, &values, self.dim());
        let parts = over_ranges(self.len().div_ceil(BLOCK), |blocks| {
            let mut shortlists = shortlists.clone();
            let range = blocks.start * BLOCK..self.len().min(blocks.end * BLOCK);
            self.look_at_range(queries, &packed, range, search, &mut shortlists);
            shortlists
        });
        let together = |mut all: Vec<Shortlist>, part: Vec<Shortlist>| {
            all.iter_mut().zip(part).for_each(|(all, part)| all.add(part));
            all
        };
        parts.into_iter().reduce(together).unwrap_or(shortlists)
    }

    fn look_at_range(
        &self,
        queries: &[&Query<'_>],
        packed: &QuantizedRows,
        range: Range<usize>,
        search: &Search<'_>,
        shortlists: &mut [Shortlist],
    ) {
        let zeros = vec![0.0; BLOCK.min(range.len())];
        let mut products = vec![0.0; zeros.len() * queries.len()];
        for start in range.clone().step_by(BLOCK) {
            let rows = start..range.end.min(start + BLOCK);
            let (scales, errors) = (&self.rows.scales[rows.clone()], &self.rows.errors[rows.clone()]);
            let finish = Finish { scales, bias: &zeros[..rows.len()], activation: None, accumulate: false };
            let products = &mut products[..rows.len() * queries.len()];
            self.rows.matrix.multiply_range(packed, &finish, rows.clone(), products);
            for ((query, products), shortlist) in queries.iter().zip(products.chunks(rows.len())).zip(&mut *shortlists)
            {
                for (group, (products, errors)) in products.chunks(GROUP).zip(errors.chunks(GROUP)).enumerate() {
                    if query.highest_by_coarse(products, errors) >= shortlist.threshold() {
                        self.take(query, start / GROUP + group, search, shortlist);
                    }
                }
            }
        }
    }

    /// Adds the rows of one group that can be among the nearest to the shortlist.
    fn take(&self, query: &Query<'_>, group: usize, search: &Search<'_>, shortlist: &mut Shortlist) {
        let mut scores = [0.0; GROUP];
        if query.look(&self.rows, group, &mut scores) < shortlist.threshold() {
            return;
        }
        for (place, score) in self.rows.group(group).zip(scores) {
            let position = self.positions[place];
            if search.among.is_none_or(|rows| rows.contains(position as usize)) {
                shortlist.take(position, score, query.doubt(self.rows.errors[place]));
            }
        }
    }
}

fn pack_centres(kernel: Kernel, dim: usize, centres: &[f32]) -> Result<Int8Vectors, MatrixError> {
    let (mut scales, mut errors, mut norm_max) = (Vec::new(), Vec::new(), 0.0_f32);
    let count = centres.len() / dim;
    let matrix = Int8Matrix::pack(kernel, count.max(1), dim, |first, out| {
        for (centre, out) in centres.chunks_exact(dim).skip(first).zip(out.chunks_exact_mut(dim)) {
            let (scale, error) = quantize(centre, out);
            scales.push(scale);
            errors.push(error);
            norm_max = norm_max.max(round_up(norm(centre)));
        }
        Ok(())
    })?;
    Ok(Int8Vectors::new(matrix, scales, errors, norm_max))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bridgeclip_kernels::Threads;
    use bridgeclip_random::Random;

    use super::*;

    fn vector(random: &mut Random, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| random.normal()).collect()
    }

    /// Builds an index in which each row is in the block of the nearest of some centres.
    fn in_balls(random: &mut Random, kernel: Kernel, rows: &[f32], dim: usize) -> Index {
        let rows: Vec<&[f32]> = rows.chunks_exact(dim).collect();
        let centres: Vec<&[f32]> = (0..1 + random.below(7)).map(|_| rows[random.below(rows.len())]).collect();
        let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        let mut members = vec![Vec::new(); centres.len()];
        for (position, row) in (0..).zip(&rows) {
            let nearest = (0..centres.len()).min_by(|&a, &b| apart(row, centres[a]).total_cmp(&apart(row, centres[b])));
            members[nearest.expect("a centre")].push((position, row.to_vec()));
        }
        let blocks = centres.iter().zip(&members).filter(|(_, members)| !members.is_empty());
        let mut blocks = blocks.map(|(centre, members)| Block::new(centre.to_vec(), members));
        let norm_max = rows.iter().map(|row| round_up(norm(row))).fold(0.0, f32::max);
        Index::pack(kernel, dim, rows.len(), norm_max, || Ok(blocks.next())).expect("sound blocks")
    }

    /// Searches every row in f32: the definition of a correct result.
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

    /// Returns rows, row by row, of one of eight kinds of data that could be hard for the search.
    fn data(random: &mut Random, kind: usize, count: usize, dim: usize) -> Vec<f32> {
        let unit = |values: Vec<f32>| {
            let norm = norm(&values).max(1e-9) as f32;
            values.into_iter().map(move |value| value / norm).collect::<Vec<_>>()
        };
        let centre = vector(random, dim);
        let mut row = |index: usize| match kind {
            0 => unit(vector(random, dim)),
            // Many equal rows.
            1 => unit(centre.iter().enumerate().map(|(i, c)| c + ((index % 3) * (i % 2)) as f32).collect()),
            // Nearly equal rows: their distances are smaller than int8 can resolve.
            2 => unit(centre.iter().map(|c| c + 1e-4 * random.normal()).collect()),
            // Differences in the last bits only.
            3 => {
                unit(centre.clone()).into_iter().map(|c| f32::from_bits(c.to_bits() ^ random.below(4) as u32)).collect()
            }
            // Unit vectors with a single value each.
            4 => (0..dim).map(|i| if i == index % dim { 1.0 } else { 0.0 }).collect(),
            // Norms over twelve orders of magnitude, including zero vectors.
            5 => {
                let factor = [0.0, 1e-6, 1e-3, 1.0, 1e6][random.below(5)];
                vector(random, dim).into_iter().map(|value| factor * value).collect()
            }
            // One outlier that uses up the int8 range.
            6 => (0..dim).map(|i| if i == 0 { 100.0 } else { random.normal() }).collect(),
            // The hardest case for a running threshold: each row is nearer to the query than the last.
            _ => unit((0..dim).map(|i| centre[i] + 0.001 * (count - index) as f32 * random.normal()).collect()),
        };
        (0..count).flat_map(&mut row).collect()
    }

    #[test]
    fn hits_are_those_of_a_search_in_f32() {
        let mut random = Random::new(&[5]);
        let kernels = Kernel::available();
        for round in 0..200 {
            let (kind, kernel) = (round % 8, kernels[random.below(kernels.len())]);
            let (count, dim) = (1 + random.below(400), 1 + random.below(70));
            let rows = data(&mut random, kind, count, dim);
            let index = match random.below(2) {
                0 => Index::of(kernel, dim, &rows),
                _ => in_balls(&mut random, kernel, &rows, dim),
            };
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
        let mut random = Random::new(&[11]);
        let (count, dim) = (3 * BLOCK + 100, 24);
        let rows = data(&mut random, 0, count, dim);
        let index = in_balls(&mut random, Kernel::available()[0], &rows, dim);
        let query = |_| Embedding::normalise(vector(&mut random, dim)).expect("a direction");
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

    #[test]
    fn only_promising_groups_are_looked_at_where_rows_form_clusters() {
        let mut random = Random::new(&[12]);
        let (count, dim) = (100 * GROUP, 16);
        let clusters: Vec<f32> = (0..50).flat_map(|_| data(&mut random, 2, count / 50, dim)).collect();
        let all_alike = data(&mut random, 0, count, dim);
        for (rows, few) in [(clusters, true), (all_alike, false)] {
            let blocks = rows.chunks(count / 50 * dim).enumerate().map(|(index, rows)| {
                let positions = (index * count / 50) as u32..;
                let rows: Vec<_> = positions.zip(rows.chunks(dim).map(<[f32]>::to_vec)).collect();
                Block::new(rows[0].1.clone(), &rows)
            });
            for kernel in Kernel::available() {
                let mut blocks = blocks.clone();
                let index = Index::pack(kernel, dim, count, 1.001, || Ok(blocks.next())).expect("sound blocks");
                let query = Embedding::normalise(rows[..dim].to_vec()).expect("a direction");
                let query_here = Query::new(kernel, query.values(), &index.rows, &index.centres);
                let (_, left) = index.look_nearby(&query_here, &Search::nearest(10));
                assert_eq!(left.is_empty(), few, "{}", kernel.name);
                for similarity_min in [None, Some(0.9), Some(2.0)] {
                    let search = Search { similarity_min, ..Search::nearest(10) };
                    let found = index.search(&query, &search, &rows[..]).expect("infallible");
                    assert_eq!(found, brute_force(&rows, &query, &search), "{} {similarity_min:?}", kernel.name);
                }
            }
        }
    }

    #[test]
    fn blocks_that_do_not_fit_are_refused() {
        let block = |positions: &[u32]| {
            Block::new(vec![0.0; 2], &positions.iter().map(|&position| (position, vec![1.0, 0.0])).collect::<Vec<_>>())
        };
        let pack = |count: usize, blocks: &[Block]| {
            let mut blocks = blocks.iter().cloned();
            Index::pack(Kernel::SCALAR, 2, count, 1.0, || Ok(blocks.next()))
                .map(drop)
                .map_err(|error| error.to_string())
        };
        assert_eq!(pack(3, &[block(&[2, 0]), block(&[1])]), Ok(()));
        assert!(pack(4, &[block(&[2, 0]), block(&[1])]).is_err(), "too few rows");
        assert_eq!(pack(2, &[block(&[2, 0])]), Err("a row is there twice or not at all".to_owned()));
        assert_eq!(pack(3, &[block(&[2, 0]), block(&[2])]), Err("a row is there twice or not at all".to_owned()));
        assert_eq!(pack(2, &[block(&[0, 1]), block(&[2])]), Err("there are more rows than photos".to_owned()));
        assert_eq!(pack(2, &[block(&[0]), block(&[1, 2])]), Err("there are more rows than photos".to_owned()));
        assert_eq!(
            pack(1, &[Block { errors: vec![-1.0], ..block(&[0]) }]),
            Err("a block of rows is unsound".to_owned())
        );
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
        let mut random = Random::new(&[3]);
        let (count, dim) = (20_000, 128);
        let rows = data(&mut random, 0, count, dim);
        let index = in_balls(&mut random, Kernel::available()[0], &rows, dim);
        let query = Embedding::normalise(vector(&mut random, dim)).expect("a direction");
        let counted = Counted(&rows, 0.into());
        index.search(&query, &Search::nearest(10), &counted).expect("infallible");
        assert!((10..200).contains(&counted.1.get()), "{} of {count} rows were read", counted.1.get());
    }

    #[test]
    fn an_empty_index_has_no_hits() {
        let index = Index::of(Kernel::SCALAR, 2, &[]);
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
        let index = Index::of(Kernel::SCALAR, 2, &[1.0, 0.0]);
        let query = Embedding::normalise(vec![1.0, 0.0]).expect("a direction");
        assert_eq!(index.search(&query, &Search::nearest(1), &Broken), Err("broken"));
    }
}
