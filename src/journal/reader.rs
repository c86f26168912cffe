//! Reading `device.db` beside the writer: WAL readers never wait for it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::tag::last_tag;
use super::{EventClass, JournalError};
use crate::domain::{Failure, FileStamp, Sha256, Tag};

/// A read-only view of the database; each call sees the latest commit.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

/// An event that still has to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    pub id: i64,
    pub class: EventClass,
    pub event_id: String,
    /// Below the device's prefix.
    pub topic: String,
    pub payload: Vec<u8>,
    /// How often the broker refused this one event.
    pub tries: u32,
}

/// What is in the outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxDepth {
    /// Events that wait, by class.
    pub waiting: [u64; 5],
    /// When the oldest of them was stored.
    pub oldest_stored_at: Option<Timestamp>,
    /// Events that were refused for good.
    pub set_aside: u64,
}

impl OutboxDepth {
    /// All events that wait.
    pub fn total(&self) -> u64 {
        self.waiting.iter().sum()
    }
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    pub stamp: FileStamp,
    /// Why it gave no result; `None` if it did.
    pub reason: Option<String>,
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

    /// Up to `limit` undelivered events of a class with an id above `after`, oldest first, without those set aside.
    pub fn outbox(&self, class: EventClass, after: i64, limit: usize) -> Result<Vec<OutboxRow>, JournalError> {
        let sql = "SELECT sequence, event_id, topic, payload, tries FROM outbox
                   WHERE class = ?1 AND sequence > ?2 AND set_aside IS NULL ORDER BY sequence LIMIT ?3";
        let query = || -> rusqlite::Result<Vec<OutboxRow>> {
            self.connection
                .prepare_cached(sql)?
                .query_map((class as i64, after, limit as i64), |row| {
                    let (id, event_id, topic, payload) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                    Ok(OutboxRow { id, class, event_id, topic, payload, tries: row.get(4)? })
                })?
                .collect()
        };
        query().map_err(read_error)
    }

    /// How many events wait, since when, and how many were set aside.
    pub fn outbox_depth(&self) -> Result<OutboxDepth, JournalError> {
        let sql = "SELECT class, count(*), min(stored_at) FROM outbox WHERE set_aside IS NULL GROUP BY class";
        let query = || -> rusqlite::Result<OutboxDepth> {
            let mut depth = OutboxDepth { set_aside: self.set_aside()?, ..OutboxDepth::default() };
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                depth.waiting[row.get::<_, usize>(0)?] = row.get(1)?;
                let stored_at = row.get::<_, Option<String>>(2)?.and_then(|time| time.parse().ok());
                depth.oldest_stored_at = [depth.oldest_stored_at, stored_at].into_iter().flatten().min();
            }
            Ok(depth)
        };
        query().map_err(read_error)
    }

    fn set_aside(&self) -> rusqlite::Result<u64> {
        self.connection.query_row("SELECT count(*) FROM outbox WHERE set_aside IS NOT NULL", [], |row| row.get(0))
    }

    /// Number of classified photos.
    pub fn captures(&self) -> Result<u64, JournalError> {
        self.count("SELECT count(*) FROM capture")
    }

    /// All files that gave no result.
    pub fn failures(&self) -> Result<Vec<Failure>, JournalError> {
        let sql = "SELECT path, bytes, modified_ns, reason FROM file WHERE reason IS NOT NULL ORDER BY path";
        let query = || -> rusqlite::Result<Vec<Failure>> {
            self.connection.prepare_cached(sql)?.query_map([], failure)?.collect()
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
    })
}

fn read_error(error: rusqlite::Error) -> JournalError {
    JournalError::Read(Arc::new(error))
}
