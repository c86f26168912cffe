//! The marks that an office writes into a workbook: `{{bridge.name}}`, `{{#photo across=3}}`, `{{/photo}}`.
//!
//! Marks may be typed with a Japanese input method: full-width braces, letters, digits and signs count as their
//! half-width forms.

use std::ops::Range;

/// Maximum length of a mark in characters.
const LENGTH_MAX: usize = 200;

/// A mark in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where the mark lies in the text.
    pub at: Range<usize>,
    /// What it means, or why it means nothing.
    pub mark: Result<Mark, String>,
}

/// A mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A fact by its name, such as `bridge.name` or `photo.member`.
    Fact(String),
    /// The first cell of a block.
    Open(Opening),
    /// The last cell of the block of this name.
    Close(String),
}

/// How a block repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// What repeats, such as `photo`.
    pub list: String,
    /// Number of frames beside each other.
    pub across: u32,
    /// Number of frames below each other on a page.
    pub down: u32,
    /// Number of columns between two frames.
    pub gap: u32,
    /// Number of rows between two frames.
    pub gap_down: u32,
    /// Rows that are copied for each further page; the block's own rows if `None`.
    pub page: Option<(u32, u32)>,
    /// Whether each page begins on a new sheet of paper; decided by the block's shape if `None`.
    pub breaks: Option<bool>,
}

/// Returns the marks in a text.
pub fn find(text: &str) -> Vec<Found> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(start) = next(&text[at..], &["{{", "｛｛"]).map(|(start, _)| at + start) {
        let brace = text[start..].chars().next().map_or(1, char::len_utf8);
        let inside = start + 2 * brace;
        let end = next(&text[inside..], &["}}", "｝｝"]);
        let Some((length, closing)) =
            end.filter(|(length, _)| text[inside..inside + length].chars().count() <= LENGTH_MAX)
        else {
            let mark = Err("the mark has no end: }} is missing".to_owned());
            found.push(Found { at: start..text.len(), mark });
            break;
        };
        at = inside + length + closing;
        found.push(Found { at: start..at, mark: parse(&text[inside..inside + length]) });
    }
    found
}

/// Whether a text may contain a mark.
pub fn may_have(text: &str) -> bool {
    text.contains("{{") || text.contains("｛｛")
}

/// Returns the first of some pieces in a text, with its length.
fn next(text: &str, pieces: &[&str]) -> Option<(usize, usize)> {
    pieces.iter().filter_map(|piece| Some((text.find(piece)?, piece.len()))).min()
}

fn parse(inside: &str) -> Result<Mark, String> {
    let text = half_width(inside);
    let text = text.trim();
    match text.chars().next() {
        Some('#') => opening(&text[1..]).map(Mark::Open),
        Some('/') => name(text[1..].trim()).map(Mark::Close),
        _ => name(text).map(Mark::Fact),
    }
}

/// Returns the block that `photo across=3 down=2` describes.
///
/// # Errors
/// The reason, if it describes none.
pub fn opening(text: &str) -> Result<Opening, String> {
    let text = half_width(text).replace([',', '、'], " ");
    let mut words = text.split_whitespace();
    let list = name(words.next().unwrap_or_default())?;
    let mut opening = Opening { list, across: 1, down: 1, gap: 0, gap_down: 0, page: None, breaks: None };
    for word in words {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("\"{word}\" is not NAME=VALUE"))?;
        match key {
            "across" | "横" => opening.across = count(key, value, 1)?,
            "down" | "縦" => opening.down = count(key, value, 1)?,
            "gap" | "間" => opening.gap = count(key, value, 0)?,
            "gap_down" | "行間" => opening.gap_down = count(key, value, 0)?,
            "page" | "頁" | "ページ" => opening.page = Some(rows(value)?),
            "break" | "改頁" => opening.breaks = Some(yes(value)?),
            _ => return Err(format!("\"{key}\" is unknown; use across, down, gap, gap_down, page or break")),
        }
    }
    Ok(opening)
}

fn count(key: &str, value: &str, min: u32) -> Result<u32, String> {
    const COUNT_MAX: u32 = 1_000;
    let number = value.parse().ok().filter(|number| (min..=COUNT_MAX).contains(number));
    number.ok_or_else(|| format!("{key}={value} is out of range; use {min} to {COUNT_MAX}"))
}

fn rows(value: &str) -> Result<(u32, u32), String> {
    let rows = value
        .split_once([':', '-'])
        .and_then(|(first, last)| Some((crate::area::parse_row(first)?, crate::area::parse_row(last)?)));
    rows.filter(|(first, last)| first <= last).ok_or_else(|| format!("page={value} is no range of rows such as 1:43"))
}

fn yes(value: &str) -> Result<bool, String> {
    match value {
        "yes" | "はい" => Ok(true),
        "no" | "いいえ" => Ok(false),
        _ => Err(format!("break={value}: use yes or no")),
    }
}

/// Returns the name if it is one.
///
/// # Errors
/// The reason, if it is none.
pub fn name(text: &str) -> Result<String, String> {
    let is_part = |letter: char| letter.is_alphanumeric() || "_-.ー".contains(letter);
    match !text.is_empty() && text.chars().all(is_part) {
        true => Ok(text.to_owned()),
        false => Err(format!("\"{text}\" is no name of a fact")),
    }
}

/// Returns text with full-width forms of ASCII replaced.
fn half_width(text: &str) -> String {
    let narrow = |letter: char| match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(letter as u32 - 0xfee0).unwrap_or(letter),
        '\u{3000}' => ' ',
        _ => letter,
    };
    text.chars().map(narrow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Result<Mark, String> {
        let mut found = find(text);
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0).mark
    }

    #[test]
    fn marks_are_found_in_the_middle_of_text() {
        let found = find("橋名：{{bridge.name}}（{{ span.number }}径間）");
        let names: Vec<_> = found.iter().map(|found| found.mark.clone()).collect();
        assert_eq!(names, [Ok(Mark::Fact("bridge.name".into())), Ok(Mark::Fact("span.number".into()))]);
        assert_eq!(found[0].at, 9..24);
        assert_eq!(find("{single} }} {"), []);
    }

    #[test]
    fn full_width_input_counts() {
        assert_eq!(only("｛｛ｂｒｉｄｇｅ．ｎａｍｅ｝｝"), Ok(Mark::Fact("bridge.name".into())));
        let Ok(Mark::Open(opening)) = only("｛｛＃photo　横＝３　縦=2 頁=1:43｝｝") else {
            panic!("no block")
        };
        assert_eq!((opening.across, opening.down, opening.page), (3, 2, Some((1, 43))));
        assert_eq!(only("{{橋梁名}}"), Ok(Mark::Fact("橋梁名".into())));
    }

    #[test]
    fn wrong_marks_say_why() {
        for (text, reason) in [
            ("{{photo", "no end"),
            ("{{}}", "no name"),
            ("{{a b}}", "no name"),
            ("{{#photo across=0}}", "out of range"),
            ("{{#photo three}}", "NAME=VALUE"),
            ("{{#photo page=9:3}}", "no range"),
            ("{{#photo up=3}}", "unknown"),
        ] {
            let error = only(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
