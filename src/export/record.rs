//! One capture of an export.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::domain::{Capture, Category, Inspection, MemberAnswer, ScoredClass, TagText};
use crate::journal::StoredCapture;

/// Capture, with the time zone of the device's location, in which people read its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub capture: StoredCapture,
    pub zone: Offset,
    /// Answer about the member that the photo shows, if there is one that is up to date.
    pub member_answer: Option<Arc<MemberAnswer>>,
}

impl Record {
    /// Makes a record without an answer about the member.
    pub fn new(capture: StoredCapture, zone: Offset) -> Self {
        Record { capture, zone, member_answer: None }
    }

    /// Returns the facts about the photo.
    pub fn facts(&self) -> &Capture {
        &self.capture.facts
    }

    /// Returns the photo's file name. Bytes that are not UTF-8 are replaced.
    pub fn file(&self) -> Option<String> {
        self.facts().image.file()
    }

    /// Returns the bridge of the tag, by which facility registers know the structure.
    pub fn facility_id(&self) -> Option<&str> {
        self.facts().tag.as_ref()?.bridge.as_ref().map(TagText::as_str)
    }

    pub fn span(&self) -> Option<&str> {
        self.facts().tag.as_ref()?.span.as_ref().map(TagText::as_str)
    }

    pub fn member(&self) -> Option<&str> {
        self.facts().tag.as_ref()?.member.as_ref().map(TagText::as_str)
    }

    pub fn classes(&self, category: Category) -> &[ScoredClass] {
        &self.capture.verdict.get(category).classes
    }

    /// Returns the inspection of the verdict, and whether the inspector `accepted` or `corrected` it.
    pub fn inspection(&self) -> Option<(&Inspection, &'static str)> {
        let inspection = self.capture.inspection.as_ref()?;
        Some((inspection, if inspection.is_acceptance() { "accepted" } else { "corrected" }))
    }

    /// Returns the time of capture in RFC 3339 with the local offset, as in `2026-05-09T10:02:03.120+09:00`.
    pub fn taken_local(&self) -> String {
        local(self.facts().taken.at, self.zone)
    }
}

fn local(at: Timestamp, zone: Offset) -> String {
    at.to_zoned(zone.to_time_zone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

/// Formats a time in RFC 3339, UTC, with milliseconds, as GeoPackage requires.
pub fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Returns a capture in which everything that can be known is set, for tests.
#[cfg(test)]
pub fn example(id: i64) -> Record {
    use crate::domain::{
        Burst, Camera, CategoryLabels, CategoryVerdict, Exposure, Image, PredictionSets, SecondLook, Sha256, Tag, Time,
        TimeQuality, Urgency, UrgentSign, Verdict, testing,
    };
    use crate::journal::StoredPackage;

    let class = |index, confidence| ScoredClass { index, confidence };
    let answer = |classes| CategoryVerdict { classes };
    let facts = Capture {
        taken: Time::new("2026-05-09T01:02:03.12Z".parse().expect("a time"), TimeQuality::Gps),
        monotonic_ns: Some(5_000_000_000),
        image: Image {
            sha256: Sha256::of(&id.to_le_bytes()),
            path: "/media/card/DJI_0001.JPG".into(),
            bytes: 4_321_000,
            pixels: [4000, 3000],
            camera: Camera { make: Some("DJI".to_owned()), model: Some("M30T".to_owned()), ..Camera::default() },
            exposure: Exposure { iso: Some(100), ..Exposure::default() },
            quality: Some(testing::quality()),
        },
        position: Some(testing::position()),
        drone: None,
        tag: "bridgeclip:bridge=B-12;span=3;member=G2".parse::<Tag>().ok(),
        burst: Some(Burst { representative: Sha256::of(b"first"), frame: 2 }),
    };
    let capture = StoredCapture {
        id,
        sequence: Some(41),
        event_id: Some("3f0e".to_owned()),
        result_id: None,
        boot_id: "boot".to_owned(),
        stored_at: "2026-05-09T01:02:05Z".parse().ok(),
        facts,
        package: Some(StoredPackage { name: "bridgeclip-demo 1".to_owned(), hash: "ab12".to_owned() }),
        verdict: Verdict {
            categories: [
                answer(vec![class(2, 0.6)]),
                answer(vec![class(2, 0.4)]),
                answer(vec![class(0, 0.7), class(2, 0.3)]),
                answer(vec![class(6, 0.9)]),
            ],
            urgency: Urgency { review: true, score: 0.2, signs: vec![UrgentSign::SoundnessIv] },
            second_look: vec![SecondLook::NearTie, SecondLook::Blurred],
            not_excluded: Some(PredictionSets {
                coverage: 0.95,
                soundness: CategoryLabels::new(Category::Soundness, [2, 3]),
                measure: CategoryLabels::new(Category::Measure, [2]),
            }),
            draft: testing::draft(),
            ..Verdict::default()
        },
        inspection: None,
    };
    Record::new(capture, Offset::constant(9))
}

/// Returns the example capture after an inspector has rated its soundness IV.
#[cfg(test)]
pub fn inspected_example(id: i64) -> Record {
    use crate::domain::{CategoryLabels, Labels};

    let Record { mut capture, zone, .. } = example(id);
    let was = capture.verdict.labels();
    let found = |category| match category {
        Category::Soundness => CategoryLabels::new(category, [3]),
        other => was.get(other).clone(),
    };
    let labels = Labels::new(found);
    capture.verdict = capture.verdict.inspected(&labels);
    let at = "2026-05-10T00:30:00Z".parse().expect("a time");
    capture.inspection = Some(Inspection { by: "A. Sato".parse().expect("a name"), at, device: was, labels });
    Record::new(capture, zone)
}

/// Returns an example capture in which only mandatory values are set.
#[cfg(test)]
pub fn bare_example(id: i64) -> Record {
    use crate::domain::{Camera, Exposure, Image, Verdict};

    let Record { capture, zone, .. } = example(id);
    let image =
        Image { camera: Camera::default(), exposure: Exposure::default(), quality: None, ..capture.facts.image };
    let facts = Capture { monotonic_ns: None, image, position: None, tag: None, burst: None, ..capture.facts };
    let capture = StoredCapture {
        sequence: None,
        event_id: None,
        stored_at: None,
        facts,
        package: None,
        verdict: Verdict::default(),
        ..capture
    };
    Record::new(capture, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_with_their_zone() {
        let record = example(1);
        assert_eq!(record.taken_local(), "2026-05-09T10:02:03.120+09:00");
        assert_eq!(utc(record.capture.facts.taken.at), "2026-05-09T01:02:03.120Z");
        let behind = Record { zone: Offset::from_seconds(-3 * 3600 - 1800).expect("an offset"), ..record };
        assert_eq!(behind.taken_local(), "2026-05-08T21:32:03.120-03:30");
    }

    #[test]
    fn the_facility_is_the_bridge_of_the_tag() {
        let record = example(1);
        assert_eq!((record.facility_id(), record.span(), record.member()), (Some("B-12"), Some("3"), Some("G2")));
        assert_eq!(record.file().as_deref(), Some("DJI_0001.JPG"));
        assert_eq!(bare_example(1).facility_id(), None);
    }
}
