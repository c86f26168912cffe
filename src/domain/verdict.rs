//! What the device says about a photo, and the evidence for it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Category, CategoryLabels, Labels, Method, Rule, SecondLook, Urgency};

/// The answer in all four categories with the neighbours beside it, and who should look at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// In the order of [`Category::ALL`].
    pub categories: [CategoryVerdict; 4],
    /// How the categories were answered.
    pub method: Method,
    /// How the neighbours voted. The other methods have no votes.
    pub rule: Option<Rule>,
    /// Whether confidences are shares of right answers as found on labelled photos; else they are the method's own.
    pub confidence_calibrated: bool,
    pub urgency: Urgency,
    /// Reasons to doubt the answer, in the order of [`SecondLook::ALL`].
    pub second_look: Vec<SecondLook>,
    /// The nearest reference photos, most similar first, whatever the method.
    pub evidence: Vec<Evidence>,
}

/// The answer in one category: at least one class, unless the reference holds no label of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CategoryVerdict {
    pub classes: Vec<ScoredClass>,
}

/// One class of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredClass {
    pub index: u8,
    /// How likely the class is, in [0, 1]; see [`Verdict::confidence_calibrated`].
    pub confidence: f32,
}

/// One labelled reference photo near the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Row of the reference database.
    pub reference_id: i64,
    /// Cosine similarity in [-1, 1].
    pub similarity: f32,
    /// The photo's name in the source data set.
    pub source: String,
    /// The finding that was written about it.
    pub caption: String,
    pub labels: Labels,
}

impl Verdict {
    pub fn get(&self, category: Category) -> &CategoryVerdict {
        &self.categories[category as usize]
    }

    /// The classes alone.
    pub fn labels(&self) -> Labels {
        let indexes = |category| self.get(category).classes.iter().map(|class| class.index);
        Labels::new(|category| CategoryLabels::new(category, indexes(category)))
    }
}

impl CategoryVerdict {
    /// The English labels.
    pub fn names(&self, category: Category) -> impl Iterator<Item = &'static str> {
        self.classes.iter().map(move |class| category.class(class.index).en)
    }
}

/// JSON: `{"soundness": [{"label": "II", "confidence": 0.7}], …, "method": "knn", "rule": "published",
/// "confidence_calibrated": false, "review_urgent": true, "urgency": {"score": 0.2, "signs": ["soundness_iv"]},
/// "second_look": ["near_tie"], "neighbours": […]}`.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Label {
            label: &'static str,
            confidence: f32,
        }
        let mut map = serializer.serialize_map(None)?;
        for category in Category::ALL {
            let classes = &self.get(category).classes;
            let labels = classes
                .iter()
                .map(|class| Label { label: category.class(class.index).en, confidence: round(class.confidence) });
            map.serialize_entry(category.id(), &labels.collect::<Vec<_>>())?;
        }
        map.serialize_entry("method", &self.method)?;
        if let Some(rule) = &self.rule {
            map.serialize_entry("rule", rule)?;
        }
        map.serialize_entry("confidence_calibrated", &self.confidence_calibrated)?;
        map.serialize_entry("review_urgent", &self.urgency.review)?;
        map.serialize_entry("urgency", &self.urgency)?;
        map.serialize_entry("second_look", &self.second_look)?;
        map.serialize_entry("neighbours", &self.evidence)?;
        map.end()
    }
}

/// JSON: `{"score": 0.2, "signs": ["soundness_iv"]}`. Whether to review stands beside it.
impl Serialize for Urgency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("score", &round(self.score))?;
        map.serialize_entry("signs", &self.signs)?;
        map.end()
    }
}

/// JSON: `{"id", "similarity", "source", "caption", "labels": {"soundness": ["II"], …}}`.
impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("id", &self.reference_id)?;
        map.serialize_entry("similarity", &round(self.similarity))?;
        map.serialize_entry("source", &self.source)?;
        map.serialize_entry("caption", &self.caption)?;
        map.serialize_entry("labels", &self.labels)?;
        map.end()
    }
}

/// JSON: `{"soundness": ["II"], "measure": ["C1"], …}`.
impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = |category| self.get(category).names(category).collect::<Vec<_>>();
        serializer.collect_map(Category::ALL.map(|category| (category.id(), names(category))))
    }
}

/// Four decimals: an int8 engine does not know more, and events stay short.
fn round(value: f32) -> f32 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UrgentSign;

    #[test]
    fn programs_read_how_an_answer_was_made_and_what_to_look_at() {
        let answer = |index| CategoryVerdict { classes: vec![ScoredClass { index, confidence: 0.123456 }] };
        let verdict = Verdict {
            categories: [1, 2, 0, 6].map(answer),
            method: Method::ZeroShot,
            rule: None,
            confidence_calibrated: true,
            urgency: Urgency { review: true, score: 0.2, signs: vec![UrgentSign::MeasureE2] },
            second_look: vec![SecondLook::NearTie, SecondLook::OtherClass],
            evidence: Vec::new(),
        };
        let expected = serde_json::json!({
            "soundness": [{"label": "II", "confidence": 0.1235_f32}],
            "measure": [{"label": "C1", "confidence": 0.1235_f32}],
            "damage_type": [{"label": "cracking", "confidence": 0.1235_f32}],
            "damage_location": [{"label": "pier", "confidence": 0.1235_f32}],
            "method": "zero-shot",
            "confidence_calibrated": true,
            "review_urgent": true,
            "urgency": {"score": 0.2_f32, "signs": ["measure_e2"]},
            "second_look": ["near_tie", "other_class"],
            "neighbours": [],
        });
        assert_eq!(serde_json::to_value(&verdict).expect("JSON"), expected);
        let knn = Verdict { method: Method::Knn, rule: Some(Rule::Balanced), ..verdict };
        assert_eq!(serde_json::to_value(&knn).expect("JSON")["rule"], "balanced");
    }
}
