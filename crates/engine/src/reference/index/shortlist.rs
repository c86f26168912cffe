//! The rows that can be among a query's nearest while a search runs, and the hits that remain at its end.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::search::{ExactRows, Hit, Search};

/// The rows that can be among the nearest, given the rows visited so far.
#[derive(Clone)]
pub struct Shortlist {
    /// Similarity below which a row is certainly not among the nearest.
    floor: f32,
    /// The `count` greatest lower bounds of the rows visited: that many rows certainly are this similar.
    lowest: Best,
    candidates: Vec<Candidate>,
}

/// A row that can be among the nearest.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    position: u32,
    /// Similarity of the row, within `error`.
    score: f32,
    error: f32,
}

impl Candidate {
    fn highest(&self) -> f32 {
        self.score + self.error
    }
}

impl Shortlist {
    /// Returns an empty shortlist.
    pub fn new(search: &Search<'_>) -> Self {
        Self::above(search, search.similarity_min.unwrap_or(f32::NEG_INFINITY))
    }

    /// Returns an empty shortlist for the same search over all rows again. It keeps the threshold.
    pub fn again(&self, search: &Search<'_>) -> Self {
        Self::above(search, self.threshold())
    }

    /// Returns an empty shortlist for the same search over other rows. [`Self::add`] joins it with this one.
    pub fn beside(&self) -> Self {
        Shortlist { floor: self.floor, lowest: self.lowest.clone(), candidates: Vec::new() }
    }

    fn above(search: &Search<'_>, floor: f32) -> Self {
        Shortlist { floor, lowest: Best::new(search.count), candidates: Vec::new() }
    }

    /// Similarity below which a row is certainly not among the nearest.
    pub fn threshold(&self) -> f32 {
        self.lowest.threshold().max(self.floor)
    }

    /// Adds a row whose similarity is `score`, within `error`, if it can be among the nearest.
    pub fn take(&mut self, position: u32, score: f32, error: f32) {
        let candidate = Candidate { position, score, error };
        if candidate.highest() >= self.threshold() {
            self.lowest.push(score - error);
            self.candidates.push(candidate);
        }
    }

    /// Adds the candidates found among other rows. To be called after the last [`Self::take`], because it leaves the
    /// threshold as it is.
    pub fn add(&mut self, others: Shortlist) {
        self.candidates.extend(others.candidates);
    }

    /// Compares the remaining rows with the query in f32, the most promising first, and returns the hits.
    pub fn compare<R: ExactRows + ?Sized>(
        mut self,
        query: &[f32],
        search: &Search<'_>,
        rows: &R,
    ) -> Result<Vec<Hit>, R::Error> {
        let mut lowest = Best::new(search.count);
        self.candidates.iter().for_each(|candidate| lowest.push(candidate.score - candidate.error));
        let threshold = lowest.threshold().max(self.floor);
        self.candidates.retain(|candidate| candidate.highest() >= threshold);
        self.candidates.sort_by(|a, b| b.highest().total_cmp(&a.highest()));
        let mut values = vec![0.0; query.len()];
        // The heap's maximum is the worst hit: the order of similarities is reversed.
        let mut best = BinaryHeap::with_capacity(search.count.min(self.candidates.len()) + 1);
        for candidate in self.candidates {
            let worst = best.peek().filter(|_| best.len() == search.count);
            if worst.is_some_and(|(Reverse(Ordered(similarity)), _)| candidate.highest() < *similarity) {
                break;
            }
            let position = candidate.position as usize;
            rows.read(position, &mut values)?;
            let similarity = dot(&values, query);
            if search.similarity_min.is_none_or(|min| similarity >= min) {
                best.push((Reverse(Ordered(similarity)), position));
                if best.len() > search.count {
                    best.pop();
                }
            }
        }
        let hit = |(Reverse(Ordered(similarity)), position)| Hit { position, similarity };
        Ok(best.into_sorted_vec().into_iter().map(hit).collect())
    }
}

/// The `count` greatest of many values.
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

    /// Returns the least of the values once there are `count` of them, and negative infinity before.
    fn threshold(&self) -> f32 {
        match self.values.peek() {
            Some(Reverse(Ordered(least))) if self.values.len() == self.count => *least,
            _ => f32::NEG_INFINITY,
        }
    }
}

/// A number in its total order, for heaps.
#[derive(Clone, Copy, Debug)]
pub struct Ordered(pub f32);

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

/// Returns the dot product: sixteen sums side by side, so that the compiler can keep them in vector registers. The
/// result has the same bits on every machine.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
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

    #[test]
    fn the_dot_product_covers_every_length() {
        for length in 0..40 {
            let values: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let expected: f32 = values.iter().map(|value| value * value).sum();
            assert_eq!(dot(&values, &values), expected);
        }
    }
}
