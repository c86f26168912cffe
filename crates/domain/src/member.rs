//! The device's answer about one member, joined from its photos. Official ratings belong to members, not to photos.

use serde::de::Error;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::verdict_json::{Label, category_labels, category_verdict, round, scored_labels};
use super::{Category, CategoryLabels, CategoryVerdict, Draft, PredictionSets, Sha256};

/// The answer about one member of a bridge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberAnswer {
    /// Answers in the order of [`Category::ALL`]. Confidences are on the scale of the method that answered. They are not
    /// calibrated: photos of one member agree more often than photos of different members.
    pub categories: [CategoryVerdict; 4],
    /// Whether the rating is that of an inspector's worst judgement, which no mean of the photos may better. It then has no
    /// confidence.
    pub rating_by_inspector: bool,
    /// Damage types that single photos show and the joined answer lacks, in class order.
    pub single_damage: CategoryLabels,
    /// Ratings and measures that the photos together do not exclude. None unless they were fitted on labelled photos.
    pub not_excluded: Option<PredictionSets>,
    /// Draft of a finding about the member.
    pub draft: Draft,
    /// Photos that the answer rests on, in the order of their capture.
    pub photos: Vec<MemberPhoto>,
}

/// The part that one photo has in the answer about its member.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MemberPhoto {
    /// Id of the photo's capture.
    pub capture: i64,
    pub sha256: Sha256,
    /// Weight in (0, 1]: one divided by the number of photos that show nearly the same.
    pub weight: f32,
    /// Share of the support for the member's rating that comes from this photo, in [0, 1].
    pub support: f32,
    /// Whether an inspector has judged the photo, whose labels then count instead of the device's answer.
    pub inspected: bool,
    /// Whether the member would have another rating without this photo.
    pub decisive: bool,
}

impl MemberAnswer {
    /// Returns the answer in one category.
    pub fn get(&self, category: Category) -> &CategoryVerdict {
        &self.categories[category as usize]
    }

    /// Returns the soundness rating; `None` if no photo has one.
    pub fn rating(&self) -> Option<u8> {
        self.get(Category::Soundness).classes.first().map(|class| class.index)
    }

    /// Returns the worst rating that is answered or cannot be excluded.
    pub fn worst_credible(&self) -> Option<u8> {
        let left = self.not_excluded.iter().flat_map(|sets| sets.soundness.indexes().iter().copied());
        left.chain(self.rating()).max()
    }

    /// Returns the number of different views: the sum of the photos' weights.
    pub fn views(&self) -> f32 {
        self.photos.iter().map(|photo| photo.weight).sum()
    }

    /// Returns the photos that carry the rating: the fewest that together give at least half of its support, the
    /// strongest first.
    pub fn carriers(&self) -> Vec<&MemberPhoto> {
        let mut strongest: Vec<&MemberPhoto> = self.photos.iter().filter(|photo| photo.support > 0.0).collect();
        // The sort is stable, so that equal photos keep the order of their capture.
        strongest.sort_by(|a, b| b.support.total_cmp(&a.support));
        let mut sum = 0.0;
        strongest
            .into_iter()
            .take_while(|photo| {
                let is_needed = sum < 0.5;
                sum += photo.support;
                is_needed
            })
            .collect()
    }
}

/// Writes `{"soundness": [{"label": "III", "confidence": 0.6}], …, "rating_by_inspector": false,
/// "single_damage": ["corrosion"], "not_excluded": {…}, "worst_credible": "III", "views": 2.3, "carried_by": [17], "draft": {"en": "…", …}, "photos": [{"capture": 17, …}]}`.
impl Serialize for MemberAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for category in Category::ALL {
            let by_inspector = self.rating_by_inspector && category == Category::Soundness;
            map.serialize_entry(category.id(), &scored_labels(category, self.get(category), by_inspector))?;
        }
        map.serialize_entry("rating_by_inspector", &self.rating_by_inspector)?;
        let single: Vec<&str> = self.single_damage.names(Category::DamageType).collect();
        map.serialize_entry("single_damage", &single)?;
        if let Some(sets) = &self.not_excluded {
            map.serialize_entry("not_excluded", sets)?;
        }
        map.serialize_entry("worst_credible", &self.worst_credible().map(|index| Category::Soundness.class(index).en))?;
        map.serialize_entry("views", &round(self.views()))?;
        let carriers: Vec<i64> = self.carriers().iter().map(|photo| photo.capture).collect();
        map.serialize_entry("carried_by", &carriers)?;
        if !self.draft.is_empty() {
            map.serialize_entry("draft", &self.draft)?;
        }
        map.serialize_entry("photos", &self.photos)?;
        map.end()
    }
}

/// Writes `{"capture": 17, "sha256": "…", "weight": 0.5, "support": 0.4, "inspected": false, "decisive": true}`.
impl Serialize for MemberPhoto {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("capture", &self.capture)?;
        map.serialize_entry("sha256", &self.sha256)?;
        map.serialize_entry("weight", &round(self.weight))?;
        map.serialize_entry("support", &round(self.support))?;
        map.serialize_entry("inspected", &self.inspected)?;
        map.serialize_entry("decisive", &self.decisive)?;
        map.end()
    }
}

/// Reads an answer. What follows from the photos, such as the carriers, is computed again.
impl<'de> Deserialize<'de> for MemberAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            soundness: Vec<Label<String>>,
            measure: Vec<Label<String>>,
            damage_type: Vec<Label<String>>,
            damage_location: Vec<Label<String>>,
            rating_by_inspector: bool,
            single_damage: Vec<String>,
            #[serde(default)]
            not_excluded: Option<PredictionSets>,
            #[serde(default)]
            draft: Draft,
            photos: Vec<MemberPhoto>,
        }
        let form = Form::deserialize(deserializer)?;
        let answer = |category, labels| category_verdict(category, labels).map_err(D::Error::custom);
        Ok(MemberAnswer {
            categories: [
                answer(Category::Soundness, form.soundness)?,
                answer(Category::Measure, form.measure)?,
                answer(Category::DamageType, form.damage_type)?,
                answer(Category::DamageLocation, form.damage_location)?,
            ],
            rating_by_inspector: form.rating_by_inspector,
            single_damage: category_labels(Category::DamageType, &form.single_damage)?,
            not_excluded: form.not_excluded,
            draft: form.draft,
            photos: form.photos,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScoredClass;

    fn photo(capture: i64, support: f32) -> MemberPhoto {
        let sha256 = Sha256::of(&capture.to_le_bytes());
        MemberPhoto { capture, sha256, weight: 0.5, support, inspected: false, decisive: false }
    }

    fn answer(rating: u8, supports: &[f32]) -> MemberAnswer {
        let mut answer = MemberAnswer {
            photos: (1..).zip(supports).map(|(capture, support)| photo(capture, *support)).collect(),
            ..MemberAnswer::default()
        };
        answer.categories[0].classes = vec![ScoredClass { index: rating, confidence: 0.5 }];
        answer
    }

    #[test]
    fn the_carriers_are_the_fewest_photos_with_half_of_the_support() {
        let carriers = |supports: &[f32]| -> Vec<i64> {
            answer(1, supports).carriers().iter().map(|photo| photo.capture).collect()
        };
        assert_eq!(carriers(&[0.1, 0.6, 0.3]), [2]);
        assert_eq!(carriers(&[0.3, 0.3, 0.4]), [3, 1]);
        assert_eq!(carriers(&[0.5, 0.5]), [1]);
        assert_eq!(carriers(&[0.0]), [] as [i64; 0]);
        assert_eq!(answer(1, &[0.5, 0.5]).views(), 1.0);
    }

    #[test]
    fn the_worst_credible_rating_is_never_better_than_the_answer() {
        let with = |sets: &[u8]| {
            let soundness = CategoryLabels::new(Category::Soundness, sets.iter().copied());
            let sets = PredictionSets { coverage: 0.95, soundness, measure: CategoryLabels::default() };
            MemberAnswer { not_excluded: Some(sets), ..answer(2, &[1.0]) }.worst_credible()
        };
        assert_eq!((with(&[0, 1]), with(&[1, 3]), with(&[])), (Some(2), Some(3), Some(2)));
        assert_eq!(MemberAnswer::default().worst_credible(), None);
    }

    #[test]
    fn json_names_classes_and_the_photos_that_carry_the_rating() {
        let answer =
            MemberAnswer { single_damage: CategoryLabels::new(Category::DamageType, [2]), ..answer(2, &[0.25, 0.75]) };
        let json = serde_json::to_value(&answer).expect("JSON");
        assert_eq!(json["soundness"], serde_json::json!([{ "label": "III", "confidence": 0.5 }]));
        assert_eq!((&json["single_damage"], &json["worst_credible"]), (&["corrosion"][..].into(), &"III".into()));
        assert_eq!((&json["carried_by"], &json["views"]), (&[2][..].into(), &1.0.into()));
        assert_eq!(json["photos"][0]["support"], 0.25);
        assert!(json.get("not_excluded").is_none());
        assert_eq!(serde_json::from_value::<MemberAnswer>(json).expect("an answer"), answer);
    }

    #[test]
    fn an_inspectors_rating_has_no_confidence() {
        let draft = crate::testing::draft();
        let answer = MemberAnswer { rating_by_inspector: true, draft, ..answer(3, &[1.0]) };
        let mut json = serde_json::to_value(&answer).expect("JSON");
        assert_eq!(json["soundness"], serde_json::json!([{ "label": "IV" }]));
        let mut back: MemberAnswer = serde_json::from_value(json.clone()).expect("an answer");
        back.categories[0].classes[0].confidence = 0.5;
        assert_eq!(back, answer);
        json["soundness"][0]["label"] = "V".into();
        assert!(serde_json::from_value::<MemberAnswer>(json).is_err());
    }
}
