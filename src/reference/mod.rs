//! The reference: labelled photos as vectors in `reference.db`, read-only at run time, and the search among them.

mod build;
mod csv;
mod index;
mod store;

pub use build::{BuildReport, Rejected, Source, build};
pub use csv::{CsvError, Record, read_records};
pub use index::{ExactRows, Hit, Index, IndexBuilder, RowSet, Search};
pub use store::{Info, Reference, ReferenceError, Stamp};
