//! `device.db`: what this device has seen and what it still has to deliver. The only writer of that file; tags
//! and retries alone may come from another process.
//!
//! A result and its event are committed together (WAL, synchronous FULL): once `record` returns, no crash or power
//! cut loses either. A row leaves the outbox only when the broker has acknowledged it.

mod reader;
mod retry;
mod schema;
mod tag;
mod writer;

pub use reader::{FileState, OutboxRow, Reader, StoredCapture};
pub use retry::forget_failures;
pub use tag::set_tag;
pub use writer::{DeviceIdentity, Journal, NewResult, Recorded};

use std::path::PathBuf;
use std::sync::Arc;

/// The file name of the database inside the data folder.
pub const FILE_NAME: &str = "device.db";

/// The topic of result events below the device's prefix.
pub const RESULT_TOPIC: &str = "capture/result";

/// Why the journal could not do what was asked. Nothing of it was stored then.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{}: {source}", path.display())]
    Open { path: PathBuf, source: Arc<rusqlite::Error> },
    #[error("{}: written by a newer program (schema {found}, this one knows {known}); update the program", path.display())]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error("{}: not a bridgeclip device database; move the file away or choose another data folder", path.display())]
    Foreign { path: PathBuf },
    #[error("cannot write device.db: {0}")]
    Write(Arc<rusqlite::Error>),
    #[error("cannot read device.db: {0}")]
    Read(Arc<rusqlite::Error>),
    #[error("the journal has stopped")]
    Stopped,
}
