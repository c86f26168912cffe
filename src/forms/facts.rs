//! Facts that occur once in a form: about the bridge, the inspection and the inspector.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::workbook::Value;

/// Maximum length of a fact's text, in characters.
const TEXT_MAX: usize = 2_000;

/// Fact that somebody gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact {
    Number(f64),
    Date(Date),
    Text(String),
}

/// Facts by their names, as marks have them: `bridge.name`.
pub type Facts = BTreeMap<String, Fact>;

/// Name of a fact, with what it means in English and Japanese.
pub struct Known {
    pub name: &'static str,
    pub meaning: [&'static str; 2],
}

const fn known(name: &'static str, en: &'static str, ja: &'static str) -> Known {
    Known { name, meaning: [en, ja] }
}

/// Facts that people give: in the settings, by an earlier workbook, or by a register of bridges.
pub const GIVEN: &[Known] = &[
    known("bridge.name", "Name of the bridge; the bridge of the tag unless given", "橋梁名（未設定ならタグの橋梁）"),
    known("bridge.number", "Number in a register of facilities", "施設番号"),
    known("bridge.route", "Road", "路線名"),
    known("bridge.location", "Where the bridge is", "所在地"),
    known("bridge.manager", "Owner", "管理者名"),
    known("bridge.structure", "Kind of structure", "橋梁形式"),
    known("bridge.length_m", "Length in metres", "橋長 (m)"),
    known("bridge.width_m", "Width in metres", "幅員 (m)"),
    known("bridge.spans", "Number of spans", "径間数"),
    known("bridge.year", "Year of construction", "架設年"),
    known("bridge.latitude", "Latitude in degrees", "緯度"),
    known("bridge.longitude", "Longitude in degrees", "経度"),
    known("bridge.last_soundness", "Soundness by the inspection before", "前回の健全性の診断"),
    known(
        "inspection.date",
        "Day of the inspection; the last day of the photos unless given",
        "点検年月日（未設定なら最後の撮影日）",
    ),
    known("inspection.next", "When the next inspection is due", "次回点検"),
    known("inspection.last", "Day of the inspection before", "前回点検年月日"),
    known("inspector.name", "Inspector", "点検者"),
    known("inspector.company", "The inspector's company", "点検者の所属"),
];

impl Fact {
    /// Reads a text that may be a number or a date. A number with leading zeros is a text, as in a register's number.
    pub fn read(text: &str) -> Option<Self> {
        let text: String = text.trim().chars().take(TEXT_MAX).collect();
        let is_padded = text.len() > 1 && text.starts_with('0') && !text.starts_with("0.");
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && !is_padded);
        match (number, date(&text)) {
            _ if text.is_empty() => None,
            (Some(number), _) => Some(Fact::Number(number)),
            (None, Some(date)) => Some(Fact::Date(date)),
            (None, None) => Some(Fact::Text(text)),
        }
    }

    /// Returns the fact that a cell has; `None` if the cell is empty.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Fact::Number(*number)),
            Value::Date(date) => Some(Fact::Date(*date)),
            Value::DateTime(moment) => Some(Fact::Date(moment.date())),
            Value::Text(text) => Some(text.trim().chars().take(TEXT_MAX).collect::<String>())
                .filter(|text| !text.is_empty())
                .map(Fact::Text),
            Value::Bool(_) | Value::Empty | Value::Picture(_) => None,
        }
    }

    /// Returns what a cell gets.
    pub fn value(&self) -> Value {
        match self {
            Fact::Number(number) => Value::Number(*number),
            Fact::Date(date) => Value::Date(*date),
            Fact::Text(text) => Value::Text(text.clone()),
        }
    }

    pub fn text(&self) -> String {
        self.value().text()
    }
}

/// Reads a day as people write it: 2026-05-09, 2026/5/9, 2026.5.9, 2026年5月9日.
pub fn date(text: &str) -> Option<Date> {
    let plain = text.trim().trim_end_matches('日').replace(['年', '月', '/', '.'], "-");
    let mut parts = plain.split('-').map(|part| part.trim().parse::<i16>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let is_day = parts.next().is_none() && (1900..=2200).contains(&year);
    is_day.then(|| Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()).flatten()
}

/// Returns `first` with the facts of `second` that it lacks.
pub fn completed(mut first: Facts, second: &Facts) -> Facts {
    for (name, fact) in second {
        first.entry(name.clone()).or_insert_with(|| fact.clone());
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_they_are() {
        let day = Date::constant(2026, 5, 9);
        for text in ["2026-05-09", "2026/5/9", "2026.5.9", "2026年5月9日"] {
            assert_eq!(Fact::read(text), Some(Fact::Date(day)), "{text}");
        }
        assert_eq!(Fact::read("128.5"), Some(Fact::Number(128.5)));
        assert_eq!(Fact::read("0123"), Some(Fact::Text("0123".into())));
        assert_eq!(Fact::read("R6"), Some(Fact::Text("R6".into())));
        assert_eq!(Fact::read("2026-13-01"), Some(Fact::Text("2026-13-01".into())));
        assert_eq!(Fact::read("  "), None);
        assert_eq!(Fact::read("NaN"), Some(Fact::Text("NaN".into())), "no number that JSON cannot hold");
    }

    #[test]
    fn facts_survive_json_and_the_first_source_holds() {
        let facts = |pairs: &[(&str, &str)]| -> Facts {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), Fact::read(text).expect("a fact"))).collect()
        };
        let ours = facts(&[("bridge.name", "新橋"), ("inspection.date", "2026-05-09"), ("bridge.length_m", "12.5")]);
        let text = serde_json::to_string(&ours).expect("JSON");
        assert_eq!(serde_json::from_str::<Facts>(&text).expect("facts"), ours);
        let both = completed(ours, &facts(&[("bridge.name", "旧橋"), ("bridge.route", "国道1号")]));
        assert_eq!((both["bridge.name"].text(), both["bridge.route"].text()), ("新橋".into(), "国道1号".into()));
    }
}
