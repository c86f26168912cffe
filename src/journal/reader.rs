//! Reading `device.db` beside the writer: WAL readers never wait for it.

use std::error::Error;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::JournalError;
use super::tag::last_tag;
use crate::domain::{Failure, FileStamp, Sha256, Tag};

/// A read-only view of the database; each call sees the latest commit.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

/// An event that still has to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    pub sequence: i64,
    pub event_id: String,
    /// Below the device's prefix.
    pub topic: String,
    pub payload: Vec<u8>,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    pub stamp: FileStamp,
    /// Why it gave no result; `None` if it did.
    pub reason: Option<String>,
}

/// A capture as `device.db` holds it, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCapture {
    pub path: PathBuf,
    pub stored_at: Timestamp,
    /// The JSON of a [`crate::domain::Verdict`].
    pub verdict: serde_json::Value,
}

impl Reader {
    /// Opens the database, which the writer must have created.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            Ok(connection)
        };
        let connection =
            open().map_err(|source| JournalError::Open { path: path.to_owned(), source: Arc::new(source) })?;
        Ok(Reader { connection })
    }

    /// What was noted about the file at `path` when it was last looked at.
    pub fn file(&self, path: &Path) -> Result<Option<FileState>, JournalError> {
        let query = || {
            self.connection
                .prepare_cached("SELECT bytes, modified_ns, reason FROM file WHERE path = ?1")?
                .query_row([path.as_os_str().as_bytes()], |row| {
                    let stamp = FileStamp { bytes: row.get::<_, i64>(0)? as u64, modified_ns: row.get(1)? };
                    Ok(FileState { stamp, reason: row.get(2)? })
                })
                .optional()
        };
        query().map_err(read_error)
    }

    /// Whether a photo with this content was classified before.
    pub fn is_known(&self, sha256: &Sha256) -> Result<bool, JournalError> {
        let query = || {
            self.connection
                .prepare_cached("SELECT 1 FROM capture WHERE sha256 = ?1")?
                .query_row([sha256.0], |_| Ok(()))
                .optional()
        };
        Ok(query().map_err(read_error)?.is_some())
    }

    /// What people last said that the photos from here on show.
    pub fn tag(&self) -> Result<Option<Tag>, JournalError> {
        last_tag(&self.connection).map_err(read_error)
    }

    /// Up to `limit` undelivered events with a sequence number above `after`, oldest first.
    pub fn outbox(&self, after: i64, limit: usize) -> Result<Vec<OutboxRow>, JournalError> {
        let sql =
            "SELECT sequence, event_id, topic, payload FROM outbox WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
        let query = || -> rusqlite::Result<Vec<OutboxRow>> {
            self.connection
                .prepare_cached(sql)?
                .query_map([after, limit as i64], |row| {
                    let (sequence, event_id, topic, payload) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                    Ok(OutboxRow { sequence, event_id, topic, payload })
                })?
                .collect()
        };
        query().map_err(read_error)
    }

    /// Number of undelivered events.
    pub fn outbox_depth(&self) -> Result<u64, JournalError> {
        self.count("SELECT count(*) FROM outbox")
    }

    /// Number of classified photos.
    pub fn captures(&self) -> Result<u64, JournalError> {
        self.count("SELECT count(*) FROM capture")
    }

    /// All files that gave no result.
    pub fn failures(&self) -> Result<Vec<Failure>, JournalError> {
        let sql = "SELECT path, bytes, modified_ns, reason, noted_at FROM file WHERE reason IS NOT NULL ORDER BY path";
        let query = || -> rusqlite::Result<Vec<Failure>> {
            self.connection.prepare_cached(sql)?.query_map([], failure)?.collect()
        };
        query().map_err(read_error)
    }

    /// When the event was made that has waited longest for its delivery.
    pub fn outbox_oldest(&self) -> Result<Option<Timestamp>, JournalError> {
        let sql = "SELECT json_extract(CAST(payload AS TEXT), '$.time') FROM outbox ORDER BY sequence LIMIT 1";
        let query = || self.connection.query_row(sql, [], |row| moment(row, 0)).optional();
        Ok(query().map_err(read_error)?.flatten())
    }

    /// The last captures, the newest first.
    pub fn last_captures(&self, limit: usize) -> Result<Vec<StoredCapture>, JournalError> {
        let sql = "SELECT path, stored_at, verdict FROM capture ORDER BY id DESC LIMIT ?1";
        let query = || -> rusqlite::Result<Vec<StoredCapture>> {
            self.connection.prepare_cached(sql)?.query_map([limit as i64], stored_capture)?.collect()
        };
        query().map_err(read_error)
    }

    fn count(&self, sql: &str) -> Result<u64, JournalError> {
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(read_error)
    }
}

fn failure(row: &Row) -> rusqlite::Result<Failure> {
    Ok(Failure {
        path: PathBuf::from(OsString::from_vec(row.get(0)?)),
        stamp: FileStamp { bytes: row.get::<_, i64>(1)? as u64, modified_ns: row.get(2)? },
        reason: row.get(3)?,
        noted_at: moment(row, 4)?.unwrap_or(Timestamp::UNIX_EPOCH),
    })
}

fn stored_capture(row: &Row) -> rusqlite::Result<StoredCapture> {
    let verdict: String = row.get(2)?;
    Ok(StoredCapture {
        path: PathBuf::from(OsString::from_vec(row.get(0)?)),
        stored_at: moment(row, 1)?.unwrap_or(Timestamp::UNIX_EPOCH),
        verdict: serde_json::from_str(&verdict).map_err(|error| unreadable(2, error))?,
    })
}

fn moment(row: &Row, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse()).transpose().map_err(|error: jiff::Error| unreadable(column, error))
}

fn unreadable(column: usize, error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

fn read_error(error: rusqlite::Error) -> JournalError {
    JournalError::Read(Arc::new(error))
}
