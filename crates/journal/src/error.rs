//! Errors of the journal, and their remedies.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{ErrorCode, ffi};

use bridgeclip_domain::{StatementError, Tag};

/// Reason why the journal could not serve a request. Nothing of the request was stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{}: {source}", path.display())]
    Open { path: PathBuf, source: Arc<rusqlite::Error> },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: Arc<io::Error> },
    #[error("{}: written by a newer program (schema {found}, this one knows {known}); update the program", path.display())]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error("{}: not a bridgeclip device database; move the file away or choose another data folder", path.display())]
    Foreign { path: PathBuf },
    #[error("cannot write device.db: {0}")]
    Write(Arc<rusqlite::Error>),
    #[error("cannot read device.db: {0}")]
    Read(Arc<rusqlite::Error>),
    #[error("device.db is damaged: {0}; the daemon sets it aside and salvages what is whole")]
    Damaged(String),
    #[error("device full: {0}")]
    Full(String),
    #[error("there is no capture {0}")]
    UnknownCapture(i64),
    #[error("capture {0} was stored by an older program, which kept no event with it; classify the photo again")]
    NoEvent(i64),
    #[error("the verdict of capture {capture} has changed meanwhile (event {sequence}); look at it again")]
    Changed { capture: i64, sequence: i64 },
    #[error("photos of {0} have come, gone or changed meanwhile; answer again")]
    MemberChanged(Tag),
    #[error("an inspector has judged capture {0}; that stands")]
    Inspected(i64),
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A request exceeds a bound on what is kept.
    #[error("too much for device.db: {0}")]
    Bound(String),
    #[error("the journal has stopped")]
    Stopped,
}

/// Fault of the drive or the file, classed by its remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The drive is full: it needs room.
    Full,
    /// Reading or writing failed: the file must be opened again once the drive works.
    Io,
    /// The file is damaged: a new one must replace it.
    Damage,
}

impl JournalError {
    /// Makes the error of a file that could not be read or written.
    pub fn file(path: &Path, source: io::Error) -> Self {
        JournalError::File { path: path.to_owned(), source: Arc::new(source) }
    }

    /// Returns the fault of the drive or the file that caused the error; `None` if the request itself was wrong.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            JournalError::Open { source, .. } | JournalError::Write(source) | JournalError::Read(source) => {
                fault(source)
            }
            JournalError::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some(Fault::Full),
            JournalError::File { .. } => Some(Fault::Io),
            JournalError::Damaged(_) => Some(Fault::Damage),
            _ => None,
        }
    }

    /// Reports whether an SQL statement did not fit the file, whose tables or columns then differ from the expected
    /// ones.
    pub fn is_misfit(&self) -> bool {
        match self {
            JournalError::Open { source, .. } | JournalError::Write(source) | JournalError::Read(source) => {
                source.sqlite_error_code() == Some(ErrorCode::Unknown)
                    || matches!(**source, rusqlite::Error::SqlInputError { .. })
            }
            _ => false,
        }
    }
}

/// Wraps an error inside a transaction as [`JournalError::Write`].
impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        JournalError::Write(Arc::new(error))
    }
}

fn fault(error: &rusqlite::Error) -> Option<Fault> {
    // The file was cut off within a page.
    if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHORT_READ) {
        return Some(Fault::Damage);
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Some(Fault::Full),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            // A statement that does not fit the file: reopening the file shows whether its schema is damaged.
            | ErrorCode::Unknown,
        ) => Some(Fault::Io),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Some(Fault::Damage),
        Some(_) => None,
        None if matches!(error, rusqlite::Error::SqlInputError { .. }) => Some(Fault::Io),
        None => is_wrong_value(error).then_some(Fault::Damage),
    }
}

/// Reports whether a stored value has the wrong type or a required row is missing. Tables are STRICT, so only damage
/// does that.
fn is_wrong_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows, Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | QueryReturnedNoRows
            | Utf8Error(..)
    )
}
