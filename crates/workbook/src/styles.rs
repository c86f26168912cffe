//! What is needed of a workbook's styles: which formats show dates, and how wide a digit is.

use std::collections::BTreeMap;

use crate::error::WorkbookError;
use crate::xml::{Kind, Token, Tokens};

/// Formats of cells by their index.
#[derive(Debug, Default)]
pub struct Styles {
    /// Number format of each cell format.
    formats: Vec<u32>,
    /// Codes of formats that the workbook defines.
    codes: BTreeMap<u32, String>,
    /// Names and sizes (in points) of fonts.
    fonts: Vec<(String, f64)>,
    /// Font of the normal style.
    normal: usize,
}

impl Styles {
    /// Reads the part.
    ///
    /// # Errors
    /// If the XML is damaged.
    pub fn parse(part: &str, text: &str) -> Result<Self, WorkbookError> {
        let (mut styles, mut section, mut has_normal) = (Styles::default(), String::new(), false);
        for token in Tokens::new(part, text) {
            let token = token?;
            if token.depth == 1 && token.kind == Kind::Open {
                token.name.clone_into(&mut section);
            }
            match (section.as_str(), token.name) {
                ("numFmts", "numFmt") => styles.codes.extend(number(&token, "numFmtId").zip(code(&token))),
                ("cellXfs", "xf") if token.kind != Kind::Close => {
                    styles.formats.push(number(&token, "numFmtId").unwrap_or_default());
                }
                ("cellStyleXfs", "xf") if !has_normal => {
                    styles.normal = number(&token, "fontId").unwrap_or_default() as usize;
                    has_normal = true;
                }
                ("fonts", _) => styles.font(&token),
                _ => (),
            }
        }
        Ok(styles)
    }

    fn font(&mut self, token: &Token<'_>) {
        if token.starts("font") {
            self.fonts.push((String::new(), 11.0));
        }
        let Some(font) = self.fonts.last_mut() else { return };
        let value = token.attribute("val");
        match token.name {
            "name" => font.0 = value.map_or(String::new(), std::borrow::Cow::into_owned),
            "sz" => font.1 = value.and_then(|size| size.parse().ok()).unwrap_or(11.0),
            _ => (),
        }
    }

    /// Whether a cell format shows a date or a time.
    pub fn is_date(&self, format: usize) -> bool {
        let Some(number) = self.formats.get(format) else { return false };
        match self.codes.get(number) {
            Some(code) => is_date_code(code),
            // The built-in formats of dates, those of East Asian languages included.
            None => matches!(number, 14..=22 | 27..=36 | 45..=47 | 50..=58),
        }
    }

    /// Returns the width of a digit of the normal font in pixels at 96 dpi, in which widths of columns count. It is
    /// estimated by the kind of font: fonts with Japanese glyphs have wider digits.
    pub fn digit_pixels(&self) -> f64 {
        const JAPANESE: [&str; 10] =
            ["gothic", "ゴシック", "mincho", "明朝", "meiryo", "メイリオ", "ゴ", "ＭＳ", "游", "yu "];
        let (name, size) = self.fonts.get(self.normal).map_or(("", 11.0), |(name, size)| (name.as_str(), *size));
        let name = name.to_lowercase();
        let is_japanese = JAPANESE.iter().any(|piece| name.contains(piece));
        let share = if is_japanese { 0.5455 } else { 0.507 };
        (size.clamp(1.0, 100.0) * 96.0 / 72.0 * share).round().max(1.0)
    }
}

fn number(token: &Token<'_>, name: &str) -> Option<u32> {
    token.attribute(name)?.parse().ok()
}

fn code(token: &Token<'_>) -> Option<String> {
    Some(token.attribute("formatCode")?.into_owned())
}

/// Whether the code of a format shows a date or a time: it has a letter of one outside of quotes and brackets.
fn is_date_code(code: &str) -> bool {
    let (mut is_quoted, mut is_bracket, mut is_escaped) = (false, false, false);
    for letter in code.split(';').next().unwrap_or_default().chars() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' | '_' | '*' if !is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '[' if !is_quoted => is_bracket = true,
            ']' => is_bracket = false,
            'y' | 'Y' | 'm' | 'M' | 'd' | 'D' | 'h' | 'H' | 's' | 'S' | 'e' | 'g' if !is_quoted && !is_bracket => {
                return !code.eq_ignore_ascii_case("general");
            }
            _ => (),
        }
    }
    // Hours, minutes or seconds beyond a day.
    ["[h", "[m", "[s"].iter().any(|start| code.to_lowercase().contains(&format!("{start}]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_dates_are_known() {
        for code in ["yyyy/mm/dd", "[$-411]ggge\"年\"m\"月\"d\"日\"", "[h]", "h:mm AM/PM", "m/d/yy;@"] {
            assert!(is_date_code(code), "{code}");
        }
        for code in ["General", "0.00", "\"day\"0", "[Red]0", "#,##0_m", "0.00E+00", "@", "\\m0"] {
            assert!(!is_date_code(code), "{code}");
        }
    }

    #[test]
    fn the_normal_font_decides_about_the_width_of_digits() {
        let styles = |font: &str| {
            let text = format!(
                "<styleSheet><fonts><font><sz val=\"11\"/><name val=\"{font}\"/></font></fonts>\
                 <cellStyleXfs><xf fontId=\"0\"/></cellStyleXfs>\
                 <cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
            );
            Styles::parse("p", &text).expect("styles")
        };
        assert_eq!(styles("Calibri").digit_pixels(), 7.0);
        assert_eq!(styles("ＭＳ Ｐゴシック").digit_pixels(), 8.0);
        assert_eq!((styles("x").is_date(0), styles("x").is_date(1), styles("x").is_date(9)), (false, true, false));
    }
}
