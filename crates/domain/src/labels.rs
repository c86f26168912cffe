//! The four categories and their 48 classes, in the class order of the published definitions.
//!
//! `models/bridgeclip_models/labels.toml` holds the same table for the Python project; a test keeps the two equal.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Name of the class table below. A model package or a reference database for another table is refused.
pub const LABEL_VERSION: &str = "xroad-1";

/// One of the four judgements in an inspection record about a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Soundness rating of the member, I (sound) to IV (emergency action).
    Soundness,
    /// Measure classification, A to S2: the action to take.
    Measure,
    /// Kinds of damage in the photo, possibly several.
    DamageType,
    /// Damaged members, possibly several.
    DamageLocation,
}

/// One class of a category.
#[derive(Debug, PartialEq, Eq)]
pub struct Class {
    /// Label in CSV files and results.
    pub en: &'static str,
    /// Wording in the source inspection records.
    pub ja: &'static str,
    /// Meaning of the code in words; empty where `en` already says it.
    pub meaning: &'static str,
}

impl Category {
    /// All categories, in the order of the published tables.
    pub const ALL: [Category; 4] =
        [Category::Soundness, Category::Measure, Category::DamageType, Category::DamageLocation];

    /// Returns the name in results and settings.
    pub const fn id(self) -> &'static str {
        match self {
            Category::Soundness => "soundness",
            Category::Measure => "measure",
            Category::DamageType => "damage_type",
            Category::DamageLocation => "damage_location",
        }
    }

    /// Returns the CSV column of the published pipeline.
    pub const fn column(self) -> &'static str {
        match self {
            Category::Soundness => "kenzenudo",
            Category::Measure => "taisaku",
            Category::DamageType => "damage_type",
            Category::DamageLocation => "damage_loc",
        }
    }

    /// Reports whether a photo can have several classes of this category.
    pub const fn is_multi(self) -> bool {
        matches!(self, Category::DamageType | Category::DamageLocation)
    }

    /// Returns the classes in published order. The whole program refers to a class by its index in this list.
    pub const fn classes(self) -> &'static [Class] {
        match self {
            Category::Soundness => &SOUNDNESS,
            Category::Measure => &MEASURE,
            Category::DamageType => &DAMAGE_TYPE,
            Category::DamageLocation => &DAMAGE_LOCATION,
        }
    }

    /// Returns the index of the class with this English label (exact match).
    pub fn class_index(self, en: &str) -> Option<u8> {
        self.classes().iter().position(|class| class.en == en).map(|index| index as u8)
    }

    /// Returns the class at `index`.
    ///
    /// # Panics
    /// If `index` is not below `self.classes().len()`.
    pub fn class(self, index: u8) -> &'static Class {
        &self.classes()[usize::from(index)]
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Error for a label that is not in the class table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{label}` is not a {category} label; known labels: {}", known(*category))]
pub struct UnknownLabel {
    pub category: Category,
    pub label: String,
}

fn known(category: Category) -> String {
    category.classes().iter().map(|class| class.en).collect::<Vec<_>>().join(", ")
}

/// Classes of one photo in one category: distinct class indexes, in the order of the source record.
///
/// The order matters, because the published tie rule takes the label that was seen first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CategoryLabels(Vec<u8>);

impl CategoryLabels {
    /// Creates a list of classes. Of equal indexes, the first is kept.
    ///
    /// # Panics
    /// If an index is not below the number of classes of `category`.
    pub fn new(category: Category, indexes: impl IntoIterator<Item = u8>) -> Self {
        let mut list: Vec<u8> = Vec::new();
        for index in indexes {
            assert!(usize::from(index) < category.classes().len(), "class {index} of {category}");
            if !list.contains(&index) {
                list.push(index);
            }
        }
        CategoryLabels(list)
    }

    /// Parses a CSV cell: English labels joined by `|`. An empty cell has no classes.
    pub fn parse(category: Category, cell: &str) -> Result<Self, UnknownLabel> {
        let labels = cell.split('|').map(str::trim).filter(|label| !label.is_empty());
        let indexes = labels
            .map(|label| category.class_index(label).ok_or_else(|| UnknownLabel { category, label: label.to_owned() }));
        Ok(Self::new(category, indexes.collect::<Result<Vec<_>, _>>()?))
    }

    /// Returns the class indexes.
    pub fn indexes(&self) -> &[u8] {
        &self.0
    }

    /// Reports whether there are no classes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the English labels.
    pub fn names(&self, category: Category) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(move |&index| category.class(index).en)
    }

    /// Returns the CSV cell: English labels joined by `|`.
    pub fn to_cell(&self, category: Category) -> String {
        self.names(category).collect::<Vec<_>>().join("|")
    }
}

/// Labels of one photo in all four categories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels([CategoryLabels; 4]);

impl Labels {
    /// Creates the labels by calling `of` for each category.
    pub fn new(of: impl FnMut(Category) -> CategoryLabels) -> Self {
        Labels(Category::ALL.map(of))
    }

    /// Returns the classes in one category.
    pub fn get(&self, category: Category) -> &CategoryLabels {
        &self.0[category as usize]
    }
}

const SOUNDNESS: [Class; 4] = [
    class("I", "Ⅰ", "sound"),
    class("II", "Ⅱ", "preventive-maintenance stage"),
    class("III", "Ⅲ", "early-action stage: function may be impaired"),
    class("IV", "Ⅳ", "emergency-action stage: function impaired or very likely to be"),
];

const MEASURE: [Class; 9] = [
    class("A", "A", "no repair needed"),
    class("B", "B", "repair depending on circumstances"),
    class("C1", "C1", "prompt repair, preventive viewpoint"),
    class("C2", "C2", "prompt repair, structural safety"),
    class("E1", "E1", "emergency response, structural safety"),
    class("E2", "E2", "emergency response, other (e.g. harm to third parties)"),
    class("M", "M", "handle in routine maintenance"),
    class("S1", "S1", "detailed investigation needed"),
    class("S2", "S2", "follow-up monitoring needed"),
];

const DAMAGE_TYPE: [Class; 15] = [
    class("cracking", "ひびわれ", ""),
    class("spalling / rebar exposure", "剥離・鉄筋露出", ""),
    class("corrosion", "腐食", ""),
    class("delamination", "うき", ""),
    class("water leakage / efflorescence", "漏水・遊離石灰", ""),
    class("deformation / defect", "変形・欠損", ""),
    class("soil/debris clogging", "土砂詰まり", ""),
    class("loosening / dislodgement", "ゆるみ・脱落", ""),
    class("deterioration of anti-corrosion function", "防食機能の劣化", ""),
    class("bearing dysfunction", "支承の機能障害", ""),
    class("fracture", "破断", ""),
    class("fatigue cracking", "き裂", ""),
    class("pavement defect", "舗装の異常", ""),
    class("scour", "洗掘", ""),
    class("other", "その他", ""),
];

const DAMAGE_LOCATION: [Class; 20] = [
    class("main girder", "主桁", ""),
    class("cross girder", "横桁", ""),
    class("deck slab", "床版", ""),
    class("vertical wall", "竪壁", ""),
    class("wing wall", "翼壁", ""),
    class("parapet", "胸壁", ""),
    class("pier", "橋脚", ""),
    class("bearing", "支承", ""),
    class("expansion joint", "伸縮装置", ""),
    class("pavement", "舗装", ""),
    class("drainage facility", "排水施設", ""),
    class("railing", "高欄", ""),
    class("guardrail", "防護柵", ""),
    class("curb", "地覆", ""),
    class("attached equipment", "添架物", ""),
    class("top slab", "頂版", ""),
    class("bottom slab", "底版", ""),
    class("side wall", "側壁", ""),
    class("unseating prevention system", "落橋防止システム", ""),
    class("other", "その他", ""),
];

const fn class(en: &'static str, ja: &'static str, meaning: &'static str) -> Class {
    Class { en, ja, meaning }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_equals_the_one_of_the_python_project() {
        let text = include_str!("../../../models/bridgeclip_models/labels.toml");
        let table: toml::Table = text.parse().expect("labels.toml parses");
        let categories = table["category"].as_array().expect("[[category]]");
        assert_eq!(categories.len(), Category::ALL.len());
        for (theirs, ours) in categories.iter().zip(Category::ALL) {
            assert_eq!(theirs["id"].as_str(), Some(ours.id()));
            assert_eq!(theirs["column"].as_str(), Some(ours.column()));
            assert_eq!(theirs["kind"].as_str() == Some("multi"), ours.is_multi());
            let classes = theirs["classes"].as_array().expect("classes");
            assert_eq!(classes.len(), ours.classes().len());
            for (class, our_class) in classes.iter().zip(ours.classes()) {
                assert_eq!(class["en"].as_str(), Some(our_class.en));
                assert_eq!(class["ja"].as_str(), Some(our_class.ja));
                let meaning = class.get("meaning").and_then(|m| m.as_str()).unwrap_or("");
                assert_eq!(meaning, our_class.meaning);
            }
        }
    }

    #[test]
    fn a_cell_keeps_its_order_and_drops_repeats() {
        let labels = CategoryLabels::parse(Category::DamageType, "corrosion|cracking| corrosion |");
        assert_eq!(labels.unwrap().to_cell(Category::DamageType), "corrosion|cracking");
    }

    #[test]
    fn an_unknown_label_is_named() {
        let error = CategoryLabels::parse(Category::Soundness, "V").unwrap_err();
        assert_eq!(error.to_string(), "`V` is not a soundness label; known labels: I, II, III, IV");
    }
}
