//! The pictures that a sheet shows, and where.

use std::collections::BTreeMap;

use crate::area::{COLUMNS_MAX, CellRef, ROWS_MAX};
use crate::book::Workbook;
use crate::error::WorkbookError;
use crate::xml::{Kind, Tokens};

/// A picture on a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedPicture {
    /// Cell in which its upper left corner lies.
    pub first: CellRef,
    /// Cell in which its lower right corner lies, if the drawing says so.
    pub last: Option<CellRef>,
    /// Name of the part with its bytes, for [`Workbook::part`].
    pub part: String,
    /// Name that the program has given it.
    pub name: String,
}

impl Workbook {
    /// Returns the pictures of a sheet, by its index among the tabs, in their order from top left. Pictures that lie in
    /// no cell or outside of the file are left out.
    ///
    /// # Errors
    /// If a drawing's XML is damaged.
    pub fn pictures(&self, sheet: usize) -> Result<Vec<PlacedPicture>, WorkbookError> {
        let Some(info) = self.sheets.get(sheet) else { return Ok(Vec::new()) };
        let mut pictures = Vec::new();
        for relation in self.package.relations(&info.part)? {
            if let Some(part) = relation.part.filter(|_| relation.kind == "drawing") {
                pictures.extend(self.drawing(&part)?);
            }
        }
        pictures.sort_by_key(|picture| picture.first);
        Ok(pictures)
    }

    fn drawing(&self, part: &str) -> Result<Vec<PlacedPicture>, WorkbookError> {
        let relations = self.package.relations(part)?;
        let files: BTreeMap<String, String> =
            relations.into_iter().filter_map(|relation| Some((relation.id, relation.part?))).collect();
        let text = self.package.text(part)?;
        let (mut pictures, mut anchor, mut inside, mut corner) = (Vec::new(), Anchor::default(), "", "");
        for token in Tokens::new(part, &text) {
            let token = token?;
            let is_start = matches!(token.kind, Kind::Open | Kind::Empty);
            match token.name {
                "oneCellAnchor" | "twoCellAnchor" if is_start => anchor = Anchor::default(),
                "oneCellAnchor" | "twoCellAnchor" => pictures.extend(anchor.picture(&files)),
                "from" | "to" if is_start => corner = token.name,
                "from" | "to" => corner = "",
                "cNvPr" if is_start && anchor.name.is_empty() => {
                    anchor.name = token.attribute("name").unwrap_or_default().into_owned();
                }
                "blip" if is_start => anchor.file = token.attribute("embed").map(std::borrow::Cow::into_owned),
                _ => (),
            }
            match (inside, corner, token.raw.trim().parse::<u32>()) {
                ("row" | "col", "from", Ok(number)) => anchor.set(inside, 0, number),
                ("row" | "col", "to", Ok(number)) => anchor.set(inside, 1, number),
                _ => (),
            }
            inside = if token.kind == Kind::Open { token.name } else { "" };
        }
        Ok(pictures)
    }
}

#[derive(Default)]
struct Anchor {
    rows: [Option<u32>; 2],
    columns: [Option<u32>; 2],
    name: String,
    file: Option<String>,
}

impl Anchor {
    fn set(&mut self, what: &str, corner: usize, number: u32) {
        let lines = if what == "row" { &mut self.rows } else { &mut self.columns };
        lines[corner] = Some(number);
    }

    fn cell(&self, corner: usize) -> Option<CellRef> {
        let (row, column) = (self.rows[corner]?.checked_add(1)?, self.columns[corner]?.checked_add(1)?);
        (row <= ROWS_MAX && column <= COLUMNS_MAX).then_some(CellRef { row, column })
    }

    fn picture(&self, files: &BTreeMap<String, String>) -> Option<PlacedPicture> {
        let part = files.get(self.file.as_ref()?)?.clone();
        Some(PlacedPicture { first: self.cell(0)?, last: self.cell(1), part, name: self.name.clone() })
    }
}
