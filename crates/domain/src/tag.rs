//! Tags: what a person says about the photos that follow. No receiver knows the bridge, the span or the member.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Sha256;

/// Bridge, span and member. Each one is `None` if nobody named it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<TagText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<TagText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<TagText>,
}

/// A name of 1 to 64 characters without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct TagText(String);

/// Maximum number of characters in a name.
const TEXT_MAX: usize = 64;

/// Prefix of a code on paper that is not in JSON form.
const PREFIX: &str = "bridgeclip:";

/// Reason why a text is not a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    #[error("a name has 1 to {TEXT_MAX} characters; this one has {0}")]
    Length(usize),
    #[error("a name has no control characters and none that cannot be seen; this one has {0:?}")]
    Control(char),
    #[error("neither `{PREFIX}bridge=ID;span=S;member=M` nor JSON with these keys")]
    Form,
    #[error("unknown key `{0}`; use bridge, span and member")]
    Key(String),
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    #[error("it names neither bridge, span nor member")]
    Empty,
}

/// Sort key of a tag; see [`Tag::order`].
pub type TagOrder = [(bool, String, String); 3];

impl Tag {
    /// Returns a key that sorts tags by bridge, span and member as people count, missing names last. Tags have the same
    /// key only if they are equal.
    pub fn order(&self) -> TagOrder {
        [&self.bridge, &self.span, &self.member].map(|name| {
            let name = name.as_ref().map(TagText::as_str).unwrap_or_default();
            (name.is_empty(), natural(name), name.to_owned())
        })
    }

    /// Returns a short name that is unique to the tag and fits into topics: the SHA-256 of its JSON.
    pub fn key(&self) -> Sha256 {
        Sha256::of(&serde_json::to_vec(self).expect("names are text"))
    }

    /// Reports whether the tag says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Tag::default()
    }

    fn put(&mut self, key: &str, value: &str) -> Result<(), TagError> {
        let (name, place) = match key {
            "bridge" => ("bridge", &mut self.bridge),
            "span" => ("span", &mut self.span),
            "member" => ("member", &mut self.member),
            _ => return Err(TagError::Key(key.chars().take(TEXT_MAX).collect())),
        };
        match place.replace(value.parse()?) {
            None => Ok(()),
            Some(_) => Err(TagError::Twice(name)),
        }
    }
}

/// Pads each number in a name with zeros, so that span 10 comes after span 9. Sixty-four digits suffice, since a name
/// has at most 64 characters.
fn natural(name: &str) -> String {
    let mut order = String::new();
    let mut rest = name;
    while !rest.is_empty() {
        let word = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let number = rest[word..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - word);
        order += &rest[..word];
        if number > 0 {
            order += &format!("{:0>64}", &rest[word..word + number]);
        }
        rest = &rest[word + number..];
    }
    order
}

/// Parses `bridgeclip:bridge=ID;span=S;member=M` (any of the three, in any order) or `{"bridge": "ID", ...}`. Values in
/// the first form contain no semicolon.
impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let tag = match text.trim().strip_prefix(PREFIX) {
            Some(pairs) => from_pairs(pairs)?,
            None => serde_json::from_str(text).map_err(|_| TagError::Form)?,
        };
        if tag.is_empty() { Err(TagError::Empty) } else { Ok(tag) }
    }
}

fn from_pairs(pairs: &str) -> Result<Tag, TagError> {
    let mut tag = Tag::default();
    for pair in pairs.split(';').filter(|pair| !pair.trim().is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(TagError::Form)?;
        tag.put(key.trim(), value.trim())?;
    }
    Ok(tag)
}

/// Writes `bridge B-12, span 3, member Girder 2`, or `none`.
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("bridge", &self.bridge), ("span", &self.span), ("member", &self.member)];
        let given = parts.iter().filter_map(|(name, text)| Some(format!("{name} {}", text.as_ref()?.as_str())));
        match given.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => f.write_str("none"),
            text => f.write_str(&text),
        }
    }
}

impl TagText {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TagText {
    type Error = TagError;

    fn try_from(text: String) -> Result<Self, TagError> {
        let length = text.chars().count();
        if !(1..=TEXT_MAX).contains(&length) {
            return Err(TagError::Length(length));
        }
        match text.chars().find(|character| character.is_control()) {
            None => Ok(TagText(text)),
            Some(control) => Err(TagError::Control(control)),
        }
    }
}

impl FromStr for TagText {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        text.to_owned().try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(bridge: &str, span: &str, member: &str) -> Tag {
        let text = |text: &str| (!text.is_empty()).then(|| text.parse().expect("a name"));
        Tag { bridge: text(bridge), span: text(span), member: text(member) }
    }

    #[test]
    fn both_forms_are_read() {
        let cases = [
            ("bridgeclip:bridge=B-12;span=3;member=Girder 2", tag("B-12", "3", "Girder 2")),
            ("bridgeclip: member = 主桁 G2 ; bridge = 新橋;", tag("新橋", "", "主桁 G2")),
            (" bridgeclip:span=a=b\n", tag("", "a=b", "")),
            (r#"{"bridge": "B-12", "span": "3;4"}"#, tag("B-12", "3;4", "")),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_tag_is_refused_with_the_reason() {
        let long = "x".repeat(65);
        let cases = [
            ("https://example.org/bridge=1".to_owned(), TagError::Form),
            (r#"{"bridge": "B", "inspector": "N"}"#.to_owned(), TagError::Form),
            (r#"{"bridge": 12}"#.to_owned(), TagError::Form),
            ("bridgeclip:".to_owned(), TagError::Empty),
            ("{}".to_owned(), TagError::Empty),
            ("bridgeclip:bridge".to_owned(), TagError::Form),
            ("bridgeclip:bridge=".to_owned(), TagError::Length(0)),
            ("bridgeclip:bridge=1;bridge=2".to_owned(), TagError::Twice("bridge")),
            ("bridgeclip:pier=1".to_owned(), TagError::Key("pier".to_owned())),
            ("bridgeclip:span=1\u{7}2".to_owned(), TagError::Control('\u{7}')),
            (format!("bridgeclip:span={long}"), TagError::Length(65)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Tag>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn says_what_it_holds() {
        assert_eq!(tag("B-12", "", "Girder 2").to_string(), "bridge B-12, member Girder 2");
        assert_eq!(Tag::default().to_string(), "none");
        assert_eq!(serde_json::to_string(&tag("B", "", "")).unwrap(), r#"{"bridge":"B"}"#);
    }
}
