//! What a file says about the inspection before, and which cells said it.

use std::collections::{BTreeMap, BTreeSet};

use crate::forms::facts::Facts;
use crate::forms::last::{LastMember, LastPhoto};
use crate::workbook::CellValue;

/// What a file says about the inspection before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    pub facts: Facts,
    pub members: Vec<LastMember>,
    /// Photos, with the name of the part of the workbook that has the picture.
    pub photos: Vec<(LastPhoto, Option<String>)>,
    /// What was not understood, with sheet and cell.
    pub notes: Vec<String>,
}

/// Texts of cells that were read or that belong to the form itself, by sheet.
#[derive(Default)]
pub struct Used(BTreeMap<String, BTreeSet<String>>);

impl Used {
    /// Notes that a text in a sheet was read; in all sheets if the name is empty.
    pub fn add(&mut self, sheet: &str, text: &str) {
        self.0.entry(sheet.to_owned()).or_default().insert(text.trim().to_owned());
    }

    /// Reports whether a text in a sheet was read.
    pub fn has(&self, sheet: &str, text: &str) -> bool {
        let in_sheet = |name: &str| self.0.get(name).is_some_and(|texts| texts.contains(text.trim()));
        in_sheet(sheet) || in_sheet("")
    }
}

/// Returns a cell's value as text.
pub fn shown(value: &CellValue) -> String {
    match value {
        CellValue::Empty | CellValue::Error(_) => String::new(),
        CellValue::Text(text) => text.trim().to_owned(),
        CellValue::Number(number) => number.to_string(),
        CellValue::Bool(value) => value.to_string(),
        CellValue::Date(moment) if moment.time() == jiff::civil::Time::midnight() => moment.date().to_string(),
        CellValue::Date(moment) => moment.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    }
}
