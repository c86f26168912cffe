//! Estimates how a smaller reference would answer, by k-NN classification with random parts of the reference.

use rayon::prelude::*;

use super::{Judged, ScalingPoint, classification};
use crate::classify::{Neighbour, published_vote};
use crate::domain::{Embedding, Labels};
use crate::random::Random;
use crate::reference::LabelledVectors;

/// Seed of the published samples. This program uses another generator, so it draws other rows.
const SEED: u64 = 42;

/// Classifies `queries` with each of `sizes` rows of the reference and scores the answers against `truth`.
///
/// Every larger part contains all rows of the smaller ones. The work grows with queries times rows, for any number of
/// sizes, and is spread over all cores.
///
/// # Panics
/// If a size is 0 or exceeds the reference, or if the numbers of queries and truths differ.
pub fn scaling(
    reference: &LabelledVectors,
    queries: &[Embedding],
    truth: &[Labels],
    sizes: &[usize],
    neighbours: usize,
) -> Vec<ScalingPoint> {
    assert_eq!(queries.len(), truth.len());
    assert!(sizes.iter().all(|size| (1..=reference.len()).contains(size)), "sizes within the reference");
    let order = shuffled(reference.len(), SEED);
    let found: Vec<Vec<Judged>> = queries
        .par_iter()
        .zip(truth)
        .map(|(query, truth)| {
            let nearest = nearest_by_size(reference, &order, query, sizes, neighbours);
            nearest.iter().map(|nearest| judge(reference, nearest, truth)).collect()
        })
        .collect();
    let point = |(index, &reference_photos): (usize, &usize)| {
        let judged: Vec<Judged> = found.iter().map(|sizes| sizes[index].clone()).collect();
        ScalingPoint { reference_photos, classification: classification(&judged) }
    };
    sizes.iter().enumerate().map(point).collect()
}

fn judge(reference: &LabelledVectors, nearest: &Nearest, truth: &Labels) -> Judged {
    let neighbour = |&(similarity, row): &(f32, usize)| Neighbour { similarity, labels: &reference.labels[row] };
    let neighbours: Vec<Neighbour> = nearest.best.iter().map(neighbour).collect();
    Judged { truth: truth.clone(), answers: published_vote(&neighbours).map(|answer| answer.verdict) }
}

/// Passes over the rows once and records the nearest ones at each size.
fn nearest_by_size(
    reference: &LabelledVectors,
    order: &[usize],
    query: &Embedding,
    sizes: &[usize],
    neighbours: usize,
) -> Vec<Nearest> {
    let mut taken: Vec<Nearest> = vec![Nearest::default(); sizes.len()];
    let mut nearest = Nearest::default();
    for (count, &row) in (1..).zip(order) {
        nearest.offer(reference.similarity(row, query), row, neighbours);
        for (taken, _) in taken.iter_mut().zip(sizes).filter(|(_, size)| **size == count) {
            taken.clone_from(&nearest);
        }
    }
    taken
}

/// The nearest rows so far, most similar first; rows of equal similarity in the order of the rows.
#[derive(Clone, Debug, Default)]
struct Nearest {
    best: Vec<(f32, usize)>,
}

impl Nearest {
    fn offer(&mut self, similarity: f32, row: usize, limit: usize) {
        let place = self
            .best
            .partition_point(|&(other, other_row)| other.total_cmp(&similarity).then(row.cmp(&other_row)).is_gt());
        if place < limit {
            self.best.truncate(limit - 1);
            self.best.insert(place, (similarity, row));
        }
    }
}

/// Returns 0..`count` in the random order of a seed.
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    Random::splitmix64(seed).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Category, CategoryLabels};

    #[test]
    fn the_shuffle_keeps_every_row_and_depends_on_the_seed_alone() {
        let order = shuffled(100, SEED);
        assert_eq!(order, shuffled(100, SEED));
        assert_ne!(order, shuffled(100, 43));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn nearest_rows_come_in_order_and_ties_by_row() {
        let mut nearest = Nearest::default();
        for (similarity, row) in [(0.5, 7), (0.9, 3), (0.5, 2), (0.1, 0), (0.9, 1)] {
            nearest.offer(similarity, row, 4);
        }
        assert_eq!(nearest.best, [(0.9, 1), (0.9, 3), (0.5, 2), (0.5, 7)]);
    }

    #[test]
    fn with_all_rows_every_query_finds_itself() {
        let labels: Vec<Labels> =
            (0..4).map(|class| Labels::new(|category| CategoryLabels::new(category, [class]))).collect();
        let rows: Vec<Embedding> = (0..4)
            .map(|axis| {
                Embedding::normalise((0..4).map(|i| f32::from(u8::from(i == axis))).collect()).expect("a vector")
            })
            .collect();
        let values = rows.iter().flat_map(|row| row.values().to_vec()).collect();
        let reference = LabelledVectors { dim: 4, values, labels: labels.clone() };
        let points = scaling(&reference, &rows, &labels, &[1, 4], 1);
        assert_eq!(points[1].classification.categories[&Category::Soundness].macro_f1, 1.0);
        assert_eq!(points[0].classification.categories[&Category::Soundness].exact_match, 0.25);
    }
}
