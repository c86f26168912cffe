//! References in formulas: finds them, and moves them as Excel does when rows are inserted or copied.

use std::borrow::Cow;

use crate::area::{COLUMNS_MAX, ROWS_MAX, column_name, parse_column, parse_row};

/// A row or a column in a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    pub number: u32,
    /// Whether it is written with `$`.
    pub is_fixed: bool,
}

/// A corner of a reference. References to whole rows have no column, those to whole columns no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corner {
    pub column: Option<Line>,
    pub row: Option<Line>,
}

/// A reference to a cell, a rectangle, whole rows or whole columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    pub first: Corner,
    pub last: Option<Corner>,
}

/// The sheet that a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Qualifier {
    /// The formula's own sheet.
    Own,
    /// A sheet of this workbook.
    Sheet(String),
    /// Another workbook, or several sheets: such references never move.
    Elsewhere,
}

impl Reference {
    /// Returns the reference as a formula writes it.
    pub fn text(&self) -> String {
        match &self.last {
            Some(last) => format!("{}:{}", self.first.text(), last.text()),
            None => self.first.text(),
        }
    }
}

impl Corner {
    fn text(&self) -> String {
        let dollar = |line: &Line| if line.is_fixed { "$" } else { "" };
        let column = self.column.map_or(String::new(), |line| dollar(&line).to_owned() + &column_name(line.number));
        let row = self.row.map_or(String::new(), |line| format!("{}{}", dollar(&line), line.number));
        column + &row
    }
}

/// Returns a formula with each reference replaced for which `change` returns a text.
pub fn rewrite<'a>(formula: &'a str, mut change: impl FnMut(&Qualifier, &Reference) -> Option<String>) -> Cow<'a, str> {
    let mut scan = Scan { formula, at: 0, qualifier: Qualifier::Own };
    let (mut result, mut copied) = (String::new(), 0);
    while let Some((range, qualifier, reference)) = scan.next_reference() {
        if let Some(text) = change(&qualifier, &reference) {
            result.push_str(&formula[copied..range.start]);
            result.push_str(&text);
            copied = range.end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(formula);
    }
    result.push_str(&formula[copied..]);
    Cow::Owned(result)
}

/// Returns a formula as if its cell had been copied so many rows down and columns to the right.
pub fn copied(formula: &str, rows: i64, columns: i64) -> String {
    rewrite(formula, |_, reference| {
        let moved = |line: Line, by: i64, max: u32| match line.is_fixed {
            true => Some(line),
            false => u32::try_from(i64::from(line.number) + by)
                .ok()
                .filter(|number| (1..=max).contains(number))
                .map(|number| Line { number, ..line }),
        };
        let corner = |corner: Corner| {
            let column = corner.column.map(|line| moved(line, columns, COLUMNS_MAX));
            let row = corner.row.map(|line| moved(line, rows, ROWS_MAX));
            (column != Some(None) && row != Some(None))
                .then_some(Corner { column: column.flatten(), row: row.flatten() })
        };
        let first = corner(reference.first);
        let last = reference.last.map(corner);
        match (first, last) {
            (Some(first), None) => Some(Reference { first, last: None }.text()),
            (Some(first), Some(Some(last))) => Some(Reference { first, last: Some(last) }.text()),
            _ => Some("#REF!".to_owned()),
        }
    })
    .into_owned()
}

type Found = (std::ops::Range<usize>, Qualifier, Reference);

/// A walk through a formula.
struct Scan<'a> {
    formula: &'a str,
    at: usize,
    /// The sheet that was named directly before `at`.
    qualifier: Qualifier,
}

impl Scan<'_> {
    fn next_reference(&mut self) -> Option<Found> {
        while let Some(letter) = self.rest().chars().next() {
            let qualifier = std::mem::replace(&mut self.qualifier, Qualifier::Own);
            match letter {
                '"' => self.at += quoted(self.rest(), '"'),
                '\'' => self.quoted_sheet(),
                '[' => self.bracket(),
                '#' => self.at += error_value(self.rest()),
                _ if is_word(letter) => {
                    if let Some(found) = self.word(qualifier) {
                        return Some(found);
                    }
                }
                _ => self.at += letter.len_utf8(),
            }
        }
        None
    }

    fn rest(&self) -> &str {
        &self.formula[self.at..]
    }

    /// Takes `'a sheet'!`.
    fn quoted_sheet(&mut self) {
        let length = quoted(self.rest(), '\'');
        let name = self.rest()[1..length].trim_end_matches('\'').replace("''", "'");
        self.at += length;
        if self.rest().starts_with('!') {
            self.at += 1;
            self.qualifier = match name.contains(['[', ':']) {
                true => Qualifier::Elsewhere,
                false => Qualifier::Sheet(name),
            };
        }
    }

    /// Takes `[1]Sheet!` of another workbook, or the columns of a table, `[[#All],[Column]]`.
    fn bracket(&mut self) {
        let (mut depth, mut length, mut is_escaped) = (0, 0, false);
        for letter in self.rest().chars() {
            length += letter.len_utf8();
            match letter {
                _ if is_escaped => is_escaped = false,
                '\'' => is_escaped = true,
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => (),
            }
            if depth == 0 {
                break;
            }
        }
        self.at += length;
        let word = word_length(self.rest());
        if word > 0 && self.rest()[word..].starts_with('!') {
            self.at += word + 1;
            self.qualifier = Qualifier::Elsewhere;
        }
    }

    /// Takes a name, a number, a function, a sheet's name with `!`, or a reference, which it returns.
    fn word(&mut self, qualifier: Qualifier) -> Option<Found> {
        let (start, length) = (self.at, word_length(self.rest()));
        let word = &self.formula[start..start + length];
        let after = &self.formula[start + length..];
        self.at += length;
        if after.starts_with('!') {
            self.at += 1;
            self.qualifier = Qualifier::Sheet(word.to_owned());
            return None;
        }
        if let Some(second) = after.strip_prefix(':') {
            let second_length = word_length(second);
            if second[second_length..].starts_with('!') {
                self.at += 1 + second_length + 1;
                self.qualifier = Qualifier::Elsewhere;
                return None;
            }
            if let Some(reference) = range(word, &second[..second_length]) {
                self.at += 1 + second_length;
                return Some((start..self.at, qualifier, reference));
            }
        }
        let is_function = after.trim_start().starts_with('(');
        let corner = corner(word).filter(|corner| !is_function && corner.column.is_some() && corner.row.is_some())?;
        Some((start..self.at, qualifier, Reference { first: corner, last: None }))
    }
}

/// Returns the reference between two corners of one kind.
fn range(first: &str, last: &str) -> Option<Reference> {
    let (first, last) = (corner(first)?, corner(last)?);
    let is_same_kind = first.column.is_some() == last.column.is_some() && first.row.is_some() == last.row.is_some();
    is_same_kind.then_some(Reference { first, last: Some(last) })
}

/// Parses `A1`, `$A$1`, `A`, `$A`, `1` or `$1`.
fn corner(word: &str) -> Option<Corner> {
    let digits = word.find(|letter: char| letter.is_ascii_digit()).unwrap_or(word.len());
    let (letters, number) = word.split_at(digits);
    let (letters, is_row_fixed) = match letters.strip_suffix('$') {
        Some(letters) if !number.is_empty() => (letters, true),
        _ => (letters, false),
    };
    let row = match number {
        "" => None,
        _ => Some(Line { number: parse_row(number)?, is_fixed: is_row_fixed }),
    };
    let (name, is_fixed) = letters.strip_prefix('$').map_or((letters, false), |name| (name, true));
    let column = match letters {
        "" => None,
        _ => Some(Line { number: parse_column(name)?, is_fixed }),
    };
    (row.is_some() || column.is_some()).then_some(Corner { column, row })
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || "_.$\\?".contains(letter) || !letter.is_ascii()
}

fn word_length(text: &str) -> usize {
    text.find(|letter| !is_word(letter)).unwrap_or(text.len())
}

/// Returns the length of a quoted text, in which two quotes stand for one.
fn quoted(text: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(end) = text[at..].find(quote) {
        at += end + 1;
        if !text[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// Returns the length of an error value such as `#REF!`, or 1 for a lone `#`.
fn error_value(text: &str) -> usize {
    const VALUES: [&str; 8] = ["#REF!", "#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#VALUE!", "#GETTING_DATA"];
    VALUES.iter().find(|value| text.starts_with(**value)).map_or(1, |value| value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(formula: &str) -> Vec<String> {
        let mut all = Vec::new();
        rewrite(formula, |qualifier, reference| {
            all.push(match qualifier {
                Qualifier::Own => reference.text(),
                Qualifier::Sheet(name) => format!("{name}!{}", reference.text()),
                Qualifier::Elsewhere => format!("?{}", reference.text()),
            });
            None
        });
        all
    }

    #[test]
    fn references_are_found_and_nothing_else() {
        assert_eq!(found("SUM(A1:$B$2,C:C,$3:4)+D5*LOG10(2)"), ["A1:$B$2", "C:C", "$3:4", "D5"]);
        assert_eq!(found("\"A1\"&'写真 ''A1'!B2&写真!C3"), ["写真 'A1!B2", "写真!C3"]);
        assert_eq!(found("[1]Sheet1!A1+Sheet1:Sheet3!B2+'[x.xlsx]S'!C3"), ["?A1", "?B2", "?C3"]);
        assert_eq!(found("Table1[[#This Row],[A1]]+E7+#REF!+1.5E3+TRUE"), ["E7"]);
        assert_eq!(found("A1B+A1.x+XFE1+bc_A1"), [""; 0]);
        assert_eq!(found("\"unfinished A1"), [""; 0]);
    }

    #[test]
    fn copied_formulas_move_their_relative_references() {
        assert_eq!(copied("A1+$A1+A$1+$A$1", 2, 1), "B3+$A3+B$1+$A$1");
        assert_eq!(copied("A1:B2+C:C+3:4", 1, 0), "A2:B3+C:C+4:5");
        assert_eq!(copied("A1", -1, 0), "#REF!");
    }
}
