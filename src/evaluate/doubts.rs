//! Measures whether the reasons for a second look point to wrong answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Judged, decimals};
use crate::domain::{Category, SecondLook};

/// Number of photos for each reason for a second look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DoubtScores {
    /// All photos, with or without a reason.
    pub all: Flagged,
    /// Photos with at least one reason.
    pub any_reason: Flagged,
    /// Photos with each reason.
    pub reasons: BTreeMap<SecondLook, Flagged>,
}

impl DoubtScores {
    /// Returns the rows of a table: a name, the number of photos and the share of wrong ones. There is a row for each
    /// reason, one for any reason and one for all photos.
    pub fn rows(&self) -> impl Iterator<Item = [String; 3]> {
        let reasons = self.reasons.iter().map(|(reason, flagged)| (reason.to_string(), flagged));
        let sums = [("any reason".to_owned(), &self.any_reason), ("all photos".to_owned(), &self.all)];
        let row = |(name, flagged): (String, &Flagged)| {
            [name, flagged.photos.to_string(), decimals(flagged.share_wrong(), 4)]
        };
        reasons.chain(sums).map(row)
    }
}

/// A number of photos, and the number of wrong ones among them. A photo is wrong if its labels were not answered
/// exactly in at least one of the categories whose truth is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flagged {
    /// Number of photos.
    pub photos: usize,
    /// Number of photos that are wrong.
    pub wrong: usize,
}

/// Counts the photos, given as pairs of the judged answer and the reasons to doubt it.
pub fn doubts<'a>(photos: impl Iterator<Item = (&'a Judged, &'a [SecondLook])>) -> DoubtScores {
    let mut scores = DoubtScores::default();
    for (judged, reasons) in photos {
        let wrong = !Category::ALL.into_iter().all(|category| judged.is_exact(category));
        scores.all.count(wrong);
        if !reasons.is_empty() {
            scores.any_reason.count(wrong);
        }
        for reason in reasons {
            scores.reasons.entry(*reason).or_default().count(wrong);
        }
    }
    scores
}

impl Flagged {
    /// Returns the share of wrong photos, in [0, 1]. None without a photo.
    pub fn share_wrong(&self) -> Option<f64> {
        (self.photos > 0).then(|| self.wrong as f64 / self.photos as f64)
    }

    fn count(&mut self, wrong: bool) {
        self.photos += 1;
        self.wrong += usize::from(wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CategoryLabels, Labels};

    #[test]
    fn wrong_answers_are_counted_by_reason() {
        let labels = |index| Labels::new(|category| CategoryLabels::new(category, [index]));
        let (right, wrong) = (Judged::by_labels(labels(1), &labels(1)), Judged::by_labels(labels(1), &labels(2)));
        let photos: [(&Judged, &[SecondLook]); 4] = [
            (&right, &[]),
            (&wrong, &[]),
            (&right, &[SecondLook::NearTie]),
            (&wrong, &[SecondLook::NearTie, SecondLook::OtherClass]),
        ];
        let scores = doubts(photos.into_iter());
        let flagged = |photos, wrong| Flagged { photos, wrong };
        assert_eq!((scores.all, scores.any_reason), (flagged(4, 2), flagged(2, 1)));
        let expected = [(SecondLook::NearTie, flagged(2, 1)), (SecondLook::OtherClass, flagged(1, 1))];
        assert_eq!(scores.reasons, BTreeMap::from(expected));
    }
}
