//! The reference: labelled photos as vectors in `reference.db`, read-only at run time, and the search among them.

mod build;
mod code;
mod csv;
mod format;
mod index;
mod store;
mod vectors;
mod writer;

pub use build::{Build, Source, build, import, merge};
pub use csv::{CsvError, Record, Row, RowForm, photo_path, read_records, read_rows, write_predictions};
pub use format::{ReferenceError, Stamp};
pub use index::{ExactRows, Hit, Index, IndexBuilder, RowSet, Search};
pub use store::{Info, Reference};
pub use vectors::LabelledVectors;
pub use writer::Rejected;
