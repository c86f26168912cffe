//! Prediction sets: the ratings and measures that labelled photos do not exclude.
//!
//! A class stays in the set of a photo unless its probability is below a limit that only few labelled photos of that class
//! fall below (class-conditional conformal prediction: Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random
//! World*, 2005, section 4.5). So a rare class keeps its promise as a common one does. The sets belong to the photo: they
//! are the same whatever method or rule answers.

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{Category, CategoryLabels, PredictionSets, Scores, Sha256};

use super::Neighbour;
use super::fused::Logits;

/// Limits of all categories that have prediction sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// Hash of the linear heads that the probabilities were fitted with. None if there were none.
    pub made_for: Option<Sha256>,
    /// Promised share of the photos of each class whose set holds that class, in (0, 1).
    pub coverage: f32,
    /// Limits of the soundness ratings.
    pub soundness: CategoryPrediction,
    /// Limits of the measures.
    pub measure: CategoryPrediction,
}

/// Limits of a category's classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryPrediction {
    /// Probabilities of the classes.
    pub logits: Logits,
    /// Least probability of each class that does not exclude it, in [0, 1]. None for a class with too few labelled
    /// photos, which is never excluded.
    pub limits: Vec<Option<f32>>,
}

impl Prediction {
    /// Returns the sets of a photo. `linear` are the probabilities by the linear heads, and `heads` is their hash. None if
    /// the limits were fitted with other heads, or if no neighbour is known.
    pub fn sets(
        &self,
        neighbours: &[Neighbour],
        linear: Option<&Scores>,
        heads: Option<Sha256>,
    ) -> Option<PredictionSets> {
        self.probabilities(neighbours, linear, heads).map(|probabilities| self.sets_of(&probabilities))
    }

    /// Returns the probabilities of the ratings and of the measures, in class order; for the arguments see
    /// [`Self::sets`].
    pub(super) fn probabilities(
        &self,
        neighbours: &[Neighbour],
        linear: Option<&Scores>,
        heads: Option<Sha256>,
    ) -> Option<[Vec<f32>; 2]> {
        if (self.made_for.is_some() && self.made_for != heads) || neighbours.is_empty() {
            return None;
        }
        let linear = linear.filter(|_| self.made_for.is_some());
        let probabilities = |category| {
            self.get(category).logits.of_neighbours(category, neighbours, linear.map(|scores| scores.get(category)))
        };
        Some(PredictionSets::CATEGORIES.map(probabilities))
    }

    /// Returns the sets that follow from the probabilities of the ratings and of the measures. Probabilities that are
    /// all 0 say nothing, and exclude nothing.
    pub(super) fn sets_of(&self, [soundness, measure]: &[Vec<f32>; 2]) -> PredictionSets {
        PredictionSets {
            coverage: self.coverage,
            soundness: self.soundness.set(Category::Soundness, soundness),
            measure: self.measure.set(Category::Measure, measure),
        }
    }

    /// Returns the number of neighbours that the votes need.
    pub fn neighbours(&self) -> usize {
        self.soundness.logits.neighbours().max(self.measure.logits.neighbours())
    }

    /// Returns the least probability that does not exclude a class, in [0, 1]. None for a class that is never excluded.
    pub fn limit(&self, category: Category, class: usize) -> Option<f32> {
        self.get(category).limits[class]
    }

    fn get(&self, category: Category) -> &CategoryPrediction {
        if category == Category::Soundness { &self.soundness } else { &self.measure }
    }

    pub(super) fn is_good(&self) -> bool {
        self.coverage > 0.0
            && self.coverage < 1.0
            && PredictionSets::CATEGORIES.into_iter().all(|category| self.get(category).is_good(category))
    }
}

impl CategoryPrediction {
    fn set(&self, category: Category, probabilities: &[f32]) -> CategoryLabels {
        let says_nothing = probabilities.iter().all(|probability| *probability == 0.0);
        let is_left = |(probability, limit): (&f32, &Option<f32>)| {
            says_nothing || limit.is_none_or(|limit| *probability >= limit)
        };
        let left = probabilities.iter().zip(&self.limits).map(is_left).enumerate();
        CategoryLabels::new(category, left.filter(|(_, is_left)| *is_left).map(|(index, _)| index as u8))
    }

    fn is_good(&self, category: Category) -> bool {
        let is_limit = |limit: &Option<f32>| limit.is_none_or(|limit| (0.0..=1.0).contains(&limit));
        self.logits.is_good(category)
            && self.limits.len() == category.classes().len()
            && self.limits.iter().all(is_limit)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::classify::fused::tests::logits;
    use crate::classify::test_neighbours::{labels, neighbours};

    /// Returns limits of 0.3 for all classes but the last one, which is never excluded.
    pub fn prediction() -> Prediction {
        let category = |category: Category| {
            let mut limits = vec![Some(0.3); category.classes().len()];
            *limits.last_mut().expect("a class") = None;
            CategoryPrediction { logits: logits(category), limits }
        };
        let (soundness, measure) = (category(Category::Soundness), category(Category::Measure));
        Prediction { made_for: None, coverage: 0.95, soundness, measure }
    }

    fn soundness(cells: &[&str], prediction: &Prediction) -> Option<Vec<&'static str>> {
        let labels = labels(Category::Soundness, cells);
        let sets = prediction.sets(&neighbours(&labels, &vec![0.9; cells.len()]), None, None)?;
        Some(sets.soundness.names(Category::Soundness).collect())
    }

    #[test]
    fn a_class_that_no_neighbour_has_is_excluded_unless_nothing_is_known_of_it() {
        let prediction = prediction();
        assert_eq!(soundness(&["II"; 10], &prediction), Some(vec!["II", "IV"]));
        assert_eq!(soundness(&["II", "I", "I", "II"], &prediction), Some(vec!["I", "II", "IV"]));
        assert_eq!(soundness(&[], &prediction), None);
    }

    #[test]
    fn limits_of_other_heads_say_nothing() {
        let other = Prediction { made_for: Some(Sha256::of(b"heads")), ..prediction() };
        assert_eq!(soundness(&["II"; 10], &other), None);
    }

    #[test]
    fn damage_is_refused() {
        let mut cases = [(); 4].map(|()| prediction());
        cases[0].coverage = 1.0;
        cases[1].soundness.limits.pop();
        cases[2].measure.limits[0] = Some(1.5);
        cases[3].measure.logits.offsets[0] = f32::NAN;
        assert!(prediction().is_good());
        cases.iter().for_each(|case| assert!(!case.is_good(), "{case:?}"));
    }
}
