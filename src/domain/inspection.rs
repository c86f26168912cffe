//! What a person says about a verdict.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Category, CategoryVerdict, Labels, ScoredClass, TagText, Urgency, UrgentSign, Verdict};

/// A verdict that an inspector has accepted or corrected. It counts more than anything that a device computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Who, as they named themselves.
    pub by: TagText,
    /// The device's clock.
    pub at: Timestamp,
    /// What was shown before.
    pub was: Labels,
    /// What is right; the same as `was` if it was accepted.
    pub labels: Labels,
}

impl Inspection {
    pub fn is_acceptance(&self) -> bool {
        self.was == self.labels
    }
}

impl Verdict {
    /// What an inspector says in place of it, or with it: certain, and nobody needs to look again. The neighbours stay as
    /// the evidence that the device had.
    pub fn inspected(self, labels: &Labels) -> Verdict {
        let certain = |index: &u8| ScoredClass { index: *index, confidence: 1.0 };
        let answer = |category| CategoryVerdict {
            classes: labels.get(category).indexes().iter().map(certain).collect::<Vec<_>>(),
        };
        let signs: Vec<_> = UrgentSign::ALL.into_iter().filter(|sign| sign.is_in(labels)).collect();
        let review = !signs.is_empty();
        Verdict {
            categories: Category::ALL.map(answer),
            confidence_calibrated: true,
            urgency: Urgency { review, score: if review { 1.0 } else { 0.0 }, signs },
            second_look: Vec::new(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CategoryLabels, SecondLook};

    #[test]
    fn an_inspected_verdict_is_certain_and_as_urgent_as_its_labels() {
        let verdict = Verdict { second_look: vec![SecondLook::Blurred], ..Verdict::default() };
        let labelled = |soundness| {
            let index = Category::Soundness.class_index(soundness).expect("a label");
            Labels::new(|category| CategoryLabels::new(category, (category == Category::Soundness).then_some(index)))
        };
        let (fine, urgent) = (labelled("I"), labelled("IV"));
        let inspected = verdict.clone().inspected(&urgent);
        assert_eq!(inspected.labels(), urgent);
        assert_eq!(inspected.get(Category::Soundness).classes[0].confidence, 1.0);
        assert_eq!(inspected.urgency, Urgency { review: true, score: 1.0, signs: vec![UrgentSign::SoundnessIv] });
        assert!(inspected.second_look.is_empty());
        assert_eq!(verdict.inspected(&fine).urgency, Urgency::default());
    }
}
