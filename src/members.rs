//! Answers about members: all captures with one tag, joined to one answer each.
//!
//! Nothing is stored: an answer follows from the captures, the reference and the rules as they are now.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::classify::{MEMBER_PHOTOS_MAX, Observation};
use crate::domain::{Category, MemberAnswer, Sha256, Tag, TagOrder};
use crate::journal::{JournalError, Reader, StoredResult};
use crate::pipeline::Answerer;
use crate::reference::ReferenceError;

/// A member that a tag names, and the captures that carry the tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub tag: Tag,
    /// Number of captures.
    pub captures: u64,
    /// Number of captures whose embeddings come from another encoder, which the answer leaves out.
    pub of_other_encoders: u64,
    /// Captures that the answer rests on, by ascending id: at most [`MEMBER_PHOTOS_MAX`], those that inspectors have
    /// judged and those with the worst ratings first.
    pub asked: Vec<i64>,
}

/// A member with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    pub member: Member,
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
    pub fn of(Answered { member, answer }: &'a Answered) -> Self {
        let Member { tag, captures, of_other_encoders, .. } = member;
        MemberLine { tag, captures: *captures, of_other_encoders: *of_other_encoders, answer }
    }
}

/// Reason why members cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// Groups captures by member, in the order of the members' names. Skips captures whose tag names no member or that
/// `wants` refuses. `space` is the embedding space of the package in use, and `looked_at` receives the size of each page.
pub fn members(
    pages: impl Iterator<Item = Result<Vec<StoredResult>, JournalError>>,
    space: Sha256,
    wants: impl Fn(&Tag) -> bool,
    mut looked_at: impl FnMut(u64),
) -> Result<Vec<Member>, JournalError> {
    let mut groups: BTreeMap<TagOrder, Group> = BTreeMap::new();
    for page in pages {
        let page = page?;
        looked_at(page.len() as u64);
        for result in page {
            if let Some(tag) = result.tag.as_ref().filter(|tag| tag.member.is_some() && wants(tag)) {
                groups.entry(tag.order()).or_insert_with(|| Group::of(tag.clone())).add(&result, space);
            }
        }
    }
    Ok(groups.into_values().map(Group::finish).collect())
}

/// Answers about a member.
pub fn answer(reader: &Reader, answerer: &Answerer, member: Member) -> Result<Answered, MembersError> {
    let results: Vec<StoredResult> = reader.results_of(&member.asked).collect::<Result<Vec<_>, _>>()?.concat();
    let photos: Vec<_> = results.iter().map(|result| result.embedding.clone()).collect();
    let evidence = answerer.evidence(&photos)?;
    let observations = results.iter().zip(&evidence).map(|(result, evidence)| Observation {
        capture: result.capture,
        sha256: result.sha256,
        embedding: &result.embedding,
        evidence,
        inspected: result.inspection.as_ref().map(|inspection| &inspection.labels),
    });
    let answer = answerer.engine.member(&observations.collect::<Vec<_>>());
    Ok(Answered { member, answer })
}

/// Captures of a member that is being put together.
struct Group {
    tag: Tag,
    captures: u64,
    of_other_encoders: u64,
    /// Captures with the order in which they are left out when there are too many.
    found: Vec<(Rank, i64)>,
}

/// Whether an inspector has judged a capture, its rating, and its id.
type Rank = Reverse<(bool, Option<u8>, i64)>;

impl Group {
    fn of(tag: Tag) -> Self {
        Group { tag, captures: 0, of_other_encoders: 0, found: Vec::new() }
    }

    fn add(&mut self, result: &StoredResult, space: Sha256) {
        self.captures += 1;
        if result.embedding_space != Some(space) {
            self.of_other_encoders += 1;
            return;
        }
        let rating = result.verdict.get(Category::Soundness).classes.first().map(|class| class.index);
        self.found.push((Reverse((result.inspection.is_some(), rating, result.capture)), result.capture));
    }

    fn finish(mut self) -> Member {
        self.found.sort_unstable();
        self.found.truncate(MEMBER_PHOTOS_MAX);
        let mut asked: Vec<i64> = self.found.into_iter().map(|(_, capture)| capture).collect();
        asked.sort_unstable();
        Member { tag: self.tag, captures: self.captures, of_other_encoders: self.of_other_encoders, asked }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use crate::domain::{CategoryVerdict, Embedding, Inspection, Labels, ScoredClass, Time, TimeQuality, Verdict};

    use super::*;

    const SPACE: Sha256 = Sha256([1; 32]);

    fn result(capture: i64, tag: &str, rating: u8) -> StoredResult {
        let mut verdict = Verdict::default();
        verdict.categories[0] = CategoryVerdict { classes: vec![ScoredClass { index: rating, confidence: 0.5 }] };
        StoredResult {
            capture,
            sha256: Sha256([0; 32]),
            path: "photo.jpg".into(),
            taken: Time::new(jiff::Timestamp::UNIX_EPOCH, TimeQuality::Gps),
            tag: tag.parse().ok(),
            embedding: Embedding::normalise(vec![1.0; 4]).expect("a direction"),
            embedding_space: Some(SPACE),
            quality: None,
            verdict,
            inspection: None,
        }
    }

    fn grouped(results: Vec<StoredResult>) -> Vec<Member> {
        members(iter::once(Ok(results)), SPACE, |_| true, |_| ()).expect("members")
    }

    #[test]
    fn captures_are_grouped_by_members_in_their_order() {
        let tags = ["member=G10", "member=G2", "bridge=B;member=G2", "bridge=B", "", "member=G10"];
        let results = tags.iter().zip(1..).map(|(tag, capture)| result(capture, &format!("bridgeclip:{tag}"), 0));
        let found = grouped(results.collect());
        let asked: Vec<&[i64]> = found.iter().map(|member| &member.asked[..]).collect();
        assert_eq!(asked, [&[3][..], &[2], &[1, 6]]);
    }

    #[test]
    fn of_too_many_photos_judged_and_severe_ones_stay() {
        let tag = "bridgeclip:member=G1";
        let mut results: Vec<StoredResult> = (1..=300).map(|capture| result(capture, tag, 0)).collect();
        results[4] = result(5, tag, 3);
        let (by, at) = ("A".parse().expect("a name"), jiff::Timestamp::UNIX_EPOCH);
        results[1].inspection = Some(Inspection { by, at, device: Labels::default(), labels: Labels::default() });
        results.push(StoredResult { embedding_space: Some(Sha256([2; 32])), ..result(301, tag, 3) });
        let [member] = &grouped(results)[..] else { panic!("one member") };
        assert_eq!((member.captures, member.of_other_encoders, member.asked.len()), (301, 1, MEMBER_PHOTOS_MAX));
        assert_eq!(member.asked[..3], [2, 5, 103]);
    }
}
