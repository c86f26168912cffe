//! Labelled photos near a query, in the form that votes use.

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{Category, Evidence, Labels};

/// Upper limit on the number of neighbours that count.
pub const NEIGHBOURS_MAX: usize = 1000;

/// A labelled photo near the query.
#[derive(Clone, Copy, Debug)]
pub struct Neighbour<'a> {
    /// Cosine similarity in [-1, 1].
    pub similarity: f32,
    pub labels: &'a Labels,
}

/// Weights of neighbours: inversely proportional to a power of their distance.
///
/// Unlike a kernel of fixed width, this has no scale to be adapted to a model's embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weighting {
    /// Number of nearest neighbours that count, 1 to [`NEIGHBOURS_MAX`].
    pub neighbours: usize,
    /// Power of the distance, 0 to 16. With 0 all neighbours weigh the same.
    pub power: f32,
}

/// Value added to every distance, so that a photo that is itself in the reference does not outweigh all neighbours.
const DISTANCE_MIN: f32 = 0.01;
/// Upper limit on the power. Greater powers would leave the nearest neighbour as the only one that counts.
const POWER_MAX: f32 = 16.0;

impl<'a> From<&'a Evidence> for Neighbour<'a> {
    fn from(evidence: &'a Evidence) -> Self {
        Neighbour { similarity: evidence.similarity, labels: &evidence.labels }
    }
}

impl Weighting {
    /// Returns the weights of the nearest of `neighbours`, which are ordered, most similar first. The weights sum to 1.
    pub fn weights(&self, neighbours: &[Neighbour]) -> Vec<f32> {
        let counted = &neighbours[..self.neighbours.min(neighbours.len())];
        // Half the square of the distance between unit-length vectors.
        let distance = |neighbour: &Neighbour| (1.0 - neighbour.similarity).max(0.0) + DISTANCE_MIN;
        // Relative to the nearest distance, so that no power overflows or underflows the weights.
        let weight = |neighbour: &Neighbour| (distance(&counted[0]) / distance(neighbour)).powf(self.power);
        let weights: Vec<f32> = counted.iter().map(weight).collect();
        let sum: f32 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }

    /// Returns for each class the share of the weight that carries it, in [0, 1].
    pub fn class_shares(&self, category: Category, neighbours: &[Neighbour]) -> Vec<f32> {
        let mut shares = vec![0.0; category.classes().len()];
        for (neighbour, weight) in neighbours.iter().zip(self.weights(neighbours)) {
            for &index in neighbour.labels.get(category).indexes() {
                shares[usize::from(index)] += weight;
            }
        }
        shares
    }

    /// Returns the share of the weight whose labels `carries` accepts, in [0, 1].
    pub fn share(&self, neighbours: &[Neighbour], carries: impl Fn(&Labels) -> bool) -> f32 {
        let weights = self.weights(neighbours);
        neighbours
            .iter()
            .zip(weights)
            .filter(|(neighbour, _)| carries(neighbour.labels))
            .map(|(_, weight)| weight)
            .sum()
    }

    pub(super) fn is_good(&self) -> bool {
        (1..=NEIGHBOURS_MAX).contains(&self.neighbours) && (0.0..=POWER_MAX).contains(&self.power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::test_neighbours::{labels, neighbours};

    #[test]
    fn near_neighbours_weigh_more_and_all_weights_sum_to_1() {
        let labels = labels(Category::Soundness, &["I", "II", "II", "IV"]);
        let found = neighbours(&labels, &[0.9, 0.8, 0.8, 0.1]);
        let weighting = Weighting { neighbours: 3, power: 2.0 };
        let weights = weighting.weights(&found);
        let ratio = (0.21_f32 / 0.11).powi(2);
        assert!((weights[0] / weights[1] - ratio).abs() < 1e-4 && weights.len() == 3);
        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let shares = weighting.class_shares(Category::Soundness, &found);
        assert!((shares[0] - ratio / (ratio + 2.0)).abs() < 1e-5 && shares[3] == 0.0);
        let even = Weighting { neighbours: 9, power: 0.0 };
        assert_eq!(even.class_shares(Category::Soundness, &found), [0.25, 0.5, 0.0, 0.25]);
        assert_eq!(even.share(&found, |labels| labels.get(Category::Soundness).indexes() == [3]), 0.25);
        assert!(even.weights(&[]).is_empty());
    }
}
