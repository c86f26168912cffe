//! Reads the labels that a finding names, in the English or the Japanese form of the published captions.
//!
//! The Japanese form is `<部位>において<損傷>が見られます、健全度判定は<Ⅰ–Ⅳ>です、部材毎の対策区分判定は<code>です。`;
//! lists are joined by `、`. Other sentences are passed over. If the first sentence has the form, only that one is read, as the
//! published label extraction does.

use super::spellings::{Reading, read_phrase};
use super::{Category, CategoryLabels, Labels};

/// What becomes of a word that names no class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// Its category is unknown.
    #[default]
    LeaveOut,
    /// It counts as the class `other`, as in the published label extraction. A category without that class is unknown.
    Other,
}

/// The content of a finding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    /// Labels of the categories that are known: the finding states them, every word names a class, and a category with
    /// one class has one.
    pub labels: Labels,
    /// Every word that should name a class, in the order of the text.
    pub words: Vec<Word>,
    /// Categories that have one class, for which the finding names several.
    pub contradictions: Vec<Category>,
    /// Number of sentences that have no known form.
    pub passed_over: usize,
}

/// A word that should name a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub category: Category,
    /// The word as written, without spaces around it.
    pub phrase: String,
    /// The class that it names. None if it names none.
    pub reading: Option<Reading>,
}

impl Word {
    /// Reads a phrase.
    pub fn read(category: Category, phrase: &str) -> Self {
        let phrase = phrase.trim();
        Word { category, phrase: phrase.to_owned(), reading: read_phrase(category, phrase) }
    }

    /// Returns the class that the word counts as.
    pub fn class(&self, unknown: Unknown) -> Option<u8> {
        let other = || self.category.class_index("other").filter(|_| unknown == Unknown::Other);
        self.reading.map(|reading| reading.class).or_else(other)
    }
}

/// Reads a finding.
pub fn read_finding(text: &str, unknown: Unknown) -> Finding {
    const JAPANESE: [&str; 4] = ["において", "が見られます", "健全度", "対策区分"];
    let is_japanese = JAPANESE.iter().any(|mark| text.contains(mark));
    let (words, passed_over) = if is_japanese { japanese::words(text) } else { english::words(text) };
    let mut contradictions = Vec::new();
    let labels = Labels::new(|category| {
        let classes = words.iter().filter(|word| word.category == category).map(|word| word.class(unknown));
        let labels = CategoryLabels::new(category, classes.collect::<Option<Vec<u8>>>().unwrap_or_default());
        match category.is_multi() || labels.indexes().len() < 2 {
            true => labels,
            false => {
                contradictions.push(category);
                CategoryLabels::default()
            }
        }
    });
    Finding { labels, words, contradictions, passed_over }
}

/// The English form.
mod english {
    use super::{Category, Word};
    use crate::spellings::class_of;

    const SOUNDNESS: &str = "the soundness rating is ";
    const MEASURE: &str = "the component-wise measure classification is ";

    /// Returns the words of a text, and the number of sentences of another form.
    pub fn words(text: &str) -> (Vec<Word>, usize) {
        let (mut words, mut passed_over) = (Vec::new(), 0);
        for sentence in sentences(text) {
            let parts = parts(&sentence);
            passed_over += usize::from(parts.is_empty());
            words.extend(parts.into_iter().flat_map(|(category, list)| list_words(category, list)));
        }
        (words, passed_over)
    }

    /// Splits a text into sentences without their full stop, with single spaces.
    fn sentences(text: &str) -> Vec<String> {
        let text = text.replace('。', ". ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let sentences = text.split(". ").map(|sentence| sentence.trim_end_matches('.').trim());
        sentences.filter(|sentence| !sentence.is_empty()).map(str::to_owned).collect()
    }

    /// Returns each list of labels in a sentence, with its category. Empty if the sentence has another form.
    fn parts(sentence: &str) -> Vec<(Category, &str)> {
        // Only ASCII letters are lowered, so that offsets are the same in both texts.
        let lower = sentence.to_ascii_lowercase();
        for (category, start) in [(Category::Soundness, SOUNDNESS), (Category::Measure, MEASURE)] {
            if lower.starts_with(start) {
                return vec![(category, &sentence[start.len()..])];
            }
        }
        let found = damage_and_location(&lower).map(|(damage, location)| {
            vec![(Category::DamageType, &sentence[..damage]), (Category::DamageLocation, &sentence[location..])]
        });
        found.unwrap_or_default()
    }

    /// Returns the end of the damage and the start of the location.
    fn damage_and_location(lower: &str) -> Option<(usize, usize)> {
        const VERBS: [&str; 2] = [" is observed ", " are observed "];
        let (damage, verb) = VERBS.iter().find_map(|verb| lower.find(verb).map(|place| (place, verb)))?;
        let rest = &lower[damage + verb.len()..];
        let location = ["in ", "on ", "at "].iter().find_map(|preposition| rest.strip_prefix(preposition))?;
        Some((damage, lower.len() - location.len()))
    }

    fn list_words(category: Category, list: &str) -> Vec<Word> {
        let phrases = phrases(list);
        let mut words = Vec::new();
        let mut rest = phrases.as_slice();
        while let Some(first) = rest.first() {
            // "soil and debris clogging", for example, is two phrases.
            let pair = rest.get(..2).map(|pair| pair.join(" and "));
            let pair = pair.filter(|pair| class_of(category, pair).is_some());
            rest = &rest[if pair.is_some() { 2 } else { 1 }..];
            words.push(Word::read(category, pair.as_ref().unwrap_or(first)));
        }
        words
    }

    /// Splits a list at commas and "and".
    fn phrases(list: &str) -> Vec<String> {
        let list = list.replace([',', '、'], " and ");
        let words: Vec<&str> = list.split_whitespace().collect();
        let phrases = words.split(|word| word.eq_ignore_ascii_case("and"));
        phrases.filter(|words| !words.is_empty()).map(|words| words.join(" ")).collect()
    }
}

/// The Japanese form.
mod japanese {
    use super::{Category, Word};

    const SEEN: &str = "が見られます";
    const PLACE: &str = "において";
    /// Maximum number of characters of a rating or a measure. A longer text is no such value.
    const VALUE_MAX: usize = 10;

    /// Returns the words of a text, and the number of sentences that were not read.
    pub fn words(text: &str) -> (Vec<Word>, usize) {
        let text = text.trim();
        let (read, rest) = structured(text);
        let mut words = damage(read);
        let soundness = stated(read, "健全度判定は").or_else(|| noted(read, "健全度"));
        let measure = stated(read, "対策区分判定は").or_else(|| noted(read, "対策区分"));
        words.extend(soundness.map(|value| Word::read(Category::Soundness, value)));
        words.extend(measure.map(|value| Word::read(Category::Measure, value)));
        let unread = rest.split('。').filter(|sentence| !sentence.trim().is_empty()).count();
        (words, unread)
    }

    /// Divides a text into the part that is read and the rest: after the first sentence if that has the form.
    fn structured(text: &str) -> (&str, &str) {
        let end = text.find('。').map_or(text.len(), |place| place + '。'.len_utf8());
        let (first, rest) = text.split_at(end);
        let place = first.find('に').filter(|place| *place > 0);
        let has_form = place.is_some_and(|place| first[place..].contains(SEEN));
        if has_form { (first, rest) } else { (text, "") }
    }

    /// Returns locations and damage of every `<location>において<damage>が見られます`.
    fn damage(text: &str) -> Vec<Word> {
        let mut words = Vec::new();
        for clause in text.split(SEEN).collect::<Vec<_>>().split_last().map_or(&[][..], |(_, clauses)| clauses) {
            let clause = ["。", "です"].iter().fold(*clause, |clause, end| clause.rsplit(end).next().unwrap_or(clause));
            if let Some((places, damage)) = clause.split_once(PLACE) {
                words.extend(list(places).map(|phrase| Word::read(Category::DamageLocation, phrase)));
                words.extend(list(damage).map(|phrase| Word::read(Category::DamageType, phrase)));
            }
        }
        words
    }

    fn list(text: &str) -> impl Iterator<Item = &str> {
        text.split(['、', '，', ',']).map(str::trim).filter(|phrase| !phrase.is_empty())
    }

    /// Returns the value of the first `<head><value>です`.
    fn stated<'a>(text: &'a str, head: &str) -> Option<&'a str> {
        let clauses = text.split(head).skip(1).map(|rest| rest.split(['、', '。']).next().unwrap_or(rest));
        let values = clauses.map(|clause| clause.split("です").next().unwrap_or(clause).trim());
        let mut values = values.map(|value| value.strip_suffix("判定").unwrap_or(value));
        values.find(|value| !value.is_empty() && value.chars().count() <= VALUE_MAX)
    }

    /// Returns the value of the first `<head>：<value>`.
    fn noted<'a>(text: &'a str, head: &str) -> Option<&'a str> {
        let mut rests = text.split(head).skip(1).filter_map(|rest| rest.trim_start().strip_prefix([':', '：']));
        let end = |c: char| c.is_whitespace() || "、。，,".contains(c);
        rests.find_map(|rest| rest.trim_start().split(end).next().filter(|value| !value.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_random::Random;

    use super::*;
    use crate::caption;

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

    fn joined(labels: &Labels, category: Category, by: &str) -> String {
        let words = labels.get(category).indexes().iter().map(|&index| category.class(index).ja);
        words.collect::<Vec<_>>().join(by)
    }

    /// Replaces the words of the caption by Japanese ones.
    fn with_japanese_words(labels: &Labels) -> String {
        let joined = |category| joined(labels, category, " and ");
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

    /// Returns the Japanese caption.
    fn japanese(labels: &Labels) -> String {
        let joined = |category| joined(labels, category, "、");
        let mut clauses = Vec::new();
        if !labels.get(Category::DamageType).is_empty() {
            let (damage, location) = (joined(Category::DamageType), joined(Category::DamageLocation));
            clauses.push(format!("{location}において{damage}が見られます"));
        }
        if !labels.get(Category::Soundness).is_empty() {
            clauses.push(format!("健全度判定は{}です", joined(Category::Soundness)));
        }
        if !labels.get(Category::Measure).is_empty() {
            clauses.push(format!("部材毎の対策区分判定は{}です", joined(Category::Measure)));
        }
        clauses.join("、") + "。"
    }

    #[test]
    fn labels_survive_both_directions() {
        let mut random = Random::splitmix64(7);
        for _ in 0..3000 {
            let labels = random_labels(&mut random);
            let text = caption(&labels);
            let others =
                [text.to_uppercase(), text.replace(". ", ".\n"), with_japanese_words(&labels), japanese(&labels)];
            for text in others.iter().chain([&text]) {
                let found = read_finding(text, Unknown::LeaveOut);
                assert_eq!(found.labels, labels, "{text}");
                assert!(found.contradictions.is_empty() && found.words.iter().all(|word| word.reading.is_some()));
            }
        }
    }

    fn cells(text: &str, unknown: Unknown) -> [String; 4] {
        let found = read_finding(text, unknown);
        Category::ALL.map(|category| found.labels.get(category).to_cell(category))
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
            ("Expansion gap defect is observed in the expansion joint.", "other", "expansion joint"),
            ("Corrosion is observed in steel members.", "corrosion", "other"),
            ("Cracking is observed in the vertical wall of the abutment.", "cracking", "vertical wall"),
            (
                "Pavement defect and road surface unevenness are observed in the pavement.",
                "pavement defect",
                "pavement",
            ),
            (
                "A1橋台竪壁、P1橋脚において腐食、変形・欠損が見られます。",
                "corrosion|deformation / defect",
                "vertical wall|pier",
            ),
            (
                "主桁において亀裂が見られます、床版において床版ひびわれが見られます、健全度判定はⅡです。",
                "fatigue cracking|cracking",
                "main girder|deck slab",
            ),
        ];
        for (text, damage, location) in cases {
            let [_, _, found_damage, found_location] = cells(text, Unknown::LeaveOut);
            assert_eq!((&*found_damage, &*found_location), (damage, location), "{text}");
        }
        for rating in ["III", "iii", "Ⅲ", "ⅲ", "3"] {
            assert_eq!(cells(&format!("The soundness rating is {rating}."), Unknown::LeaveOut)[0], "III", "{rating}");
        }
    }

    #[test]
    fn all_terms_of_the_published_dictionary_get_their_published_classes() {
        let table = include_str!("../../../tests/data/published_terms.tsv");
        let mut terms = 0;
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let [category, ja, en, classes] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (place, expected) =
                if category == "damage_type" { (2, [classes, "pier"]) } else { (3, ["scour", classes]) };
            let (damage, location) = if place == 2 { (ja, "橋脚") } else { ("洗掘", ja) };
            let mut texts = vec![format!("{location}において{damage}が見られます、健全度判定はⅠです。")];
            if en != "-" {
                let (damage, location) = if place == 2 { (en, "pier") } else { ("scour", en) };
                texts.push(format!("{damage} is observed in the {location}."));
            }
            for text in texts {
                let [_, _, damage, location] = cells(&text, Unknown::LeaveOut);
                assert_eq!([&*damage, &*location], expected, "{text}");
            }
            terms += 1;
        }
        assert_eq!(terms, 102);
    }

    #[test]
    fn only_the_first_japanese_sentence_counts_if_it_has_the_form() {
        let text = "側壁においてひびわれが見られます、健全度判定はⅠです、部材毎の対策区分判定はBです。側壁(A2)に剥離が生じている。\
                    頂版においてうきが見られます。";
        assert_eq!(cells(text, Unknown::LeaveOut), ["I", "B", "cracking", "side wall"]);
        assert_eq!(read_finding(text, Unknown::LeaveOut).passed_over, 2);
        let notes = "支承の点検。健全度：Ⅲ、対策区分: Ｃ１。支承において腐食が見られます。";
        assert_eq!(cells(notes, Unknown::LeaveOut), ["III", "C1", "corrosion", "bearing"]);
    }

    #[test]
    fn a_word_that_is_unknown_leaves_its_category_out_or_counts_as_other() {
        let cases = [
            (
                "Cracking and moss are observed in the pier.",
                "moss",
                ["", "", "", "pier"],
                ["", "", "cracking|other", "pier"],
            ),
            ("The soundness rating is V.", "V", [""; 4], [""; 4]),
            (
                "Cracking is observed in the thing.",
                "the thing",
                ["", "", "cracking", ""],
                ["", "", "cracking", "other"],
            ),
            (
                "床版において苔が見られます、健全度判定はⅡです。",
                "苔",
                ["II", "", "", "deck slab"],
                ["II", "", "other", "deck slab"],
            ),
        ];
        for (text, word, left_out, other) in cases {
            let found = read_finding(text, Unknown::LeaveOut);
            let unknown: Vec<_> = found.words.iter().filter(|word| word.reading.is_none()).collect();
            assert_eq!(unknown.iter().map(|word| &*word.phrase).collect::<Vec<_>>(), [word], "{text}");
            assert_eq!(
                (cells(text, Unknown::LeaveOut), cells(text, Unknown::Other)),
                (left_out.map(str::to_owned), other.map(str::to_owned))
            );
        }
    }

    #[test]
    fn contradictions_and_other_sentences_are_named() {
        let found =
            read_finding("The soundness rating is I. The soundness rating is II. A nice bridge.", Unknown::LeaveOut);
        assert_eq!((&found.contradictions[..], found.passed_over), (&[Category::Soundness][..], 1));
        assert!(found.labels.get(Category::Soundness).is_empty());
        assert_eq!(read_finding("", Unknown::LeaveOut), Finding::default());
        let twice = read_finding("The soundness rating is II. The soundness rating is Ⅱ.", Unknown::LeaveOut);
        assert_eq!(twice.labels.get(Category::Soundness).indexes(), [1]);
    }
}
