//! The rows that can be among a query's nearest, as far as a search has come, and the hits that are left in the end.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::{ExactRows, Hit, Search};

/// The rows that can be among the nearest by what is known of those looked at.
#[derive(Clone)]
pub struct Shortlist {
    /// Rows whose similarity is below this are surely not among the nearest.
    floor: f32,
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
    pub fn new(search: &Search<'_>) -> Self {
        Self::above(search, search.similarity_min.unwrap_or(f32::NEG_INFINITY))
    }

    /// For the same search among all rows again, with what is known of the threshold.
    pub fn again(&self, search: &Search<'_>) -> Self {
        Self::above(search, self.threshold())
    }

    /// For the same search among rows that this one did not look at; see [`Self::add`].
    pub fn beside(&self) -> Self {
        Shortlist { floor: self.floor, lowest: self.lowest.clone(), candidates: Vec::new() }
    }

    fn above(search: &Search<'_>, floor: f32) -> Self {
        Shortlist { floor, lowest: Best::new(search.count), candidates: Vec::new() }
    }

    /// Rows whose similarity is surely below this are out.
    pub fn threshold(&self) -> f32 {
        self.lowest.threshold().max(self.floor)
    }

    /// Takes a row whose similarity is `score`, give or take the error.
    pub fn take(&mut self, position: u32, score: f32, error: f32) {
        let candidate = Candidate { position, score, error };
        if candidate.highest() >= self.threshold() {
            self.lowest.push(score - error);
            self.candidates.push(candidate);
        }
    }

    /// Adds what was found among other rows. No rows are taken after that.
    pub fn add(&mut self, others: Shortlist) {
        self.candidates.extend(others.candidates);
    }

    /// Compares the rows that are left with the query in f32, the most promising first.
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
        // The best rank is the smallest.
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

/// Sixteen sums side by side, so that the compiler can keep them in vector registers. The same bits on every machine.
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
