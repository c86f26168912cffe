//! Span, member and element as forms name them: `Mg0101` is an element number, 主桁 its member.

use crate::domain::{Tag, TagText};

/// Members by the signs with which element numbers begin, as road offices use them.
const SIGNS: [(&str, &str); 31] = [
    ("Mg", "主桁"),
    ("Cr", "横桁"),
    ("St", "縦桁"),
    ("Ds", "床版"),
    ("Cf", "対傾構"),
    ("Lu", "上横構"),
    ("Ll", "下横構"),
    ("Pw", "橋脚（柱部・壁部）"),
    ("Pb", "橋脚（梁部）"),
    ("Pc", "橋脚（隅角部・接合部）"),
    ("Ap", "橋台（胸壁）"),
    ("Ac", "橋台（竪壁）"),
    ("Aw", "橋台（翼壁）"),
    ("Bh", "支承本体"),
    ("Ba", "アンカーボルト"),
    ("Bm", "沓座モルタル"),
    ("Bc", "台座コンクリート"),
    ("Sf", "落橋防止システム"),
    ("Ra", "高欄"),
    ("Gf", "防護柵"),
    ("Fg", "地覆"),
    ("Me", "中央分離帯"),
    ("Ej", "伸縮装置"),
    ("Pm", "舗装"),
    ("Cu", "縁石"),
    ("Li", "照明施設"),
    ("Si", "標識施設"),
    ("Dr", "排水ます"),
    ("Dp", "排水管"),
    ("Ut", "添架物"),
    ("Ww", "袖擁壁"),
];

/// Span, member and element; a part is empty if nobody named it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub span: String,
    /// Name of the member, as in 主桁.
    pub member: String,
    /// Number of the element, as in `Mg0101`.
    pub element: String,
}

/// What two names of the same place have in common. It serves for comparing only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceKey {
    span: String,
    part: String,
}

impl Place {
    /// Returns the place that a tag names. The member `主桁 Mg0101` is the element Mg0101 of a member 主桁.
    pub fn of(tag: Option<&Tag>) -> Self {
        let text = |text: Option<&TagText>| text.map(|text| text.as_str().to_owned()).unwrap_or_default();
        let (member, element) = split(&text(tag.and_then(|tag| tag.member.as_ref())));
        Place { span: text(tag.and_then(|tag| tag.span.as_ref())), member, element }
    }

    /// Returns the place that a form names in three cells. An element number in the cell of the member counts too.
    pub fn named(span: &str, member: &str, element: &str) -> Self {
        let (name, number) = split(member);
        let element = if element.trim().is_empty() { number } else { element.trim().to_owned() };
        Place { span: span.trim().to_owned(), member: name, element }
    }

    /// Returns the key of the element, or of the member if no element is named; `None` if neither is.
    pub fn key(&self) -> Option<PlaceKey> {
        let part = if self.element.is_empty() { &self.member } else { &self.element };
        (!part.is_empty()).then(|| PlaceKey { span: span_key(&self.span), part: plain(part) })
    }

    /// Returns the key of the member without the element.
    pub fn member_key(&self) -> Option<PlaceKey> {
        (!self.member.is_empty()).then(|| PlaceKey { span: span_key(&self.span), part: plain(&self.member) })
    }
}

/// Splits a member's name from the element number at its end.
fn split(text: &str) -> (String, String) {
    let text = text.trim();
    let start = text
        .rfind([' ', '\u{3000}', '_', '/'])
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let last = &text[start..];
    match is_element(last) {
        false => (text.to_owned(), String::new()),
        true => {
            let name = text[..start].trim_end_matches([' ', '\u{3000}', '_', '/']);
            let by_sign = SIGNS.iter().find(|(sign, _)| last.starts_with(sign)).map_or("", |(_, name)| name);
            (if name.is_empty() { by_sign } else { name }.to_owned(), last.to_owned())
        }
    }
}

/// Whether a word is an element number: a sign of one or two letters and two to six digits.
fn is_element(word: &str) -> bool {
    let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = word.len() - letters;
    let begins_large = word.as_bytes().first().is_some_and(u8::is_ascii_uppercase);
    begins_large
        && letters == 2
        && (2..=6).contains(&digits)
        && word[letters..].bytes().all(|digit| digit.is_ascii_digit())
}

/// Returns a text without spaces and case, full-width letters as half-width ones.
fn plain(text: &str) -> String {
    let narrow = |letter: char| match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(letter as u32 - 0xfee0).unwrap_or(letter),
        other => other,
    };
    text.chars().map(narrow).filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Returns the number in a span's name, so that 1, 第1径間 and `span 1` are the same; the whole name if it has none.
fn span_key(span: &str) -> String {
    let text = plain(span);
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let number = digits.trim_start_matches('0');
    if number.is_empty() { text } else { number.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_number_is_split_from_its_member() {
        for (text, member, element) in [
            ("主桁 Mg0101", "主桁", "Mg0101"),
            ("Mg0101", "主桁", "Mg0101"),
            ("床版　Ds0203", "床版", "Ds0203"),
            ("Girder G2", "Girder G2", ""),
            ("Zz0101", "", "Zz0101"),
            ("G2 <主桁>", "G2 <主桁>", ""),
            ("", "", ""),
        ] {
            assert_eq!(split(text), (member.to_owned(), element.to_owned()), "{text}");
        }
    }

    #[test]
    fn places_compare_as_people_do() {
        let key = |span: &str, member: &str, element: &str| Place::named(span, member, element).key();
        assert_eq!(key("1", "主桁", "Mg0101"), key("第１径間", "", "ＭＧ０１０１"));
        assert_eq!(key("span 01", "Girder G2", ""), key("1", "girder  g2", ""));
        assert_ne!(key("1", "主桁", "Mg0101"), key("2", "主桁", "Mg0101"));
        assert_eq!(key("1", " ", ""), None);
    }
}
