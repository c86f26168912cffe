//! Names of the classes, as people write them in captions and label columns.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Category;

/// The way in which a phrase names a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spelling {
    /// The phrase is the English or Japanese label of the class.
    Label,
    /// The phrase is a name that the published label mapping files under the class.
    Published,
    /// The phrase begins with a name of the published label mapping, or is a name followed by a remark in brackets.
    Prefix,
    /// The Japanese phrase contains the label of the class or, for damage, is part of it: the last published rule.
    Part,
    /// The phrase is a common name that is not part of the published label mapping.
    Usual,
}

impl Spelling {
    /// Returns the word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Spelling::Label => "label",
            Spelling::Published => "published",
            Spelling::Prefix => "prefix",
            Spelling::Part => "part",
            Spelling::Usual => "usual",
        }
    }
}

/// The class that a phrase names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Index of the class within its category.
    pub class: u8,
    pub spelling: Spelling,
}

/// Returns the class that a phrase names exactly: by its English or Japanese label, another name, or the plural of one.
/// Case, articles, hyphens and the spaces around a slash do not matter.
pub fn class_of(category: Category, phrase: &str) -> Option<u8> {
    exact(category, phrase).map(|reading| reading.class)
}

/// Returns the class that a phrase names, by the rules of [`class_of`] and then by the published rules for Japanese
/// phrases: the first spelling that the phrase begins with, or else the first label that it contains.
pub fn read_phrase(category: Category, phrase: &str) -> Option<Reading> {
    let phrase = phrase.trim();
    exact(category, phrase)
        .or_else(|| by_prefix(category, phrase))
        .or_else(|| by_part(category, phrase))
        .or_else(|| exact(category, without_remark(phrase)?).map(|Reading { class, .. }| of(class, Spelling::Prefix)))
}

const fn of(class: u8, spelling: Spelling) -> Reading {
    Reading { class, spelling }
}

fn exact(category: Category, phrase: &str) -> Option<Reading> {
    let names = &VOCABULARY.names[category as usize];
    singulars(&plain(phrase)).iter().find_map(|form| names.get(form.as_str()).copied())
}

fn by_prefix(category: Category, phrase: &str) -> Option<Reading> {
    let prefixes = &VOCABULARY.prefixes[category as usize];
    let found = prefixes.iter().find(|(prefix, _)| phrase.starts_with(prefix));
    found.map(|(_, class)| of(*class, Spelling::Prefix))
}

fn by_part(category: Category, phrase: &str) -> Option<Reading> {
    // One character would be part of many labels.
    let whole = phrase.chars().nth(1).is_some() && category == Category::DamageType;
    let is_part = |ja: &str| phrase.contains(ja) || (whole && ja.contains(phrase));
    let found = category.classes().iter().position(|class| category.is_multi() && is_part(class.ja));
    found.map(|class| of(class as u8, Spelling::Part))
}

/// Returns an English phrase without a final remark in brackets.
fn without_remark(phrase: &str) -> Option<&str> {
    phrase.strip_suffix(')')?.rsplit_once('(').map(|(head, _)| head.trim()).filter(|head| !head.is_empty())
}

/// Normalises a phrase: lower case, no leading article, spaces for hyphens and none around a slash.
fn plain(phrase: &str) -> String {
    let lower = phrase.to_lowercase().replace('-', " ").replace('/', " / ");
    let words: Vec<&str> = lower.split_whitespace().collect();
    let words = match words.as_slice() {
        ["the" | "a" | "an", rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    words.join(" ").replace(" / ", "/")
}

/// Returns the phrase itself and the words that it may be the plural of.
fn singulars(phrase: &str) -> Vec<String> {
    let mut forms = vec![phrase.to_owned()];
    forms.extend(phrase.strip_suffix("ies").map(|stem| format!("{stem}y")));
    forms.extend(phrase.strip_suffix('s').map(str::to_owned));
    forms
}

/// All names, by category.
#[derive(Default)]
struct Vocabulary {
    /// Names in the form of [`plain`].
    names: [HashMap<String, Reading>; 4],
    /// Spellings that a Japanese phrase may begin with, in the order in which they are tried.
    prefixes: [Vec<(&'static str, u8)>; 4],
}

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let mut vocabulary = Vocabulary::default();
    for category in Category::ALL {
        for (index, class) in (0..).zip(category.classes()) {
            for label in [class.en, class.ja] {
                vocabulary.names[category as usize].insert(plain(label), of(index, Spelling::Label));
            }
        }
    }
    for (category, class, source, name) in table() {
        match source {
            "prefix" => vocabulary.prefixes[category as usize].push((name, class)),
            source => {
                let spelling = if source == "published" { Spelling::Published } else { Spelling::Usual };
                vocabulary.names[category as usize].insert(name.to_owned(), of(class, spelling));
            }
        }
    }
    vocabulary
});

/// Returns the rows of `vocabulary.tsv`: category, class, source and name.
fn table() -> impl Iterator<Item = (Category, u8, &'static str, &'static str)> {
    let lines = include_str!("vocabulary.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let row = line.split('\t').collect::<Vec<_>>();
        let [category, class, source, name] = row[..] else { panic!("vocabulary.tsv: `{line}`") };
        let category = Category::ALL.into_iter().find(|known| known.id() == category).expect("a category");
        (category, category.class_index(class).expect("a class"), source, name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_for_two_classes() {
        for category in Category::ALL {
            let labels = (0..).zip(category.classes());
            let mut seen: HashMap<_, _> = labels
                .flat_map(|(index, class)| [((false, plain(class.en)), index), ((false, plain(class.ja)), index)])
                .collect();
            for (_, class, source, name) in table().filter(|row| row.0 == category) {
                let other = seen.insert((source == "prefix", name.to_owned()), class);
                assert_eq!(other, None, "{category}: `{name}`");
            }
        }
    }

    #[test]
    fn every_name_finds_its_class() {
        assert!(table().count() > 300);
        for (category, class, source, name) in table() {
            assert!(["published", "prefix", "usual"].contains(&source), "{source}");
            assert_eq!(read_phrase(category, name).map(|reading| reading.class), Some(class), "{category}: `{name}`");
            if source == "prefix" {
                continue;
            }
            assert_eq!(name, plain(name), "the form in which names are compared");
            assert_eq!(class_of(category, name), Some(class), "{category}: `{name}`");
            let plural = format!("The {}S", name.to_uppercase());
            if name.is_ascii() && category.is_multi() {
                assert_eq!(class_of(category, &plural), Some(class), "{category}: `{plural}`");
            }
        }
        assert_eq!(class_of(Category::DamageLocation, "the"), None);
    }

    #[test]
    fn japanese_phrases_follow_the_published_rules() {
        let cases = [
            (Category::DamageLocation, "A1橋台竪壁", Some("vertical wall"), Spelling::Part),
            (Category::DamageLocation, "主桁ゲルバー部", Some("main girder"), Spelling::Part),
            (Category::DamageLocation, "橋脚（柱部）P2", Some("pier"), Spelling::Prefix),
            (Category::DamageLocation, "橋台", Some("other"), Spelling::Published),
            (Category::DamageLocation, "橋台その他", Some("other"), Spelling::Part),
            (Category::DamageLocation, "steel members", Some("other"), Spelling::Published),
            (Category::DamageLocation, "石", None, Spelling::Part),
            (Category::DamageType, "脱落", Some("loosening / dislodgement"), Spelling::Part),
            (Category::DamageType, "沈下・移動・傾斜", Some("scour"), Spelling::Prefix),
            (Category::DamageType, "Other (soil accumulation)", Some("other"), Spelling::Prefix),
            (Category::DamageType, "の", None, Spelling::Part),
            (Category::Soundness, "３", Some("III"), Spelling::Published),
            (Category::Soundness, "Ⅲa", None, Spelling::Part),
            (Category::Measure, "Ｃ１", Some("C1"), Spelling::Published),
        ];
        for (category, phrase, label, spelling) in cases {
            let expected = label.and_then(|label| category.class_index(label)).map(|class| of(class, spelling));
            assert_eq!(read_phrase(category, phrase), expected, "{phrase}");
        }
        assert_eq!(class_of(Category::DamageLocation, "A1橋台竪壁"), None, "only exact names");
    }
}
