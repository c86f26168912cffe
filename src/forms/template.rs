//! Templates: those that ship with the program, those of an office, and filling them.

use std::io::{self, Read, Write};
use std::path::Path;

use super::content::Content;
use super::marks;
use super::{FormError, Pictures};
use crate::plain_file;
use crate::texts::Lang;
use crate::workbook::{CellValue, FillReport, Limits, Workbook, WorkbookError, fill};

/// Template that the program contains.
pub struct Shipped {
    /// Name for `--template`.
    pub name: &'static str,
    pub lang: Lang,
    pub meaning: [&'static str; 2],
    pub bytes: &'static [u8],
}

macro_rules! shipped {
    ($name:literal, $lang:ident, $en:literal, $ja:literal) => {
        Shipped {
            name: $name,
            lang: Lang::$lang,
            meaning: [$en, $ja],
            bytes: include_bytes!(concat!("../../deploy/forms/", $name, ".xlsx")),
        }
    };
}

/// All templates that ship. These are not the official forms of any office.
pub const SHIPPED: &[Shipped] = &[
    shipped!("photo-ledger-ja", Ja, "photo ledger in Japanese: three photos on a page", "写真台帳：1頁に3枚"),
    shipped!("photo-ledger-en", En, "photo ledger in English: three photos on a page", "写真台帳（英語）"),
    shipped!("damage-photos-ja", Ja, "damage photos in Japanese: three across, two down", "損傷写真：横3枚、縦2段"),
    shipped!("damage-photos-en", En, "damage photos in English: three across, two down", "損傷写真（英語）"),
    shipped!("members-ja", Ja, "members in Japanese, with photo numbers and findings", "部材一覧：写真番号と所見"),
    shipped!("members-en", En, "members in English, with photo numbers and findings", "部材一覧（英語）"),
    shipped!("bridge-summary-ja", Ja, "a page about the bridge in Japanese", "橋梁概要：1頁"),
    shipped!("bridge-summary-en", En, "a page about the bridge in English", "橋梁概要（英語）"),
];

/// A template that was opened, with the language of what fills it.
pub struct Template {
    /// Name of the file without its folder and extension, or of the shipped template.
    pub name: String,
    /// Extension of the filled file: `xlsx` or `xlsm`.
    pub extension: &'static str,
    pub workbook: Workbook,
    pub lang: Lang,
}

/// Reason why a template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("{0}: no such template; `bridgeclip form list` names those that ship, or give the path of a workbook")]
    Unknown(String),
    #[error("{path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("{path}: {source}")]
    Workbook { path: String, source: WorkbookError },
}

impl Template {
    /// Opens the shipped template of this name, or the workbook at this path. The language is that of the shipped
    /// template; a workbook with Japanese text is filled in Japanese.
    pub fn open(name: &str) -> Result<Self, TemplateError> {
        if let Some(shipped) = SHIPPED.iter().find(|shipped| shipped.name == name) {
            let workbook = Workbook::open(shipped.bytes.to_vec(), &Limits::default());
            let workbook = workbook.map_err(|source| TemplateError::Workbook { path: name.to_owned(), source })?;
            return Ok(Template { name: name.to_owned(), extension: "xlsx", workbook, lang: shipped.lang });
        }
        let path = Path::new(name);
        let is_macro = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("xlsm"));
        let is_plain = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("xlsx"));
        if !is_macro && !is_plain && !path.exists() {
            return Err(TemplateError::Unknown(name.to_owned()));
        }
        let workbook = open_workbook(path)?;
        let lang = if is_japanese(&workbook) { Lang::Ja } else { Lang::En };
        let stem = path.file_stem().map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
        Ok(Template { name: stem, extension: if is_macro { "xlsm" } else { "xlsx" }, workbook, lang })
    }

    /// Returns the template with another language for what fills it, if one is given.
    pub fn in_language(self, lang: Option<Lang>) -> Self {
        Template { lang: lang.unwrap_or(self.lang), ..self }
    }
}

/// Opens a workbook file within the bounds for workbooks.
pub fn open_workbook(path: &Path) -> Result<Workbook, TemplateError> {
    let name = || path.display().to_string();
    let limits = Limits::default();
    let bytes =
        read_bounded(path, limits.file_bytes_max).map_err(|source| TemplateError::Read { path: name(), source })?;
    Workbook::open(bytes, &limits).map_err(|source| TemplateError::Workbook { path: name(), source })
}

/// Reads a plain file of at most `bytes_max`, and one byte more of a larger one.
pub fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    plain_file::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a sheet's name or a cell of the first sheets has Japanese letters.
fn is_japanese(workbook: &Workbook) -> bool {
    const SHEETS_MAX: usize = 3;
    let is_letter = |letter: char| matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}');
    let in_cells = |index| {
        let grid = workbook.grid(index);
        grid.is_ok_and(|grid| {
            grid.cells.iter().any(|cell| matches!(&cell.value, CellValue::Text(text) if text.contains(is_letter)))
        })
    };
    workbook.sheets().iter().any(|sheet| sheet.name.contains(is_letter))
        || (0..workbook.sheets().len().min(SHEETS_MAX)).any(in_cells)
}

/// Fills a template. Returns what was filled.
///
/// # Errors
/// If a mark is wrong, which the error names with sheet and cell, or writing fails.
pub fn write<W: Write>(
    template: &Template,
    content: &Content,
    pictures: &mut Pictures<'_>,
    out: W,
) -> Result<FillReport, FormError> {
    let facts = marks::fill(content);
    let mut load = |key: &str| pictures.load(key);
    let filled = fill(&template.workbook, &marks::vocabulary(), &facts, &mut load, out);
    match filled {
        Ok((_, report)) => Ok(report),
        Err(_) if pictures.is_stopped() => Err(FormError::Stopped),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::check::check;
    use crate::workbook::MarkState;

    #[test]
    fn every_shipped_template_is_in_the_program_and_has_known_marks_only() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/forms");
        let files = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
        let names = files.filter(|path| path.extension().is_some_and(|end| end == "xlsx"));
        let mut names: Vec<String> =
            names.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        let mut shipped: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
        shipped.sort_unstable();
        assert_eq!(names, shipped);
        for shipped in SHIPPED {
            let template = Template::open(shipped.name).expect("opens");
            let found = check(&template).expect("readable");
            assert!(!found.marks.is_empty(), "{}", shipped.name);
            for mark in found.marks {
                assert_eq!(mark.state, MarkState::Known, "{}: {}", shipped.name, mark.mark);
            }
            assert_eq!(template.lang, if is_japanese(&template.workbook) { Lang::Ja } else { Lang::En });
        }
    }

    #[test]
    fn a_name_that_is_no_template_is_refused_with_a_hint() {
        let error = Template::open("ledger").err().expect("refused").to_string();
        assert!(error.contains("bridgeclip form list"), "{error}");
        let error = Template::open("/nowhere/form.xlsx").err().expect("refused").to_string();
        assert!(error.starts_with("/nowhere/form.xlsx: "), "{error}");
    }
}
