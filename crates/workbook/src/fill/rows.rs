//! The rows of a sheet with their facts, and the copies of rows for further pages.

use std::collections::{BTreeMap, BTreeSet};

use crate::area::{Area, CellRef};
use crate::book::Workbook;
use crate::error::WorkbookError;
use crate::formula::copied;
use crate::sheet::{Cell, Content, Row, Sheet};
use crate::shift::{self, Insertions};
use crate::values::Value;
use crate::xml::{attribute, escape, prefix, qualified_name, with_attribute, without_attribute};

use super::cell::{self, Filled};
use super::plan::{Plan, Slot};

/// Maximum size of a filled sheet's rows in bytes.
const SHEET_BYTES_MAX: usize = 256 << 20;

/// A picture that belongs to an area of the template's sheet.
pub struct PictureRequest {
    pub key: String,
    /// The area on the template's rows, whose heights count.
    pub area: Area,
    /// Number of rows by which it lies lower in the filled sheet.
    pub lower: u32,
}

/// A writer of a sheet's rows.
pub struct Rows<'a> {
    book: &'a Workbook,
    sheet: &'a Sheet,
    name: &'a str,
    plan: Option<&'a Plan<'a>>,
    insertions: &'a Insertions,
    /// First cells of shared formulas, with their texts.
    shared: BTreeMap<String, (CellRef, String)>,
    pub pictures: Vec<PictureRequest>,
    pub texts_cut: usize,
}

impl<'a> Rows<'a> {
    pub fn new(
        book: &'a Workbook,
        sheet: &'a Sheet,
        name: &'a str,
        plan: Option<&'a Plan<'a>>,
        insertions: &'a Insertions,
    ) -> Result<Self, WorkbookError> {
        let shared = if insertions.is_empty() { BTreeMap::new() } else { shared(sheet)? };
        Ok(Rows { book, sheet, name, plan, insertions, shared, pictures: Vec::new(), texts_cut: 0 })
    }

    /// Returns the XML between the start and the end of the `sheetData` element.
    pub fn write(&mut self) -> Result<String, WorkbookError> {
        let mut numbers: BTreeSet<u32> = self.sheet.rows.iter().map(|row| row.number).collect();
        numbers.extend(self.plan.iter().flat_map(|plan| plan.slots.keys().map(|at| at.row)));
        let insertion = self.plan.and_then(|plan| plan.insertion);
        let last = insertion.map_or(u32::MAX, |insertion| insertion.last);
        let mut data = String::with_capacity(self.sheet.tail.start - self.sheet.head.end);
        for number in numbers.range(..=last) {
            self.row(*number, 0, &mut data)?;
        }
        let Some(insertion) = insertion else { return Ok(data) };
        for copy in 1..=insertion.copies {
            for number in numbers.range(insertion.first..=last) {
                self.row(*number, copy, &mut data)?;
            }
        }
        for number in numbers.range(last + 1..) {
            self.row(*number, 0, &mut data)?;
        }
        Ok(data)
    }

    /// Writes a row of the template, or a copy of it.
    fn row(&mut self, number: u32, copy: u32, data: &mut String) -> Result<(), WorkbookError> {
        let target = self.target(number, copy);
        let row = self.sheet.row(number);
        let cells = row.map_or(&[] as &[Cell], |row| self.sheet.cells(row));
        let mut content = String::new();
        let mut slots = self.slots(number).into_iter().peekable();
        let mut is_added = false;
        for cell in cells {
            while let Some((at, slot)) = slots.next_if(|(at, _)| at.column < cell.at.column) {
                is_added = true;
                self.slot(at, slot, None, copy, &mut content)?;
            }
            match slots.next_if(|(at, _)| *at == cell.at) {
                Some((at, slot)) => self.slot(at, slot, Some(cell), copy, &mut content)?,
                None => self.other(cell, copy, &mut content)?,
            }
        }
        for (at, slot) in slots {
            is_added = true;
            self.slot(at, slot, None, copy, &mut content)?;
        }
        data.push_str(&self.wrapped(row, target, is_added, &content));
        if data.len() > SHEET_BYTES_MAX {
            let what = format!("the filled sheet \"{}\" (bytes)", self.name);
            return Err(WorkbookError::TooLarge { what, max: SHEET_BYTES_MAX as u64 });
        }
        Ok(())
    }

    /// Returns a row's XML around its cells.
    fn wrapped(&self, row: Option<&Row>, number: u32, is_added: bool, content: &str) -> String {
        let name = format!("{}row", self.sheet.prefix);
        let Some(row) = row else { return format!("<{name} r=\"{number}\">{content}</{name}>") };
        let mut tag = self.sheet.text[row.tag.clone()].to_owned();
        if row.number != number {
            tag = with_attribute(&tag, "r", &number.to_string());
        }
        if is_added {
            tag = without_attribute(&tag, "spans");
        }
        if content.is_empty() && tag.ends_with("/>") {
            return tag;
        }
        let tag = tag.trim_end_matches('>').trim_end_matches('/').to_owned();
        format!("{tag}>{content}</{}>", qualified_name(&tag))
    }

    fn slots(&self, row: u32) -> Vec<(CellRef, Slot)> {
        let Some(plan) = self.plan else { return Vec::new() };
        let cell = |column| CellRef { row, column };
        plan.slots.range(cell(0)..cell(u32::MAX)).map(|(at, slot)| (*at, *slot)).collect()
    }

    /// Returns the row that a row of the template becomes.
    fn target(&self, row: u32, copy: u32) -> u32 {
        let insertion = self.plan.and_then(|plan| plan.insertion);
        insertion.map_or(row, |insertion| match copy {
            0 => insertion.row(row),
            _ => row + copy * insertion.height(),
        })
    }

    /// Writes a cell that gets facts.
    fn slot(
        &mut self,
        at: CellRef,
        slot: Slot,
        cell: Option<&Cell>,
        copy: u32,
        out: &mut String,
    ) -> Result<(), WorkbookError> {
        let Some(plan) = self.plan else { return Ok(()) };
        let field = plan.field(slot);
        let values =
            field.marks.iter().map(|found| found.mark.as_ref().ok().and_then(|mark| plan.value(mark, slot, copy)));
        let values: Vec<Option<Value>> = values.collect();
        // A cell that the form does not draw looks as the one with the marks.
        let like = cell.or_else(|| self.sheet.cell(field.at));
        let style = like.and_then(|cell| attribute(self.sheet.tag(cell), "s"));
        let target = CellRef { row: self.target(at.row, copy), ..at };
        let tag = match cell {
            Some(cell) => with_attribute(self.sheet.tag(cell), "r", &target.to_string()),
            None => {
                let style = style.as_ref().map_or(String::new(), |style| format!(" s=\"{style}\""));
                format!("<{}c r=\"{target}\"{style}>", self.sheet.prefix)
            }
        };
        for key in values.iter().filter_map(|value| match value {
            Some(Value::Picture(key)) => Some(key.clone()),
            _ => None,
        }) {
            let area = plan.merges.iter().find(|area| area.first == at).copied().unwrap_or(Area::of(at));
            self.pictures.push(PictureRequest { key, area, lower: target.row - at.row });
        }
        let style = style.and_then(|style| style.parse().ok()).unwrap_or_default();
        let mut filled = cell::filled(self.book, field, &values, style);
        let (text, is_cut) = cell::write(&tag, &mut filled);
        self.texts_cut += usize::from(is_cut);
        debug_assert!(!matches!(filled, Filled::Number(number) if !number.is_finite()));
        out.push_str(&text);
        Ok(())
    }

    /// Writes a cell without marks: as it is, at its new place, its formula moved.
    fn other(&self, cell: &Cell, copy: u32, out: &mut String) -> Result<(), WorkbookError> {
        let target = CellRef { row: self.target(cell.at.row, copy), ..cell.at };
        if self.sheet.has_formula(cell) {
            let content = self.sheet.content(cell)?;
            if content.formula.is_some() {
                out.push_str(&self.formula(cell, &content, target, copy));
                return Ok(());
            }
        }
        if target == cell.at {
            out.push_str(self.sheet.raw(cell));
            return Ok(());
        }
        out.push_str(&with_attribute(self.sheet.tag(cell), "r", &target.to_string()));
        out.push_str(&self.sheet.raw(cell)[self.sheet.tag(cell).len()..]);
        Ok(())
    }

    /// Returns a cell with a formula and without the value that was computed from other facts.
    fn formula(&self, cell: &Cell, content: &Content, target: CellRef, copy: u32) -> String {
        let tag = without_attribute(self.sheet.tag(cell), "t");
        let tag = if target == cell.at { tag } else { with_attribute(&tag, "r", &target.to_string()) };
        let p = prefix(&tag).to_owned();
        let (mut opening, text) =
            (content.formula_tag.clone().unwrap_or_default(), self.formula_text(cell, content, copy));
        let kind = attribute(&opening, "t").map(std::borrow::Cow::into_owned);
        if kind.as_deref() == Some("shared") && !self.insertions.is_empty() {
            opening = format!("<{p}f>");
        }
        if let Some(area) = attribute(&opening, "ref").and_then(|area| Area::parse(&area)) {
            let moved = Area {
                first: CellRef { row: self.target(area.first.row, copy), ..area.first },
                last: CellRef { row: self.target(area.last.row, copy), ..area.last },
            };
            opening = with_attribute(&opening, "ref", &moved.to_string());
        }
        let opening = opening.trim_end_matches('>').trim_end_matches('/').to_owned();
        match text.is_empty() {
            true => format!("{tag}{opening}/></{p}c>"),
            false => format!("{tag}{opening}>{}</{p}f></{p}c>", escape(&text)),
        }
    }

    fn formula_text(&self, cell: &Cell, content: &Content, copy: u32) -> String {
        let own = content.formula.clone().unwrap_or_default();
        if self.insertions.is_empty() {
            return own;
        }
        let index = content.formula_tag.as_deref().and_then(|tag| attribute(tag, "si"));
        let text = match index.and_then(|index| self.shared.get(&*index)) {
            Some((first, text)) if own.is_empty() => {
                let distance = |to: u32, from: u32| i64::from(to) - i64::from(from);
                copied(text, distance(cell.at.row, first.row), distance(cell.at.column, first.column))
            }
            _ => own,
        };
        let insertion = self.plan.and_then(|plan| plan.insertion);
        let is_repeated = insertion.is_some_and(|rows| (rows.first..=rows.last).contains(&cell.at.row));
        let moved = shift::formula(&text, Some(self.name), self.insertions, is_repeated);
        let height = insertion.map_or(0, |insertion| insertion.height());
        if copy == 0 { moved.into_owned() } else { copied(&moved, i64::from(copy) * i64::from(height), 0) }
    }
}

/// Returns the shared formulas of a sheet by their index, each with its first cell.
fn shared(sheet: &Sheet) -> Result<BTreeMap<String, (CellRef, String)>, WorkbookError> {
    let mut shared = BTreeMap::new();
    for cell in sheet.all_cells().iter().filter(|cell| sheet.inner(cell).contains("shared")) {
        let content = sheet.content(cell)?;
        let index = content.formula_tag.as_deref().and_then(|tag| attribute(tag, "si"));
        let (Some(index), Some(text)) = (index, content.formula.filter(|text| !text.is_empty())) else { continue };
        shared.insert(index.into_owned(), (cell.at, text));
    }
    Ok(shared)
}
