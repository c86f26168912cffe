//! The balanced k-NN vote: near neighbours weigh more, and rare classes need fewer votes.
//!
//! A majority of ten neighbours misses classes that are rare in the reference: even around a photo of such a class,
//! most neighbours carry a common one. So each class has its own threshold for its share of the votes. The thresholds
//! are fitted on labelled photos that are not in the reference, and account for the frequency of each class.

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{Category, CategoryVerdict, ScoredClass};

use super::answer::{Answer, Answers, lead};
use super::{Neighbour, Weighting};

/// The votes of all categories, in the order of [`Category::ALL`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BalancedVote(pub [CategoryVote; 4]);

/// The vote in one category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryVote {
    /// Number of neighbours, and the weight of each.
    pub weighting: Weighting,
    /// Share of the votes that counts as a strength of 1, for each class; above 0. The strength of a class is its share
    /// divided by its threshold.
    pub thresholds: Vec<f32>,
}

impl BalancedVote {
    /// Answers every category from neighbours, most similar first.
    pub fn answers(&self, neighbours: &[Neighbour]) -> Answers {
        Category::ALL.map(|category| {
            let vote = &self.0[category as usize];
            vote.answer(category, &vote.weighting.class_shares(category, neighbours))
        })
    }

    /// Returns the number of neighbours that the vote needs.
    pub fn neighbours(&self) -> usize {
        self.0.iter().map(|vote| vote.weighting.neighbours).max().unwrap_or(0)
    }
}

impl CategoryVote {
    /// Answers the category. `shares` are the shares of the votes, in class order. The strength of a class is its share
    /// divided by its threshold. A single-label category gets the strongest class. A multi-label category gets every
    /// class whose share reaches its threshold, the strongest first, or the strongest class if there is none.
    /// Confidences are the shares.
    pub fn answer(&self, category: Category, shares: &[f32]) -> Answer {
        let mut seen: Vec<(u8, f32)> = (0..)
            .zip(shares.iter().zip(&self.thresholds))
            .filter(|(_, (share, _))| **share > 0.0)
            .map(|(index, (share, threshold))| (index, share / threshold))
            .collect();
        // The sort is stable, so that equal classes keep the class order.
        seen.sort_by(|a, b| b.1.total_cmp(&a.1));
        let sum: f32 = seen.iter().map(|(_, strength)| strength).sum();
        let lead = lead(category, seen.iter().map(|(_, strength)| strength / sum));
        let chosen = match category.is_multi() {
            true => seen.iter().take_while(|(_, strength)| *strength >= 1.0).count(),
            false => 1,
        };
        seen.truncate(chosen.max(1));
        // Rounding can raise a sum of weights a little above 1.
        let confidence = |index: u8| shares[usize::from(index)].min(1.0);
        let classes = seen.into_iter().map(|(index, _)| ScoredClass { index, confidence: confidence(index) });
        Answer { verdict: CategoryVerdict { classes: classes.collect() }, lead }
    }

    pub(super) fn is_good(&self, category: Category) -> bool {
        self.weighting.is_good()
            && self.thresholds.len() == category.classes().len()
            && self.thresholds.iter().all(|threshold| threshold.is_finite() && *threshold > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(category: Category, thresholds: &[(usize, f32)], shares: &[(usize, f32)]) -> Answer {
        let fill = |default: f32, values: &[(usize, f32)]| {
            let mut list = vec![default; category.classes().len()];
            values.iter().for_each(|&(index, value)| list[index] = value);
            list
        };
        let weighting = Weighting { neighbours: 10, power: 0.0 };
        CategoryVote { weighting, thresholds: fill(0.5, thresholds) }.answer(category, &fill(0.0, shares))
    }

    fn indexes(answer: &Answer) -> Vec<u8> {
        answer.verdict.classes.iter().map(|class| class.index).collect()
    }

    #[test]
    fn a_rare_class_needs_fewer_votes() {
        let shares = [(1, 0.7), (3, 0.3)];
        let (even, balanced) =
            (answer(Category::Soundness, &[], &shares), answer(Category::Soundness, &[(3, 0.1)], &shares));
        assert_eq!((indexes(&even), indexes(&balanced)), (vec![1], vec![3]));
        assert!((even.lead - 0.4).abs() < 1e-6);
        assert!((balanced.lead - (3.0 - 1.4) / 4.4).abs() < 1e-6);
        assert_eq!(balanced.verdict.classes[0].confidence, 0.3);
    }

    #[test]
    fn multi_label_takes_all_that_reach_their_threshold_or_else_the_strongest() {
        let category = Category::DamageType;
        let thresholds = [(2, 0.2), (4, 0.9)];
        assert_eq!(indexes(&answer(category, &thresholds, &[(0, 0.5), (2, 0.4), (4, 0.8)])), [2, 0]);
        assert_eq!(indexes(&answer(category, &thresholds, &[(0, 0.4), (2, 0.1), (4, 0.8)])), [4]);
        assert!(indexes(&answer(category, &thresholds, &[])).is_empty());
    }
}
