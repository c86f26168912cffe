//! The captures of a device as files that people open elsewhere: in a map, a spreadsheet, a database, or on paper.
//!
//! [`Records`] reads `device.db` a page at a time; each format is a writer over it, so memory does not grow with the
//! number of photos. The flat formats share one table of columns, [`FIELDS`].

pub mod csv;
mod fields;
mod filter;
pub mod geojson;
pub mod gpkg;
pub mod html;
mod job;
pub mod jsonl;
mod members;
mod record;
mod records;
mod thumbnail;

use std::io;

pub use fields::{FIELDS, Field, Kind, Value};
pub use filter::{Filter, Moment, MomentError, Place};
pub use job::{Job, Progress, Stream};
pub use jsonl::Line;
pub use members::{MembersError, read_members};
pub use record::Record;
pub use records::{Records, Tally};
pub use thumbnail::Thumbnails;

use crate::journal::JournalError;

/// Why an export ended before it was whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    #[error("cannot write the GeoPackage: {0}")]
    GeoPackage(#[from] rusqlite::Error),
    #[error("the list of members ([inspection] members in the settings): {0}")]
    Members(#[from] MembersError),
    /// Whoever asked for it does not want it any more.
    #[error("stopped before the end")]
    Stopped,
}

impl From<serde_json::Error> for ExportError {
    fn from(error: serde_json::Error) -> Self {
        ExportError::Write(error.into())
    }
}
