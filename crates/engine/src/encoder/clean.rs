//! What open_clip does to a text before it is split into tokens: ftfy's `fix_text`, HTML unescaping twice, white space
//! collapsed, lower case.
//!
//! ftfy's repair of wrongly decoded bytes is left out: texts come from people and from UTF-8 files. A caption is
//! never NFKC-normalised, or the rating glyphs U+2160..U+2163 would become ASCII letters, which are other tokens.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

/// Cleans a text as open_clip's `SimpleTokenizer` does.
pub fn clean(text: &str) -> String {
    let fixed = fix_text(text);
    let unescaped = unescape(&unescape(&fixed)).into_owned();
    collapse_white_space(&unescaped).to_lowercase()
}

/// ftfy 6 with its default settings, line by line: once a `<` was seen, entities are taken for real markup.
fn fix_text(text: &str) -> String {
    let mut unescape_html = true;
    text.split_inclusive('\n')
        .map(|line| {
            unescape_html &= !line.contains('<');
            fix_line(line, unescape_html)
        })
        .collect()
}

/// Applies the fixes until nothing changes.
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

/// Ligatures apart, full and half width to normal, curly quotes straight, C1 controls read as Windows-1252.
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

/// U+0080..U+009F as Windows-1252 bytes; the five that it leaves undefined stay what they are.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', //
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Controls that nobody means to write (ftfy's `remove_control_chars`).
fn is_dropped(character: char) -> bool {
    matches!(character,
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

/// Python's `html.unescape`.
fn unescape(text: &str) -> Cow<'_, str> {
    htmlize::unescape(text)
}

static ENTITY: LazyLock<Regex> = LazyLock::new(|| Regex::new("&#?[0-9A-Za-z]{1,24};").expect("a valid expression"));

/// ftfy's `unescape_html`: whole entities that end in a semicolon, also named in capitals.
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

/// Python's `re.sub(r"\s+", " ", text).strip()`: besides Unicode white space, `\s` matches U+001C..U+001F.
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
