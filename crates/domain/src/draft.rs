//! Drafts of findings: what labelled photos or inspectors say about a photo or a member, sentence by sentence, in the
//! form of the published captions.
//!
//! A draft is a proposal for an inspector. Each clause names the photos that say it, and nothing is in a draft that no
//! such photo says.

use serde::de::Error;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, Serialize};

use super::caption::{caption, japanese_clause};
use super::{Category, Labels};

/// Draft of a finding. Empty if labelled photos do not agree on anything that was answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    pub clauses: Vec<Clause>,
}

/// One sentence of a draft: damage in one location, a rating, or a measure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clause {
    /// What the sentence says.
    pub says: Labels,
    /// Labelled photos that say it, most similar first: ids as in [`super::Evidence::reference_id`].
    pub references: Vec<i64>,
    /// In a draft about a member, the captures whose labelled photos or whose inspectors say it, in ascending order. Empty
    /// in a draft about one photo.
    pub captures: Vec<i64>,
}

impl Draft {
    /// Reports whether the draft says nothing.
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Returns the English text, in the form of the published captions.
    pub fn en(&self) -> String {
        self.clauses.iter().map(|clause| caption(&clause.says)).collect::<Vec<_>>().join(" ")
    }

    /// Returns the Japanese text, in the form of the published captions: one sentence of several clauses.
    pub fn ja(&self) -> String {
        let clauses: Vec<String> = self.clauses.iter().map(|clause| japanese_clause(&clause.says)).collect();
        if clauses.is_empty() { String::new() } else { format!("{}。", clauses.join("、")) }
    }
}

/// Writes `{"en": "…", "ja": "…", "clauses": [{"says": {"soundness": ["III"]}, "references": [12, 7]}]}`.
impl Serialize for Draft {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("en", &self.en())?;
        map.serialize_entry("ja", &self.ja())?;
        map.serialize_entry("clauses", &self.clauses)?;
        map.end()
    }
}

/// Reads a draft. The texts follow from the clauses.
impl<'de> Deserialize<'de> for Draft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            clauses: Vec<Clause>,
        }
        Ok(Draft { clauses: Form::deserialize(deserializer)?.clauses })
    }
}

/// Writes only the categories that the sentence is about.
impl Serialize for Clause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("says", &Says(&self.says))?;
        map.serialize_entry("references", &self.references)?;
        if !self.captures.is_empty() {
            map.serialize_entry("captures", &self.captures)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Clause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            says: Labels,
            references: Vec<i64>,
            #[serde(default)]
            captures: Vec<i64>,
        }
        let Form { says, references, captures } = Form::deserialize(deserializer)?;
        match caption(&says).is_empty() {
            true => Err(D::Error::custom("a clause of a draft says nothing")),
            false => Ok(Clause { says, references, captures }),
        }
    }
}

struct Says<'a>(&'a Labels);

impl Serialize for Says<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = Category::ALL.into_iter().filter(|category| !self.0.get(*category).is_empty());
        serializer.collect_map(
            known.map(|category| (category.id(), self.0.get(category).names(category).collect::<Vec<_>>())),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CategoryLabels, Unknown, read_finding};

    fn says(damage: &[u8], location: &[u8], rating: &[u8], measure: &[u8]) -> Labels {
        Labels::new(|category| {
            let indexes = match category {
                Category::Soundness => rating,
                Category::Measure => measure,
                Category::DamageType => damage,
                Category::DamageLocation => location,
            };
            CategoryLabels::new(category, indexes.iter().copied())
        })
    }

    fn draft() -> Draft {
        let clause = |says, references: &[i64]| Clause { says, references: references.to_vec(), captures: Vec::new() };
        Draft {
            clauses: vec![
                clause(says(&[0, 2], &[6], &[], &[]), &[12, 7]),
                clause(says(&[], &[], &[2], &[]), &[12, -3]),
                clause(says(&[], &[], &[], &[3]), &[7, 8]),
            ],
        }
    }

    #[test]
    fn both_texts_have_the_form_of_labelled_findings() {
        let [damage, other] = [0, 2].map(|index| Category::DamageType.class(index));
        let (place, measure) = (Category::DamageLocation.class(6), Category::Measure.class(3));
        assert!(draft().en().ends_with(&format!(
            " are observed in the {}. The soundness rating is Ⅲ. The component-wise measure classification is {}.",
            place.en, measure.en
        )));
        assert_eq!(
            draft().ja(),
            format!(
                "{}において{}、{}が見られます、健全度判定はⅢです、部材毎の対策区分判定は{}です。",
                place.ja, damage.ja, other.ja, measure.en
            )
        );
        assert_eq!((Draft::default().en(), Draft::default().ja()), (String::new(), String::new()));
        for text in [draft().en(), draft().ja()] {
            assert_eq!(read_finding(&text, Unknown::LeaveOut).labels, says(&[0, 2], &[6], &[2], &[3]), "{text}");
        }
    }

    #[test]
    fn json_has_the_texts_and_the_photos_of_each_clause() {
        let json = serde_json::to_value(draft()).expect("JSON");
        assert_eq!(json["clauses"][1], serde_json::json!({"says": {"soundness": ["III"]}, "references": [12, -3]}));
        assert_eq!(json["en"], draft().en());
        assert_eq!(serde_json::from_value::<Draft>(json).expect("a draft"), draft());
        let mute = serde_json::json!({"clauses": [{"says": {}, "references": []}]});
        assert!(serde_json::from_value::<Draft>(mute).is_err());
        let member = Clause { captures: vec![17], ..draft().clauses[1].clone() };
        assert_eq!(serde_json::to_value(&member).expect("JSON")["captures"], serde_json::json!([17]));
        assert_eq!(serde_json::from_value::<Clause>(serde_json::json!(member)).expect("a clause"), member);
    }
}
