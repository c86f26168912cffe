//! Cells and rectangles of cells, as formulas name them: `A1`, `B2:D9`.

use std::fmt;

/// Greatest row of a sheet.
pub const ROWS_MAX: u32 = 1_048_576;
/// Greatest column of a sheet, XFD.
pub const COLUMNS_MAX: u32 = 16_384;

/// A cell by its row and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellRef {
    pub row: u32,
    pub column: u32,
}

/// A rectangle of cells; both corners belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area {
    pub first: CellRef,
    pub last: CellRef,
}

impl CellRef {
    /// Parses `A1` or `$A$1`; `None` if it is no cell of a sheet.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('$').unwrap_or(text);
        let letters = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic()).len();
        let row = &text[letters..];
        let row = row.strip_prefix('$').unwrap_or(row);
        Some(CellRef { row: parse_row(row)?, column: parse_column(&text[..letters])? })
    }

    /// Returns the cell so many rows and columns further; `None` if it is outside of the sheet.
    pub fn offset(self, rows: u32, columns: u32) -> Option<Self> {
        let row = self.row.checked_add(rows).filter(|row| *row <= ROWS_MAX)?;
        let column = self.column.checked_add(columns).filter(|column| *column <= COLUMNS_MAX)?;
        Some(CellRef { row, column })
    }
}

impl fmt::Display for CellRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", column_name(self.column), self.row)
    }
}

impl Area {
    /// Parses `A1` or `A1:B2`, in any order of corners.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let (first, last) = (CellRef::parse(first)?, CellRef::parse(last)?);
        let corner = |pick: fn(u32, u32) -> u32| CellRef {
            row: pick(first.row, last.row),
            column: pick(first.column, last.column),
        };
        Some(Area { first: corner(u32::min), last: corner(u32::max) })
    }

    /// Returns the rectangle of one cell.
    pub fn of(cell: CellRef) -> Self {
        Area { first: cell, last: cell }
    }

    /// Whether a cell lies in the rectangle.
    pub fn contains(&self, cell: CellRef) -> bool {
        self.has_row(cell.row) && (self.first.column..=self.last.column).contains(&cell.column)
    }

    /// Whether the rectangle reaches a row.
    pub fn has_row(&self, row: u32) -> bool {
        (self.first.row..=self.last.row).contains(&row)
    }

    /// Number of rows.
    pub fn height(&self) -> u32 {
        self.last.row - self.first.row + 1
    }

    /// Number of columns.
    pub fn width(&self) -> u32 {
        self.last.column - self.first.column + 1
    }

    /// Returns the rectangle so many rows and columns further; `None` if it leaves the sheet.
    pub fn offset(self, rows: u32, columns: u32) -> Option<Self> {
        Some(Area { first: self.first.offset(rows, columns)?, last: self.last.offset(rows, columns)? })
    }
}

impl fmt::Display for Area {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(formatter, "{}", self.first),
            false => write!(formatter, "{}:{}", self.first, self.last),
        }
    }
}

/// Parses the number of a row.
pub fn parse_row(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.len() <= 7 && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().filter(|row| (1..=ROWS_MAX).contains(row))
}

/// Parses the letters of a column, in any case.
pub fn parse_column(text: &str) -> Option<u32> {
    let is_name = (1..=3).contains(&text.len()) && text.bytes().all(|letter| letter.is_ascii_alphabetic());
    let value = |column: u32, letter: u8| column * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1;
    is_name.then(|| text.bytes().fold(0, value)).filter(|column| *column <= COLUMNS_MAX)
}

/// Returns the letters of a column.
pub fn column_name(column: u32) -> String {
    let (mut letters, mut rest) = (Vec::new(), column);
    while rest > 0 {
        letters.push(char::from(b'A' + ((rest - 1) % 26) as u8));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cells_are_read_and_written() {
        for name in ["A1", "Z9", "AA10", "XFD1048576", "B2:D9"] {
            assert_eq!(Area::parse(name).map(|area| area.to_string()).as_deref(), Some(name));
        }
        assert_eq!(Area::parse("$D$9:B2").map(|area| area.to_string()).as_deref(), Some("B2:D9"));
        for wrong in ["", "A0", "XFE1", "A1048577", "1A", "A", "A1:", "é1", "A1B"] {
            assert_eq!(Area::parse(wrong), None, "{wrong}");
        }
    }
}
