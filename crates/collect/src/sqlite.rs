//! Storage of events in an SQLite file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use bridgeclip_storage::sqlite::{is_busy, use_write_ahead_log};

use crate::error::StoreError;
use crate::message::{Event, Message, Refused, Thumbnail};
use crate::report::{GAPS_SQL, Gap, Report, Totals, report, totals_sql};
use crate::store::{Bounds, Store, Stored, why_not_stored};
use crate::tables::{ADDED, FIRST, VERSION, lacking, probes};

/// Interval between two checks whether to stop, while another process writes.
const TICK: Duration = Duration::from_millis(200);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS event (
        source TEXT NOT NULL,          -- the device
        id TEXT NOT NULL,
        kind TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        subject TEXT NOT NULL,         -- SHA-256 of the photo
        time TEXT NOT NULL,            -- the device's clock
        supersedes TEXT,
        body TEXT NOT NULL,            -- the whole CloudEvent
        received_us INTEGER NOT NULL,  -- microseconds since 1970
        PRIMARY KEY (source, id)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS event_sequence ON event (source, sequence);
    CREATE INDEX IF NOT EXISTS event_subject ON event (subject);
    CREATE TABLE IF NOT EXISTS thumbnail (
        source TEXT NOT NULL,
        event_id TEXT NOT NULL,
        jpeg BLOB NOT NULL,
        received_us INTEGER NOT NULL,
        PRIMARY KEY (source, event_id)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS refused (
        topic TEXT NOT NULL,
        reason TEXT NOT NULL,
        payload BLOB NOT NULL,         -- its first bytes; all of it, if it has the form of an event or a thumbnail
        received_us INTEGER NOT NULL
    ) STRICT;
    -- What is known of each photo now: its result, or the last correction of it.
    CREATE VIEW IF NOT EXISTS capture AS
        SELECT source, id, kind, sequence, subject, time, supersedes, body, received_us, place FROM (
            SELECT *, row_number() OVER (PARTITION BY source, subject ORDER BY sequence DESC) AS place FROM event
            WHERE kind = 'bridgeclip.capture.result.v1')
        WHERE place = 1;
";

/// Additions of the tables' second version. The column `sqlstate` is for PostgreSQL and stays empty here.
const ADDITIONS: &str = "
    ALTER TABLE refused ADD COLUMN sqlstate TEXT;
    ALTER TABLE refused ADD COLUMN sha256 TEXT;    -- of topic, NUL and whole payload
    ALTER TABLE refused ADD COLUMN bytes INTEGER;  -- of the whole payload
    CREATE UNIQUE INDEX refused_sha256 ON refused (sha256);
";

/// An open SQLite file.
pub struct Sqlite {
    path: PathBuf,
    /// Device and inode of the open file.
    identity: (u64, u64),
    connection: Connection,
    bounds: Bounds,
}

impl Sqlite {
    /// Opens the file, creates it if necessary, and creates missing tables.
    ///
    /// Fails with [`StoreError::Newer`] if a newer program made the tables, and with [`StoreError::Unsuitable`] if a
    /// table lacks a column.
    pub fn open(path: &Path, bounds: &Bounds) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(failed)?;
        let identity = identity(path).ok_or_else(|| StoreError::Gone(path.to_owned()))?;
        let sqlite = Sqlite { path: path.to_owned(), identity, connection, bounds: bounds.clone() };
        sqlite.patiently(|connection| {
            use_write_ahead_log(connection, TICK)?;
            connection.pragma_update(None, "synchronous", "FULL")
        })?;
        sqlite.prepare()?;
        Ok(sqlite)
    }

    /// Creates missing tables and columns.
    fn prepare(&self) -> Result<(), StoreError> {
        let version: i64 =
            self.patiently(|connection| connection.pragma_query_value(None, "user_version", |row| row.get(0)))?;
        if version > VERSION {
            return Err(StoreError::Newer(self.path.display().to_string(), version));
        }
        let found = self.patiently(columns)?;
        let is_whole = FIRST.iter().all(|(table, _)| found.iter().any(|(name, _)| name == table));
        if version == VERSION && is_whole {
            return self.suited(lacking(&[&FIRST[..], &ADDED[..]].concat(), &found));
        }
        // A foreign table may happen to have one of these names, and must never be altered.
        self.suited(lacking(&FIRST, &found))?;
        self.patiently(make).map_err(StoreError::unsuitable)
    }

    /// Fails with the reason, if there is one.
    fn suited(&self, lacking: Option<String>) -> Result<(), StoreError> {
        match lacking {
            Some(reason) => Err(StoreError::Unsuitable { name: self.path.display().to_string(), reason }),
            None => Ok(()),
        }
    }

    /// Repeats work that a writing process may block, until it succeeds, the lock's time limit is over, or the
    /// collector stops.
    fn patiently<T>(&self, work: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let begin = Instant::now();
        loop {
            match work(&self.connection) {
                Ok(done) => return Ok(done),
                Err(error) if is_busy(&error) && self.bounds.is_stopped() => {
                    return Err(StoreError::Stopped(self.path.display().to_string()));
                }
                Err(error) if is_busy(&error) && begin.elapsed() < self.bounds.limits.lock => (),
                Err(source) => return Err(StoreError::Sqlite { path: self.path.clone(), source }),
            }
        }
    }
}

impl Store for Sqlite {
    fn write(&mut self, messages: &[Message]) -> Result<Stored, StoreError> {
        // Anything written into a file that nobody can open any more is lost.
        if identity(&self.path) != Some(self.identity) {
            return Err(StoreError::Gone(self.path.clone()));
        }
        self.patiently(|connection| {
            let change = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            let stored = put(&change, messages)?;
            change.commit()?;
            Ok(stored)
        })
    }

    fn probe(&mut self, sample: &Event) -> Result<(), StoreError> {
        self.patiently(|connection| {
            let change = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            put(&change, &probes(sample))?;
            change.rollback()
        })
    }

    fn report(&mut self) -> Result<Report, StoreError> {
        self.patiently(read_report)
    }
}

/// Returns the device and inode of a file, or `None` if it does not exist.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Returns (table, column) for every column of the existing tables that have one of the names in `FIRST`.
fn columns(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (table, _) in FIRST {
        let mut statement = connection.prepare("SELECT name FROM pragma_table_xinfo(?1)")?;
        let names = statement.query_map([table], |row| Ok((table.to_owned(), row.get(0)?)))?;
        found.extend(names.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(found)
}

/// Creates the tables, and adds the columns of the second version if they are missing.
fn make(connection: &Connection) -> rusqlite::Result<()> {
    let change = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    change.execute_batch(TABLES)?;
    if !columns(&change)?.iter().any(|(table, column)| table == "refused" && column == "sha256") {
        change.execute_batch(ADDITIONS)?;
    }
    change.pragma_update(None, "user_version", VERSION)?;
    change.commit()
}

fn put(change: &Connection, messages: &[Message]) -> rusqlite::Result<Stored> {
    let now = Timestamp::now().as_microsecond();
    let mut stored = Stored::default();
    for message in messages {
        let found = match message {
            Message::Event(event) => put_event(change, event, now)?,
            Message::Thumbnail(thumbnail) => put_thumbnail(change, thumbnail, now)?,
            Message::Refused(refused) => {
                put_refused(change, refused, now)?;
                stored.written.refused += 1;
                continue;
            }
        };
        match found {
            Found::New => stored.written.new += 1,
            Found::Known => stored.written.known += 1,
            Found::Other | Found::Nothing => {
                let refused = message.refused(why_not_stored(found == Found::Nothing), None);
                put_refused(change, &refused, now)?;
                stored.written.refused += 1;
                stored.set_aside.push(refused);
            }
        }
    }
    Ok(stored)
}

/// Content of a message's table under the message's id after the insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The message, which was not there before.
    New,
    /// The same message, stored before.
    Known,
    /// Different content under the same id.
    Other,
    /// Nothing: a trigger or a rule of the file's owner prevented the insertion.
    Nothing,
}

impl Found {
    /// Interprets whether the stored content equals the message's; `None` means that nothing is stored.
    fn of(is_same: Option<bool>) -> Self {
        match is_same {
            Some(true) => Found::Known,
            Some(false) => Found::Other,
            None => Found::Nothing,
        }
    }
}

fn put_event(change: &Connection, event: &Event, now: i64) -> rusqlite::Result<Found> {
    let Event { source, id, kind, sequence, subject, time, supersedes, body } = event;
    let sql = "INSERT INTO event (source, id, kind, sequence, subject, time, supersedes, body, received_us)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (source, id) DO NOTHING";
    let values = params![source, id, kind, sequence, subject, time.to_string(), supersedes, body, now];
    if change.prepare_cached(sql)?.execute(values)? > 0 {
        return Ok(Found::New);
    }
    let sql = "SELECT body = ?3 FROM event WHERE source = ?1 AND id = ?2";
    let is_same = change.prepare_cached(sql)?.query_row(params![source, id, body], |row| row.get(0)).optional()?;
    Ok(Found::of(is_same))
}

fn put_thumbnail(change: &Connection, thumbnail: &Thumbnail, now: i64) -> rusqlite::Result<Found> {
    let Thumbnail { source, event_id, jpeg } = thumbnail;
    let sql = "INSERT INTO thumbnail (source, event_id, jpeg, received_us)
               VALUES (?1, ?2, ?3, ?4) ON CONFLICT (source, event_id) DO NOTHING";
    if change.prepare_cached(sql)?.execute(params![source, event_id, jpeg, now])? > 0 {
        return Ok(Found::New);
    }
    let sql = "SELECT jpeg = ?3 FROM thumbnail WHERE source = ?1 AND event_id = ?2";
    let is_same =
        change.prepare_cached(sql)?.query_row(params![source, event_id, jpeg], |row| row.get(0)).optional()?;
    Ok(Found::of(is_same))
}

fn put_refused(change: &Connection, refused: &Refused, now: i64) -> rusqlite::Result<()> {
    let Refused { topic, reason, sqlstate, payload, bytes, sha256 } = refused;
    let sql = "INSERT INTO refused (topic, reason, payload, received_us, sqlstate, sha256, bytes)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (sha256) DO NOTHING";
    let values = params![topic, reason, payload, now, sqlstate, sha256.to_string(), bytes];
    change.prepare_cached(sql)?.execute(values).map(drop)
}

fn read_report(connection: &Connection) -> rusqlite::Result<Report> {
    // One transaction gives all three queries the same view while others write.
    let view = connection.unchecked_transaction()?;
    let mut totals = view.prepare(&totals_sql("max(received_us)"))?;
    let totals = totals.query_map([], |row| {
        let (source, events, distinct) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Totals { source, events, distinct, last_sequence: row.get(3)?, last_received_us: row.get(4)? })
    })?;
    let totals = totals.collect::<rusqlite::Result<_>>()?;
    let mut gaps = view.prepare(GAPS_SQL)?;
    let gaps = gaps.query_map([], |row| Ok((row.get(0)?, Gap { first: row.get(1)?, last: row.get(2)? })))?;
    let gaps: Vec<_> = gaps.collect::<rusqlite::Result<_>>()?;
    let refused = view.query_row("SELECT count(*) FROM refused", [], |row| row.get(0))?;
    Ok(report(totals, &gaps, refused))
}

#[cfg(test)]
mod tests {
    use bridgeclip_storage::testing::open_at_once;

    use super::*;
    use crate::store::Limits;

    fn bounds() -> Bounds {
        let minute = Duration::from_secs(60);
        let limits = Limits { connect: minute, statement: minute, lock: minute, idle: minute, silence: minute };
        Bounds { limits, stop: Default::default() }
    }

    #[test]
    fn a_new_file_can_be_opened_by_several_at_once() {
        open_at_once(|path| Sqlite::open(path, &bounds()).map(drop));
    }
}
