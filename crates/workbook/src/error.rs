//! What can be wrong with a workbook, a template or a picture.

use std::io;

/// A reason why a workbook is not read or a template is not filled.
#[derive(Debug, thiserror::Error)]
pub enum WorkbookError {
    /// The bytes are no Excel workbook in OOXML; `found` names what they are, with the remedy.
    #[error("not an .xlsx or .xlsm workbook: {found}")]
    NotWorkbook { found: String },
    /// The zip archive is damaged or uses what no spreadsheet program writes.
    #[error("the workbook's zip archive is damaged or not acceptable: {0}")]
    Archive(String),
    /// A bound for input from outside is exceeded.
    #[error("the workbook is too large: {what} exceeds {max}")]
    TooLarge { what: String, max: u64 },
    /// A part of the package is missing, damaged or not acceptable.
    #[error("{part}: {reason}")]
    Part { part: String, reason: String },
    /// A template cannot be filled as it is marked.
    #[error("sheet \"{sheet}\", cell {cell}: {reason}")]
    Template { sheet: String, cell: String, reason: String },
    /// A picture cannot be placed.
    #[error("picture {key}: {reason}")]
    Picture { key: String, reason: String },
    /// Reading or writing a file failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl WorkbookError {
    /// Returns an error about a part of the package.
    pub(crate) fn part(part: &str, reason: impl Into<String>) -> Self {
        WorkbookError::Part { part: part.to_owned(), reason: reason.into() }
    }
}
