//! Reads the facts of a filled workbook by the marks of the template that filled it.

use std::collections::BTreeMap;

use crate::anchors::PlacedPicture;
use crate::area::{Area, CellRef, ROWS_MAX, parse_row};
use crate::book::Workbook;
use crate::cells::{CellValue, Grid};
use crate::error::WorkbookError;
use crate::layout::{self, Block, FILLED_PREFIX, Field, SheetLayout};
use crate::marks::Mark;
use crate::values::{Facts, Record, Value, Vocabulary};

/// What was read from a filled workbook.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadBack {
    /// The facts. A picture's key is the name of its part in the filled workbook.
    pub facts: Facts,
    /// What could not be read, with sheet and cell.
    pub notes: Vec<String>,
}

/// Reads the facts of a filled workbook. Facts in the middle of text are text; empty records at the end are left out.
///
/// # Errors
/// If a workbook's XML is damaged or exceeds a bound.
pub fn read_back(filled: &Workbook, template: &Workbook) -> Result<ReadBack, WorkbookError> {
    let (layouts, _) = layout::read(template, &Vocabulary::default())?;
    let mut back = ReadBack::default();
    for layout in &layouts {
        let name = &template.sheets[layout.sheet].name;
        let Some(sheet) = filled.sheets.iter().position(|info| info.name == *name) else {
            back.notes.push(format!("the sheet \"{name}\" is missing"));
            continue;
        };
        let merges = template.sheet(layout.sheet)?.merges()?;
        let pages = pages(filled, sheet, layout, &mut back.notes, name);
        let (grid, pictures) = (filled.grid(sheet)?, filled.pictures(sheet)?);
        let pages = pages.min(pages_with_content(layout, &grid, &pictures));
        Reader { layout, name, grid, pictures, merges, pages }.read(&mut back);
    }
    Ok(back)
}

/// Returns the number of pages of a list in a filled sheet, by the hidden name over its rows.
fn pages(filled: &Workbook, sheet: usize, layout: &SheetLayout, notes: &mut Vec<String>, name: &str) -> u32 {
    let Some(block) = &layout.block else { return 1 };
    let wanted = format!("{FILLED_PREFIX}{}", block.opening.list.replace('-', "_"));
    let found =
        filled.names.iter().find(|found| found.sheet == Some(sheet) && found.name.eq_ignore_ascii_case(&wanted));
    let rows = found.and_then(|found| {
        let (first, last) = found.formula.rsplit_once('!')?.1.split_once(':')?;
        let row = |text: &str| parse_row(text.trim_start_matches('$'));
        Some((row(first)?, row(last)?))
    });
    let Some((first, last)) = rows.filter(|(first, last)| first <= last && *last <= ROWS_MAX) else {
        notes.push(format!("sheet \"{name}\": the name over the filled rows is missing; only the first page is read"));
        return 1;
    };
    let rows = last - first + 1;
    if first != block.rows.0 || rows % block.height() != 0 {
        notes.push(format!(
            "sheet \"{name}\": rows were inserted or deleted; later pages may be misread and are left out"
        ));
        return 1;
    }
    rows / block.height()
}

/// Returns the number of pages up to the last one with a value or a picture.
fn pages_with_content(layout: &SheetLayout, grid: &Grid, pictures: &[PlacedPicture]) -> u32 {
    let Some(block) = &layout.block else { return 1 };
    let value = grid.cells.last().map_or(0, |cell| cell.at.row);
    let last = pictures.last().map_or(0, |picture| picture.first.row).max(value);
    last.saturating_sub(block.rows.0) / block.height() + 1
}

struct Reader<'a> {
    layout: &'a SheetLayout,
    name: &'a str,
    grid: Grid,
    pictures: Vec<PlacedPicture>,
    merges: Vec<Area>,
    pages: u32,
}

impl Reader<'_> {
    fn read(&self, back: &mut ReadBack) {
        let mut records: BTreeMap<u32, Record> = BTreeMap::new();
        for field in &self.layout.fields {
            match self.layout.block.as_ref().and_then(|block| Some((block, block.place(field.at)?))) {
                Some((block, (frame, place))) => self.frames(field, block, frame, place, &mut records, back),
                None => {
                    let row = self.layout.block.as_ref().map_or(0, |block| match field.at.row > block.rows.1 {
                        true => (self.pages - 1) * block.height(),
                        false => 0,
                    });
                    if let Some(at) = field.at.offset(row, 0) {
                        let read = self.field(field, at, 0);
                        self.keep(&mut back.facts.single, read, field.at, &mut back.notes, "");
                    }
                }
            }
        }
        let Some(block) = &self.layout.block else { return };
        let is_empty = |record: &Record| record.values().all(|value| *value == Value::Empty);
        let count = records.iter().rev().find(|(_, record)| !is_empty(record)).map_or(0, |(index, _)| index + 1);
        let list = (0..count).map(|index| records.remove(&index).unwrap_or_default()).collect::<Vec<_>>();
        let known = back.facts.lists.entry(block.opening.list.clone()).or_default();
        merge(known, list);
    }

    /// Reads a field of each frame on each page.
    fn frames(
        &self,
        field: &Field,
        block: &Block,
        frame: u32,
        place: CellRef,
        records: &mut BTreeMap<u32, Record>,
        back: &mut ReadBack,
    ) {
        // A field of the first frame stands for those of the others that have none of their own.
        let is_own = |frame: u32| {
            let at = block.cell(frame, place);
            self.layout.fields.iter().any(|other| other.at == at)
        };
        let frames: Vec<u32> = match frame {
            0 => (0..block.frames()).filter(|frame| *frame == 0 || !is_own(*frame)).collect(),
            _ => vec![frame],
        };
        let prefix = format!("{}.", block.opening.list);
        for (page, frame) in (0..self.pages).flat_map(|page| frames.iter().map(move |frame| (page, *frame))) {
            let first = block.cell(frame, place);
            let (rows, index) = (page * block.height(), page * block.frames() + frame);
            let Some(at) = first.offset(rows, 0) else { continue };
            let read = self.field(field, at, rows);
            let (own, single): (Vec<_>, Vec<_>) = read.into_iter().partition(|(name, _)| name.starts_with(&prefix));
            self.keep(records.entry(index).or_default(), own, at, &mut back.notes, &prefix);
            self.keep(&mut back.facts.single, single, at, &mut back.notes, "");
        }
    }

    /// Returns the facts in a cell by their names; `rows` is how much lower it lies than in the template.
    fn field(&self, field: &Field, at: CellRef, rows: u32) -> Vec<(String, Value)> {
        let names = field.marks.iter().filter_map(|found| match &found.mark {
            Ok(Mark::Fact(name)) if !["page", "pages"].contains(&name.as_str()) => Some(name.clone()),
            _ => None,
        });
        let names: Vec<String> = names.collect();
        let value = self.grid.value(at);
        let alone = super::fill::literal(field).trim().is_empty();
        let (1, true) = (names.len(), alone) else { return between(field, &shown(value)) };
        let value = match value {
            CellValue::Empty => self.picture(at, rows).map_or(Value::Empty, Value::Picture),
            value => typed(value),
        };
        vec![(names[0].clone(), value)]
    }

    /// Returns the picture whose upper left corner lies in a cell or the cells merged with it.
    fn picture(&self, at: CellRef, rows: u32) -> Option<String> {
        let in_template = CellRef { row: at.row - rows, ..at };
        let area = self.merges.iter().find(|area| area.first == in_template).copied().unwrap_or(Area::of(in_template));
        let area = area.offset(rows, 0)?;
        self.pictures.iter().find(|picture| area.contains(picture.first)).map(|picture| picture.part.clone())
    }

    fn keep(
        &self,
        record: &mut Record,
        read: Vec<(String, Value)>,
        at: CellRef,
        notes: &mut Vec<String>,
        prefix: &str,
    ) {
        for (name, value) in read {
            let name = name.strip_prefix(prefix).unwrap_or(&name).to_owned();
            match record.get(&name) {
                Some(known) if *known != Value::Empty && value != Value::Empty && known.text() != value.text() => {
                    notes.push(format!("sheet \"{}\", cell {at}: {name} differs from another cell of it", self.name));
                }
                Some(Value::Text(_)) if !matches!(value, Value::Text(_) | Value::Empty) => {
                    drop(record.insert(name, value));
                }
                Some(known) if *known != Value::Empty => (),
                _ => drop(record.insert(name, value)),
            }
        }
    }
}

/// Adds what another sheet says about the same records.
fn merge(known: &mut Vec<Record>, list: Vec<Record>) {
    for (index, record) in list.into_iter().enumerate() {
        match known.get_mut(index) {
            Some(known) => record.into_iter().for_each(|(name, value)| {
                let old = known.entry(name).or_default();
                if *old == Value::Empty {
                    *old = value;
                }
            }),
            None => known.push(record),
        }
    }
}

fn typed(value: &CellValue) -> Value {
    match value {
        CellValue::Empty | CellValue::Error(_) => Value::Empty,
        CellValue::Text(text) => Value::Text(text.clone()),
        CellValue::Number(number) => Value::Number(*number),
        CellValue::Bool(value) => Value::Bool(*value),
        CellValue::Date(moment) if moment.time() == jiff::civil::Time::midnight() => Value::Date(moment.date()),
        CellValue::Date(moment) => Value::DateTime(*moment),
    }
}

fn shown(value: &CellValue) -> String {
    typed(value).text()
}

/// Returns the facts between the literal pieces of a field's text, if the text has these pieces in their order.
fn between(field: &Field, shown: &str) -> Vec<(String, Value)> {
    let text = field.text();
    let (mut facts, mut rest, mut waiting, mut at): (Vec<_>, _, Option<&String>, _) = (Vec::new(), shown, None, 0);
    let ends = field.marks.iter().map(|found| (found.at.start, found.at.end, found.mark.as_ref().ok()));
    for (start, end, mark) in ends.chain([(text.len(), text.len(), None)]) {
        let literal = &text[at..start];
        let literal = if start == text.len() { literal.trim_end() } else { literal };
        at = end;
        // Two facts without text between them cannot be told apart.
        if literal.is_empty() && waiting.is_some() && start < text.len() {
            return Vec::new();
        }
        let found = if start == text.len() { rest.strip_suffix(literal).map(str::len) } else { rest.find(literal) };
        let Some(length) = found else { return Vec::new() };
        if let Some(name) = waiting.take() {
            let value = &rest[..length];
            let value = if value.is_empty() { Value::Empty } else { Value::Text(value.to_owned()) };
            facts.push((name.clone(), value));
        }
        rest = rest.get(length + literal.len()..).unwrap_or_default();
        if let Some(Mark::Fact(name)) = mark {
            waiting = Some(name);
        }
    }
    facts.retain(|(name, _)| !["page", "pages"].contains(&name.as_str()));
    facts
}
