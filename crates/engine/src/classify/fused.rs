//! The fused rule: the votes of near neighbours and the linear heads, joined to one probability per class.
//!
//! The logit of a class is a weighted sum of evidence from a narrow vote, a wide vote and the heads, each relative to the
//! class's frequency in the reference, plus that frequency and an offset. In a single-label category the probabilities
//! are the softmax of the logits, in a multi-label category their sigmoids. Macro-F1 counts every class alike, so the
//! answer is not the most probable class: each class has a threshold and a worth, see [`CategoryFusion::answer`].

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{Category, CategoryVerdict, ScoredClass, Scores};

use super::answer::{Answer, Answers, lead};
use super::{NEIGHBOURS_MAX, Neighbour, Weighting, published_vote};
use crate::heads::softmax;

/// Number of kinds of evidence about a class: the narrow vote, the wide vote, the heads, its frequency.
pub const EVIDENCE: usize = 4;
/// Probabilities of heads nearer to 0 or 1 than this count as this near.
const PROBABILITY_MIN: f32 = 1e-5;
/// Upper limit on the magnitude of coefficients, offsets and worths.
const MAGNITUDE_MAX: f32 = 1e6;

/// The fusions of all categories, in the order of [`Category::ALL`]. A category without one keeps the published vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FusedVote(pub [Option<CategoryFusion>; 4]);

/// The fusion in one category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryFusion {
    /// Probabilities of the classes.
    pub logits: Logits,
    /// Probability of each class from which it is worth answering, in (0, 1).
    pub thresholds: Vec<f32>,
    /// Weight of what a class's probability has above its threshold, for each class; above 0.
    pub worths: Vec<f32>,
}

/// A model of the probabilities of a category's classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logits {
    /// The votes, and the frequencies that their evidence is relative to.
    pub basis: FusionBasis,
    /// Weight of each kind of evidence.
    pub coefficients: [f32; EVIDENCE],
    /// Offset of each class's logit.
    pub offsets: Vec<f32>,
}

/// What the evidence of a category is computed with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionBasis {
    /// The narrow vote and the wide one.
    pub votes: [Weighting; 2],
    /// Share of the reference's photos that have the class, for each class, in (0, 1).
    pub frequencies: Vec<f32>,
}

impl FusedVote {
    /// Answers every category from neighbours, most similar first, and from the probabilities of the linear heads.
    /// `published` is the number of neighbours of the published vote, for categories without a fusion.
    pub fn answers(&self, neighbours: &[Neighbour], linear: &Scores, published: usize) -> Answers {
        let mut answers = published_vote(&neighbours[..published.min(neighbours.len())]);
        for (category, fusion) in Category::ALL.into_iter().zip(&self.0) {
            if let Some(fusion) = fusion.as_ref().filter(|_| !neighbours.is_empty()) {
                let probabilities = fusion.logits.of_neighbours(category, neighbours, Some(linear.get(category)));
                answers[category as usize] = fusion.answer(category, &probabilities);
            }
        }
        answers
    }

    /// Returns the number of neighbours that the votes need.
    pub fn neighbours(&self) -> usize {
        self.0.iter().flatten().map(|fusion| fusion.logits.neighbours()).max().unwrap_or(0)
    }

    pub(super) fn is_good(&self) -> bool {
        let is_good = |(category, fusion): (Category, &Option<CategoryFusion>)| {
            fusion.as_ref().is_none_or(|fusion| fusion.is_good(category))
        };
        Category::ALL.into_iter().zip(&self.0).all(is_good)
    }
}

impl FusionBasis {
    /// Returns the evidence about each class. `linear` are the probabilities of the linear heads, in class order; without
    /// heads their evidence is 0.
    ///
    /// A vote's share counts as if one more neighbour had the labels of an average photo, so that no share is 0.
    pub fn evidence(
        &self,
        category: Category,
        neighbours: &[Neighbour],
        linear: Option<&[f32]>,
    ) -> Vec<[f32; EVIDENCE]> {
        let log = |probability: f32| match category.is_multi() {
            true => (probability / (1.0 - probability).max(PROBABILITY_MIN)).ln(),
            false => probability.ln(),
        };
        let shares = self.votes.map(|vote| vote.class_shares(category, neighbours));
        let counted = neighbours.len().min(10) as f32;
        let class = |(index, frequency): (usize, &f32)| {
            let prior = log(*frequency);
            let vote = |of: usize| log((shares[of][index] * counted + frequency) / (counted + 1.0)) - prior;
            let probability = |list: &[f32]| list[index].clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN);
            let heads = linear.map_or(0.0, |list| log(probability(list)) - prior);
            [vote(0), vote(1), heads, prior]
        };
        self.frequencies.iter().enumerate().map(class).collect()
    }
}

impl Logits {
    /// Returns the probability of each class, in [0, 1], from neighbours and from the probabilities of the linear heads; see
    /// [`FusionBasis::evidence`].
    pub fn of_neighbours(&self, category: Category, neighbours: &[Neighbour], linear: Option<&[f32]>) -> Vec<f32> {
        self.probabilities(category, &self.basis.evidence(category, neighbours, linear))
    }

    /// Returns the probability of each class, in [0, 1].
    pub fn probabilities(&self, category: Category, evidence: &[[f32; EVIDENCE]]) -> Vec<f32> {
        let logit = |(evidence, offset): (&[f32; EVIDENCE], &f32)| {
            evidence.iter().zip(&self.coefficients).map(|(value, weight)| value * weight).sum::<f32>() + offset
        };
        let logits: Vec<f32> = evidence.iter().zip(&self.offsets).map(logit).collect();
        match category.is_multi() {
            true => logits.into_iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
            false => softmax(&logits),
        }
    }

    /// Returns the number of neighbours that the votes need.
    pub(super) fn neighbours(&self) -> usize {
        self.basis.votes.iter().map(|vote| vote.neighbours).max().unwrap_or(0)
    }

    pub(super) fn is_good(&self, category: Category) -> bool {
        let classes = category.classes().len();
        let in_reach = |value: &f32| value.abs() <= MAGNITUDE_MAX;
        [&self.basis.frequencies, &self.offsets].iter().all(|list| list.len() == classes)
            && self.basis.votes.iter().all(|vote| vote.is_good() && vote.neighbours <= NEIGHBOURS_MAX)
            && self.basis.frequencies.iter().all(is_share)
            && self.coefficients.iter().chain(&self.offsets).all(in_reach)
    }
}

impl CategoryFusion {
    /// Answers the category. The value of a class is `(probability - threshold) * worth`. A single-label category gets
    /// the class with the greatest value, a multi-label category every class with a value of at least 0, the greatest
    /// first, or the class with the greatest one if there is none. Confidences are the probabilities.
    pub fn answer(&self, category: Category, probabilities: &[f32]) -> Answer {
        let value = |index: usize| (probabilities[index] - self.thresholds[index]) * self.worths[index];
        let mut ranked: Vec<(u8, f32)> = (0..probabilities.len()).map(|index| (index as u8, value(index))).collect();
        // The sort is stable, so that equal classes keep the class order.
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        let lead = lead(category, ranked.iter().map(|(_, value)| *value));
        let chosen = match category.is_multi() {
            true => ranked.iter().take_while(|(_, value)| *value >= 0.0).count(),
            false => 1,
        };
        ranked.truncate(chosen.max(1));
        let scored = |(index, _)| ScoredClass { index, confidence: probabilities[usize::from(index)] };
        Answer { verdict: CategoryVerdict { classes: ranked.into_iter().map(scored).collect() }, lead }
    }

    fn is_good(&self, category: Category) -> bool {
        let classes = category.classes().len();
        self.logits.is_good(category)
            && [&self.thresholds, &self.worths].iter().all(|list| list.len() == classes)
            && self.thresholds.iter().all(is_share)
            && self.worths.iter().all(|worth| *worth > 0.0 && *worth <= MAGNITUDE_MAX)
    }
}

fn is_share(value: &f32) -> bool {
    *value > 0.0 && *value < 1.0
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::classify::test_neighbours::{labels, neighbours};

    /// Returns a fusion that trusts votes and heads alike.
    pub fn fusion(category: Category) -> CategoryFusion {
        let classes = category.classes().len();
        CategoryFusion { logits: logits(category), thresholds: vec![0.4; classes], worths: vec![1.0; classes] }
    }

    /// Returns logits that trust votes and heads alike.
    pub fn logits(category: Category) -> Logits {
        let classes = category.classes().len();
        let vote = |neighbours, power| Weighting { neighbours, power };
        Logits {
            basis: FusionBasis {
                votes: [vote(10, 1.0), vote(50, 2.0)],
                frequencies: vec![1.0 / classes as f32; classes],
            },
            coefficients: [0.25, 0.25, 0.5, 1.0],
            offsets: vec![0.0; classes],
        }
    }

    fn linear(soundness: [f32; 4]) -> Scores {
        Scores::new(|category| match category {
            Category::Soundness => soundness.to_vec(),
            _ => vec![0.1; category.classes().len()],
        })
    }

    fn answer(fusion: CategoryFusion, cells: &[&str], scores: [f32; 4]) -> Answer {
        let labels = labels(Category::Soundness, cells);
        let vote = FusedVote([Some(fusion), None, None, None]);
        vote.answers(&neighbours(&labels, &[0.9; 10]), &linear(scores), 3)[0].clone()
    }

    #[test]
    fn votes_and_heads_that_agree_are_more_certain_than_either() {
        let even = [0.25; 4];
        let (votes, heads, both) = (["II", "II", "II", "I"], [0.1, 0.7, 0.1, 0.1], fusion(Category::Soundness));
        let of = |cells: &[&str], scores| answer(both.clone(), cells, scores).verdict.classes[0];
        let alone = of(&votes, even);
        let joined = of(&votes, heads);
        assert_eq!((alone.index, joined.index), (1, 1));
        assert!(joined.confidence > alone.confidence + 0.1, "{joined:?} {alone:?}");
        // Heads that are certain of another class prevail over a vote that is not.
        assert_eq!(of(&["I", "II", "II", "III"], [0.01, 0.01, 0.01, 0.97]).index, 3);
    }

    #[test]
    fn a_class_of_greater_worth_needs_less_probability() {
        let even = answer(fusion(Category::Soundness), &["II", "II", "II", "IV"], [0.2, 0.4, 0.2, 0.2]);
        let rare = CategoryFusion {
            worths: vec![1.0, 1.0, 1.0, 20.0],
            thresholds: vec![0.4, 0.4, 0.4, 0.05],
            ..fusion(Category::Soundness)
        };
        let answered = answer(rare, &["II", "II", "II", "IV"], [0.2, 0.4, 0.2, 0.2]);
        assert_eq!((even.verdict.classes[0].index, answered.verdict.classes[0].index), (1, 3));
        assert!(answered.verdict.classes[0].confidence < even.verdict.classes[0].confidence);
    }

    #[test]
    fn a_category_without_a_fusion_keeps_the_published_vote() {
        let category = Category::DamageType;
        let labels =
            labels(category, &["cracking|scour", "cracking|scour", "scour", "cracking|scour", "scour", "corrosion"]);
        let found = neighbours(&labels, &[0.9; 6]);
        let none = FusedVote([None, None, None, None]);
        assert_eq!(none.answers(&found, &linear([0.25; 4]), 3), published_vote(&found[..3]));
        let low =
            |category: Category| CategoryFusion { thresholds: vec![0.1; category.classes().len()], ..fusion(category) };
        let all = FusedVote(Category::ALL.map(|category| Some(low(category))));
        assert_eq!(all.answers(&[], &linear([0.25; 4]), 3), published_vote(&[]));
        assert_eq!((none.neighbours(), all.neighbours()), (0, 50));
        let answer = &all.answers(&found, &linear([0.25; 4]), 3)[category as usize];
        assert_eq!(answer.verdict.classes.iter().map(|class| class.index).collect::<Vec<_>>(), [13, 0, 2]);
    }
}
