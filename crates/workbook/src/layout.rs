//! Where the marks of a template are, what they mean, and which are wrong.

use crate::area::{Area, CellRef};
use crate::book::{DefinedName, Workbook};
use crate::error::WorkbookError;
use crate::marks::{self, Found, Mark, Opening};
use crate::sheet::Sheet;
use crate::strings::{Run, runs};
use crate::values::Vocabulary;

/// Prefix of the defined names that are marks.
pub const NAME_PREFIX: &str = "bc_";
/// Prefix of the defined name of a block.
pub const BLOCK_PREFIX: &str = "bc_block_";
/// Prefix of the hidden defined names over the rows that a list has filled.
pub const FILLED_PREFIX: &str = "bc_filled_";

/// Maximum number of cells with marks of a sheet.
const FIELDS_MAX: usize = 10_000;
/// Maximum number of frames of a page.
const FRAMES_MAX: u32 = 1_000;

/// What is known about a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkState {
    /// The mark is filled.
    Known,
    /// No fact has this name; the mark stays in its cell.
    Unknown,
    /// The mark cannot be where it is, or as it is; the reason says why.
    Misplaced(String),
}

/// A mark of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkReport {
    /// Name of the sheet.
    pub sheet: String,
    /// The cell.
    pub cell: CellRef,
    /// The mark as it is written, or the defined name.
    pub mark: String,
    pub state: MarkState,
}

/// A cell with marks.
#[derive(Debug, Clone)]
pub struct Field {
    pub at: CellRef,
    /// The text of the cell with its formats.
    pub runs: Vec<Run>,
    pub marks: Vec<Found>,
    /// Name of the defined name that marks the cell instead of its text.
    pub name: Option<String>,
}

/// What repeats on a sheet.
#[derive(Debug, Clone)]
pub struct Block {
    pub opening: Opening,
    /// All frames of the first page.
    pub area: Area,
    /// Rows that are copied for each further page.
    pub rows: (u32, u32),
    /// Number of columns and rows of a frame.
    pub frame: (u32, u32),
}

/// The marks of a sheet.
#[derive(Debug, Clone)]
pub struct SheetLayout {
    /// Index of the sheet among the tabs.
    pub sheet: usize,
    pub fields: Vec<Field>,
    pub block: Option<Block>,
}

impl Field {
    /// Returns the text of all runs.
    pub fn text(&self) -> String {
        self.runs.iter().map(|run| run.text.as_str()).collect()
    }
}

impl Block {
    /// Number of frames on a page.
    pub fn frames(&self) -> u32 {
        self.opening.across * self.opening.down
    }

    /// Returns the number of a cell's frame on the first page and its place in the frame; `None` between frames.
    pub fn place(&self, at: CellRef) -> Option<(u32, CellRef)> {
        if !self.area.contains(at) {
            return None;
        }
        let (columns, rows) = (self.frame.0 + self.opening.gap, self.frame.1 + self.opening.gap_down);
        let (column, row) = (at.column - self.area.first.column, at.row - self.area.first.row);
        let inside = CellRef { row: row % rows, column: column % columns };
        let is_frame = inside.row < self.frame.1 && inside.column < self.frame.0;
        is_frame.then_some((row / rows * self.opening.across + column / columns, inside))
    }

    /// Returns the cell of a place in a frame of the first page.
    pub fn cell(&self, frame: u32, place: CellRef) -> CellRef {
        let (down, across) = (frame / self.opening.across, frame % self.opening.across);
        CellRef {
            row: self.area.first.row + down * (self.frame.1 + self.opening.gap_down) + place.row,
            column: self.area.first.column + across * (self.frame.0 + self.opening.gap) + place.column,
        }
    }

    /// Number of rows of a page.
    pub fn height(&self) -> u32 {
        self.rows.1 - self.rows.0 + 1
    }

    /// Whether each page begins on a new sheet of paper.
    pub fn breaks(&self) -> bool {
        self.opening.breaks.unwrap_or(self.frames() > 1 || self.opening.page.is_some())
    }
}

/// Returns the marks of every sheet that has some, and a report on each of them.
///
/// # Errors
/// If a sheet's XML is damaged or exceeds a bound.
pub fn read(book: &Workbook, vocabulary: &Vocabulary) -> Result<(Vec<SheetLayout>, Vec<MarkReport>), WorkbookError> {
    let (mut layouts, mut reports) = (Vec::new(), Vec::new());
    for index in book.with_cells().collect::<Vec<_>>() {
        let sheet = book.sheet(index)?;
        let mut work = Work { book, vocabulary, index, merges: sheet.merges()?, reports: Vec::new() };
        let mut fields = work.fields(&sheet)?;
        let named = work.named(&mut fields);
        let block = work.block(&fields, named);
        work.judge(&fields, block.as_ref());
        reports.append(&mut work.reports);
        if !fields.is_empty() || block.is_some() {
            layouts.push(SheetLayout { sheet: index, fields, block });
        }
    }
    Ok((layouts, reports))
}

struct Work<'a> {
    book: &'a Workbook,
    vocabulary: &'a Vocabulary,
    index: usize,
    merges: Vec<Area>,
    reports: Vec<MarkReport>,
}

impl Work<'_> {
    fn report(&mut self, cell: CellRef, mark: &str, state: MarkState) {
        let sheet = self.book.sheets[self.index].name.clone();
        self.reports.push(MarkReport { sheet, cell, mark: mark.to_owned(), state });
    }

    fn misplaced(&mut self, cell: CellRef, mark: &str, reason: &str) {
        self.report(cell, mark, MarkState::Misplaced(reason.to_owned()));
    }

    /// Returns the cells with marks in their texts.
    fn fields(&mut self, sheet: &Sheet) -> Result<Vec<Field>, WorkbookError> {
        let mut fields = Vec::new();
        for cell in sheet.all_cells().iter().filter(|cell| self.book.may_have_mark(sheet, cell)) {
            let content = sheet.content(cell)?;
            if content.formula.as_deref().is_some_and(marks::may_have) {
                self.misplaced(cell.at, "{{", "marks in formulas are not filled; refer to a cell with the mark");
            }
            if content.formula.is_some() {
                continue;
            }
            let Some(xml) = self.book.text_xml(&content) else { continue };
            let runs = runs(&sheet.part, xml)?;
            let text: String = runs.iter().map(|run| run.text.as_str()).collect();
            let marks = marks::find(&text);
            if !marks.is_empty() {
                fields.push(Field { at: cell.at, runs, marks, name: None });
            }
            if fields.len() > FIELDS_MAX {
                let what = format!("the number of cells with marks in {}", sheet.part);
                return Err(WorkbookError::TooLarge { what, max: FIELDS_MAX as u64 });
            }
        }
        Ok(fields)
    }

    /// Adds the cells that defined names mark, and returns the blocks that names mark.
    fn named(&mut self, fields: &mut Vec<Field>) -> Vec<(Area, Opening)> {
        let mut blocks = Vec::new();
        let book = self.book;
        for name in book.names.iter().filter(|name| is_mark(name)) {
            let Some((_, area)) = book.target(name).filter(|(sheet, _)| *sheet == self.index) else { continue };
            if let Some(list) = lowered(&name.name).strip_prefix(BLOCK_PREFIX) {
                match marks::opening(&format!("{list} {}", name.comment)) {
                    Ok(opening) => blocks.push((area, opening)),
                    Err(reason) => self.misplaced(area.first, &name.name, &reason),
                }
                continue;
            }
            match marks::name(&name.name[NAME_PREFIX.len()..]) {
                Ok(fact) => named_field(fields, area.first, fact, &name.name),
                Err(reason) => self.misplaced(area.first, &name.name, &reason),
            }
        }
        blocks
    }

    /// Returns the block of the sheet, if there is exactly one that is well-formed.
    fn block(&mut self, fields: &[Field], named: Vec<(Area, Opening)>) -> Option<Block> {
        let mut found: Vec<(Area, Opening)> = named;
        let mut open: Option<(CellRef, Opening)> = None;
        for (at, found_mark) in fields.iter().flat_map(|field| field.marks.iter().map(|mark| (field.at, mark))) {
            match &found_mark.mark {
                Ok(Mark::Open(opening)) if open.is_some() => {
                    self.misplaced(at, &opening.list, "a block begins inside another one; a sheet has one block");
                }
                Ok(Mark::Open(opening)) => open = Some((at, opening.clone())),
                Ok(Mark::Close(list)) => match open.take() {
                    Some((first, opening)) if opening.list == *list && at.column >= first.column => {
                        found.push((Area { first, last: at }, opening));
                    }
                    _ => self.misplaced(at, list, "no block of this name begins above and to the left"),
                },
                _ => (),
            }
        }
        if let Some((at, opening)) = open {
            self.misplaced(at, &opening.list, &format!("the block has no end: {{{{/{}}}}} is missing", opening.list));
        }
        for (area, opening) in found.iter().skip(1) {
            self.misplaced(area.first, &opening.list, "a second block; a sheet has one block, so use another sheet");
        }
        let (area, opening) = found.into_iter().next()?;
        match shaped(area, opening, &self.merges) {
            Ok(block) => Some(block),
            Err(reason) => {
                self.misplaced(area.first, "#", &reason);
                None
            }
        }
    }

    /// Reports on every mark.
    fn judge(&mut self, fields: &[Field], block: Option<&Block>) {
        for field in fields {
            let text = field.text();
            for found in &field.marks {
                let mark = field.name.clone().unwrap_or_else(|| text[found.at.clone()].to_owned());
                let state = match &found.mark {
                    _ if self.merges.iter().any(|area| area.contains(field.at) && area.first != field.at) => {
                        MarkState::Misplaced("the cell is hidden by merged cells; use their first cell".to_owned())
                    }
                    Err(reason) => MarkState::Misplaced(reason.clone()),
                    Ok(Mark::Fact(name)) => self.fact(name, field.at, block),
                    Ok(Mark::Open(Opening { list, .. }) | Mark::Close(list)) => {
                        let is_known = self.vocabulary.lists.contains_key(list);
                        if is_known { MarkState::Known } else { MarkState::Unknown }
                    }
                };
                self.report(field.at, &mark, state);
            }
        }
    }

    fn fact(&self, name: &str, at: CellRef, block: Option<&Block>) -> MarkState {
        let misplaced = |reason: String| MarkState::Misplaced(reason);
        if ["page", "pages"].contains(&name) {
            let is_outside = block.is_some_and(|block| !(block.rows.0..=block.rows.1).contains(&at.row));
            return match name == "page" && is_outside {
                true => misplaced("page counts only in the rows that are copied for each page".to_owned()),
                false => MarkState::Known,
            };
        }
        let list = name.split_once('.').and_then(|(list, field)| Some((list, field, self.vocabulary.lists.get(list)?)));
        let Some((list, field, known)) = list else {
            return if self.vocabulary.single.contains(name) { MarkState::Known } else { MarkState::Unknown };
        };
        let is_inside = block.is_some_and(|block| block.opening.list == list && block.place(at).is_some());
        match (known.contains(field), is_inside) {
            (false, _) => MarkState::Unknown,
            (true, true) => MarkState::Known,
            (true, false) => misplaced(format!("it belongs between {{{{#{list}}}}} and {{{{/{list}}}}}")),
        }
    }
}

/// Whether a defined name is a mark.
fn is_mark(name: &DefinedName) -> bool {
    lowered(&name.name).starts_with(NAME_PREFIX) && !lowered(&name.name).starts_with(FILLED_PREFIX)
}

fn lowered(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Adds a cell that a defined name marks, instead of what its text says.
fn named_field(fields: &mut Vec<Field>, at: CellRef, fact: String, name: &str) {
    let text = format!("{{{{{fact}}}}}");
    let marks = vec![Found { at: 0..text.len(), mark: Ok(Mark::Fact(fact)) }];
    let runs = vec![Run { properties: String::new(), text }];
    let index = fields.partition_point(|field| field.at < at);
    if fields.get(index).is_none_or(|field| field.at != at) {
        fields.insert(index, Field { at, runs, marks, name: Some(name.to_owned()) });
    }
}

/// Returns the block in an area.
///
/// # Errors
/// The reason, if the area cannot be divided or the rows cannot be repeated.
fn shaped(area: Area, opening: Opening, merges: &[Area]) -> Result<Block, String> {
    let merged = merges.iter().find(|merge| merge.contains(area.last)).map_or(area.last, |merge| merge.last);
    let area = Area {
        last: CellRef { row: merged.row.max(area.last.row), column: merged.column.max(area.last.column) },
        ..area
    };
    if opening.across * opening.down > FRAMES_MAX {
        return Err(format!("a page has more than {FRAMES_MAX} frames"));
    }
    let divided = |length: u32, count: u32, gap: u32, what: &str| {
        let frames = length.checked_sub(gap * (count - 1)).filter(|frames| *frames >= count && frames % count == 0);
        frames.map(|frames| frames / count).ok_or_else(|| {
            format!(
                "{length} {what} ({area}) cannot be divided into {count} equal frames with {gap} {what} between them"
            )
        })
    };
    let frame = (
        divided(area.width(), opening.across, opening.gap, "columns")?,
        divided(area.height(), opening.down, opening.gap_down, "rows")?,
    );
    let rows = opening.page.unwrap_or((area.first.row, area.last.row));
    if rows.0 > area.first.row || rows.1 < area.last.row {
        return Err(format!("page={}:{} does not contain the block's rows", rows.0, rows.1));
    }
    let is_cut = |merge: &&Area| {
        let (top, bottom) = (merge.first.row, merge.last.row);
        (top < rows.0 && bottom >= rows.0) || (top <= rows.1 && bottom > rows.1)
    };
    match merges.iter().find(is_cut) {
        Some(merge) => {
            Err(format!("the merged cells {merge} cross the edge of the rows {}:{} that repeat", rows.0, rows.1))
        }
        None => Ok(Block { opening, area, rows, frame }),
    }
}

/// Returns a report on each mark of a template, in the order of sheets and cells.
///
/// # Errors
/// If a sheet's XML is damaged or exceeds a bound.
pub fn check(template: &Workbook, vocabulary: &Vocabulary) -> Result<Vec<MarkReport>, WorkbookError> {
    Ok(read(template, vocabulary)?.1)
}
