//! Order of the sheet's photos, and their summary.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::{Category, MemberAnswer, ScoredClass, Tag, TagOrder};
use crate::export::{ExportError, Record};

/// Outline of a sheet, before its photos are fetched.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    groups: Vec<Group>,
    /// Times of the first and the last photo.
    period: Option<(Timestamp, Timestamp)>,
}

/// Photos of one member. The list is empty if the member is expected to have some and has none.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub bridge: Option<String>,
    pub span: Option<String>,
    pub member: Option<String>,
    /// Time of capture and id of each photo, in this order.
    pub photos: Vec<(Timestamp, i64)>,
    /// Number of photos that an engineer should see first.
    pub urgent: u64,
    /// Number of photos that need a second look.
    pub doubtful: u64,
    /// Number of photos with each kind of damage, by the index of its class.
    pub damage: BTreeMap<u8, u64>,
    /// Index of the worst soundness class.
    pub worst_soundness: Option<u8>,
    /// Answer about the member, if there is one that is up to date.
    pub answer: Option<Arc<MemberAnswer>>,
}

impl Plan {
    /// Makes a plan of the records. `expected` are members that are listed even if they have no photo.
    pub fn of<'a>(
        records: impl Iterator<Item = Result<Record, ExportError>>,
        expected: impl Iterator<Item = &'a Tag>,
    ) -> Result<Self, ExportError> {
        let mut groups: BTreeMap<TagOrder, Group> = expected.map(|tag| (tag.order(), Group::of(tag))).collect();
        let untagged = Tag::default();
        let mut period = None;
        for record in records {
            let record = record?;
            let at = record.capture.facts.taken.at;
            period = Some(period.map_or((at, at), |(first, last)| (at.min(first), at.max(last))));
            let tag = record.capture.facts.tag.as_ref().unwrap_or(&untagged);
            groups.entry(tag.order()).or_insert_with(|| Group::of(tag)).add(&record);
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.iter_mut().for_each(|group| group.photos.sort_unstable());
        Ok(Plan { groups, period })
    }

    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub fn period(&self) -> Option<(Timestamp, Timestamp)> {
        self.period
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Returns the ids of all photos in the order of the sheet.
    pub fn photos(&self) -> impl Iterator<Item = i64> {
        self.groups.iter().flat_map(|group| &group.photos).map(|(_, id)| *id)
    }
}

impl Group {
    fn of(tag: &Tag) -> Self {
        let [bridge, span, member] =
            [&tag.bridge, &tag.span, &tag.member].map(|name| name.as_ref().map(|name| name.as_str().to_owned()));
        Group { bridge, span, member, ..Group::default() }
    }

    fn add(&mut self, record: &Record) {
        let verdict = &record.capture.verdict;
        self.photos.push((record.capture.facts.taken.at, record.capture.id));
        self.urgent += u64::from(verdict.urgency.review);
        self.doubtful += u64::from(!verdict.second_look.is_empty());
        for ScoredClass { index, .. } in record.classes(Category::DamageType) {
            *self.damage.entry(*index).or_default() += 1;
        }
        let soundness = record.classes(Category::Soundness).iter().map(|class| class.index);
        self.answer = record.member_answer.clone();
        self.worst_soundness = soundness.chain(self.worst_soundness).max();
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use jiff::SignedDuration;

    use super::*;
    use crate::export::record::{bare_example, example};

    fn tagged(id: i64, tag: &str) -> Record {
        let mut record = example(id);
        record.capture.facts.tag = tag.parse().ok();
        record
    }

    #[test]
    fn members_come_as_people_count_and_untagged_photos_last() {
        let tags = [
            "none",
            "bridgeclip:bridge=B-10",
            "bridgeclip:bridge=B-9;span=10",
            "bridgeclip:span=1",
            "bridgeclip:bridge=B-9;span=2;member=G2",
            "bridgeclip:bridge=B-9;span=2;member=G10",
            "bridgeclip:bridge=B-9;span=2",
            "bridgeclip:bridge=B-09;span=2",
        ];
        let records = tags.iter().zip(0..).map(|(tag, id)| Ok(tagged(id, tag)));
        let plan = Plan::of(records, iter::empty()).expect("a plan");
        assert_eq!(plan.photos().collect::<Vec<_>>(), [7, 4, 5, 6, 2, 1, 3, 0]);
        assert_eq!(plan.groups().len(), tags.len());
    }

    #[test]
    fn expected_members_without_a_photo_are_there() {
        let tags = ["bridgeclip:bridge=B-9;member=G1", "bridgeclip:bridge=B-9;member=G2"]
            .map(|tag| tag.parse().expect("a tag"));
        let plan =
            Plan::of([Ok(tagged(1, "bridgeclip:bridge=B-9;member=G2"))].into_iter(), tags.iter()).expect("a plan");
        let photos: Vec<_> = plan.groups().iter().map(|group| (group.member.as_deref(), group.photos.len())).collect();
        assert_eq!(photos, [(Some("G1"), 0), (Some("G2"), 1)]);
    }

    #[test]
    fn a_group_is_in_the_order_of_capture_and_summed_up() {
        let mut first = example(9);
        first.capture.facts.taken.at =
            first.capture.facts.taken.at.checked_sub(SignedDuration::from_secs(60)).expect("a time");
        first.capture.verdict.categories[0].classes[0].index = 1;
        first.capture.verdict.second_look.clear();
        let (since, until) = (first.capture.facts.taken.at, example(1).capture.facts.taken.at);
        let plan = Plan::of([example(1), first, example(2)].map(Ok).into_iter(), iter::empty()).expect("a plan");
        let [group] = plan.groups() else { panic!("one group") };
        assert_eq!(plan.photos().collect::<Vec<_>>(), [9, 1, 2]);
        assert_eq!((group.urgent, group.doubtful, group.worst_soundness), (3, 2, Some(2)));
        assert_eq!(group.damage, BTreeMap::from([(0, 3), (2, 3)]));
        assert_eq!(plan.period(), Some((since, until)));
        let nothing = Plan::of([bare_example(1)].map(Ok).into_iter(), iter::empty()).expect("a plan");
        assert_eq!((nothing.groups()[0].worst_soundness, nothing.groups()[0].damage.len()), (None, 0));
    }
}
