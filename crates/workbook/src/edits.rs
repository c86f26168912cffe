//! Changes to spans of a text, applied at once.

use std::ops::Range;

/// Replacements of spans, in any order, that do not overlap.
#[derive(Debug, Default)]
pub struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    pub fn replace(&mut self, at: Range<usize>, with: impl Into<String>) {
        self.0.push((at, with.into()));
    }

    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Returns the part of a text in a range with the replacements made.
    pub fn apply(mut self, text: &str, range: Range<usize>) -> String {
        self.0.retain(|(at, _)| at.start >= range.start && at.end <= range.end);
        self.0.sort_by_key(|(at, _)| (at.start, at.end));
        let (mut result, mut copied) = (String::with_capacity(range.len()), range.start);
        for (at, with) in self.0 {
            result.push_str(&text[copied..at.start.max(copied)]);
            result.push_str(&with);
            copied = at.end.max(copied);
        }
        result + &text[copied..range.end]
    }
}
