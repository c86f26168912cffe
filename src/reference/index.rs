//! Exact search for the nearest vectors.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::domain::Embedding;

/// All vectors of a reference in memory.
#[derive(Debug)]
pub struct Index {
    dim: usize,
    ids: Vec<i64>,
    /// Row by row, `dim` values each.
    vectors: Vec<f32>,
}

/// A row and its cosine similarity to the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub id: i64,
    pub similarity: f32,
}

impl Index {
    pub fn new(dim: usize) -> Self {
        Index { dim, ids: Vec::new(), vectors: Vec::new() }
    }

    /// Appends a row. A value that is not finite is returned as the error and nothing is added.
    pub fn push(&mut self, id: i64, values: impl Iterator<Item = f32>) -> Result<(), f32> {
        let start = self.vectors.len();
        self.vectors.extend(values.take(self.dim));
        match self.vectors[start..].iter().find(|value| !value.is_finite()) {
            Some(&value) => {
                self.vectors.truncate(start);
                Err(value)
            }
            None => {
                self.ids.push(id);
                Ok(())
            }
        }
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The `k` rows most similar to `query`, most similar first; equal similarities in the order of their ids.
    pub fn nearest(&self, query: &Embedding, k: usize) -> Vec<Hit> {
        let mut heap = BinaryHeap::with_capacity(k + 1);
        for (&id, row) in self.ids.iter().zip(self.vectors.chunks_exact(self.dim)) {
            heap.push(Ranked(Hit { id, similarity: dot(row, query.values()) }));
            if heap.len() > k {
                heap.pop();
            }
        }
        heap.into_sorted_vec().into_iter().map(|ranked| ranked.0).collect()
    }
}

/// A hit that is ordered by rank: the best is the smallest.
struct Ranked(Hit);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.similarity.total_cmp(&self.0.similarity).then(self.0.id.cmp(&other.0.id))
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

/// Sixteen sums side by side, so that the compiler can keep them in vector registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
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

    fn index(rows: &[(i64, [f32; 2])]) -> Index {
        let mut index = Index::new(2);
        for (id, row) in rows {
            index.push(*id, row.iter().copied()).expect("finite");
        }
        index
    }

    #[test]
    fn most_similar_first_and_ties_by_id() {
        let index = index(&[(4, [0.0, 1.0]), (2, [1.0, 0.0]), (3, [-1.0, 0.0]), (1, [1.0, 0.0])]);
        let query = Embedding::normalise(vec![1.0, 0.0]).unwrap();
        let ids = |k| index.nearest(&query, k).iter().map(|hit| hit.id).collect::<Vec<_>>();
        assert_eq!(ids(9), [1, 2, 4, 3]);
        assert_eq!(ids(1), [1]);
        assert_eq!(ids(0), [0_i64; 0]);
    }

    #[test]
    fn a_row_that_is_not_finite_is_refused() {
        let mut index = Index::new(2);
        assert!(index.push(1, [0.0, f32::NAN].into_iter()).is_err());
        assert!(index.is_empty());
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
