//! JSON of verdicts, in events, in `device.db` and on the command line.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Category, CategoryLabels, CategoryVerdict, Draft, Evidence, Labels, Method, PredictionSets, Rule, ScoredClass,
    SecondLook, UnknownLabel, Urgency, UrgentSign, Verdict,
};

/// Writes `{"soundness": [{"label": "II", "confidence": 0.7}], …, "method": "knn", "rule": "published",
/// "confidence_calibrated": false, "review_urgent": true, "urgency": {"score": 0.2, "signs": ["soundness_iv"]},
/// "second_look": ["near_tie"], "not_excluded": {"coverage": 0.95, "soundness": ["II", "III"], "measure": ["C1"]},
/// "draft": {"en": "…", "ja": "…", "clauses": […]}, "neighbours": […]}`. An inspector's judgement has `"by_inspector": true` and no confidences.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        put_answer(&mut map, self)?;
        map.serialize_entry("neighbours", &self.evidence)?;
        map.end()
    }
}

/// JSON form of a verdict whose neighbours are not available. It has no list of neighbours, because an empty one would
/// mean that there are none.
pub struct Answer<'a>(pub &'a Verdict);

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        put_answer(&mut map, self.0)?;
        map.end()
    }
}

fn put_answer<M: SerializeMap>(map: &mut M, verdict: &Verdict) -> Result<(), M::Error> {
    for category in Category::ALL {
        map.serialize_entry(category.id(), &scored_labels(category, verdict.get(category), verdict.by_inspector))?;
    }
    map.serialize_entry("method", &verdict.method)?;
    if let Some(rule) = &verdict.rule {
        map.serialize_entry("rule", rule)?;
    }
    if verdict.by_inspector {
        map.serialize_entry("by_inspector", &true)?;
    }
    map.serialize_entry("confidence_calibrated", &verdict.confidence_calibrated)?;
    map.serialize_entry("review_urgent", &verdict.urgency.review)?;
    map.serialize_entry("urgency", &verdict.urgency)?;
    map.serialize_entry("second_look", &verdict.second_look)?;
    if let Some(sets) = &verdict.not_excluded {
        map.serialize_entry("not_excluded", sets)?;
    }
    match verdict.draft.is_empty() {
        true => Ok(()),
        false => map.serialize_entry("draft", &verdict.draft),
    }
}

/// Returns the classes of an answer with their confidences, which an inspector's judgement has not.
pub(super) fn scored_labels(
    category: Category,
    answer: &CategoryVerdict,
    by_inspector: bool,
) -> Vec<Label<&'static str>> {
    let label = |class: &ScoredClass| Label {
        label: category.class(class.index).en,
        confidence: (!by_inspector).then(|| round(class.confidence)),
    };
    answer.classes.iter().map(label).collect()
}

/// A class of an answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Label<S> {
    label: S,
    /// Confidence of the class; absent in an inspector's judgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confidence: Option<f32>,
}

/// Reads a verdict. Missing parts are empty: `device.db` keeps verdicts without neighbours.
impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Form {
            soundness: Vec<Label<String>>,
            measure: Vec<Label<String>>,
            damage_type: Vec<Label<String>>,
            damage_location: Vec<Label<String>>,
            method: Method,
            rule: Option<Rule>,
            by_inspector: bool,
            confidence_calibrated: bool,
            review_urgent: bool,
            urgency: UrgencyForm,
            second_look: Vec<SecondLook>,
            not_excluded: Option<PredictionSets>,
            draft: Draft,
            neighbours: Vec<Evidence>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct UrgencyForm {
            score: f32,
            signs: Vec<UrgentSign>,
        }
        let form = Form::deserialize(deserializer)?;
        let answer = |category, labels| category_verdict(category, labels).map_err(D::Error::custom);
        let UrgencyForm { score, signs } = form.urgency;
        Ok(Verdict {
            categories: [
                answer(Category::Soundness, form.soundness)?,
                answer(Category::Measure, form.measure)?,
                answer(Category::DamageType, form.damage_type)?,
                answer(Category::DamageLocation, form.damage_location)?,
            ],
            method: form.method,
            rule: form.rule,
            by_inspector: form.by_inspector,
            confidence_calibrated: form.confidence_calibrated,
            urgency: Urgency { review: form.review_urgent, score, signs },
            second_look: form.second_look,
            not_excluded: form.not_excluded,
            draft: form.draft,
            evidence: form.neighbours,
        })
    }
}

pub(super) fn category_verdict(
    category: Category,
    labels: Vec<Label<String>>,
) -> Result<CategoryVerdict, UnknownLabel> {
    let class = |Label { label, confidence }: Label<String>| match category.class_index(&label) {
        Some(index) => Ok(ScoredClass { index, confidence: confidence.unwrap_or(1.0) }),
        None => Err(UnknownLabel { category, label }),
    };
    Ok(CategoryVerdict { classes: labels.into_iter().map(class).collect::<Result<_, _>>()? })
}

/// Writes `{"score": 0.2, "signs": ["soundness_iv"]}`. Whether to review is an entry of the verdict itself.
impl Serialize for Urgency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("score", &round(self.score))?;
        map.serialize_entry("signs", &self.signs)?;
        map.end()
    }
}

/// Writes `{"coverage": 0.95, "soundness": ["II", "III"], "measure": ["C1"]}`.
impl Serialize for PredictionSets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("coverage", &round(self.coverage))?;
        for category in PredictionSets::CATEGORIES {
            let names = self.get(category).into_iter().flat_map(|set| set.names(category));
            map.serialize_entry(category.id(), &names.collect::<Vec<_>>())?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for PredictionSets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            coverage: f32,
            soundness: Vec<String>,
            measure: Vec<String>,
        }
        let Form { coverage, soundness, measure } = Form::deserialize(deserializer)?;
        let soundness = category_labels(Category::Soundness, &soundness)?;
        Ok(PredictionSets { coverage, soundness, measure: category_labels(Category::Measure, &measure)? })
    }
}

/// Writes `{"id", "similarity", "source", "caption", "labels": {"soundness": ["II"], …}}`.
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

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            id: i64,
            similarity: f32,
            source: String,
            caption: String,
            labels: Labels,
        }
        let Form { id, similarity, source, caption, labels } = Form::deserialize(deserializer)?;
        Ok(Evidence { reference_id: id, similarity, source, caption, labels })
    }
}

/// Writes `{"soundness": ["II"], "measure": ["C1"], …}`.
impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = |category| self.get(category).names(category).collect::<Vec<_>>();
        serializer.collect_map(Category::ALL.map(|category| (category.id(), names(category))))
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = BTreeMap::<Category, Vec<String>>::deserialize(deserializer)?;
        let mut labels: [CategoryLabels; 4] = Default::default();
        for (category, names) in names {
            labels[category as usize] = category_labels(category, &names)?;
        }
        Ok(Labels::new(|category| labels[category as usize].clone()))
    }
}

pub(super) fn category_labels<E: Error>(category: Category, names: &[String]) -> Result<CategoryLabels, E> {
    CategoryLabels::parse(category, &names.join("|")).map_err(E::custom)
}

/// Rounds to four decimals. An int8 engine is not more precise, and events stay short.
pub(super) fn round(value: f32) -> f32 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clause;

    #[test]
    fn programs_read_how_an_answer_was_made_and_what_to_look_at() {
        let answer = |index| CategoryVerdict { classes: vec![ScoredClass { index, confidence: 0.123456 }] };
        let verdict = Verdict {
            categories: [1, 2, 0, 6].map(answer),
            method: Method::ZeroShot,
            rule: None,
            by_inspector: false,
            confidence_calibrated: true,
            urgency: Urgency { review: true, score: 0.2, signs: vec![UrgentSign::MeasureE2] },
            second_look: vec![SecondLook::NearTie, SecondLook::OtherClass],
            not_excluded: Some(sets()),
            draft: draft(),
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
            "not_excluded": {"coverage": 0.95_f32, "soundness": ["II", "IV"], "measure": ["E1"]},
            "draft": {
                "en": "The soundness rating is Ⅱ.",
                "ja": "健全度判定はⅡです。",
                "clauses": [{"says": {"soundness": ["II"]}, "references": [9, 4]}],
            },
            "neighbours": [],
        });
        assert_eq!(serde_json::to_value(&verdict).expect("JSON"), expected);
        let mut answer = serde_json::to_value(Answer(&verdict)).expect("JSON");
        answer["neighbours"] = serde_json::json!([]);
        assert_eq!(answer, expected, "nothing else is left out");
        let knn = Verdict { method: Method::Knn, rule: Some(Rule::Balanced), ..verdict };
        assert_eq!(serde_json::to_value(&knn).expect("JSON")["rule"], "balanced");
        let unknown = Verdict { not_excluded: None, draft: Draft::default(), ..knn };
        let unknown = serde_json::to_value(&unknown).expect("JSON");
        assert!(["not_excluded", "draft"].iter().all(|name| unknown.get(name).is_none()));
    }

    fn draft() -> Draft {
        let says = Labels::new(|category| match category {
            Category::Soundness => CategoryLabels::new(category, [1]),
            _ => CategoryLabels::default(),
        });
        Draft { clauses: vec![Clause { says, references: vec![9, 4], captures: Vec::new() }] }
    }

    fn sets() -> PredictionSets {
        let soundness = CategoryLabels::new(Category::Soundness, [1, 3]);
        let measure = CategoryLabels::new(Category::Measure, [4]);
        PredictionSets { coverage: 0.95, soundness, measure }
    }

    #[test]
    fn a_verdict_comes_back_from_its_json() {
        let labels = Labels::new(|category| CategoryLabels::new(category, [0, 2]));
        let evidence = Evidence { reference_id: 9, similarity: 0.75, source: "a".into(), caption: "b".into(), labels };
        let answer = |index| CategoryVerdict { classes: vec![ScoredClass { index, confidence: 0.5 }] };
        let verdict = Verdict {
            categories: [1, 2, 0, 6].map(answer),
            rule: Some(Rule::Balanced),
            urgency: Urgency { review: true, score: 0.25, signs: vec![UrgentSign::SoundnessIv] },
            second_look: vec![SecondLook::TooDark],
            not_excluded: Some(sets()),
            draft: draft(),
            evidence: vec![evidence],
            ..Verdict::default()
        };
        let json = serde_json::to_string(&verdict).expect("JSON");
        assert_eq!(serde_json::from_str::<Verdict>(&json).expect("a verdict"), verdict);
        assert_eq!(serde_json::from_str::<Verdict>("{}").expect("a verdict"), Verdict::default());
        let unknown = serde_json::from_str::<Verdict>(&json.replace(r#""label":"II""#, r#""label":"V""#));
        assert!(unknown.expect_err("no class").to_string().contains("`V` is not a soundness label"));
    }
}
