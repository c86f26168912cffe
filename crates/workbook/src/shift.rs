//! What inserted rows do to everything in a workbook that names cells: formulas, areas and anchors.
//!
//! Rows are repeated as in Excel when rows are copied and inserted below themselves. One rule goes beyond Excel: an
//! area or reference that ends exactly at the last repeated row grows with it, so that a total below a table, a print
//! area and a named range keep all rows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::area::{Area, CellRef, ROWS_MAX};
use crate::error::WorkbookError;
use crate::formula::{Corner, Line, Qualifier, Reference, rewrite};
use crate::xml::{Kind, Token, Tokens, attribute, escape, unescape, with_attribute};

/// Rows of a sheet that are repeated below themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insertion {
    /// First of the rows that are repeated.
    pub first: u32,
    /// Last of the rows that are repeated; the copies follow it.
    pub last: u32,
    /// Number of copies.
    pub copies: u32,
}

impl Insertion {
    /// Number of rows of one copy.
    pub fn height(&self) -> u32 {
        self.last - self.first + 1
    }

    /// Number of rows that are inserted.
    pub fn rows(&self) -> u32 {
        self.height().saturating_mul(self.copies)
    }

    /// Returns where a row is after the insertion.
    pub fn row(&self, row: u32) -> u32 {
        if row > self.last { row.saturating_add(self.rows()).min(ROWS_MAX) } else { row }
    }

    /// Returns where an area is after the insertion.
    pub fn area(&self, area: Area) -> Area {
        let last =
            if area.last.row == self.last { self.last.saturating_add(self.rows()) } else { self.row(area.last.row) };
        let corner = |cell: CellRef, row: u32| CellRef { row: row.min(ROWS_MAX), ..cell };
        Area { first: corner(area.first, self.row(area.first.row)), last: corner(area.last, last) }
    }

    /// Returns an area of the sheet and its copies: one area if it grows with the rows, one for each copy if it lies
    /// inside them.
    pub fn areas(&self, area: Area) -> Vec<Area> {
        let is_inside = area.first.row >= self.first && area.last.row <= self.last;
        if !is_inside || (area.first.row == self.first && area.last.row == self.last) {
            return vec![self.area(area)];
        }
        (0..=self.copies).filter_map(|copy| area.offset(copy * self.height(), 0)).collect()
    }

    /// Returns where a reference leads after the insertion. In the repeated rows (`is_repeated`) a reference that ends
    /// at their last row does not grow: it means the rows of its own copy.
    fn reference(&self, reference: &Reference, is_repeated: bool) -> Reference {
        let moved = |line: Line| Line { number: self.row(line.number), ..line };
        let corner = |corner: Corner| Corner { row: corner.row.map(moved), ..corner };
        let grown = |line: Line| match line.number == self.last && !is_repeated {
            true => Line { number: self.last.saturating_add(self.rows()), ..line },
            false => moved(line),
        };
        let last = reference.last.map(|last| Corner { row: last.row.map(grown), ..last });
        Reference { first: corner(reference.first), last }
    }
}

/// The insertions of a workbook by the names of sheets in lower case.
pub type Insertions = BTreeMap<String, Insertion>;

/// Returns a formula after the insertions; `own` is the sheet of its cell, `is_repeated` whether that cell is in the
/// repeated rows.
pub fn formula<'a>(text: &'a str, own: Option<&str>, insertions: &Insertions, is_repeated: bool) -> Cow<'a, str> {
    rewrite(text, |qualifier, reference| {
        let sheet = match qualifier {
            Qualifier::Own => own?.to_lowercase(),
            Qualifier::Sheet(name) => name.to_lowercase(),
            Qualifier::Elsewhere => return None,
        };
        let is_own = own.is_some_and(|own| own.to_lowercase() == sheet);
        let moved = insertions.get(&sheet)?.reference(reference, is_repeated && is_own);
        (moved != *reference).then(|| moved.text())
    })
}

/// Returns a list of areas, separated by spaces, after an insertion.
pub fn areas(text: &str, insertion: &Insertion) -> String {
    let moved = text.split_ascii_whitespace().map(|piece| match Area::parse(piece) {
        Some(area) => joined(&insertion.areas(area)),
        None => piece.to_owned(),
    });
    moved.collect::<Vec<_>>().join(" ")
}

/// Returns areas separated by spaces.
pub fn joined(areas: &[Area]) -> String {
    areas.iter().map(Area::to_string).collect::<Vec<_>>().join(" ")
}

/// What an attribute or a text contains.
#[derive(Clone, Copy)]
enum Content {
    /// Areas of the part's own sheet, which are repeated with the rows.
    Areas,
    /// One area or cell of the part's own sheet.
    Area,
    /// A formula.
    Formula,
    /// A row of the part's own sheet, counted from 0.
    Row,
    /// The corners of a comment's box: column, offset, row, offset, twice.
    Anchor,
}

/// Attributes that name cells, by element.
const ATTRIBUTES: [(&str, &str, Content); 22] = [
    ("dimension", "ref", Content::Area),
    ("sheetView", "topLeftCell", Content::Area),
    ("pane", "topLeftCell", Content::Area),
    ("selection", "activeCell", Content::Area),
    ("selection", "sqref", Content::Area),
    ("protectedRange", "sqref", Content::Areas),
    ("inputCells", "r", Content::Area),
    ("autoFilter", "ref", Content::Area),
    ("sortState", "ref", Content::Area),
    ("sortCondition", "ref", Content::Area),
    ("dataRef", "ref", Content::Area),
    ("conditionalFormatting", "sqref", Content::Areas),
    ("dataValidation", "sqref", Content::Areas),
    ("hyperlink", "ref", Content::Area),
    ("hyperlink", "location", Content::Formula),
    ("cellWatch", "r", Content::Area),
    ("ignoredError", "sqref", Content::Areas),
    ("comment", "ref", Content::Area),
    ("threadedComment", "ref", Content::Area),
    ("table", "ref", Content::Area),
    ("location", "ref", Content::Area),
    ("hlinkClick", "location", Content::Formula),
];

/// Elements whose text names cells.
const TEXTS: [(&str, Content); 13] = [
    ("f", Content::Formula),
    ("formula", Content::Formula),
    ("formula1", Content::Formula),
    ("formula2", Content::Formula),
    ("definedName", Content::Formula),
    ("calculatedColumnFormula", Content::Formula),
    ("totalsRowFormula", Content::Formula),
    ("sqref", Content::Areas),
    ("row", Content::Row),
    ("Row", Content::Row),
    ("Anchor", Content::Anchor),
    ("FmlaLink", Content::Formula),
    ("FmlaRange", Content::Formula),
];

/// Returns XML after the insertions; `own` is the sheet to which the part belongs.
///
/// # Errors
/// If the XML is damaged.
pub fn part(name: &str, xml: &str, own: Option<&str>, insertions: &Insertions) -> Result<String, WorkbookError> {
    let shift = Shift { own, insertion: own.and_then(|own| insertions.get(&own.to_lowercase())), insertions };
    let (mut result, mut inside, mut text) = (String::with_capacity(xml.len()), None, None);
    for token in Tokens::new(name, xml) {
        let token = token?;
        if token.kind == Kind::Text {
            // References split a text into pieces, and a formula makes sense only as a whole.
            text.get_or_insert(token.start);
            continue;
        }
        if let Some(start) = text.take() {
            result.push_str(&shift.text(inside, &xml[start..token.start]));
        }
        match token.kind {
            Kind::Open | Kind::Empty => result.push_str(&shift.tag(&token)),
            _ => result.push_str(token.raw),
        }
        inside = (token.kind == Kind::Open).then_some(token.name);
    }
    result.push_str(text.map_or("", |start| &xml[start..]));
    Ok(result)
}

struct Shift<'a> {
    own: Option<&'a str>,
    insertion: Option<&'a Insertion>,
    insertions: &'a Insertions,
}

impl Shift<'_> {
    fn tag<'t>(&self, token: &Token<'t>) -> Cow<'t, str> {
        let mut tag = Cow::Borrowed(token.raw);
        for (_, name, content) in ATTRIBUTES.iter().filter(|(element, ..)| *element == token.name) {
            let Some(value) = attribute(&tag, name).map(Cow::into_owned) else { continue };
            let moved = self.moved(&value, *content);
            if moved != value {
                tag = Cow::Owned(with_attribute(&tag, name, &moved));
            }
        }
        if token.name == "worksheetSource" { self.source(tag) } else { tag }
    }

    /// Moves the source of a pivot table, whose sheet is an attribute too.
    fn source<'t>(&self, tag: Cow<'t, str>) -> Cow<'t, str> {
        let insertion = attribute(&tag, "sheet").and_then(|sheet| self.insertions.get(&sheet.to_lowercase()));
        let area = attribute(&tag, "ref").and_then(|area| Area::parse(&area));
        match (insertion, area) {
            (Some(insertion), Some(area)) => Cow::Owned(with_attribute(&tag, "ref", &insertion.area(area).to_string())),
            _ => tag,
        }
    }

    fn text<'t>(&self, inside: Option<&str>, raw: &'t str) -> Cow<'t, str> {
        let content = TEXTS.iter().find(|(element, _)| Some(*element) == inside).map(|(_, content)| *content);
        let (Some(content), Some(value)) = (content, unescape(raw)) else { return Cow::Borrowed(raw) };
        let moved = self.moved(&value, content);
        if moved == value { Cow::Borrowed(raw) } else { Cow::Owned(escape(&moved)) }
    }

    fn moved(&self, value: &str, content: Content) -> String {
        if let Content::Formula = content {
            return formula(value, self.own, self.insertions, false).into_owned();
        }
        let Some(insertion) = self.insertion else { return value.to_owned() };
        let row = |text: &str| match text.trim().parse::<u32>() {
            Ok(row) if row < ROWS_MAX => (insertion.row(row + 1) - 1).to_string(),
            _ => text.to_owned(),
        };
        match content {
            Content::Areas => areas(value, insertion),
            Content::Area => {
                let moved = |piece| Area::parse(piece).map_or(piece.to_owned(), |area| single(insertion, area));
                value.split(' ').map(moved).collect::<Vec<_>>().join(" ")
            }
            Content::Row => row(value),
            Content::Anchor => {
                let pieces = value.split(',').enumerate();
                pieces
                    .map(|(i, piece)| if i == 2 || i == 6 { row(piece) } else { piece.to_owned() })
                    .collect::<Vec<_>>()
                    .join(",")
            }
            Content::Formula => value.to_owned(),
        }
    }
}

/// Moves an area, or a cell, which never grows.
fn single(insertion: &Insertion, area: Area) -> String {
    match area.first == area.last {
        true => CellRef { row: insertion.row(area.first.row), ..area.first }.to_string(),
        false => insertion.area(area).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insertions() -> Insertions {
        BTreeMap::from([("表".to_owned(), Insertion { first: 5, last: 6, copies: 3 })])
    }

    #[test]
    fn references_below_move_and_those_that_end_at_the_rows_grow() {
        let shifted = |text: &str| formula(text, Some("表"), &insertions(), false).into_owned();
        assert_eq!(shifted("SUM(A5:A6)+A4+A7+$A$8"), "SUM(A5:A12)+A4+A13+$A$14");
        assert_eq!(shifted("A1:A20+他!A20+表!A7+6:6+A:A"), "A1:A26+他!A20+表!A13+6:12+A:A");
        assert_eq!(formula("A5:A6+A7", Some("表"), &insertions(), true), "A5:A6+A13");
        assert_eq!(formula("A7", Some("他"), &insertions(), false), "A7");
    }

    #[test]
    fn parts_that_name_cells_follow() {
        let shifted = |xml: &str| part("p", xml, Some("表"), &insertions()).expect("XML");
        assert_eq!(shifted("<a><hyperlink ref=\"B7\"/></a>"), "<a><hyperlink ref=\"B13\"/></a>");
        assert_eq!(shifted("<x:from><x:row>6</x:row></x:from>"), "<x:from><x:row>12</x:row></x:from>");
        assert_eq!(
            shifted("<x><c:f>表!$A$7&amp;&quot;A7&quot;</c:f></x>"),
            "<x><c:f>表!$A$13&amp;&quot;A7&quot;</c:f></x>"
        );
        assert_eq!(shifted("<Anchor>1, 2, 8, 4, 5, 6, 9, 8</Anchor>"), "<Anchor>1, 2,14, 4, 5, 6,15, 8</Anchor>");
        assert_eq!(
            shifted("<conditionalFormatting sqref=\"A5 B5:B6\"/>"),
            "<conditionalFormatting sqref=\"A5 A7 A9 A11 B5:B12\"/>"
        );
    }
}
