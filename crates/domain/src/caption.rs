//! Converts labels to the English caption that the text encoder was trained on, and back. The published template is:
//!
//! `<Damage> is observed in the <location>. The soundness rating is <Ⅰ|Ⅱ|Ⅲ|Ⅳ>. The component-wise measure
//! classification is <code>.`
//!
//! Several items are joined by " and ", and several kinds of damage take "are". A sentence whose value is unknown is
//! left out; the first sentence needs both damage and location.

use super::spellings::class_of;
use super::{Category, CategoryLabels, Labels};

/// Returns the caption, which is empty if nothing is known.
pub fn caption(labels: &Labels) -> String {
    let first = |category| labels.get(category).indexes().first().map(|&index| category.class(index));
    // The rating's glyphs U+2160 to U+2163 are tokens of their own, unlike ASCII letters.
    let soundness = first(Category::Soundness).map(|class| format!("The soundness rating is {}.", class.ja));
    let measure =
        first(Category::Measure).map(|class| format!("The component-wise measure classification is {}.", class.en));
    [damage_sentence(labels), soundness, measure].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn damage_sentence(labels: &Labels) -> Option<String> {
    let joined = |category| labels.get(category).names(category).collect::<Vec<_>>().join(" and ");
    let (damage, location) = (joined(Category::DamageType), joined(Category::DamageLocation));
    let initial = damage.chars().next().filter(|_| !location.is_empty())?;
    let verb = if labels.get(Category::DamageType).indexes().len() == 1 { "is" } else { "are" };
    let rest = &damage[initial.len_utf8()..];
    Some(format!("{}{rest} {verb} observed in the {location}.", initial.to_uppercase()))
}

/// Reason why a caption cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptionError {
    #[error("`{0}` is no sentence of the caption template")]
    Sentence(String),
    #[error("`{phrase}` names no class of {category}; known labels: {}", known(*category))]
    Phrase { category: Category, phrase: String },
    #[error("the caption says twice what the {0} is")]
    Twice(Category),
}

fn known(category: Category) -> String {
    category.classes().iter().map(|class| class.en).collect::<Vec<_>>().join(", ")
}

const SOUNDNESS: &str = "the soundness rating is ";
const MEASURE: &str = "the component-wise measure classification is ";

/// Returns the labels that a caption names. A category whose sentence is missing stays empty.
///
/// Besides the English labels, this accepts the Japanese ones in the same places, common synonyms and plurals, ratings
/// in ASCII letters, and lists with commas. Case does not matter.
pub fn parse_caption(text: &str) -> Result<Labels, CaptionError> {
    let mut found: [Option<CategoryLabels>; 4] = Default::default();
    for sentence in sentences(text) {
        for (category, list) in parts(&sentence)? {
            let labels = parse_list(category, list)?;
            if found[category as usize].replace(labels).is_some() {
                return Err(CaptionError::Twice(category));
            }
        }
    }
    Ok(Labels::new(|category| found[category as usize].take().unwrap_or_default()))
}

/// Splits a text into sentences without their full stop, with single spaces.
fn sentences(text: &str) -> Vec<String> {
    let text = text.replace('。', ". ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentences = text.split(". ").map(|sentence| sentence.trim_end_matches('.').trim());
    sentences.filter(|sentence| !sentence.is_empty()).map(str::to_owned).collect()
}

/// Returns each list of labels in a sentence, with its category.
fn parts(sentence: &str) -> Result<Vec<(Category, &str)>, CaptionError> {
    // Only ASCII letters are lowered, so that offsets are the same in both texts.
    let lower = sentence.to_ascii_lowercase();
    if lower.starts_with(SOUNDNESS) {
        return Ok(vec![(Category::Soundness, &sentence[SOUNDNESS.len()..])]);
    }
    if lower.starts_with(MEASURE) {
        return Ok(vec![(Category::Measure, &sentence[MEASURE.len()..])]);
    }
    let (damage, location) = damage_and_location(&lower).ok_or_else(|| CaptionError::Sentence(sentence.to_owned()))?;
    Ok(vec![(Category::DamageType, &sentence[..damage]), (Category::DamageLocation, &sentence[location..])])
}

/// Returns the end of the damage and the start of the location.
fn damage_and_location(lower: &str) -> Option<(usize, usize)> {
    const VERBS: [&str; 2] = [" is observed ", " are observed "];
    let (damage, verb) = VERBS.iter().find_map(|verb| lower.find(verb).map(|place| (place, verb)))?;
    let rest = &lower[damage + verb.len()..];
    let location = ["in ", "on ", "at "].iter().find_map(|preposition| rest.strip_prefix(preposition))?;
    Some((damage, lower.len() - location.len()))
}

fn parse_list(category: Category, list: &str) -> Result<CategoryLabels, CaptionError> {
    let phrases = phrases(list);
    let unknown = |phrase: &str| CaptionError::Phrase { category, phrase: phrase.to_owned() };
    if phrases.is_empty() || (phrases.len() > 1 && !category.is_multi()) {
        return Err(unknown(list));
    }
    let mut indexes = Vec::new();
    let mut rest = phrases.as_slice();
    while let Some(phrase) = rest.first() {
        let (index, used) = first_class(category, rest).ok_or_else(|| unknown(phrase))?;
        indexes.push(index);
        rest = &rest[used..];
    }
    Ok(CategoryLabels::new(category, indexes))
}

/// Returns the class at the head of a list, and the number of phrases that name it. "soil and debris clogging", for
/// example, is two phrases.
fn first_class(category: Category, phrases: &[String]) -> Option<(u8, usize)> {
    let pair = phrases.get(..2).and_then(|pair| class_of(category, &pair.join(" and ")));
    pair.map(|index| (index, 2)).or_else(|| class_of(category, &phrases[0]).map(|index| (index, 1)))
}

/// Splits a list at commas and "and".
fn phrases(list: &str) -> Vec<String> {
    let list = list.replace([',', '、'], " and ");
    let words: Vec<&str> = list.split_whitespace().collect();
    let phrases = words.split(|word| word.eq_ignore_ascii_case("and"));
    phrases.filter(|words| !words.is_empty()).map(|words| words.join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bridgeclip_random::Random;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        caption: String,
        kenzenudo: String,
        taisaku: String,
        damage_type: String,
        damage_loc: String,
    }

    #[test]
    fn captions_are_those_of_the_python_project() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/captions.json");
        let goldens: Vec<Golden> = serde_json::from_slice(&fs::read(path).expect("read")).expect("JSON");
        assert!(goldens.len() > 5);
        for golden in goldens {
            let labels = Labels::new(|category| {
                let cell = match category {
                    Category::Soundness => &golden.kenzenudo,
                    Category::Measure => &golden.taisaku,
                    Category::DamageType => &golden.damage_type,
                    Category::DamageLocation => &golden.damage_loc,
                };
                CategoryLabels::parse(category, cell).expect("labels")
            });
            assert_eq!(caption(&labels), golden.caption);
            assert_eq!(parse_caption(&golden.caption).as_ref(), Ok(&labels));
        }
    }

    fn random_classes(random: &mut Random, category: Category, count: usize) -> CategoryLabels {
        let indexes = (0..count).map(|_| random.below(category.classes().len()) as u8);
        CategoryLabels::new(category, indexes.collect::<Vec<_>>())
    }

    /// Damage and location are both known or both unknown: a caption cannot state only one.
    fn random_labels(random: &mut Random) -> Labels {
        let items = random.below(4);
        Labels::new(|category| {
            let count = match category.is_multi() {
                true => items.min(1) * (1 + random.below(5)),
                false => random.below(2),
            };
            random_classes(random, category, count)
        })
    }

    /// Replaces the words of the caption by Japanese ones.
    fn with_japanese_words(labels: &Labels) -> String {
        let joined = |category: Category| {
            let words = labels.get(category).indexes().iter().map(|&index| category.class(index).ja);
            words.collect::<Vec<_>>().join(" and ")
        };
        let mut sentences = String::new();
        if !labels.get(Category::DamageType).is_empty() {
            let (damage, location) = (joined(Category::DamageType), joined(Category::DamageLocation));
            sentences = format!("{damage} are observed in the {location}. ");
        }
        if !labels.get(Category::Soundness).is_empty() {
            sentences += &format!("The soundness rating is {}. ", joined(Category::Soundness));
        }
        if !labels.get(Category::Measure).is_empty() {
            sentences += &format!("The component-wise measure classification is {}.", joined(Category::Measure));
        }
        sentences
    }

    #[test]
    fn labels_survive_both_directions() {
        let mut random = Random::splitmix64(7);
        for _ in 0..3000 {
            let labels = random_labels(&mut random);
            let text = caption(&labels);
            for text in [text.clone(), text.to_uppercase(), text.replace(". ", ".\n"), with_japanese_words(&labels)] {
                assert_eq!(parse_caption(&text).as_ref(), Ok(&labels), "{text}");
            }
        }
    }

    #[test]
    fn usual_variants_mean_the_same() {
        let cases = [
            ("Cracks are observed in the girders.", "cracking", "main girder"),
            (
                "Exposed rebar and leakage are observed on the piers",
                "spalling / rebar exposure|water leakage / efflorescence",
                "pier",
            ),
            ("Spalling and rebar exposure are observed in the deck.", "spalling / rebar exposure", "deck slab"),
            (
                "Spalling/rebar exposure, efflorescence, and rust are observed in the wingwalls, the kerb and a handrail.",
                "spalling / rebar exposure|water leakage / efflorescence|corrosion",
                "wing wall|curb|railing",
            ),
            (
                "Soil and debris clogging is observed in drainage facilities.",
                "soil/debris clogging",
                "drainage facility",
            ),
            (
                "Loosening and dislodgement and fatigue cracks are observed in the expansion joints and cross-beams.",
                "loosening / dislodgement|fatigue cracking",
                "expansion joint|cross girder",
            ),
            (
                "Deterioration of anticorrosion function is observed in the Girder。",
                "deterioration of anti-corrosion function",
                "main girder",
            ),
            (
                "ひびわれ and 剥離・鉄筋露出 are observed in the 主桁、床版.",
                "cracking|spalling / rebar exposure",
                "main girder|deck slab",
            ),
        ];
        for (text, damage, location) in cases {
            let labels = parse_caption(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(labels.get(Category::DamageType).to_cell(Category::DamageType), damage, "{text}");
            assert_eq!(labels.get(Category::DamageLocation).to_cell(Category::DamageLocation), location, "{text}");
        }
        for rating in ["III", "iii", "Ⅲ", "ⅲ"] {
            let labels = parse_caption(&format!("The soundness rating is {rating}.")).expect("a rating");
            assert_eq!(labels.get(Category::Soundness).indexes(), [2], "{rating}");
        }
    }

    #[test]
    fn what_is_unknown_is_named() {
        let cases = [
            ("A nice bridge.", "`A nice bridge` is no sentence"),
            ("Cracking and moss are observed in the pier.", "`moss` names no class of damage_type"),
            ("Cracking is observed in the slab.", "`the slab` names no class of damage_location"),
            ("Cracking is observed in the .", "names no class of damage_location"),
            ("The soundness rating is V.", "`V` names no class of soundness; known labels: I, II, III, IV"),
            ("The soundness rating is I and II.", "`I and II` names no class of soundness"),
            ("The soundness rating is I. The soundness rating is II.", "twice what the soundness is"),
            ("The component-wise measure classification is E3.", "`E3` names no class of measure"),
        ];
        for (text, expected) in cases {
            let message = parse_caption(text).expect_err(text).to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
