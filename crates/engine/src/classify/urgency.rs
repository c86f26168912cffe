//! Photos that an engineer should see first: evidence of rating IV and of the measures E1 and E2 in the neighbourhood.
//!
//! These labels are rare, and a vote misses most of them. The rule favours recall: it considers more neighbours than a
//! vote does, and little evidence suffices. It finds candidates; an engineer decides.

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{Labels, Urgency, UrgentSign};

use super::{Neighbour, Weighting};

/// Amount of evidence that makes a photo urgent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UrgencyRule {
    /// Number of neighbours, and the weight of each.
    pub weighting: Weighting,
    /// Least share of the neighbourhood's weight at which a photo counts as urgent, above 0.
    pub threshold: f32,
}

impl UrgencyRule {
    /// Returns the rule for a reference without a fitted one: any urgent label among the nearest `neighbours`.
    pub fn any_of(neighbours: usize) -> Self {
        UrgencyRule { weighting: Weighting { neighbours, power: 0.0 }, threshold: f32::MIN_POSITIVE }
    }

    /// Judges a photo by its neighbours, most similar first.
    pub fn judge(&self, neighbours: &[Neighbour]) -> Urgency {
        let score = self.score(neighbours);
        let review = score >= self.threshold;
        Urgency { review, score, signs: if review { self.signs(neighbours) } else { Vec::new() } }
    }

    /// Returns the share of the neighbourhood's weight that carries an urgent label, in [0, 1].
    pub fn score(&self, neighbours: &[Neighbour]) -> f32 {
        // Rounding can raise a sum of weights a little above 1.
        self.weighting.share(neighbours, is_urgent).min(1.0)
    }

    fn signs(&self, neighbours: &[Neighbour]) -> Vec<UrgentSign> {
        let share = |sign: UrgentSign| self.weighting.share(neighbours, |labels| sign.is_in(labels));
        let mut signs: Vec<(UrgentSign, f32)> = UrgentSign::ALL.map(|sign| (sign, share(sign))).to_vec();
        signs.retain(|(_, share)| *share > 0.0);
        signs.sort_by(|a, b| b.1.total_cmp(&a.1));
        signs.into_iter().map(|(sign, _)| sign).collect()
    }

    pub(super) fn is_good(&self) -> bool {
        self.weighting.is_good() && self.threshold > 0.0 && self.threshold <= 1.0
    }
}

/// Reports whether a photo with these labels is urgent.
pub fn is_urgent(labels: &Labels) -> bool {
    UrgentSign::ALL.iter().any(|sign| sign.is_in(labels))
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::Category;

    use super::*;
    use crate::classify::test_neighbours::{labels, neighbours};

    #[test]
    fn one_neighbour_is_enough_where_nothing_was_fitted() {
        let labels = labels(Category::Measure, &["B", "C1", "E2", "B", "E1"]);
        let found = neighbours(&labels, &[0.9; 5]);
        let urgency = UrgencyRule::any_of(4).judge(&found);
        assert_eq!(urgency, Urgency { review: true, score: 0.25, signs: vec![UrgentSign::MeasureE2] });
        assert_eq!(UrgencyRule::any_of(2).judge(&found), Urgency::default());
        assert_eq!(UrgencyRule::any_of(2).judge(&[]), Urgency::default());
    }

    #[test]
    fn signs_come_by_their_weight() {
        let labels = labels(Category::Measure, &["E1", "E2", "E2", "A"]);
        let rule = UrgencyRule { weighting: Weighting { neighbours: 4, power: 0.0 }, threshold: 0.7 };
        let urgency = rule.judge(&neighbours(&labels, &[0.9; 4]));
        assert_eq!(urgency.signs, [UrgentSign::MeasureE2, UrgentSign::MeasureE1]);
        let strict = UrgencyRule { threshold: 0.8, ..rule };
        assert_eq!(strict.judge(&neighbours(&labels, &[0.9; 4])), Urgency { score: 0.75, ..Urgency::default() });
    }
}
