//! The texts that describe each class, from a file that people edit.

use toml::{Table, Value};

use bridgeclip_domain::Category;

/// At least one text for each class of every category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompts([Vec<Vec<String>>; 4]);

/// Reason why a file of prompts cannot be used. `key` is the path to the place, such as `damage_type.cracking`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptsError {
    #[error("not TOML: {0}")]
    Toml(String),
    #[error("`{key}` is missing; give it a list of texts")]
    Missing { key: String },
    #[error("`{key}` is unknown; expected: {expected}")]
    Unknown { key: String, expected: String },
    #[error("`{key}` must be {expected}")]
    Kind { key: String, expected: &'static str },
}

impl Prompts {
    /// The built-in file, `deploy/prompts.toml`.
    pub const BUILT_IN: &str = include_str!("../../../../deploy/prompts.toml");

    /// Reads one table for each category, with a list of texts for each class under the class's English label. Fails if
    /// a category or a class is missing or unknown.
    pub fn parse(text: &str) -> Result<Self, PromptsError> {
        let file: Table = text.parse().map_err(|error: toml::de::Error| PromptsError::Toml(error.to_string()))?;
        refuse_unknown(&file, "", &Category::ALL.map(Category::id))?;
        let mut prompts: [Vec<Vec<String>>; 4] = Default::default();
        for category in Category::ALL {
            prompts[category as usize] = category_prompts(&file, category)?;
        }
        Ok(Prompts(prompts))
    }

    /// Returns the texts of the class at `index`, at least one.
    ///
    /// # Panics
    /// If `index` is not below the number of the category's classes.
    pub fn get(&self, category: Category, index: u8) -> &[String] {
        &self.0[category as usize][usize::from(index)]
    }

    /// Iterates over all texts, class by class.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().flatten().map(String::as_str)
    }
}

impl Default for Prompts {
    fn default() -> Self {
        Prompts::parse(Self::BUILT_IN).expect("the built-in prompts parse")
    }
}

fn category_prompts(file: &Table, category: Category) -> Result<Vec<Vec<String>>, PromptsError> {
    let key = category.id();
    let table = file.get(key).ok_or_else(|| PromptsError::Missing { key: key.to_owned() })?;
    let kind = || PromptsError::Kind { key: key.to_owned(), expected: "a table of classes" };
    let table = table.as_table().ok_or_else(kind)?;
    let labels: Vec<&str> = category.classes().iter().map(|class| class.en).collect();
    refuse_unknown(table, &format!("{key}."), &labels)?;
    labels.iter().map(|label| class_prompts(table.get(*label), &format!("{key}.{label}"))).collect()
}

fn class_prompts(value: Option<&Value>, key: &str) -> Result<Vec<String>, PromptsError> {
    let value = value.ok_or_else(|| PromptsError::Missing { key: key.to_owned() })?;
    let kind =
        || PromptsError::Kind { key: key.to_owned(), expected: "a list of at least one text, none of them empty" };
    let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(kind)?;
    let text = |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    list.iter().map(text).collect::<Option<_>>().ok_or_else(kind)
}

fn refuse_unknown(table: &Table, prefix: &str, known: &[&str]) -> Result<(), PromptsError> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(PromptsError::Unknown { key: format!("{prefix}{key}"), expected: known.join(", ") }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_prompts_describe_every_class_differently() {
        let prompts = Prompts::default();
        for category in Category::ALL {
            let mut texts: Vec<&String> = prompts.0[category as usize].iter().flatten().collect();
            let count = texts.len();
            assert!(count >= 2 * category.classes().len(), "{category}");
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), count, "{category}: a text stands twice");
        }
        assert!(prompts.get(Category::DamageType, 0)[0].contains("racking"));
    }

    #[test]
    fn errors_name_the_key() {
        let whole = Prompts::BUILT_IN;
        let cases = [
            (whole.replace("[measure]", "[measures]"), "`measures` is unknown; expected: soundness, measure"),
            (whole.replace("\"scour\" =", "\"scours\" ="), "`damage_type.scours` is unknown"),
            (format!("{whole}\n[[more]]\n"), "`more` is unknown"),
            ("[soundness]\nI = [\"sound\"]".to_owned(), "`soundness.II` is missing"),
            ("soundness = 3".to_owned(), "`soundness` must be a table"),
            ("[soundness]\nI = \"sound\"".to_owned(), "`soundness.I` must be a list"),
            ("[soundness]\nI = []".to_owned(), "`soundness.I` must be a list"),
            ("[soundness]\nI = [\"sound\", \" \"]".to_owned(), "`soundness.I` must be a list"),
            (String::new(), "`soundness` is missing"),
            ("[soundness".to_owned(), "not TOML"),
        ];
        for (text, expected) in cases {
            let message = Prompts::parse(&text).expect_err(expected).to_string();
            assert!(message.contains(expected), "{message}, expected {expected}");
        }
    }
}
