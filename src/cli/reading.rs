//! How a CSV is read, and the account of it for a person.

use std::path::Path;

use clap::ValueEnum;

use crate::domain::{Category, Unknown};
use crate::reference::{MappedWord, ReadOptions, ReadReport};

/// How a CSV is read.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct ReadingArgs {
    /// Refuse a CSV that lacks one of the published columns or has a label that is not exactly that of a class;
    /// otherwise such a file is read as far as possible, and what was made of it is reported.
    #[arg(long)]
    pub strict: bool,
    /// What becomes of a word that names no class: leave its category out, or count it as `other`, as in the published
    /// label extraction.
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    unknown_words: UnknownArg,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum UnknownArg {
    #[default]
    LeaveOut,
    Other,
}

impl ReadingArgs {
    /// Returns the options of the reader.
    pub fn options(&self) -> ReadOptions {
        let unknown = match self.unknown_words {
            UnknownArg::LeaveOut => Unknown::LeaveOut,
            UnknownArg::Other => Unknown::Other,
        };
        ReadOptions { strict: self.strict, unknown, partial: false }
    }
}

/// Maximum number of lines of each kind that a person gets to see.
const LINES_MAX: usize = 20;

/// Prints what was mapped, unknown and left out on standard error.
pub fn report(csv: &Path, report: &ReadReport) {
    for line in lines(report) {
        eprintln!("bridgeclip: {}: {line}", csv.display());
    }
}

fn lines(report: &ReadReport) -> Vec<String> {
    let ReadReport { mapped, unknown, remarks, not_listed } = report;
    let (labels, others): (Vec<&MappedWord>, Vec<&MappedWord>) = mapped.iter().partition(|word| word.by == "label");
    let mut lines = Vec::new();
    let spelled: u64 = labels.iter().map(|word| word.count).sum();
    if spelled > 0 {
        lines.push(format!("labels in Japanese or in other case: {spelled}"));
    }
    lines.extend(some(others.into_iter().map(|word| {
        let place = place(word.category, &word.word, word.count, word.first_line);
        format!("{place}: read as `{}` ({})", word.class, why(&word.by))
    })));
    lines.extend(some(unknown.iter().map(|word| {
        let place = place(word.category, &word.word, word.count, word.first_line);
        format!("{place}: names no class (--unknown-words other counts it as `other`)")
    })));
    if *not_listed > 0 {
        lines.push(format!("words that are not listed, because there are too many: {not_listed}"));
    }
    let remarks = remarks
        .iter()
        .map(|remark| format!("{}: {}, first on line {}", remark.what, counted(remark.rows, "row"), remark.first_line));
    lines.extend(some(remarks));
    lines
}

/// Returns the first lines, and a line with the number of the others.
fn some(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more; --json lists them all"));
    }
    lines
}

fn place(category: Category, word: &str, count: u64, first_line: u64) -> String {
    format!("{category} `{word}`, {}, first on line {first_line}", counted(count, "time"))
}

fn counted(count: u64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

/// Returns the reason why a word names its class, in words.
fn why(by: &str) -> &'static str {
    match by {
        "published" => "a name of the published mapping",
        "prefix" => "begins with a name of the published mapping",
        "part" => "has that label in it",
        "usual" => "a common name",
        _ => "on request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Remark, UnknownWord};

    #[test]
    fn a_person_sees_what_was_made_of_the_file() {
        let word = |word: &str, class: &str, by: &str, count| MappedWord {
            category: Category::DamageType,
            word: word.into(),
            class: class.into(),
            by: by.into(),
            count,
            first_line: 3,
        };
        let unknown = |index| UnknownWord {
            category: Category::DamageLocation,
            word: format!("x{index}"),
            count: 2,
            first_line: 9,
        };
        let report = ReadReport {
            mapped: vec![word("ひびわれ", "cracking", "label", 4), word("rust", "corrosion", "usual", 1)],
            unknown: (0..23).map(unknown).collect(),
            remarks: vec![Remark { what: "left out: `image` is empty".into(), rows: 1, first_line: 5 }],
            not_listed: 0,
        };
        let lines = lines(&report);
        assert_eq!(lines.len(), 2 + LINES_MAX + 1 + 1);
        assert_eq!(lines[0], "labels in Japanese or in other case: 4");
        assert_eq!(lines[1], "damage_type `rust`, 1 time, first on line 3: read as `corrosion` (a common name)");
        assert!(lines[2].starts_with("damage_location `x0`, 2 times, first on line 9: names no class"), "{}", lines[2]);
        assert_eq!(lines[LINES_MAX + 2], "and 3 more; --json lists them all");
        assert_eq!(lines[LINES_MAX + 3], "left out: `image` is empty: 1 row, first on line 5");
    }
}
