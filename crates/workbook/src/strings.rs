//! Texts of cells: shared strings, runs of formatted text, and how control characters are written.

use std::fmt::Write;
use std::ops::Range;

use crate::error::WorkbookError;
use crate::xml::{Kind, Tokens, escape, prefix, unescape};

/// The shared strings of a workbook.
#[derive(Default)]
pub struct SharedStrings {
    text: String,
    items: Vec<Range<usize>>,
}

/// A piece of text with one format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The `rPr` element as it is written; empty for the cell's own format.
    pub properties: String,
    pub text: String,
}

impl SharedStrings {
    /// Finds the items of the part.
    ///
    /// # Errors
    /// If the XML is damaged, or has more items than `items_max`.
    pub fn parse(part: &str, text: String, items_max: usize) -> Result<Self, WorkbookError> {
        let (mut items, mut start) = (Vec::new(), None);
        for token in Tokens::new(part, &text) {
            let token = token?;
            match token.kind {
                Kind::Open if token.name == "si" && token.depth == 1 => start = Some(token.end),
                Kind::Empty if token.name == "si" && token.depth == 1 => items.push(token.end..token.end),
                Kind::Close if token.name == "si" && token.depth == 1 => {
                    items.extend(start.take().map(|start| start..token.start));
                }
                _ => (),
            }
            if items.len() > items_max {
                return Err(WorkbookError::TooLarge { what: "the number of texts".to_owned(), max: items_max as u64 });
            }
        }
        Ok(SharedStrings { text, items })
    }

    /// Returns the XML inside an item.
    pub fn item(&self, index: usize) -> Option<&str> {
        self.items.get(index).map(|range| &self.text[range.clone()])
    }
}

/// Returns the runs of an item's XML, without phonetic text.
///
/// # Errors
/// If the XML is damaged.
pub fn runs(part: &str, inner: &str) -> Result<Vec<Run>, WorkbookError> {
    let mut runs = vec![Run { properties: String::new(), text: String::new() }];
    let (mut is_text, mut phonetic, mut properties) = (false, None, None);
    for token in Tokens::new(part, inner) {
        let token = token?;
        match token.kind {
            Kind::Open if token.name == "rPh" => phonetic = Some(token.depth),
            Kind::Close if phonetic == Some(token.depth) => phonetic = None,
            _ if phonetic.is_some() => (),
            Kind::Open if token.name == "r" => runs.push(Run { properties: String::new(), text: String::new() }),
            Kind::Open if token.name == "rPr" => properties = Some(token.start),
            Kind::Close if token.name == "rPr" => {
                let start = properties.take().unwrap_or(token.start);
                last(&mut runs).properties = inner[start..token.end].to_owned();
            }
            Kind::Open | Kind::Close if token.name == "t" => is_text = token.kind == Kind::Open,
            Kind::Text if is_text => last(&mut runs).text.push_str(&piece(part, token.raw)?),
            Kind::CData if is_text => last(&mut runs).text.push_str(cdata(token.raw)),
            _ => (),
        }
    }
    runs.retain(|run| !run.text.is_empty());
    runs.iter_mut().for_each(|run| run.text = decoded(&run.text));
    Ok(runs)
}

/// Returns the text of an item's XML.
///
/// # Errors
/// If the XML is damaged.
pub fn plain(part: &str, inner: &str) -> Result<String, WorkbookError> {
    Ok(runs(part, inner)?.into_iter().map(|run| run.text).collect())
}

fn last(runs: &mut [Run]) -> &mut Run {
    runs.last_mut().expect("there is always a run")
}

fn piece(part: &str, raw: &str) -> Result<String, WorkbookError> {
    let text = unescape(raw).ok_or_else(|| WorkbookError::part(part, "a reference to an unknown entity"))?;
    // XML reads a line end of two characters as one.
    Ok(text.replace("\r\n", "\n"))
}

/// Returns the text of a CDATA section.
pub fn cdata(raw: &str) -> &str {
    raw.trim_start_matches("<![CDATA[").trim_end_matches("]]>")
}

/// Returns runs as the content of an `is` element; `tag` gives the prefix of the sheet's elements.
pub fn inline(runs: &[Run], tag: &str) -> String {
    let p = prefix(tag);
    let text = |text: &str| format!("<{p}t xml:space=\"preserve\">{}</{p}t>", escape(&encoded(text)));
    match runs {
        [run] if run.properties.is_empty() => text(&run.text),
        _ => runs.iter().map(|run| format!("<{p}r>{}{}</{p}r>", run.properties, text(&run.text))).collect(),
    }
}

/// Returns text in which `_x000D_` and such stand for their characters.
pub fn decoded(text: &str) -> String {
    let (mut result, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("_x") {
        result.push_str(&rest[..at]);
        match code(&rest[at..]) {
            Some(letter) => {
                result.push(letter);
                rest = &rest[at + CODE_BYTES..];
            }
            None => {
                result.push_str("_x");
                rest = &rest[at + 2..];
            }
        }
    }
    result + rest
}

const CODE_BYTES: usize = "_x000D_".len();

/// Returns the character for which a text such as `_x000D_` at the beginning stands.
fn code(text: &str) -> Option<char> {
    let code = text.get(..CODE_BYTES).filter(|code| code.ends_with('_'))?;
    let digits = code[2..6].bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(&code[2..6])?;
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}

/// Returns text in which nothing is taken for a character's code.
fn encoded(text: &str) -> String {
    let (mut result, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("_x") {
        result.push_str(&rest[..at]);
        match code(&rest[at..]) {
            Some(_) => drop(write!(result, "_x005F_x")),
            None => result.push_str("_x"),
        }
        rest = &rest[at + 2..];
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_keep_their_format_and_lose_phonetic_text() {
        let inner = "<r><rPr><b/></rPr><t>橋</t></r><r><t xml:space=\"preserve\"> &amp;<![CDATA[<]]></t></r>\
            <rPh sb=\"0\" eb=\"1\"><t>ハシ</t></rPh><phoneticPr fontId=\"1\"/>";
        let found = runs("p", inner).expect("runs");
        assert_eq!(found[0], Run { properties: "<rPr><b/></rPr>".to_owned(), text: "橋".to_owned() });
        assert_eq!(found[1], Run { properties: String::new(), text: " &<".to_owned() });
        assert_eq!(found.len(), 2);
        assert_eq!(runs("p", &inline(&found, "<x:c>")).expect("runs"), found);
    }

    #[test]
    fn codes_of_characters_are_read_and_never_written_by_chance() {
        assert_eq!(decoded("a_x000A_b_x41_c"), "a\nb_x41_c");
        for text in ["_x0041_", "a_x005F_b", "_x", "_xé001_", "_x000D__x000D_"] {
            assert_eq!(decoded(&encoded(text)), text);
        }
    }
}
