//! Names that people give themselves.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{TagError, TagText};

/// Name that a visitor or an inspector chose. It contains visible letters only. Letters that are invisible, or that
/// reorder other letters, could make one name look like another, and a list of names like something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PersonName(TagText);

/// Ranges of invisible characters: formatting characters (category Cf of Unicode 16), Hangul fillers, line separators,
/// private-use characters, and noncharacters.
const UNSEEN: [(char, char); 21] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{10ffff}'),
];

fn is_unseen(letter: &char) -> bool {
    letter.is_control() || UNSEEN.iter().any(|(first, last)| (first..=last).contains(&letter))
}

impl PersonName {
    /// Returns the name as it is shown.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the visible part of a name that was stored before invisible letters were refused, or `?` if nothing is
    /// visible.
    pub fn seen_of(name: &TagText) -> Self {
        let seen: String = name.as_str().chars().filter(|letter| !is_unseen(letter)).collect();
        let seen = if seen.trim().is_empty() { "?".to_owned() } else { seen };
        // The text has only become shorter, so it fits.
        PersonName(seen.try_into().unwrap_or_else(|_| name.clone()))
    }
}

impl From<PersonName> for TagText {
    fn from(name: PersonName) -> Self {
        name.0
    }
}

impl TryFrom<String> for PersonName {
    type Error = TagError;

    fn try_from(text: String) -> Result<Self, TagError> {
        if let Some(unseen) = text.chars().find(is_unseen) {
            return Err(TagError::Control(unseen));
        }
        match text.trim().is_empty() {
            true => Err(TagError::Length(0)),
            false => text.try_into().map(PersonName),
        }
    }
}

impl FromStr for PersonName {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        text.to_owned().try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_only_what_is_seen() {
        for name in ["A. Sato", "佐藤 花子", "Ngô Thị Hà", "O'Brien-Ñúñez", "علي"] {
            assert_eq!(name.parse::<PersonName>().expect(name).as_str(), name);
        }
        let unseen = [
            "\u{202e}otaS",
            "A\u{2066}B",
            "A\u{200b}",
            "\u{feff}A",
            "A\nB",
            "A\u{7f}",
            "A\u{85}",
            "\u{e0041}",
            "\u{3164}",
        ];
        for name in unseen {
            assert!(matches!(name.parse::<PersonName>(), Err(TagError::Control(_))), "{name:?}");
        }
        assert!(["", " ", "\u{3000}"].iter().all(|name| name.parse::<PersonName>().is_err()));
    }

    #[test]
    fn of_older_names_remains_what_is_seen() {
        let seen = |name: &str| PersonName::seen_of(&name.parse().expect("a tag's text")).as_str().to_owned();
        assert_eq!([seen("\u{202e}A"), seen("\u{200b}"), seen("B")], ["A", "?", "B"]);
    }
}
