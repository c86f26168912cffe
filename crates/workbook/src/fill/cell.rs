//! One cell with its facts.

use crate::book::Workbook;
use crate::layout::Field;
use crate::marks::Mark;
use crate::strings::{Run, inline};
use crate::values::{Value, bounded, serial};
use crate::xml::{prefix, with_attribute, without_attribute};

/// What a filled cell contains.
#[derive(Debug, PartialEq)]
pub enum Filled {
    Empty,
    Number(f64),
    Bool(bool),
    Runs(Vec<Run>),
}

/// Returns the content of a cell from the values of its marks, in their order; `None` for a mark that stays. `style` is
/// the index of the cell's format, which decides whether dates are numbers.
pub fn filled(book: &Workbook, field: &Field, values: &[Option<Value>], style: usize) -> Filled {
    if let Some(value) = only(field, values) {
        match value {
            Value::Number(number) if number.is_finite() => return Filled::Number(*number),
            Value::Bool(value) => return Filled::Bool(*value),
            Value::Date(date) if book.styles.is_date(style) => {
                if let Some(number) = serial(date.at(0, 0, 0, 0), book.is_1904) {
                    return Filled::Number(number);
                }
            }
            Value::DateTime(moment) if book.styles.is_date(style) => {
                if let Some(number) = serial(*moment, book.is_1904) {
                    return Filled::Number(number);
                }
            }
            _ => (),
        }
    }
    let mut runs = replaced(field, values);
    if field.marks.iter().any(|found| matches!(found.mark, Ok(Mark::Open(_) | Mark::Close(_)))) {
        trim(&mut runs);
    }
    runs.retain(|run| !run.text.is_empty());
    if runs.is_empty() { Filled::Empty } else { Filled::Runs(runs) }
}

/// Returns the value of a cell that contains one fact and nothing else but the marks of a block.
fn only<'v>(field: &Field, values: &'v [Option<Value>]) -> Option<&'v Value> {
    let mut facts = field.marks.iter().zip(values).filter(|(found, _)| matches!(found.mark, Ok(Mark::Fact(_))));
    let ((_, value), None) = (facts.next()?, facts.next()) else { return None };
    let marked: usize = field.marks.iter().map(|found| found.at.len()).sum();
    let is_alone = field.text().trim().len() == marked || literal(field).trim().is_empty();
    is_alone.then_some(value.as_ref()).flatten()
}

/// Returns a field's text without its marks.
pub fn literal(field: &Field) -> String {
    let (text, mut at, mut literal) = (field.text(), 0, String::new());
    for found in &field.marks {
        literal.push_str(&text[at..found.at.start]);
        at = found.at.end;
    }
    literal + &text[at..]
}

/// Returns a field's runs with the values in place of the marks. A mark in several runs gets the format of the first.
fn replaced(field: &Field, values: &[Option<Value>]) -> Vec<Run> {
    let (mut runs, mut start) = (Vec::new(), 0);
    for run in &field.runs {
        let end = start + run.text.len();
        let (mut text, mut at) = (String::new(), start);
        for (found, value) in field.marks.iter().zip(values) {
            let Some(value) = value.as_ref().filter(|_| found.at.end > start && found.at.start < end) else { continue };
            if found.at.start >= start {
                text.push_str(&run.text[at - start..found.at.start - start]);
                text.push_str(&value.text());
            }
            at = found.at.end.min(end);
        }
        text.push_str(&run.text[at - start..]);
        runs.push(Run { properties: run.properties.clone(), text });
        start = end;
    }
    runs
}

/// Removes the space that is left at both ends.
fn trim(runs: &mut [Run]) {
    if let Some(first) = runs.iter_mut().find(|run| !run.text.trim().is_empty()) {
        first.text = first.text.trim_start().to_owned();
    }
    if let Some(last) = runs.iter_mut().rev().find(|run| !run.text.trim().is_empty()) {
        last.text = last.text.trim_end().to_owned();
    }
    runs.iter_mut().filter(|run| run.text.trim().is_empty()).for_each(|run| run.text.clear());
}

/// Returns the XML of a cell with another content, and whether its text was cut.
pub fn write(tag: &str, content: &mut Filled) -> (String, bool) {
    let p = prefix(tag);
    let tag = without_attribute(tag, "t");
    let open = |tag: &str| format!("{}>", tag.trim_end_matches('>').trim_end_matches('/').trim_end());
    match content {
        Filled::Empty => (format!("{}/>", open(&tag).trim_end_matches('>')), false),
        Filled::Number(number) => (format!("{}<{p}v>{number}</{p}v></{p}c>", open(&tag)), false),
        Filled::Bool(value) => {
            let tag = open(&with_attribute(&tag, "t", "b"));
            (format!("{tag}<{p}v>{}</{p}v></{p}c>", u8::from(*value)), false)
        }
        Filled::Runs(runs) => {
            let is_cut = cut(runs);
            let tag = open(&with_attribute(&tag, "t", "inlineStr"));
            (format!("{tag}<{p}is>{}</{p}is></{p}c>", inline(runs, &tag)), is_cut)
        }
    }
}

/// Cuts runs to what a cell can hold together.
fn cut(runs: &mut Vec<Run>) -> bool {
    let whole: String = runs.iter().map(|run| run.text.as_str()).collect();
    let (kept, is_cut) = bounded(&whole);
    let mut left = kept.len();
    for run in runs.iter_mut().filter(|_| is_cut) {
        run.text.truncate(left.min(run.text.len()));
        left -= run.text.len();
    }
    runs.retain(|run| !run.text.is_empty());
    is_cut
}
