//! Cleans a text as open_clip does before tokenisation: ftfy's `fix_text`, HTML unescaping twice, collapsed white
//! space, lower case.
//!
//! ftfy's repair of wrongly decoded bytes is left out, because texts come from people and from UTF-8 files. A caption
//! is never NFKC-normalised: that would turn the rating glyphs U+2160..U+2163 into ASCII letters, which are other
//! tokens.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

/// Returns a text cleaned as open_clip's `SimpleTokenizer` does.
pub fn clean(text: &str) -> String {
    let fixed = fix_text(text);
    let unescaped = unescape(&unescape(&fixed)).into_owned();
    collapse_white_space(&unescaped).to_lowercase()
}

/// Applies ftfy 6 with its default settings, line by line. From the first line with a `<` on, entities count as real
/// markup and stay.
fn fix_text(text: &str) -> String {
    let mut unescape_html = true;
    text.split_inclusive('\n')
        .map(|line| {
            unescape_html &= !line.contains('<');
            fix_line(line, unescape_html)
        })
        .collect()
}

/// Applies the fixes to one line until nothing changes.
fn fix_line(line: &str, unescape_html: bool) -> String {
    let mut text = line.to_owned();
    loop {
        let unescaped = if unescape_html { unescape_strictly(&text) } else { text.clone() };
        let fixed = fix_characters(&unescaped);
        if fixed == text {
            return fixed;
        }
        text = fixed;
    }
}

fn fix_characters(text: &str) -> String {
    let mut wide = String::with_capacity(text.len());
    for character in text.chars() {
        push_fixed(character, &mut wide);
    }
    let text = wide.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}', '\u{85}'], "\n");
    let text = TERMINAL_ESCAPE.replace_all(&text, "");
    text.chars().filter(|character| !is_dropped(*character)).nfc().collect()
}

static TERMINAL_ESCAPE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("\x1b\\[[0-9;]*[a-zA-Z]").expect("a valid expression"));

/// Appends a character: ligatures split, full and half width characters made normal, curly quotes straightened, C1
/// controls read as Windows-1252.
fn push_fixed(character: char, text: &mut String) {
    match character {
        '\u{80}'..='\u{9f}' => text.push(WINDOWS_1252[character as usize - 0x80]),
        'Ĳ' | 'ĳ' | 'ŉ' | 'Ǆ'..='ǌ' | 'Ǳ'..='ǳ' | 'ﬀ'..='ﬆ' => text.push_str(ligature(character)),
        '\u{3000}' => text.push(' '),
        '\u{ff01}'..='\u{ffef}' => text.extend([character].into_iter().nfkc()),
        '\u{2bc}' | '‘'..='‛' => text.push('\''),
        '“'..='‟' => text.push('"'),
        other => text.push(other),
    }
}

fn ligature(character: char) -> &'static str {
    match character {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "ʼn",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        _ => "st",
    }
}

/// The characters of the Windows-1252 bytes 0x80..0x9F. The five that Windows-1252 leaves undefined stay C1 controls.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', //
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Reports whether a character is a control that nobody writes on purpose (ftfy's `remove_control_chars`).
fn is_dropped(character: char) -> bool {
    matches!(character,
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

/// Replaces HTML entities like Python's `html.unescape`.
fn unescape(text: &str) -> Cow<'_, str> {
    htmlize::unescape(text)
}

static ENTITY: LazyLock<Regex> = LazyLock::new(|| Regex::new("&#?[0-9A-Za-z]{1,24};").expect("a valid expression"));

/// Replaces HTML entities like ftfy's `unescape_html`: only complete ones that end in a semicolon, including names in
/// capitals.
fn unescape_strictly(text: &str) -> String {
    ENTITY.replace_all(text, |captures: &regex::Captures| entity(&captures[0])).into_owned()
}

fn entity(text: &str) -> String {
    let unescaped = unescape(text);
    if !unescaped.contains(';') {
        return unescaped.into_owned();
    }
    let lower = text.to_lowercase();
    let unescaped = unescape(&lower);
    if text == text.to_uppercase() && !unescaped.contains(';') {
        return unescaped.to_uppercase();
    }
    text.to_owned()
}

/// Collapses white space like Python's `re.sub(r"\s+", " ", text).strip()`. Besides Unicode white space, `\s` matches
/// U+001C..U+001F.
fn collapse_white_space(text: &str) -> String {
    let is_space = |character: char| character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character);
    text.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_as_open_clip_does() {
        let cases = [
            ("  Cracking\tis \r\n observed ", "cracking is observed"),
            ("rating Ⅲ and III", "rating ⅲ and iii"),
            ("ＣＲＡＣＫ　１２ ｶﾞ", "crack 12 ガ"),
            ("&lt;b&gt; &amp;amp; &AMP &#x41;", "<b> & & a"),
            ("‘ﬁne’ “ﬂow”", "'fine' \"flow\""),
            ("e\u{301}", "é"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\u{0}b\u{feff}", "ab"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }
}
