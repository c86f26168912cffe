//! What inspectors say about a verdict: an append-only history, and the judgement that stands.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Category, CategoryVerdict, Labels, ScoredClass, TagText, Urgency, UrgentSign, Verdict};

/// What an inspector says about the verdict of one photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Who, as they named themselves.
    pub by: TagText,
    /// When, by the device's clock.
    pub at: Timestamp,
    pub saying: Saying,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Saying {
    /// What is shown is right.
    Accept,
    /// These labels are right.
    Correct(Labels),
    /// The last judgement that stands is taken back.
    Undo,
}

/// The kind of an entry of the [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Accepted,
    Corrected,
    Undone,
}

/// One entry of a photo's [`History`]. It never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Who, as they named themselves.
    pub by: TagText,
    /// When, by the device's clock.
    pub at: Timestamp,
    pub act: Act,
    /// The labels that stood before.
    pub was: Labels,
    /// The labels that stand from here on.
    pub labels: Labels,
}

/// Everything that inspectors have said about one photo, the oldest entry first. Entries are added and never changed:
/// taking a judgement back is an entry too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(Vec<Judgement>);

/// Why a statement cannot join the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    #[error("no judgement stands that could be taken back")]
    NothingToUndo,
    #[error("the photo has {HISTORY_MAX} judgements, which is the most that is kept")]
    TooMany,
}

/// Entries of one history. A photo that people disagree on has a few; the bound keeps a row of the database small.
const HISTORY_MAX: usize = 500;

impl History {
    /// With entries as they were stored, the oldest first.
    pub fn of(entries: Vec<Judgement>) -> Self {
        History(entries)
    }

    pub fn entries(&self) -> &[Judgement] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// At most `count` entries, the last ones.
    pub fn last(&self, count: usize) -> &[Judgement] {
        &self.0[self.0.len().saturating_sub(count)..]
    }

    /// The last judgement that nobody has taken back.
    pub fn standing(&self) -> Option<&Judgement> {
        self.not_taken_back().pop()
    }

    fn not_taken_back(&self) -> Vec<&Judgement> {
        let mut standing = Vec::new();
        for entry in &self.0 {
            match entry.act {
                Act::Accepted | Act::Corrected => standing.push(entry),
                Act::Undone => drop(standing.pop()),
            }
        }
        standing
    }

    /// Adds a statement about a photo for which the device answered `device`. The answer is the new entry.
    pub fn add(&mut self, statement: Statement, device: &Labels) -> Result<&Judgement, StatementError> {
        if self.0.len() >= HISTORY_MAX {
            return Err(StatementError::TooMany);
        }
        let Statement { by, at, saying } = statement;
        let was = self.standing().map_or(device, |standing| &standing.labels).clone();
        let (act, labels) = match saying {
            Saying::Accept => (Act::Accepted, was.clone()),
            Saying::Correct(labels) if labels == was => (Act::Accepted, labels),
            Saying::Correct(labels) => (Act::Corrected, labels),
            Saying::Undo => (Act::Undone, self.before_standing(device)?),
        };
        self.0.push(Judgement { by, at, act, was, labels });
        Ok(&self.0[self.0.len() - 1])
    }

    /// The labels that stand once the judgement that stands now is taken back.
    fn before_standing(&self, device: &Labels) -> Result<Labels, StatementError> {
        let mut standing = self.not_taken_back();
        standing.pop().ok_or(StatementError::NothingToUndo)?;
        Ok(standing.pop().map_or(device, |earlier| &earlier.labels).clone())
    }
}

/// The judgement that stands: it counts more than anything that a device computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Who spoke last, as they named themselves.
    pub by: TagText,
    /// When, by the device's clock.
    pub at: Timestamp,
    /// What the device itself answered.
    #[serde(alias = "was")]
    pub device: Labels,
    /// What is right; the same as `device` if the device's answer was accepted.
    pub labels: Labels,
}

impl Inspection {
    /// The judgement that stands in a history, beside the device's own answer.
    pub fn standing(history: &History, device: &Labels) -> Option<Self> {
        let Judgement { by, at, labels, .. } = history.standing()?;
        Some(Inspection { by: by.clone(), at: *at, device: device.clone(), labels: labels.clone() })
    }

    /// Whether the device's answer is what stands.
    pub fn is_acceptance(&self) -> bool {
        self.device == self.labels
    }
}

impl Verdict {
    /// What an inspector says in place of it, or with it: nobody needs to look again. The neighbours stay as the evidence
    /// that the device had. Its confidences are 1 and mean nothing: a person gives none.
    pub fn inspected(self, labels: &Labels) -> Verdict {
        let certain = |index: &u8| ScoredClass { index: *index, confidence: 1.0 };
        let answer = |category| CategoryVerdict {
            classes: labels.get(category).indexes().iter().map(certain).collect::<Vec<_>>(),
        };
        let signs: Vec<_> = UrgentSign::ALL.into_iter().filter(|sign| sign.is_in(labels)).collect();
        let review = !signs.is_empty();
        Verdict {
            categories: Category::ALL.map(answer),
            by_inspector: true,
            confidence_calibrated: false,
            urgency: Urgency { review, score: if review { 1.0 } else { 0.0 }, signs },
            second_look: Vec::new(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CategoryLabels, SecondLook};

    fn labelled(soundness: &str) -> Labels {
        let index = Category::Soundness.class_index(soundness).expect("a label");
        Labels::new(|category| CategoryLabels::new(category, (category == Category::Soundness).then_some(index)))
    }

    fn says(by: &str, saying: Saying) -> Statement {
        Statement { by: by.parse().expect("a name"), at: Timestamp::UNIX_EPOCH, saying }
    }

    #[test]
    fn an_inspected_verdict_is_as_urgent_as_its_labels() {
        let verdict = Verdict { second_look: vec![SecondLook::Blurred], ..Verdict::default() };
        let (fine, urgent) = (labelled("I"), labelled("IV"));
        let inspected = verdict.clone().inspected(&urgent);
        assert_eq!(inspected.labels(), urgent);
        assert!(inspected.by_inspector);
        assert_eq!(inspected.urgency, Urgency { review: true, score: 1.0, signs: vec![UrgentSign::SoundnessIv] });
        assert!(inspected.second_look.is_empty());
        assert_eq!(verdict.inspected(&fine).urgency, Urgency::default());
    }

    #[test]
    fn the_device_s_answer_and_every_word_stay_in_the_history() {
        let device = labelled("II");
        let mut history = History::default();
        let mut add = |by, saying| history.add(says(by, saying), &device).expect("it joins").clone();
        let corrected = add("A", Saying::Correct(labelled("IV")));
        assert_eq!((corrected.act, &corrected.was), (Act::Corrected, &device));
        let accepted = add("B", Saying::Accept);
        assert_eq!((accepted.act, &accepted.labels), (Act::Accepted, &labelled("IV")));
        assert_eq!(history.entries().len(), 2);
        let standing = Inspection::standing(&history, &device).expect("it stands");
        assert_eq!((standing.by.as_str(), standing.is_acceptance(), &standing.device), ("B", false, &device));
    }

    #[test]
    fn a_correction_to_what_stands_is_an_acceptance() {
        let device = labelled("II");
        let mut history = History::default();
        let entry = history.add(says("A", Saying::Correct(device.clone())), &device).expect("it joins");
        assert_eq!(entry.act, Act::Accepted);
        assert!(Inspection::standing(&history, &device).expect("it stands").is_acceptance());
    }

    #[test]
    fn judgements_are_taken_back_one_by_one_down_to_the_device_s_own_answer() {
        let device = labelled("II");
        let mut history = History::default();
        for label in ["III", "IV"] {
            history.add(says("A", Saying::Correct(labelled(label))), &device).expect("it joins");
        }
        for (label, stands) in [("III", true), ("II", false)] {
            let undone = history.add(says("B", Saying::Undo), &device).expect("it joins");
            assert_eq!((undone.act, &undone.labels), (Act::Undone, &labelled(label)));
            assert_eq!(history.standing().is_some(), stands);
        }
        assert_eq!(history.add(says("B", Saying::Undo), &device), Err(StatementError::NothingToUndo));
        assert_eq!(history.entries().len(), 4);
        history.add(says("C", Saying::Accept), &device).expect("it joins");
        assert_eq!(history.standing().map(|entry| &entry.labels), Some(&device));
    }

    #[test]
    fn a_history_is_bounded() {
        let mut history = History::default();
        let device = labelled("I");
        for _ in 0..HISTORY_MAX {
            history.add(says("A", Saying::Accept), &device).expect("it joins");
        }
        assert_eq!(history.add(says("A", Saying::Accept), &device), Err(StatementError::TooMany));
    }
}
