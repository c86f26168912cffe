//! The reference: labelled photos as vectors in `reference.db`, read-only at run time, and the search among them.

mod build;
mod cluster;
mod code;
mod csv;
mod fitted;
mod format;
mod index;
mod reading;
mod records;
mod store;
mod vectors;
mod writer;

pub use build::{Build, BuildInput, Source, build, import, merge, refuse_duplicates};
pub use csv::{CsvError, Present, Row, RowForm, Rows, column, photo_path, read_rows, write_predictions};
pub use fitted::{FittedKind, FittedNote, Revision, RevisionError};
pub use format::{ReferenceError, Stamp};
pub use index::{ExactRows, Hit, Index, RowSet, Search};
pub use reading::{MappedWord, ReadOptions, ReadReport, Remark, UnknownWord};
pub use records::{Incomplete, LabelsFrom, Record, Records, read_records};
pub use store::{Info, Reference};
pub use vectors::LabelledVectors;
pub use writer::Rejected;
