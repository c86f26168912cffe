//! Converts labels to the English caption that the text encoder was trained on, and to its Japanese form. The published
//! template is:
//!
//! `<Damage> is observed in the <location>. The soundness rating is <Ⅰ|Ⅱ|Ⅲ|Ⅳ>. The component-wise measure
//! classification is <code>.`
//!
//! Several items are joined by " and ", and several kinds of damage take "are". A sentence whose value is unknown is
//! left out; the first sentence needs both damage and location. [`super::read_finding`] is the way back.

use super::{Category, Labels};

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

/// Returns the clause of the published Japanese form, without a full stop. Empty if nothing is known.
pub fn japanese_clause(labels: &Labels) -> String {
    let joined = |category| {
        let words = labels.get(category).indexes().iter().map(|&index| category.class(index).ja);
        words.collect::<Vec<_>>().join("、")
    };
    let (damage, location) = (joined(Category::DamageType), joined(Category::DamageLocation));
    let seen = (!damage.is_empty() && !location.is_empty()).then(|| format!("{location}において{damage}が見られます"));
    let rating = Some(joined(Category::Soundness)).filter(|rating| !rating.is_empty());
    // A measure is its code in the source records too.
    let measure = labels.get(Category::Measure).names(Category::Measure).next();
    let rating = rating.map(|rating| format!("健全度判定は{rating}です"));
    let measure = measure.map(|measure| format!("部材毎の対策区分判定は{measure}です"));
    [seen, rating, measure].into_iter().flatten().collect::<Vec<_>>().join("、")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde::Deserialize;

    use super::*;
    use crate::{CategoryLabels, Unknown, read_finding};

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
            assert_eq!(read_finding(&golden.caption, Unknown::LeaveOut).labels, labels);
        }
    }
}
