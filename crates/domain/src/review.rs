//! Selection of photos that an engineer should see first, or see again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Category, Labels};

/// Whether an engineer should see a photo first. The device only proposes candidates; an engineer decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Urgency {
    /// Whether there is enough evidence to ask for a review.
    pub review: bool,
    /// Share of the neighbourhood, by weight, with an urgent label; in [0, 1].
    pub score: f32,
    /// Urgent labels in the neighbourhood, highest weight first; empty unless `review` is set.
    pub signs: Vec<UrgentSign>,
}

/// A label that means "act now".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UrgentSign {
    /// Emergency-action stage: the function is impaired or very likely to be.
    SoundnessIv,
    /// Emergency response for structural safety.
    MeasureE1,
    /// Emergency response for other reasons, such as harm to third parties.
    MeasureE2,
}

/// A reason to doubt a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondLook {
    /// The reference holds no photo like this one.
    FarNeighbours,
    /// Another rating or measure is nearly as likely.
    NearTie,
    /// The neighbours contradict the linear heads.
    MethodsDisagree,
    /// The photo shows no fine detail: it is out of focus, blurred by motion, or its subject is plain.
    Blurred,
    /// Too much of the photo is black.
    TooDark,
    /// Too much of the photo is white.
    TooBright,
    /// The answer is "other". Holes through the deck, abnormal gaps, defects of anchorages and deflection have no class
    /// of their own.
    OtherClass,
}

impl UrgentSign {
    /// All urgent signs.
    pub const ALL: [UrgentSign; 3] = [UrgentSign::SoundnessIv, UrgentSign::MeasureE1, UrgentSign::MeasureE2];

    /// Returns the category and label of the sign.
    pub const fn label(self) -> (Category, &'static str) {
        match self {
            UrgentSign::SoundnessIv => (Category::Soundness, "IV"),
            UrgentSign::MeasureE1 => (Category::Measure, "E1"),
            UrgentSign::MeasureE2 => (Category::Measure, "E2"),
        }
    }

    /// Reports whether a photo with these labels carries the sign.
    pub fn is_in(self, labels: &Labels) -> bool {
        let (category, label) = self.label();
        labels.get(category).names(category).any(|name| name == label)
    }
}

impl SecondLook {
    /// All reasons.
    pub const ALL: [SecondLook; 7] = [
        SecondLook::FarNeighbours,
        SecondLook::NearTie,
        SecondLook::MethodsDisagree,
        SecondLook::Blurred,
        SecondLook::TooDark,
        SecondLook::TooBright,
        SecondLook::OtherClass,
    ];
}

/// Writes the name in results.
impl fmt::Display for SecondLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CategoryLabels;

    #[test]
    fn urgent_labels_are_known_labels() {
        for sign in UrgentSign::ALL {
            let (category, label) = sign.label();
            let index = category.class_index(label).expect("a known label");
            let with = Labels::new(|c| CategoryLabels::new(c, (c == category).then_some(index)));
            assert!(sign.is_in(&with) && !sign.is_in(&Labels::default()), "{sign:?}");
        }
    }

    #[test]
    fn names_are_in_snake_case() {
        let json = |value| serde_json::to_string(value).expect("JSON");
        assert_eq!(json(&UrgentSign::ALL), r#"["soundness_iv","measure_e1","measure_e2"]"#);
        let names = serde_json::to_string(&SecondLook::ALL).expect("JSON");
        assert!(names.starts_with(r#"["far_neighbours","near_tie","methods_disagree","blurred""#), "{names}");
        assert_eq!(SecondLook::FarNeighbours.to_string(), "far_neighbours");
    }
}
