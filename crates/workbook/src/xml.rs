//! Reads XML as spans of its text, so that what is not changed stays byte for byte. No document types and hence no
//! entities, and a bounded number of levels.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::error::WorkbookError;

/// Maximum number of elements inside each other, in every part.
pub const DEPTH_MAX: usize = 64;

/// What a piece of XML is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A start tag.
    Open,
    /// An end tag.
    Close,
    /// A tag without content.
    Empty,
    /// Text, or a reference such as `&amp;`.
    Text,
    /// A CDATA section.
    CData,
    /// A comment, a declaration or an instruction.
    Other,
}

/// A piece of XML.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    pub kind: Kind,
    /// Where the piece begins in the text.
    pub start: usize,
    /// Where the piece ends in the text.
    pub end: usize,
    /// The piece itself.
    pub raw: &'a str,
    /// Name of the element without its prefix; empty for what is no tag.
    pub name: &'a str,
    /// Number of elements around the piece; a tag does not count itself.
    pub depth: usize,
}

impl<'a> Token<'a> {
    /// Whether this is the start of an element of a name, with content or without.
    pub fn starts(&self, name: &str) -> bool {
        matches!(self.kind, Kind::Open | Kind::Empty) && self.name == name
    }

    /// Returns the value of an attribute by its name without a prefix, with references resolved.
    pub fn attribute(&self, name: &str) -> Option<Cow<'a, str>> {
        attribute(self.raw, name)
    }
}

/// The pieces of a part, one by one.
pub struct Tokens<'a> {
    part: &'a str,
    text: &'a str,
    reader: Reader<&'a [u8]>,
    depth: usize,
    ended: bool,
}

impl<'a> Tokens<'a> {
    /// Reads the text of a part; `part` is its name for errors.
    pub fn new(part: &'a str, text: &'a str) -> Self {
        Tokens { part, text, reader: Reader::from_str(text), depth: 0, ended: false }
    }

    fn step(&mut self) -> Result<Option<Token<'a>>, WorkbookError> {
        let start = self.offset();
        let event = self.reader.read_event().map_err(|error| self.bad(&error.to_string()))?;
        let kind = match event {
            Event::Start(_) => Kind::Open,
            Event::End(_) => Kind::Close,
            Event::Empty(_) => Kind::Empty,
            Event::Text(_) | Event::GeneralRef(_) => Kind::Text,
            Event::CData(_) => Kind::CData,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Kind::Other,
            Event::DocType(_) => return Err(self.bad("a document type (DTD), which no workbook has; it is refused")),
            Event::Eof if self.depth > 0 => return Err(self.bad("the XML ends inside an element")),
            Event::Eof => return Ok(None),
        };
        let (end, part) = (self.offset(), self.part);
        let raw = self.text.get(start..end).ok_or_else(|| WorkbookError::part(part, "the XML is damaged"))?;
        if kind == Kind::Close {
            self.depth = self.depth.saturating_sub(1);
        }
        let name = if matches!(kind, Kind::Open | Kind::Close | Kind::Empty) { local_name(raw) } else { "" };
        let token = Token { kind, start, end, raw, name, depth: self.depth };
        if kind == Kind::Open {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.bad("more than 64 elements inside each other"));
            }
        }
        Ok(Some(token))
    }

    fn offset(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn bad(&self, reason: &str) -> WorkbookError {
        WorkbookError::part(self.part, reason)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>, WorkbookError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let token = self.step().transpose();
        self.ended = !matches!(token, Some(Ok(_)));
        token
    }
}

/// Returns the name of a tag without its prefix.
fn local_name(tag: &str) -> &str {
    let name = qualified_name(tag);
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Returns the name of a tag with its prefix.
pub fn qualified_name(tag: &str) -> &str {
    let name = tag.trim_start_matches(['<', '/']);
    let end = name.find(|letter: char| letter.is_ascii_whitespace() || "/>".contains(letter)).unwrap_or(name.len());
    &name[..end]
}

/// Returns the prefix of a tag's name with its colon; empty without one.
pub fn prefix(tag: &str) -> &str {
    let name = qualified_name(tag);
    name.find(':').map_or("", |colon| &name[..=colon])
}

/// An attribute of a tag.
pub struct Attribute<'a> {
    /// Name with its prefix.
    pub name: &'a str,
    /// Value as it is written, with references.
    pub value: &'a str,
    /// Where the value lies in the tag, without its quotes.
    pub at: Range<usize>,
    /// Where the whole attribute lies in the tag, with the space before it.
    pub whole: Range<usize>,
}

/// Returns the attributes of a tag up to the first that is damaged.
pub fn attributes(tag: &str) -> impl Iterator<Item = Attribute<'_>> {
    let mut at = tag.len() - tag.trim_start_matches('<').len() + qualified_name(tag).len();
    std::iter::from_fn(move || {
        let found = next_attribute(tag, at)?;
        at = found.whole.end;
        Some(found)
    })
}

fn next_attribute(tag: &str, at: usize) -> Option<Attribute<'_>> {
    let rest = tag.get(at..)?;
    let start = at + rest.len() - rest.trim_start().len();
    let equals = start + tag.get(start..)?.find('=')?;
    let name = tag[start..equals].trim_end();
    let after = &tag[equals + 1..];
    let opening = equals + 1 + after.len() - after.trim_start().len();
    let quote = tag[opening..].chars().next().filter(|quote| "\"'".contains(*quote))?;
    let end = opening + 1 + tag[opening + 1..].find(quote)?;
    let is_name = !name.is_empty() && !name.contains(['<', '>', '"', '\'', ' ']);
    is_name.then(|| Attribute { name, value: &tag[opening + 1..end], at: opening + 1..end, whole: at..end + 1 })
}

/// Returns the value of an attribute of a tag by its name without a prefix, with references resolved.
pub fn attribute<'a>(tag: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let is_named =
        |found: &Attribute<'_>| found.name.rsplit(':').next() == Some(name) && !found.name.starts_with("xmlns");
    let found = attributes(tag).find(is_named)?;
    unescape(found.value)
}

/// Returns a tag with an attribute set; the attribute is added at the end if it is missing.
pub fn with_attribute(tag: &str, name: &str, value: &str) -> String {
    let value = escape(value);
    if let Some(found) = attributes(tag).find(|found| found.name == name) {
        return format!("{}{value}{}", &tag[..found.at.start], &tag[found.at.end..]);
    }
    let body = tag.trim_end_matches('>').trim_end_matches('/').trim_end();
    let end = if tag.ends_with("/>") { "/>" } else { ">" };
    format!("{body} {name}=\"{value}\"{end}")
}

/// Returns a tag without an attribute.
pub fn without_attribute(tag: &str, name: &str) -> String {
    match attributes(tag).find(|found| found.name == name) {
        Some(found) => format!("{}{}", &tag[..found.whole.start], &tag[found.whole.end..]),
        None => tag.to_owned(),
    }
}

/// Returns text with its references resolved; `None` if one of them is unknown.
pub fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    quick_xml::escape::unescape(raw).ok()
}

/// Returns text as it is written in XML, in an element or an attribute. Characters that XML cannot contain are left
/// out.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' => escaped.push(letter),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => (),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Returns the bytes of a part as text, without a byte order mark.
///
/// # Errors
/// If the part is not UTF-8.
pub fn text(part: &str, bytes: Vec<u8>) -> Result<String, WorkbookError> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(WorkbookError::part(part, "the XML is UTF-16; open and save the workbook in Excel"));
    }
    let text = String::from_utf8(bytes).map_err(|_| WorkbookError::part(part, "the XML is not UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_replaced_added_and_removed_in_place() {
        let tag = "<x:c r='A1' s=\"3\" t = \"s\"/>";
        assert_eq!(attribute(tag, "t").as_deref(), Some("s"));
        assert_eq!(with_attribute(tag, "r", "B2"), "<x:c r='B2' s=\"3\" t = \"s\"/>");
        assert_eq!(with_attribute("<c>", "s", "<1>"), "<c s=\"&lt;1&gt;\">");
        assert_eq!(without_attribute(tag, "s"), "<x:c r='A1' t = \"s\"/>");
        assert_eq!((qualified_name(tag), prefix(tag)), ("x:c", "x:"));
        assert_eq!(attribute("<a", "r"), None);
        assert_eq!(attribute("<a b", "b"), None);
    }

    #[test]
    fn document_types_and_deep_or_unfinished_xml_are_refused() {
        let read = |text: &str| Tokens::new("part", text).collect::<Result<Vec<_>, _>>().map(|all| all.len());
        assert!(read("<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>").is_err());
        assert!(read(&"<a>".repeat(65)).is_err());
        assert!(read("<a><b></a>").is_err());
        assert!(read("<a>").is_err());
        assert_eq!(read("<a><b/>text</a>").ok(), Some(4));
    }

    #[test]
    fn text_that_xml_cannot_contain_is_left_out() {
        assert_eq!(escape("a\u{0}\u{b}<&>\"\u{ffff}\n"), "a&lt;&amp;&gt;&quot;\n");
    }
}
