//! One evaluation as a value: the content of the JSON file, which the report shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Classification, Direction, DirectionScores, DoubtScores, UrgencyScores};
use crate::reference::ReadReport;

/// The subject of an evaluation, and the scores that were requested.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Name that distinguishes the run from others.
    pub name: String,
    /// File name of the CSV of the photos.
    pub data: String,
    /// Name, version and hash of the model package. None if no package was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// How the answers were made, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Number of rows that were evaluated.
    pub photos: usize,
    /// Number of rows whose photo or text could not be used.
    pub left_out: usize,
    /// How the labels of the CSV were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<ReadReport>,
    /// Scores of answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// Scores of urgency. None unless this program made the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<UrgencyScores>,
    /// Scores of the reasons for a second look. None unless this program made the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_look: Option<DoubtScores>,
    /// Scores of searches, by direction.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub retrieval: BTreeMap<Direction, DirectionScores>,
    /// Scores with parts of the reference, from the smallest part to the largest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scaling: Vec<ScalingPoint>,
}

impl Run {
    /// Reports whether the run has any scores.
    pub fn has_scores(&self) -> bool {
        self.classification.is_some() || !self.retrieval.is_empty() || !self.scaling.is_empty()
    }
}

/// The scores of k-NN classification with a part of the reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingPoint {
    /// Number of photos of the reference that could vote.
    pub reference_photos: usize,
    pub classification: Classification,
}

#[cfg(test)]
pub mod tests {
    use serde_json::Value;

    /// Asserts that `found` has every value of `expected`. Numbers must agree to 1e-9.
    pub fn assert_close(found: &Value, expected: &Value, path: &str) {
        match (found, expected) {
            (Value::Object(found), Value::Object(expected)) => {
                for (key, value) in expected {
                    let at = format!("{path}.{key}");
                    assert_close(found.get(key).unwrap_or_else(|| panic!("{at} is missing")), value, &at);
                }
            }
            (Value::Array(found), Value::Array(expected)) => {
                assert_eq!(found.len(), expected.len(), "{path}");
                for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                    assert_close(found, expected, &format!("{path}[{index}]"));
                }
            }
            (Value::Number(found), Value::Number(expected)) => {
                let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
                assert!((found - expected).abs() <= 1e-9, "{path}: {found}, expected {expected}");
            }
            _ => assert_eq!(found, expected, "{path}"),
        }
    }
}
