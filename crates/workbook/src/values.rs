//! The facts that go into a workbook and come out of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, DateTime, date};

/// Maximum length of a cell's text in UTF-16 units, as Excel counts.
pub const TEXT_MAX: usize = 32_767;

/// A fact.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// A fact that is not known; its cell stays empty.
    #[default]
    Empty,
    Text(String),
    Number(f64),
    Bool(bool),
    Date(Date),
    /// A date with a time of day.
    DateTime(DateTime),
    /// A picture, by the key under which its bytes are asked for.
    Picture(String),
}

/// The facts about one photo, member or span, by their names: `member` for the mark `{{photo.member}}`.
pub type Record = BTreeMap<String, Value>;

/// All facts that fill a template.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// Facts that occur once, by the names of their marks: `bridge.name`.
    pub single: Record,
    /// What repeats, by the name of the block: `photo`.
    pub lists: BTreeMap<String, Vec<Record>>,
}

/// The marks that the product can fill. A mark that is not among them stays in its cell and is reported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vocabulary {
    /// Names of facts that occur once.
    pub single: BTreeSet<String>,
    /// Names of the fields of what repeats, by the name of the block.
    pub lists: BTreeMap<String, BTreeSet<String>>,
}

impl Vocabulary {
    /// Returns the marks for which facts have a value.
    pub fn of(facts: &Facts) -> Self {
        let fields = |records: &Vec<Record>| records.iter().flat_map(Record::keys).cloned().collect();
        let lists = facts.lists.iter().map(|(name, records)| (name.clone(), fields(records))).collect();
        Vocabulary { single: facts.single.keys().cloned().collect(), lists }
    }
}

impl Value {
    /// Returns the fact as text: dates as in ISO 8601, numbers in the shortest form, nothing for pictures.
    pub fn text(&self) -> String {
        match self {
            Value::Empty | Value::Picture(_) => String::new(),
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Date(date) => date.to_string(),
            Value::DateTime(moment) => moment.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        }
    }
}

/// A text that may be missing; an empty one is a fact that is not known.
impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.filter(|text| !text.is_empty()).map_or(Value::Empty, Value::Text)
    }
}

/// Returns the number that stands for a date in a workbook; `is_1904` tells from which day it counts. `None` before 1
/// March 1900, where Excel counts a day that did not exist, and before 1904.
pub fn serial(moment: DateTime, is_1904: bool) -> Option<f64> {
    let (origin, first) = origin(is_1904);
    let days = moment.date().since(origin).ok()?.get_days();
    let since = moment.time().duration_since(jiff::civil::Time::midnight());
    (moment.date() >= first).then(|| f64::from(days) + since.as_secs_f64() / 86_400.0)
}

/// Returns the moment for which a number stands; `None` outside of the calendar and before 1 March 1900.
pub fn moment(serial: f64, is_1904: bool) -> Option<DateTime> {
    const SERIAL_MAX: f64 = 2_958_466.0;
    let (origin, first) = origin(is_1904);
    if !(0.0..SERIAL_MAX).contains(&serial) {
        return None;
    }
    let seconds = (serial * 86_400.0).round() as i64;
    let moment = origin.to_datetime(jiff::civil::Time::midnight());
    let moment = moment.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
    (moment.date() >= first).then_some(moment)
}

/// Returns day 0 of a date system and the first day that it counts as the calendar does.
fn origin(is_1904: bool) -> (Date, Date) {
    match is_1904 {
        true => (date(1904, 1, 1), date(1904, 1, 1)),
        false => (date(1899, 12, 30), date(1900, 3, 1)),
    }
}

/// Returns text cut to the length that a cell can hold, and whether it was cut.
pub fn bounded(text: &str) -> (&str, bool) {
    let mut units = 0;
    for (at, letter) in text.char_indices() {
        units += letter.len_utf16();
        if units > TEXT_MAX {
            return (&text[..at], true);
        }
    }
    (text, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_as_in_excel() {
        let midnight = |year, month, day| date(year, month, day).at(0, 0, 0, 0);
        assert_eq!(serial(midnight(1900, 3, 1), false), Some(61.0));
        assert_eq!(serial(midnight(2026, 11, 30), false), Some(46_356.0));
        assert_eq!(serial(midnight(2026, 11, 30), true), Some(44_894.0));
        assert_eq!(serial(midnight(1900, 2, 28), false), None);
        assert_eq!(serial(date(2026, 11, 30).at(6, 0, 0, 0), false), Some(46_356.25));
        assert_eq!(moment(46_356.25, false), Some(date(2026, 11, 30).at(6, 0, 0, 0)));
        assert_eq!(moment(f64::NAN, false), None);
        assert_eq!(moment(1e300, false), None);
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(bounded("abc"), ("abc", false));
        let long = "橋".repeat(TEXT_MAX - 1) + "𩸽";
        assert_eq!(bounded(&long), ("橋".repeat(TEXT_MAX - 1).as_str(), true));
    }
}
