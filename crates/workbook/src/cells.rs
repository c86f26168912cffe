//! The typed cells of a sheet.

use jiff::civil::DateTime;

use crate::area::{Area, CellRef};
use crate::book::{Workbook, is_true};
use crate::error::WorkbookError;
use crate::sheet::{Cell, Content, Sheet};
use crate::strings::{decoded, plain};
use crate::values;

/// What a cell shows. Cells with a formula have the value that the last program computed.
#[derive(Debug, Clone, PartialEq)]
pub enum CellValue {
    Empty,
    Text(String),
    Number(f64),
    Bool(bool),
    /// A number that the cell's format shows as a date or a time.
    Date(DateTime),
    /// An error such as `#N/A`.
    Error(String),
}

/// A cell with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct TypedCell {
    pub at: CellRef,
    pub value: CellValue,
    /// The formula without `=`; empty for a cell that shares the formula of another one.
    pub formula: Option<String>,
}

/// The cells of a sheet.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Cells that have a value or a formula, by rows.
    pub cells: Vec<TypedCell>,
    /// Merged areas; the first cell of each has its value.
    pub merges: Vec<Area>,
}

impl Grid {
    /// Returns the value of a cell; `Empty` if it has none.
    pub fn value(&self, at: CellRef) -> &CellValue {
        let index = self.cells.binary_search_by_key(&at, |cell| cell.at);
        index.map_or(&CellValue::Empty, |index| &self.cells[index].value)
    }
}

impl Workbook {
    /// Returns the cells of a sheet, by its index among the tabs.
    ///
    /// # Errors
    /// If the sheet's XML is damaged or has more cells than the bound.
    pub fn grid(&self, sheet: usize) -> Result<Grid, WorkbookError> {
        if !self.sheets.get(sheet).is_some_and(|info| info.has_cells) {
            return Ok(Grid { cells: Vec::new(), merges: Vec::new() });
        }
        let sheet = self.sheet(sheet)?;
        let mut cells = Vec::new();
        for cell in sheet.all_cells() {
            let content = sheet.content(cell)?;
            let value = self.value(&sheet, &content)?;
            if value != CellValue::Empty || content.formula.is_some() {
                cells.push(TypedCell { at: cell.at, value, formula: content.formula });
            }
        }
        Ok(Grid { cells, merges: sheet.merges()? })
    }

    /// Returns the XML of a text cell's runs: that of its shared string, or its own; `None` for other cells.
    pub(crate) fn text_xml<'a>(&'a self, content: &'a Content) -> Option<&'a str> {
        match content.kind.as_str() {
            "s" => content.value.as_deref()?.trim().parse().ok().and_then(|index| self.strings.item(index)),
            "inlineStr" => content.inline.as_deref(),
            _ => None,
        }
    }

    /// Whether a cell's text may contain a mark. Formulas are looked at too, because people type marks there.
    pub(crate) fn may_have_mark(&self, sheet: &Sheet, cell: &Cell) -> bool {
        let inner = sheet.inner(cell);
        if crate::marks::may_have(inner) {
            return true;
        }
        let is_shared = crate::xml::attribute(sheet.tag(cell), "t").is_some_and(|kind| kind == "s");
        let content = is_shared.then(|| sheet.content(cell).ok()).flatten();
        // A mark whose braces have formats of their own is in two runs.
        content.is_some_and(|content| {
            self.text_xml(&content).is_some_and(|xml| xml.contains(['{', '｛']) && xml.contains(['}', '｝']))
        })
    }

    fn value(&self, sheet: &Sheet, content: &Content) -> Result<CellValue, WorkbookError> {
        if let Some(xml) = self.text_xml(content) {
            let text = plain(&sheet.part, xml)?;
            return Ok(if text.is_empty() { CellValue::Empty } else { CellValue::Text(text) });
        }
        let Some(value) = content.value.as_deref() else { return Ok(CellValue::Empty) };
        Ok(match content.kind.as_str() {
            "str" if value.is_empty() => CellValue::Empty,
            "str" => CellValue::Text(decoded(value)),
            "b" => CellValue::Bool(is_true(value.trim())),
            "e" => CellValue::Error(value.to_owned()),
            "s" => return Err(WorkbookError::part(&sheet.part, format!("there is no shared text {value}"))),
            "d" => value.trim().parse().map_or(CellValue::Text(value.to_owned()), CellValue::Date),
            _ => self.number(value, content.style),
        })
    }

    fn number(&self, value: &str, style: usize) -> CellValue {
        let Some(number) = value.trim().parse::<f64>().ok().filter(|number| number.is_finite()) else {
            return if value.trim().is_empty() { CellValue::Empty } else { CellValue::Text(value.to_owned()) };
        };
        let moment = || values::moment(number, self.is_1904);
        let date = if self.styles.is_date(style) { moment() } else { None };
        date.map_or(CellValue::Number(number), CellValue::Date)
    }
}
