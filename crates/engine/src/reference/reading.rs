//! What the reading of a CSV mapped to classes, could not map, and left out: counts with the first lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{Category, Unknown, Word};

/// How a CSV is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whether anything but the published columns with exact labels is an error.
    pub strict: bool,
    /// What becomes of words that name no class.
    pub unknown: Unknown,
    /// Whether rows are usable that lack some of the labels.
    pub partial: bool,
}

/// An account of the reading of a CSV.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadReport {
    /// Words that name a class otherwise than by its English label, by category; the most frequent first.
    pub mapped: Vec<MappedWord>,
    /// Words that name no class, by category; the most frequent first.
    pub unknown: Vec<UnknownWord>,
    /// Groups of rows that were left out, and other things worth knowing; the most frequent first.
    pub remarks: Vec<Remark>,
    /// Number of places of further words; only [`WORDS_MAX`] different words are listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_listed: u64,
}

/// Maximum number of different words that are listed.
const WORDS_MAX: usize = 5000;
/// Maximum number of characters of a listed word.
const WORD_CHARACTERS_MAX: usize = 80;

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A word that was mapped to a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MappedWord {
    pub category: Category,
    /// The word as written first; case is not distinguished.
    pub word: String,
    /// English label of the class.
    pub class: String,
    /// How the word names the class: `label`, `published`, `prefix`, `part` or `usual`, as [`bridgeclip_domain::Spelling`] explains; or
    /// `other` for a word that names none and counts as `other` on request.
    pub by: String,
    /// Number of places in the file.
    pub count: u64,
    /// Line of the file on which the first such row starts, from 1.
    pub first_line: u64,
}

/// A word that names no class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnknownWord {
    pub category: Category,
    /// The word as written first; case is not distinguished.
    pub word: String,
    /// Number of places in the file.
    pub count: u64,
    /// Line of the file on which the first such row starts, from 1.
    pub first_line: u64,
}

/// A group of rows with something in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remark {
    /// What the rows have in common, for a message.
    pub what: String,
    /// Number of rows.
    pub rows: u64,
    /// Line of the file on which the first of them starts, from 1.
    pub first_line: u64,
}

/// Collects a [`ReadReport`].
#[derive(Debug, Default)]
pub(super) struct Tally {
    words: BTreeMap<(Category, String), Tallied>,
    remarks: BTreeMap<String, (u64, u64)>,
    not_listed: u64,
}

#[derive(Debug)]
struct Tallied {
    word: Word,
    class: Option<u8>,
    count: u64,
    first_line: u64,
}

impl Tally {
    /// Counts a word of the row on `line`, unless it is the English label of its class.
    pub fn word(&mut self, word: &Word, unknown: Unknown, line: u64) {
        let class = word.class(unknown);
        if class.is_some_and(|class| word.category.class(class).en == word.phrase) {
            return;
        }
        let key = (word.category, word.phrase.to_lowercase().chars().take(WORD_CHARACTERS_MAX).collect());
        if self.words.len() >= WORDS_MAX && !self.words.contains_key(&key) {
            self.not_listed += 1;
            return;
        }
        let phrase = word.phrase.chars().take(WORD_CHARACTERS_MAX).collect();
        let first = || Tallied { word: Word { phrase, ..word.clone() }, class, count: 0, first_line: line };
        self.words.entry(key).or_insert_with(first).count += 1;
    }

    /// Counts a row with something worth knowing.
    pub fn remark(&mut self, what: &str, line: u64) {
        self.remarks.entry(what.to_owned()).or_insert((0, line)).0 += 1;
    }

    /// Returns the report.
    pub fn finish(self) -> ReadReport {
        let mut report = ReadReport { not_listed: self.not_listed, ..ReadReport::default() };
        for Tallied { word: Word { category, phrase: word, reading }, class, count, first_line } in
            self.words.into_values()
        {
            match class {
                None => report.unknown.push(UnknownWord { category, word, count, first_line }),
                Some(class) => {
                    let by = reading.map_or("other", |reading| reading.spelling.name()).to_owned();
                    let class = category.class(class).en.to_owned();
                    report.mapped.push(MappedWord { category, word, class, by, count, first_line });
                }
            }
        }
        let remarks = self.remarks.into_iter().map(|(what, (rows, first_line))| Remark { what, rows, first_line });
        report.remarks = remarks.collect();
        report.mapped.sort_by_key(|word| (word.category, u64::MAX - word.count, word.first_line));
        report.unknown.sort_by_key(|word| (word.category, u64::MAX - word.count, word.first_line));
        report.remarks.sort_by_key(|remark| (u64::MAX - remark.rows, remark.first_line));
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_without_case_and_the_list_is_bounded() {
        let mut tally = Tally::default();
        let category = Category::DamageType;
        for (line, phrase) in [(2, "Cracks"), (3, "cracking"), (4, "cracks"), (5, "moss"), (6, "Moss"), (7, "ひび割れ")]
        {
            tally.word(&Word::read(category, phrase), Unknown::LeaveOut, line);
        }
        for line in 0..WORDS_MAX as u64 {
            tally.word(&Word::read(category, &format!("x{line}")), Unknown::LeaveOut, line);
        }
        tally.remark("left out", 9);
        tally.remark("left out", 8);
        let report = tally.finish();
        let mapped: Vec<_> =
            report.mapped.iter().map(|w| (&*w.word, &*w.class, &*w.by, w.count, w.first_line)).collect();
        assert_eq!(mapped, [("Cracks", "cracking", "published", 2, 2), ("ひび割れ", "cracking", "prefix", 1, 7)]);
        let moss = UnknownWord { category, word: "moss".into(), count: 2, first_line: 5 };
        assert_eq!((&report.unknown[0], report.unknown.len(), report.not_listed), (&moss, WORDS_MAX - 2, 3));
        assert_eq!(report.remarks, [Remark { what: "left out".into(), rows: 2, first_line: 9 }]);
    }

    #[test]
    fn words_may_count_as_other() {
        let mut tally = Tally::default();
        tally.word(&Word::read(Category::DamageType, "moss"), Unknown::Other, 2);
        tally.word(&Word::read(Category::Soundness, "V"), Unknown::Other, 2);
        let report = tally.finish();
        assert_eq!((&*report.mapped[0].class, &*report.mapped[0].by), ("other", "other"));
        assert_eq!(report.unknown[0].word, "V");
    }
}
