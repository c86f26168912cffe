//! A sheet's XML as spans: rows, cells, and the elements around them.

use std::ops::Range;

use crate::area::{Area, COLUMNS_MAX, CellRef, ROWS_MAX};
use crate::error::WorkbookError;
use crate::strings::cdata;
use crate::xml::{Kind, Token, Tokens, attribute, prefix, unescape};

/// Maximum number of merged areas of a sheet.
const MERGES_MAX: usize = 65_536;

/// A sheet's XML, and where everything is in it.
pub struct Sheet {
    /// Name of the part.
    pub part: String,
    pub text: String,
    /// From the beginning to the first row.
    pub head: Range<usize>,
    /// From the last row to the end.
    pub tail: Range<usize>,
    pub rows: Vec<Row>,
    cells: Vec<Cell>,
    /// Elements beside `sheetData`, in their order.
    pub elements: Vec<Element>,
    /// Prefix of the elements' names with its colon; mostly empty.
    pub prefix: String,
}

/// An element directly below the root.
#[derive(Debug, Clone)]
pub struct Element {
    pub name: String,
    pub at: Range<usize>,
}

/// A row.
#[derive(Debug, Clone)]
pub struct Row {
    pub number: u32,
    /// The whole element.
    pub at: Range<usize>,
    /// The start tag.
    pub tag: Range<usize>,
    cells: Range<usize>,
}

/// A cell.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub at: CellRef,
    start: u32,
    tag_end: u32,
    inner_end: u32,
    end: u32,
}

/// What a cell contains, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The `t` attribute: `s`, `str`, `inlineStr`, `b`, `e`, `d` or `n`.
    pub kind: String,
    /// Index of the cell's format.
    pub style: usize,
    /// The start tag of the `f` element.
    pub formula_tag: Option<String>,
    /// The text of the formula; empty for a cell of a shared formula that is not its first.
    pub formula: Option<String>,
    /// The text of the `v` element.
    pub value: Option<String>,
    /// The XML inside the `is` element.
    pub inline: Option<String>,
}

impl Sheet {
    /// Reads a sheet.
    ///
    /// # Errors
    /// If the XML is damaged, has no `sheetData`, has rows or cells out of order, or more than `cells_max` cells.
    pub fn parse(part: &str, text: String, cells_max: usize) -> Result<Self, WorkbookError> {
        let mut scan = Scan::default();
        for token in Tokens::new(part, &text) {
            scan.take(part, &token?, cells_max)?;
        }
        let (head, tail) = scan.data.ok_or_else(|| WorkbookError::part(part, "the sheet has no cells element"))?;
        Ok(Sheet {
            part: part.to_owned(),
            head: 0..head,
            tail: tail..text.len(),
            rows: scan.rows,
            cells: scan.cells,
            elements: scan.elements,
            prefix: scan.prefix,
            text,
        })
    }

    /// Returns the cells of a row.
    pub fn cells(&self, row: &Row) -> &[Cell] {
        &self.cells[row.cells.clone()]
    }

    /// Returns all cells.
    pub fn all_cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Returns a cell if it is there.
    pub fn cell(&self, at: CellRef) -> Option<&Cell> {
        self.cells.binary_search_by_key(&at, |cell| cell.at).ok().map(|index| &self.cells[index])
    }

    /// Returns a row if it is there.
    pub fn row(&self, number: u32) -> Option<&Row> {
        self.rows.binary_search_by_key(&number, |row| row.number).ok().map(|index| &self.rows[index])
    }

    /// Returns the XML of a cell.
    pub fn raw(&self, cell: &Cell) -> &str {
        &self.text[cell.start as usize..cell.end as usize]
    }

    /// Returns the start tag of a cell.
    pub fn tag(&self, cell: &Cell) -> &str {
        &self.text[cell.start as usize..cell.tag_end as usize]
    }

    /// Returns the XML inside a cell.
    pub fn inner(&self, cell: &Cell) -> &str {
        &self.text[cell.tag_end as usize..cell.inner_end as usize]
    }

    /// Whether a cell contains a formula.
    pub fn has_formula(&self, cell: &Cell) -> bool {
        let (inner, tag) = (self.inner(cell), format!("<{}f", self.prefix));
        let ends = |letter: char| letter == '>' || letter == '/' || letter.is_ascii_whitespace();
        inner.match_indices(&tag).any(|(at, _)| inner[at + tag.len()..].starts_with(ends))
    }

    /// Returns what a cell contains.
    ///
    /// # Errors
    /// If its XML is damaged.
    pub fn content(&self, cell: &Cell) -> Result<Content, WorkbookError> {
        let tag = self.tag(cell);
        let mut content = Content {
            kind: attribute(tag, "t").map_or("n".to_owned(), std::borrow::Cow::into_owned),
            style: attribute(tag, "s").and_then(|style| style.parse().ok()).unwrap_or_default(),
            ..Content::default()
        };
        let inner = self.inner(cell);
        let (mut open, mut inline) = ("", None);
        for token in Tokens::new(&self.part, inner) {
            let token = token?;
            match token.kind {
                Kind::Open | Kind::Empty if token.depth == 0 => {
                    open = if token.kind == Kind::Open { token.name } else { "" };
                    content.begin(&token);
                    inline = (token.name == "is").then_some(token.end);
                }
                Kind::Close if token.depth == 0 => {
                    open = "";
                    if let Some(start) = inline.take().filter(|_| token.name == "is") {
                        content.inline = Some(inner[start..token.start].to_owned());
                    }
                }
                Kind::Text if token.depth == 1 => content.append(open, &unescape(token.raw).unwrap_or_default()),
                Kind::CData if token.depth == 1 => content.append(open, cdata(token.raw)),
                _ => (),
            }
        }
        Ok(content)
    }

    /// Returns the XML of the first element of a name beside the cells.
    pub fn element(&self, name: &str) -> Option<&str> {
        self.elements.iter().find(|element| element.name == name).map(|element| &self.text[element.at.clone()])
    }

    /// Returns the merged areas.
    ///
    /// # Errors
    /// If the XML is damaged, or there are more than 65,536.
    pub fn merges(&self) -> Result<Vec<Area>, WorkbookError> {
        let mut merges = Vec::new();
        for token in Tokens::new(&self.part, self.element("mergeCells").unwrap_or_default()) {
            let token = token?;
            if token.starts("mergeCell") {
                merges.extend(token.attribute("ref").and_then(|area| Area::parse(&area)));
            }
            if merges.len() > MERGES_MAX {
                let what = format!("the number of merged areas in {}", self.part);
                return Err(WorkbookError::TooLarge { what, max: MERGES_MAX as u64 });
            }
        }
        Ok(merges)
    }
}

impl Content {
    fn begin(&mut self, token: &Token<'_>) {
        match token.name {
            "f" => {
                self.formula_tag = Some(token.raw.to_owned());
                self.formula = Some(String::new());
            }
            "v" => self.value = Some(String::new()),
            "is" => self.inline = Some(String::new()),
            _ => (),
        }
    }

    fn append(&mut self, element: &str, text: &str) {
        let target = match element {
            "f" => self.formula.as_mut(),
            "v" => self.value.as_mut(),
            _ => None,
        };
        if let Some(target) = target {
            target.push_str(text);
        }
    }
}

/// The state of one pass through a sheet's XML.
#[derive(Default)]
struct Scan {
    data: Option<(usize, usize)>,
    is_data: bool,
    rows: Vec<Row>,
    cells: Vec<Cell>,
    elements: Vec<Element>,
    prefix: String,
    at: CellPosition,
}

/// The row and the column of the last cell; cells and rows may leave out their own position.
#[derive(Default)]
struct CellPosition {
    row: u32,
    column: u32,
}

impl Scan {
    fn take(&mut self, part: &str, token: &Token<'_>, cells_max: usize) -> Result<(), WorkbookError> {
        let is_start = matches!(token.kind, Kind::Open | Kind::Empty);
        match (token.depth, token.name) {
            (0, _) if is_start => prefix(token.raw).clone_into(&mut self.prefix),
            (1, "sheetData") if is_start && self.data.is_some() => {
                return Err(WorkbookError::part(part, "the sheet has two cells elements"));
            }
            (1, "sheetData") => self.sheet_data(token),
            (1, name) if !name.is_empty() => self.element(token),
            (2, "row") if self.is_data && is_start => self.row(part, token)?,
            (2, "row") if self.is_data => self.end_row(token),
            (3, "c") if self.is_data && is_start => {
                if self.cells.len() >= cells_max {
                    let what = format!("the number of cells in {part}");
                    return Err(WorkbookError::TooLarge { what, max: cells_max as u64 });
                }
                self.cell(part, token)?;
            }
            (3, "c") if self.is_data => self.end_cell(token),
            _ => (),
        }
        Ok(())
    }

    fn sheet_data(&mut self, token: &Token<'_>) {
        match token.kind {
            Kind::Open => (self.data, self.is_data) = (Some((token.end, token.end)), true),
            Kind::Empty => self.data = Some((token.start, token.end)),
            _ => {
                self.data = self.data.map(|(head, _)| (head, token.start));
                self.is_data = false;
            }
        }
    }

    fn element(&mut self, token: &Token<'_>) {
        match token.kind {
            Kind::Close => {
                if let Some(element) = self.elements.last_mut() {
                    element.at.end = token.end;
                }
            }
            _ => self.elements.push(Element { name: token.name.to_owned(), at: token.start..token.end }),
        }
    }

    fn row(&mut self, part: &str, token: &Token<'_>) -> Result<(), WorkbookError> {
        let number = match token.attribute("r") {
            Some(number) => crate::area::parse_row(&number).unwrap_or_default(),
            None => self.at.row + 1,
        };
        if number <= self.at.row || number > ROWS_MAX {
            return Err(WorkbookError::part(part, format!("row {number} after row {} is out of order", self.at.row)));
        }
        self.at = CellPosition { row: number, column: 0 };
        let (at, cells) = (token.start..token.end, self.cells.len()..self.cells.len());
        self.rows.push(Row { number, tag: at.clone(), at, cells });
        Ok(())
    }

    fn end_row(&mut self, token: &Token<'_>) {
        if let Some(row) = self.rows.last_mut() {
            row.at.end = token.end;
            row.cells.end = self.cells.len();
        }
    }

    fn cell(&mut self, part: &str, token: &Token<'_>) -> Result<(), WorkbookError> {
        let at = match token.attribute("r") {
            Some(name) => CellRef::parse(&name),
            None => Some(CellRef { row: self.at.row, column: self.at.column + 1 }),
        };
        let is_next = |at: &CellRef| at.row == self.at.row && at.column > self.at.column && at.column <= COLUMNS_MAX;
        let at = at.filter(is_next).ok_or_else(|| {
            let name = token.attribute("r").unwrap_or_default().chars().take(20).collect::<String>();
            WorkbookError::part(part, format!("cell \"{name}\" in row {} is out of order", self.at.row))
        })?;
        self.at.column = at.column;
        let [start, end] = [token.start, token.end].map(|position| position as u32);
        self.cells.push(Cell { at, start, tag_end: end, inner_end: end, end });
        Ok(())
    }

    fn end_cell(&mut self, token: &Token<'_>) {
        if let Some(cell) = self.cells.last_mut() {
            (cell.inner_end, cell.end) = (token.start as u32, token.end as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_cells_and_elements_are_found() {
        let text = "<worksheet><cols/><sheetData><row r=\"2\"><c r=\"B2\" t=\"s\" s=\"4\"><v>0</v></c><c/></row><row/>\
            <row r=\"9\"><c r=\"A9\"><f t=\"shared\">A1&amp;1</f><v>2</v></c></row></sheetData>\
            <mergeCells><mergeCell ref=\"A1:B2\"/></mergeCells></worksheet>";
        let sheet = Sheet::parse("p", text.to_owned(), 10).expect("a sheet");
        assert_eq!(sheet.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 3, 9]);
        let names: Vec<String> = sheet.all_cells().iter().map(|cell| cell.at.to_string()).collect();
        assert_eq!(names, ["B2", "C2", "A9"]);
        let first = sheet.content(&sheet.all_cells()[0]).expect("content");
        assert_eq!((first.kind.as_str(), first.style, first.value.as_deref()), ("s", 4, Some("0")));
        let last = sheet.content(&sheet.all_cells()[2]).expect("content");
        assert_eq!((last.formula.as_deref(), last.value.as_deref()), (Some("A1&1"), Some("2")));
        assert_eq!(sheet.merges().expect("merges"), [Area::parse("A1:B2").expect("an area")]);
        assert!(Sheet::parse("p", text.to_owned(), 2).is_err());
        assert!(Sheet::parse("p", text.replace("\"9\"", "\"1\""), 10).is_err());
    }
}
