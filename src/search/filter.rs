//! Conditions on labels in the form that people write: `damage_type=cracking`.

use std::str::FromStr;

use crate::domain::{Category, Labels, class_of};

/// The condition that a photo carries a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    pub category: Category,
    /// Index of the class within its category.
    pub class: u8,
}

/// Reason why a text is not a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    #[error("`{0}` is not CATEGORY=LABEL, as in damage_type=cracking")]
    Form(String),
    #[error("`{found}` is no category; there are {}", Category::ALL.map(Category::id).join(", "))]
    Category { found: String },
    #[error("`{found}` is no class of {category}; there are {}", labels(*category))]
    Class { category: Category, found: String },
}

fn labels(category: Category) -> String {
    category.classes().iter().map(|class| class.en).collect::<Vec<_>>().join(", ")
}

/// Parses `CATEGORY=LABEL`. `CATEGORY` is a category's name or its column in the published files. `LABEL` is a class's
/// label or one of its synonyms, in English or Japanese.
impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let (name, label) = text.split_once('=').ok_or_else(|| ConditionError::Form(text.to_owned()))?;
        let (name, label) = (name.trim(), label.trim());
        let category = Category::ALL.into_iter().find(|category| category.id() == name || category.column() == name);
        let category = category.ok_or_else(|| ConditionError::Category { found: name.to_owned() })?;
        let class = class_of(category, label);
        let class = class.ok_or_else(|| ConditionError::Class { category, found: label.to_owned() })?;
        Ok(Condition { category, class })
    }
}

/// Conditions that must all be met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(pub Vec<Condition>);

impl Filter {
    /// Reports whether a photo meets all conditions. `carries` reports whether the photo meets one of them.
    pub fn passes(&self, mut carries: impl FnMut(Condition) -> bool) -> bool {
        self.0.iter().all(|&condition| carries(condition))
    }

    /// Reports whether a photo with these labels meets all conditions.
    pub fn passes_labels(&self, labels: &Labels) -> bool {
        self.passes(|condition| labels.get(condition.category).indexes().contains(&condition.class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_taken_in_both_languages() {
        let condition = |category, label: &str| Condition {
            category,
            class: Category::class_index(category, label).expect("a label"),
        };
        let cases = [
            ("damage_type=cracking", condition(Category::DamageType, "cracking")),
            ("damage_type = ひびわれ", condition(Category::DamageType, "cracking")),
            ("damage_loc=Main girders", condition(Category::DamageLocation, "main girder")),
            ("soundness=IV", condition(Category::Soundness, "IV")),
            ("kenzenudo=IV", condition(Category::Soundness, "IV")),
            ("measure=E1", condition(Category::Measure, "E1")),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_say_what_there_is() {
        let cases = [
            ("cracking", "is not CATEGORY=LABEL"),
            ("damage=cracking", "there are soundness, measure, damage_type, damage_location"),
            ("soundness=V", "`V` is no class of soundness; there are I, II, III, IV"),
            ("measure=", "`` is no class of measure"),
        ];
        for (text, expected) in cases {
            let message = text.parse::<Condition>().expect_err(text).to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
