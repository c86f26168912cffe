//! What the device says about a photo, and the evidence for it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Category, Labels};

/// The answer in all four categories with the neighbours that it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    categories: [CategoryVerdict; 4],
    /// The nearest reference photos, most similar first.
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
    /// Share of the neighbours that carry the class, or its probability; in [0, 1].
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
    /// `categories` in the order of [`Category::ALL`].
    pub fn new(categories: [CategoryVerdict; 4], evidence: Vec<Evidence>) -> Self {
        Verdict { categories, evidence }
    }

    pub fn get(&self, category: Category) -> &CategoryVerdict {
        &self.categories[category as usize]
    }

    /// Whether the answer means "act now": soundness IV, or an emergency measure.
    pub fn is_urgent(&self) -> bool {
        let says = |category, label| self.get(category).names(category).any(|name| name == label);
        says(Category::Soundness, "IV") || says(Category::Measure, "E1") || says(Category::Measure, "E2")
    }
}

impl CategoryVerdict {
    /// The English labels.
    pub fn names(&self, category: Category) -> impl Iterator<Item = &'static str> {
        self.classes.iter().map(move |class| category.class(class.index).en)
    }
}

/// JSON: `{"soundness": [{"label": "II", "confidence": 0.7}], …, "neighbours": […]}`.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Label {
            label: &'static str,
            confidence: f32,
        }
        let mut map = serializer.serialize_map(Some(Category::ALL.len() + 1))?;
        for category in Category::ALL {
            let classes = &self.get(category).classes;
            let labels = classes
                .iter()
                .map(|class| Label { label: category.class(class.index).en, confidence: round(class.confidence) });
            map.serialize_entry(category.id(), &labels.collect::<Vec<_>>())?;
        }
        map.serialize_entry("neighbours", &self.evidence)?;
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
