//! Fills and reads the Excel workbooks of an office (OOXML: .xlsx, .xlsm).
//!
//! A template is a workbook that an office uses already, with marks in its cells: `{{bridge.name}}` for a fact,
//! `{{#photo across=3 down=2}}` and `{{/photo}}` at the corners of what repeats, `{{photo.picture}}` for a picture.

mod error;
mod limits;

mod area;
mod edits;
mod formula;
mod marks;
mod values;
mod xml;

mod shift;
mod strings;
mod styles;
mod zip;

mod package;
mod sheet;

mod book;
mod cells;

mod geometry;
mod layout;
mod picture;

mod fill;

mod anchors;
mod read_back;

pub use anchors::PlacedPicture;
pub use area::{Area, CellRef};
pub use book::{DefinedName, SheetInfo, Workbook};
pub use cells::{CellValue, Grid, TypedCell};
pub use error::WorkbookError;
pub use fill::{FillReport, fill};
pub use layout::{MarkReport, MarkState, check};
pub use limits::Limits;
pub use picture::{PictureSize, size as picture_size};
pub use read_back::{ReadBack, read_back};
pub use values::{Facts, Record, Value, Vocabulary};
pub use zip::write::ArchiveWriter;
