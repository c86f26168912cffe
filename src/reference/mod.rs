//! The reference: labelled photos as vectors in `reference.db`, read-only at run time, and the search among them.

mod build;
mod csv;
mod index;
mod store;
mod vectors;

pub use build::{BuildReport, Rejected, Source, build};
pub use csv::{CsvError, Record, Row, RowForm, read_records, read_rows, write_predictions};
pub use index::{Hit, Index};
pub use store::{Info, Reference, ReferenceError, Stamp};
pub use vectors::LabelledVectors;
