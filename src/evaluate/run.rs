//! One evaluation as a value: what the JSON file holds and the report shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Classification, Direction, DirectionScores, DoubtScores, UrgencyScores};

/// What was evaluated, and the scores of whatever was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The name under which runs are told apart.
    pub name: String,
    /// The CSV of the photos.
    pub data: String,
    /// Name, version and hash of the model package, if one was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// How the answers were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Rows that were evaluated.
    pub photos: usize,
    /// Rows whose photo or text could not be used.
    pub left_out: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// Of a classification by this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<UrgencyScores>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_look: Option<DoubtScores>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub retrieval: BTreeMap<Direction, DirectionScores>,
    /// From the smallest reference to the largest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scaling: Vec<ScalingPoint>,
}

impl Run {
    /// Whether anything was scored.
    pub fn has_scores(&self) -> bool {
        self.classification.is_some() || !self.retrieval.is_empty() || !self.scaling.is_empty()
    }
}

/// k-NN classification with a part of the reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingPoint {
    /// Photos of the reference that could vote.
    pub reference_photos: usize,
    pub classification: Classification,
}

#[cfg(test)]
pub mod tests {
    use serde_json::Value;

    /// Every value of `expected` is in `found`; numbers agree to 1e-9.
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
