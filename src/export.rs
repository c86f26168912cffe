//! Exports of a device's captures for other programs: maps, spreadsheets, databases, or paper.
//!
//! [`Records`] reads `device.db` one page at a time, and each format is a writer over it, so memory use does not grow
//! with the number of photos. The flat formats share one table of columns, [`FIELDS`].

pub mod csv;
mod fields;
mod filter;
pub mod geojson;
pub mod gpkg;
pub mod gpx;
pub mod html;
mod job;
pub mod jsonl;
pub mod kml;
mod members;
pub mod odm;
mod place;
mod record;
mod records;
mod thumbnail;

use std::io;

pub use fields::{FIELDS, Field, Kind, Value};
pub use filter::{Filter, Moment, MomentError, TagFilter};
pub use job::{Job, Progress, Stream};
pub use jsonl::ExportLine;
pub use members::{MembersError, read_members};
pub use record::Record;
#[cfg(test)]
pub use record::{example as example_record, inspected_example as inspected_example_record};
pub use records::{Records, Tally};
pub use thumbnail::Thumbnails;

use crate::journal::JournalError;

/// Reason why an export is incomplete.
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
    /// The requester no longer wants the export.
    #[error("stopped before the end")]
    Stopped,
}

impl From<serde_json::Error> for ExportError {
    fn from(error: serde_json::Error) -> Self {
        ExportError::Write(error.into())
    }
}
