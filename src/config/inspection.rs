//! The section `[inspection]`: the members to inspect, and what forms need beside the photos.

use std::path::PathBuf;

use jiff::civil::Date;
use serde::Deserialize;

use super::Number;
use crate::domain::TagText;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inspection {
    /// CSV file that lists the members that need photos.
    pub members: Option<PathBuf>,
    /// Whether photos that inspectors have rated on this device vote beside those of the reference.
    #[serde(default)]
    pub learn: bool,
    /// Time without a change of a member's photos after which the member is answered.
    #[serde(default)]
    pub member_quiet_s: Number<1, 86_400, 30>,
    /// Whether events tell the answers about members. True unless given.
    pub member_events: Option<bool>,
    pub inspector: Option<FormText>,
    pub company: Option<FormText>,
    pub manager: Option<FormText>,
    pub route: Option<FormText>,
    pub date: Option<FormDate>,
    pub next: Option<FormText>,
    #[serde(default)]
    pub bridge: Vec<FormBridge>,
}

/// Facts about one bridge.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormBridge {
    /// Name in the tags.
    pub id: TagText,
    pub name: Option<FormText>,
    pub number: Option<FormText>,
    pub manager: Option<FormText>,
    pub route: Option<FormText>,
    pub location: Option<FormText>,
    pub structure: Option<FormText>,
    pub length_m: Option<FormNumber>,
    pub width_m: Option<FormNumber>,
    pub spans: Option<FormNumber>,
    pub year: Option<FormText>,
}

/// Maximum length of a text in forms, in characters.
const TEXT_MAX: usize = 200;

/// Text of 1 to 200 characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FormText(pub String);

impl TryFrom<String> for FormText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let length = text.chars().count();
        match (1..=TEXT_MAX).contains(&length) && !text.chars().any(char::is_control) {
            true => Ok(FormText(text)),
            false => Err(format!("a text in forms has 1 to {TEXT_MAX} characters and no line breaks")),
        }
    }
}

/// Number above 0.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct FormNumber(pub f64);

impl TryFrom<f64> for FormNumber {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        match number > 0.0 && number < 1e6 {
            true => Ok(FormNumber(number)),
            false => Err(format!("{number} is out of range; use a number above 0 and below 1000000")),
        }
    }
}

/// Day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FormDate(pub Date);

impl TryFrom<String> for FormDate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let day = Date::strptime("%Y-%m-%d", &text);
        day.map(FormDate).map_err(|_| format!("`{text}` is no day; write it as in \"2026-05-09\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Inspection, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn facts_for_forms_are_read_and_wrong_ones_named() {
        let whole =
            "inspector = \"北 太郎\"\ndate = \"2026-05-09\"\n[[bridge]]\nid = \"B-12\"\nlength_m = 128.5\nspans = 3\n";
        let inspection = read(whole).expect("read");
        assert_eq!(inspection.bridge[0].length_m, Some(FormNumber(128.5)));
        assert_eq!(inspection.bridge[0].spans, Some(FormNumber(3.0)));
        for (text, expected) in [
            ("inspector = \"\"", "1 to 200 characters"),
            ("date = \"9 May\"", "no day"),
            ("[[bridge]]\nname = \"x\"", "missing field `id`"),
            ("[[bridge]]\nid = \"B\"\nlength_m = 0", "above 0"),
            ("[[bridge]]\nid = \"B\"\ncolour = \"red\"", "unknown field `colour`"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
