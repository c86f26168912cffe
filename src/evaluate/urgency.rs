//! Urgent photos compared with the photos put forward as urgent.

use serde::{Deserialize, Serialize};

use crate::classify::is_urgent;
use crate::domain::{Category, Labels};

/// Number of urgent photos that are found, and the false alarms that this costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UrgencyScores {
    /// Number of photos whose labels show whether they are urgent.
    pub photos: usize,
    /// Number of urgent photos: rating IV or measure E1 or E2.
    pub urgent: usize,
    /// Number of urgent photos that were put forward.
    pub found: usize,
    /// Share of the urgent photos that were put forward, in [0, 1]; 0 without urgent photos.
    pub recall: f64,
    /// Number of photos that were put forward and are not urgent.
    pub false_alarms: usize,
    /// False alarms per 100 photos; 0 without photos.
    pub false_alarms_per_100_photos: f64,
}

/// Reports whether a photo with these labels is urgent. An urgent label suffices; without one, both the rating and the
/// measure must be known. None if the labels do not show it.
pub fn true_urgency(truth: &Labels) -> Option<bool> {
    let is_known = |category| !truth.get(category).is_empty();
    match is_urgent(truth) {
        true => Some(true),
        false => (is_known(Category::Soundness) && is_known(Category::Measure)).then_some(false),
    }
}

/// Scores photos, given as pairs of true labels and whether the photo was put forward.
pub fn urgency<'a>(photos: impl Iterator<Item = (&'a Labels, bool)>) -> UrgencyScores {
    let mut scores = UrgencyScores::default();
    for (truth, review) in photos {
        let Some(is_urgent) = true_urgency(truth) else { continue };
        scores.photos += 1;
        scores.urgent += usize::from(is_urgent);
        scores.found += usize::from(is_urgent && review);
        scores.false_alarms += usize::from(!is_urgent && review);
    }
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    scores.recall = share(scores.found, scores.urgent);
    scores.false_alarms_per_100_photos = 100.0 * share(scores.false_alarms, scores.photos);
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CategoryLabels;

    #[test]
    fn recall_and_false_alarms_are_counted_over_photos_whose_truth_is_known() {
        let labels = |soundness: &str, measure: &str| {
            Labels::new(|category| match category {
                Category::Soundness => CategoryLabels::parse(category, soundness).expect("labels"),
                Category::Measure => CategoryLabels::parse(category, measure).expect("labels"),
                _ => CategoryLabels::default(),
            })
        };
        let photos = [
            (labels("IV", ""), true),
            (labels("", "E1"), false),
            (labels("II", "E2"), true),
            (labels("II", "B"), true),
            (labels("II", "B"), false),
            (labels("II", ""), true),
        ];
        let scores = urgency(photos.iter().map(|(truth, review)| (truth, *review)));
        assert_eq!((scores.photos, scores.urgent, scores.found, scores.false_alarms), (5, 3, 2, 1));
        assert!((scores.recall - 2.0 / 3.0).abs() < 1e-12 && scores.false_alarms_per_100_photos == 20.0);
        assert_eq!(urgency(std::iter::empty()), UrgencyScores::default());
    }
}
