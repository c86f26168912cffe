//! Which cell of a sheet gets which fact, and how many pages there are.

use std::collections::BTreeMap;

use crate::area::{Area, CellRef, ROWS_MAX};
use crate::book::Workbook;
use crate::error::WorkbookError;
use crate::geometry::Geometry;
use crate::layout::{Block, Field, SheetLayout};
use crate::marks::Mark;
use crate::sheet::Sheet;
use crate::shift::Insertion;
use crate::values::{Facts, Record, Value, Vocabulary};

/// What happens to a sheet with marks.
pub struct Plan<'a> {
    pub layout: SheetLayout,
    pub sheet: Sheet,
    pub merges: Vec<Area>,
    pub geometry: Geometry,
    /// The cells of the first page that get facts.
    pub slots: BTreeMap<CellRef, Slot>,
    pub pages: u32,
    pub insertion: Option<Insertion>,
    template: &'a Workbook,
    vocabulary: &'a Vocabulary,
    facts: &'a Facts,
    records: &'a [Record],
}

/// A cell that gets facts.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Index of the field among those of the layout.
    pub field: usize,
    /// Number of the frame on the first page; `None` outside of frames.
    pub frame: Option<u32>,
}

impl<'a> Plan<'a> {
    pub fn new(
        template: &'a Workbook,
        vocabulary: &'a Vocabulary,
        facts: &'a Facts,
        layout: SheetLayout,
    ) -> Result<Self, WorkbookError> {
        let sheet = template.sheet(layout.sheet)?;
        let list = layout.block.as_ref().and_then(|block| facts.lists.get(&block.opening.list));
        let records = list.map_or(&[] as &[Record], Vec::as_slice);
        let mut plan = Plan {
            merges: sheet.merges()?,
            geometry: Geometry::of(&sheet, template.styles.digit_pixels())?,
            slots: slots(&layout),
            pages: 1,
            insertion: None,
            layout,
            sheet,
            template,
            vocabulary,
            facts,
            records,
        };
        plan.count_pages()?;
        Ok(plan)
    }

    fn count_pages(&mut self) -> Result<(), WorkbookError> {
        let Some(block) = &self.layout.block else { return Ok(()) };
        let records = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        self.pages = records.div_ceil(block.frames()).max(1);
        let last = self.sheet.rows.last().map_or(0, |row| row.number).max(block.rows.1);
        let added = u64::from(self.pages - 1) * u64::from(block.height());
        if u64::from(last) + added > u64::from(ROWS_MAX) {
            let reason = format!("{} pages exceed the {ROWS_MAX} rows of a sheet", self.pages);
            let (sheet, cell) = (self.name().to_owned(), block.area.first.to_string());
            return Err(WorkbookError::Template { sheet, cell, reason });
        }
        let (first, last) = block.rows;
        self.insertion = (self.pages > 1).then_some(Insertion { first, last, copies: self.pages - 1 });
        Ok(())
    }

    /// Returns the name of the sheet.
    pub fn name(&self) -> &'a str {
        &self.template.sheets[self.layout.sheet].name
    }

    /// Returns the insertion with the sheet's name in lower case.
    pub fn insertion_of_sheet(&self) -> Option<(String, Insertion)> {
        Some((self.name().to_lowercase(), self.insertion?))
    }

    /// Returns the field of a slot.
    pub fn field(&self, slot: Slot) -> &Field {
        &self.layout.fields[slot.field]
    }

    /// Returns the value of a mark in a slot on a page (from 0); `None` if the mark stays as it is.
    pub fn value(&self, mark: &Mark, slot: Slot, page: u32) -> Option<Value> {
        let known = |list: &str| self.vocabulary.lists.contains_key(list).then_some(Value::Empty);
        match mark {
            Mark::Open(opening) => known(&opening.list),
            Mark::Close(list) => known(list),
            Mark::Fact(name) if name == "page" => Some(Value::Number(f64::from(page + 1))),
            Mark::Fact(name) if name == "pages" => Some(Value::Number(f64::from(self.pages))),
            Mark::Fact(name) => self.fact(name, slot, page),
        }
    }

    fn fact(&self, name: &str, slot: Slot, page: u32) -> Option<Value> {
        if let Some((field, fields)) =
            name.split_once('.').and_then(|(list, field)| Some((field, self.vocabulary.lists.get(list)?)))
        {
            let frames = self.layout.block.as_ref().map_or(1, Block::frames);
            let index = page.checked_mul(frames)?.checked_add(slot.frame?)? as usize;
            let value = self.records.get(index).and_then(|record| record.get(field));
            return value.cloned().or(fields.contains(field).then_some(Value::Empty));
        }
        let value = self.facts.single.get(name);
        value.cloned().or(self.vocabulary.single.contains(name).then_some(Value::Empty))
    }
}

/// Returns the cells that get facts: those with marks, and the same places of the other frames.
fn slots(layout: &SheetLayout) -> BTreeMap<CellRef, Slot> {
    let mut slots = BTreeMap::new();
    for (index, field) in layout.fields.iter().enumerate() {
        let place = layout.block.as_ref().and_then(|block| block.place(field.at));
        slots.insert(field.at, Slot { field: index, frame: place.map(|(frame, _)| frame) });
    }
    let Some(block) = &layout.block else { return slots };
    for (index, field) in layout.fields.iter().enumerate() {
        let Some((0, place)) = block.place(field.at) else { continue };
        // A cell that only begins or ends the block says nothing about other frames.
        if field.marks.iter().any(|found| matches!(found.mark, Ok(Mark::Fact(_)))) {
            for frame in 1..block.frames() {
                slots.entry(block.cell(frame, place)).or_insert(Slot { field: index, frame: Some(frame) });
            }
        }
    }
    slots
}
