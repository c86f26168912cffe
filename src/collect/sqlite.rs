//! Events in a SQLite file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::report::{GAPS_SQL, Totals, report, totals_sql};
use super::store::{Store, StoreError, Written};
use super::{Event, Gap, Message, Refused, Report, Thumbnail};
use crate::sqlite::use_write_ahead_log;

/// For other processes that write, on a slow drive too.
const PATIENCE: Duration = Duration::from_secs(30);

/// `PRAGMA user_version` of the tables below.
const VERSION: i64 = 1;

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
        payload BLOB NOT NULL,         -- its first bytes
        received_us INTEGER NOT NULL
    ) STRICT;
    -- What is known of each photo now: its result, or the last correction of it.
    CREATE VIEW IF NOT EXISTS capture AS
        SELECT * FROM (
            SELECT *, row_number() OVER (PARTITION BY source, subject ORDER BY sequence DESC) AS place FROM event
            WHERE kind = 'bridgeclip.capture.result.v1')
        WHERE place = 1;
";

/// An open file.
pub struct Sqlite {
    path: PathBuf,
    connection: Connection,
}

impl Sqlite {
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::Sqlite(path.to_owned(), error);
        let connection = Connection::open(path).map_err(failed)?;
        let found = prepare(&connection).map_err(failed)?;
        if found > VERSION {
            return Err(StoreError::Newer(path.display().to_string(), found));
        }
        Ok(Sqlite { path: path.to_owned(), connection })
    }
}

/// Makes what is missing; gives the version that was found.
fn prepare(connection: &Connection) -> rusqlite::Result<i64> {
    use_write_ahead_log(connection, PATIENCE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found <= VERSION {
        let change = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        change.execute_batch(TABLES)?;
        change.pragma_update(None, "user_version", VERSION)?;
        change.commit()?;
    }
    Ok(found)
}

impl Store for Sqlite {
    fn write(&mut self, messages: &[Message]) -> Result<Written, StoreError> {
        let failed = |error| StoreError::Sqlite(self.path.clone(), error);
        write(&self.connection, messages).map_err(failed)
    }

    fn report(&mut self) -> Result<Report, StoreError> {
        let failed = |error| StoreError::Sqlite(self.path.clone(), error);
        read_report(&self.connection).map_err(failed)
    }
}

fn write(connection: &Connection, messages: &[Message]) -> rusqlite::Result<Written> {
    let now = Timestamp::now().as_microsecond();
    let change = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let mut written = Written::default();
    for message in messages {
        let new = match message {
            Message::Event(event) => put_event(&change, event, now)?,
            Message::Thumbnail(thumbnail) => put_thumbnail(&change, thumbnail, now)?,
            Message::Refused(refused) => {
                put_refused(&change, refused, now)?;
                written.refused += 1;
                continue;
            }
        };
        *if new { &mut written.new } else { &mut written.known } += 1;
    }
    change.commit()?;
    Ok(written)
}

fn put_event(connection: &Connection, event: &Event, now: i64) -> rusqlite::Result<bool> {
    let Event { source, id, kind, sequence, subject, time, supersedes, body } = event;
    let sql = "INSERT OR IGNORE INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let values = params![source, id, kind, sequence, subject, time.to_string(), supersedes, body, now];
    Ok(connection.prepare_cached(sql)?.execute(values)? > 0)
}

fn put_thumbnail(connection: &Connection, thumbnail: &Thumbnail, now: i64) -> rusqlite::Result<bool> {
    let sql = "INSERT OR IGNORE INTO thumbnail VALUES (?1, ?2, ?3, ?4)";
    let Thumbnail { source, event_id, jpeg } = thumbnail;
    Ok(connection.prepare_cached(sql)?.execute(params![source, event_id, jpeg, now])? > 0)
}

fn put_refused(connection: &Connection, refused: &Refused, now: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO refused VALUES (?1, ?2, ?3, ?4)";
    let Refused { topic, reason, payload } = refused;
    connection.prepare_cached(sql)?.execute(params![topic, reason, payload, now]).map(drop)
}

fn read_report(connection: &Connection) -> rusqlite::Result<Report> {
    // One view for all three, while others write.
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
    use super::*;
    use crate::sqlite::open_at_once;

    #[test]
    fn a_new_file_can_be_opened_by_several_at_once() {
        open_at_once(|path| Sqlite::open(path).map(drop));
    }
}
