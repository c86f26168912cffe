//! Synonyms of the classes, as people write them in captions.

use super::Category;

/// Returns the class that a phrase names by its English or Japanese label, a common synonym, or the plural of one.
/// Case, articles, hyphens and the spaces around a slash do not matter.
pub fn class_of(category: Category, phrase: &str) -> Option<u8> {
    let phrase = plain(phrase);
    singulars(&phrase).iter().find_map(|form| exact(category, form))
}

fn exact(category: Category, plain_phrase: &str) -> Option<u8> {
    let is_label = |en: &str, ja: &str| plain(en) == plain_phrase || plain(ja) == plain_phrase;
    let label = category.classes().iter().position(|class| is_label(class.en, class.ja));
    if let Some(index) = label {
        return Some(index as u8);
    }
    let (label, _) = other_names(category).iter().find(|(_, names)| names.contains(&plain_phrase))?;
    category.class_index(label)
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

/// A label and its synonyms, as normalised by [`plain`]. A name must not mean two classes of a category.
type OtherNames = (&'static str, &'static [&'static str]);

fn other_names(category: Category) -> &'static [OtherNames] {
    match category {
        Category::Soundness | Category::Measure => &[],
        Category::DamageType => &DAMAGE_TYPE,
        Category::DamageLocation => &DAMAGE_LOCATION,
    }
}

const DAMAGE_TYPE: [OtherNames; 15] = [
    ("cracking", &["crack", "concrete crack", "concrete cracking"]),
    (
        "spalling / rebar exposure",
        &[
            "spalling",
            "spall",
            "rebar exposure",
            "exposed rebar",
            "exposed reinforcement",
            "exposed reinforcing bar",
            "reinforcement exposure",
            "spalling/exposed rebar",
        ],
    ),
    ("corrosion", &["rust", "rusting"]),
    ("delamination", &["concrete delamination"]),
    (
        "water leakage / efflorescence",
        &["water leakage", "leakage", "water leak", "leak", "efflorescence", "free lime", "water leakage/free lime"],
    ),
    ("deformation / defect", &["deformation", "defect", "deformation/loss"]),
    (
        "soil/debris clogging",
        &[
            "clogging",
            "soil clogging",
            "debris clogging",
            "soil and debris clogging",
            "sediment clogging",
            "soil accumulation",
            "debris accumulation",
            "sediment accumulation",
        ],
    ),
    (
        "loosening / dislodgement",
        &["loosening", "dislodgement", "dislodgment", "loosening/dislodgment", "loose bolt", "missing bolt"],
    ),
    (
        "deterioration of anti-corrosion function",
        &[
            "deterioration of anticorrosion function",
            "anti corrosion deterioration",
            "deterioration of anti corrosion",
            "coating deterioration",
            "deterioration of coating",
            "paint deterioration",
            "deterioration of paint",
        ],
    ),
    ("bearing dysfunction", &["bearing malfunction", "dysfunction of bearing", "malfunction of bearing"]),
    ("fracture", &["rupture", "breakage"]),
    ("fatigue cracking", &["fatigue crack", "steel crack", "steel cracking"]),
    ("pavement defect", &["pavement abnormality", "abnormality of pavement", "pavement anomaly", "pavement damage"]),
    ("scour", &["scouring"]),
    ("other", &["other damage"]),
];

const DAMAGE_LOCATION: [OtherNames; 18] = [
    ("main girder", &["girder", "main beam"]),
    ("cross girder", &["cross beam", "crossbeam", "transverse girder", "transverse beam", "floor beam"]),
    ("deck slab", &["deck", "bridge deck", "floor slab"]),
    ("vertical wall", &["stem wall", "abutment stem"]),
    ("wing wall", &["wingwall"]),
    ("parapet", &["parapet wall", "back wall", "backwall"]),
    ("pier", &["bridge pier"]),
    ("bearing", &["bridge bearing", "bearing support"]),
    ("expansion joint", &["expansion device", "expansion joint device"]),
    ("pavement", &["road pavement"]),
    ("drainage facility", &["drainage", "drain", "drainage system", "drainage device", "drainage pipe"]),
    ("railing", &["handrail", "hand rail", "balustrade"]),
    ("guardrail", &["guard rail", "guard fence", "protective fence"]),
    ("curb", &["kerb"]),
    ("attached equipment", &["attachment", "attached object", "attached facility"]),
    ("side wall", &["sidewall"]),
    (
        "unseating prevention system",
        &["unseating prevention device", "bridge fall prevention system", "bridge fall prevention device"],
    ),
    ("other", &["other location", "other member"]),
];

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// All names of a category, each with its label.
    fn names(category: Category) -> impl Iterator<Item = (String, &'static str)> {
        let labels =
            category.classes().iter().flat_map(|class| [(plain(class.en), class.en), (plain(class.ja), class.en)]);
        let others =
            other_names(category).iter().flat_map(|(label, names)| names.iter().map(|name| (name.to_string(), *label)));
        labels.chain(others)
    }

    #[test]
    fn no_name_stands_for_two_classes() {
        for category in Category::ALL {
            let mut seen = HashMap::new();
            for (name, label) in names(category) {
                let other = *seen.entry(name.clone()).or_insert(label);
                assert_eq!(other, label, "{category}: `{name}`");
            }
        }
    }

    #[test]
    fn every_name_finds_its_class() {
        for category in Category::ALL {
            for (name, label) in names(category) {
                assert_eq!(name, plain(&name), "the form in which names are compared");
                assert_eq!(class_of(category, &name), category.class_index(label), "{category}: `{name}`");
                let plural = format!("The {}S", name.to_uppercase());
                if name.is_ascii() && category.is_multi() {
                    assert_eq!(class_of(category, &plural), category.class_index(label), "{category}: `{plural}`");
                }
            }
        }
        assert_eq!(class_of(Category::DamageLocation, "the"), None);
    }
}
