//! Inspectors' statements about a verdict: an append-only history, and the judgement that applies.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Category, CategoryVerdict, Draft, Labels, ScoredClass, TagText, Urgency, UrgentSign, Verdict};

/// Statement of an inspector about the verdict of one photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Name that the inspector gave.
    pub by: TagText,
    /// Time by the device's clock.
    pub at: Timestamp,
    /// Content of the statement.
    pub saying: Saying,
}

/// Content of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Saying {
    /// The verdict that is shown is right.
    Accept,
    /// These labels are right.
    Correct(Labels),
    /// The judgement that applies is withdrawn.
    Undo,
}

/// Kind of an entry in the [`History`].
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
    /// Name that the inspector gave.
    pub by: TagText,
    /// Time by the device's clock.
    pub at: Timestamp,
    pub act: Act,
    /// Labels that applied before the entry.
    pub was: Labels,
    /// Labels that apply after the entry.
    pub labels: Labels,
}

/// Everything that inspectors have said about one photo, oldest entry first. Entries are added and never changed:
/// withdrawing a judgement is also an entry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(Vec<Judgement>);

/// Reason why a statement cannot join the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    #[error("no judgement stands that could be taken back")]
    NothingToUndo,
    #[error("the photo has {HISTORY_MAX} judgements, which is the most that is kept")]
    TooMany,
}

/// Maximum number of entries in a history. Even a disputed photo has only a few; the limit keeps a row of the database
/// small.
const HISTORY_MAX: usize = 500;

impl History {
    /// Creates a history from stored entries, oldest first.
    pub fn of(entries: Vec<Judgement>) -> Self {
        History(entries)
    }

    /// Returns all entries, oldest first.
    pub fn entries(&self) -> &[Judgement] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the last entries, at most `count`.
    pub fn last(&self, count: usize) -> &[Judgement] {
        &self.0[self.0.len().saturating_sub(count)..]
    }

    /// Returns the last judgement that has not been withdrawn.
    pub fn standing(&self) -> Option<&Judgement> {
        self.not_taken_back().pop()
    }

    /// Returns all judgements that have not been withdrawn, oldest first.
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

    /// Adds a statement about a photo for which the device answered `device`. Returns the new entry.
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

    /// Returns the labels that apply once the present judgement is withdrawn.
    fn before_standing(&self, device: &Labels) -> Result<Labels, StatementError> {
        let mut standing = self.not_taken_back();
        standing.pop().ok_or(StatementError::NothingToUndo)?;
        Ok(standing.pop().map_or(device, |earlier| &earlier.labels).clone())
    }
}

/// The judgement that applies to a photo. It takes precedence over anything that a device computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Name of the inspector who spoke last.
    pub by: TagText,
    /// Time by the device's clock.
    pub at: Timestamp,
    /// Labels of the device's own answer.
    #[serde(alias = "was")]
    pub device: Labels,
    /// Labels that are right; equal to `device` if the device's answer was accepted.
    pub labels: Labels,
}

impl Inspection {
    /// Returns the judgement that applies by a history, together with the device's own answer, or `None` if there is
    /// none.
    pub fn standing(history: &History, device: &Labels) -> Option<Self> {
        let Judgement { by, at, labels, .. } = history.standing()?;
        Some(Inspection { by: by.clone(), at: *at, device: device.clone(), labels: labels.clone() })
    }

    /// Reports whether the judgement equals the device's answer.
    pub fn is_acceptance(&self) -> bool {
        self.device == self.labels
    }
}

impl Verdict {
    /// Returns the verdict with an inspector's labels in place of the device's answer. Nobody needs to look at it
    /// again, and nothing is left to exclude or to draft. The neighbours stay as the evidence that the device had. The confidences
    /// are 1 and have no meaning, because a person gives none.
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
            not_excluded: None,
            draft: Draft::default(),
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
