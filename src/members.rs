//! Answers about members: all captures with one tag, joined to one answer each.
//!
//! An answer follows from the captures, the reference and the rules as they are now. The daemon stores and tells it
//! (`daemon/members.rs`).

mod join;
mod unnamed;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::classify::MEMBER_PHOTOS_MAX;
use crate::domain::{Category, MemberAnswer, Sha256, Tag, TagOrder};
use crate::journal::{JournalError, Reader, StoredMemberAnswer, StoredResult, TaggedCaptures};
use crate::pipeline::Answerer;

pub use self::join::MembersError;
use self::join::join;
pub use self::unnamed::{Group, GroupLine, Groups, likeness, unnamed};

/// How the daemon answers members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Time without a change of its photos after which a member is answered.
    pub quiet: Duration,
    /// Whether events tell the answers.
    pub tell: bool,
}

/// A member with the one answer of its photos.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Captures that carry the member's tag.
    pub of: TaggedCaptures,
    /// Number of captures whose embeddings come from another encoder, which the answer leaves out.
    pub of_other_encoders: u64,
    /// Answer of at most [`MEMBER_PHOTOS_MAX`] captures: those that inspectors have judged and those with the worst ratings
    /// first.
    pub answer: MemberAnswer,
}

/// JSON form of an answered member: its tag, the numbers of captures, and the answer.
#[derive(Serialize)]
pub struct MemberLine<'a> {
    #[serde(flatten)]
    tag: &'a Tag,
    captures: u64,
    of_other_encoders: u64,
    #[serde(flatten)]
    answer: &'a MemberAnswer,
}

impl<'a> MemberLine<'a> {
    /// Returns the JSON form of an answered member.
    pub fn of(Answered { of, of_other_encoders, answer }: &'a Answered) -> Self {
        MemberLine { tag: &of.tag, captures: of.captures, of_other_encoders: *of_other_encoders, answer }
    }
}

/// State of the stored answers.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Answers that are up to date, by the order of their tags.
    pub answers: BTreeMap<TagOrder, Arc<MemberAnswer>>,
    /// Members whose answer is missing or older than their captures.
    pub stale: Vec<TaggedCaptures>,
}

impl Standing {
    /// Returns the answer about the member that a tag names, if it is up to date.
    pub fn of(&self, tag: &Tag) -> Option<&Arc<MemberAnswer>> {
        tag.member.as_ref().and_then(|_| self.answers.get(&tag.order()))
    }
}

/// Compares the stored answers with the captures.
pub fn standing(reader: &Reader) -> Result<Standing, JournalError> {
    let answers = reader.member_answers()?;
    let mut stored: BTreeMap<TagOrder, StoredMemberAnswer> =
        answers.into_iter().map(|answer| (answer.of.tag.order(), answer)).collect();
    let mut standing = Standing::default();
    for now in reader.members()? {
        let stored = stored.remove(&now.tag.order());
        standing.add(reader, stored, now)?;
    }
    // Members whose captures all carry another tag now, or have been deleted after their delivery.
    for answer in stored.into_values() {
        let none = TaggedCaptures { captures: 0, last_sequence: 0, ..answer.of.clone() };
        standing.add(reader, Some(answer), none)?;
    }
    Ok(standing)
}

impl Standing {
    fn add(
        &mut self,
        reader: &Reader,
        stored: Option<StoredMemberAnswer>,
        now: TaggedCaptures,
    ) -> Result<(), JournalError> {
        match stored {
            Some(answer) if !has_changed(reader, &answer, &now)? => {
                self.answers.insert(now.tag.order(), Arc::new(answer.answer));
            }
            _ => self.stale.push(now),
        }
        Ok(())
    }
}

/// Reports whether the captures of a member have changed since its answer. Captures that gave way to the quota do not
/// count: the answer then knows more than what is left.
fn has_changed(reader: &Reader, answer: &StoredMemberAnswer, now: &TaggedCaptures) -> Result<bool, JournalError> {
    if now.last_sequence > answer.of.last_sequence || now.captures > answer.of.captures {
        return Ok(true);
    }
    if now.captures == answer.of.captures {
        return Ok(false);
    }
    let photos: Vec<i64> = answer.answer.photos.iter().map(|photo| photo.capture).collect();
    reader.is_tagged_otherwise(&photos, &now.tag)
}

/// Returns the members that `wants` accepts, in the order of their names.
pub fn members(reader: &Reader, wants: impl Fn(&Tag) -> bool) -> Result<Vec<TaggedCaptures>, JournalError> {
    let mut members = reader.members()?;
    members.retain(|member| wants(&member.tag));
    members.sort_by_cached_key(|member| member.tag.order());
    Ok(members)
}

/// Answers about a member. `space` is the embedding space of the package in use.
pub fn answer(
    reader: &Reader,
    answerer: &Answerer,
    space: Sha256,
    of: TaggedCaptures,
) -> Result<Answered, MembersError> {
    let mut asked = Asked::default();
    for page in reader.results_of(&reader.captures_tagged(&of.tag)?) {
        page?.into_iter().for_each(|result| asked.add(result, space));
    }
    let of_other_encoders = asked.of_other_encoders;
    let answer = join(answerer, &asked.finish())?;
    Ok(Answered { of, of_other_encoders, answer })
}

/// Captures of a member that its answer rests on.
#[derive(Default)]
struct Asked {
    of_other_encoders: u64,
    found: Vec<StoredResult>,
}

impl Asked {
    fn add(&mut self, result: StoredResult, space: Sha256) {
        if result.embedding_space != Some(space) {
            self.of_other_encoders += 1;
            return;
        }
        self.found.push(result);
        if self.found.len() >= 2 * MEMBER_PHOTOS_MAX {
            self.cut();
        }
    }

    /// Leaves out the captures that say least when there are too many.
    fn cut(&mut self) {
        self.found.sort_by_key(|result| {
            let rating = result.verdict.get(Category::Soundness).classes.first().map(|class| class.index);
            Reverse((result.inspection.is_some(), rating, result.capture))
        });
        self.found.truncate(MEMBER_PHOTOS_MAX);
    }

    /// Returns the captures in the order of their ids.
    fn finish(mut self) -> Vec<StoredResult> {
        self.cut();
        self.found.sort_by_key(|result| result.capture);
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::join::tests::{SPACE, result};
    use crate::domain::{Inspection, Labels};

    use super::*;

    #[test]
    fn of_too_many_photos_judged_and_severe_ones_stay() {
        let mut results: Vec<StoredResult> = (1..=900).map(|capture| result(capture, 0)).collect();
        results[4] = result(5, 3);
        let (by, at) = ("A".parse().expect("a name"), jiff::Timestamp::UNIX_EPOCH);
        results[1].inspection = Some(Inspection { by, at, device: Labels::default(), labels: Labels::default() });
        results.push(StoredResult { embedding_space: Some(Sha256([2; 32])), ..result(901, 3) });
        let mut asked = Asked::default();
        results.into_iter().for_each(|result| asked.add(result, SPACE));
        assert_eq!(asked.of_other_encoders, 1);
        let ids: Vec<i64> = asked.finish().iter().map(|result| result.capture).collect();
        assert_eq!((ids.len(), &ids[..3], ids[199]), (MEMBER_PHOTOS_MAX, &[2, 5, 703][..], 900));
    }
}
