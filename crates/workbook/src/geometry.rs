//! Widths of columns and heights of rows, in EMU (914,400 to the inch).

use std::collections::BTreeMap;

use crate::area::Area;
use crate::book::is_true;
use crate::error::WorkbookError;
use crate::sheet::Sheet;
use crate::xml::{Tokens, attribute};

/// Number of columns and of rows of an area that are looked at.
const LINES_MAX: usize = 1_000;
/// Number of `col` elements that are read; each describes a range of the 16,384 columns.
const RANGES_MAX: usize = 16_384;
const EMU_A_POINT: f64 = 12_700.0;
const EMU_A_PIXEL: f64 = 9_525.0;

/// The widths of an area's columns and the heights of its rows.
pub struct Lengths {
    pub columns: Vec<u64>,
    pub rows: Vec<u64>,
}

/// The widths and heights of a sheet.
pub struct Geometry {
    /// First and last column, and their width.
    columns: Vec<(u32, u32, u64)>,
    column: u64,
    rows: BTreeMap<u32, u64>,
    row: u64,
}

impl Geometry {
    /// Reads a sheet's widths and heights; `digit_pixels` is the width of a digit of the normal font.
    ///
    /// # Errors
    /// If the XML is damaged.
    pub fn of(sheet: &Sheet, digit_pixels: f64) -> Result<Self, WorkbookError> {
        let format = sheet.element("sheetFormatPr").unwrap_or_default();
        let number = |name| attribute(format, name).and_then(|value| value.parse::<f64>().ok());
        let base = number("baseColWidth").unwrap_or(8.0) + 5.0 / digit_pixels;
        let column = column_emu(number("defaultColWidth").unwrap_or(base), digit_pixels);
        let mut geometry = Geometry {
            columns: Vec::new(),
            column,
            rows: BTreeMap::new(),
            row: row_emu(number("defaultRowHeight").unwrap_or(15.0)),
        };
        geometry.read_columns(sheet, digit_pixels)?;
        for row in &sheet.rows {
            let tag = &sheet.text[row.tag.clone()];
            if attribute(tag, "hidden").is_some_and(|value| is_true(&value)) {
                geometry.rows.insert(row.number, 0);
            } else if let Some(height) = attribute(tag, "ht").and_then(|height| height.parse().ok()) {
                geometry.rows.insert(row.number, row_emu(height));
            }
        }
        Ok(geometry)
    }

    fn read_columns(&mut self, sheet: &Sheet, digit_pixels: f64) -> Result<(), WorkbookError> {
        for token in Tokens::new(&sheet.part, sheet.element("cols").unwrap_or_default()) {
            let token = token?;
            if !token.starts("col") || self.columns.len() >= RANGES_MAX {
                continue;
            }
            let number = |name| token.attribute(name).and_then(|value| value.parse::<f64>().ok());
            let is_hidden = token.attribute("hidden").is_some_and(|value| is_true(&value));
            let width = number("width").map_or(self.column, |width| column_emu(width, digit_pixels));
            if let (Some(first), Some(last)) = (number("min"), number("max")) {
                self.columns.push((first as u32, last as u32, if is_hidden { 0 } else { width }));
            }
        }
        Ok(())
    }

    /// Returns the widths and heights in an area, at most of its first 1,000 columns and rows: no printed picture is
    /// larger.
    pub fn lengths(&self, area: Area) -> Lengths {
        Lengths {
            columns: (area.first.column..=area.last.column).take(LINES_MAX).map(|column| self.column(column)).collect(),
            rows: (area.first.row..=area.last.row).take(LINES_MAX).map(|row| self.row(row)).collect(),
        }
    }

    /// Returns the width of a column.
    fn column(&self, column: u32) -> u64 {
        let found = self.columns.iter().find(|(first, last, _)| (*first..=*last).contains(&column));
        found.map_or(self.column, |(.., width)| *width)
    }

    /// Returns the height of a row of the template.
    fn row(&self, row: u32) -> u64 {
        self.rows.get(&row).copied().unwrap_or(self.row)
    }
}

/// Converts a width in digits, which includes the padding (ECMA-376 part 1, 18.3.1.13).
fn column_emu(digits: f64, digit_pixels: f64) -> u64 {
    let digits = digits.clamp(0.0, 255.0);
    let pixels = ((256.0 * digits + (128.0 / digit_pixels).floor()) / 256.0 * digit_pixels).floor();
    (pixels * EMU_A_PIXEL) as u64
}

/// Converts a height in points.
fn row_emu(points: f64) -> u64 {
    (points.clamp(0.0, 409.5) * EMU_A_POINT) as u64
}
