//! The tables of `device.db` and how older files are brought up to date.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::JournalError;

/// "BrCL" marks the file as ours (`PRAGMA application_id`).
const APPLICATION_ID: i64 = 0x4272_434C;

/// Step n brings a file from schema version n to n + 1.
const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE capture (
        id INTEGER PRIMARY KEY,
        sha256 BLOB NOT NULL UNIQUE,
        path BLOB NOT NULL,
        bytes INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        taken TEXT NOT NULL,       -- JSON, see domain::Time
        position TEXT,             -- JSON, see domain::Position
        camera TEXT NOT NULL,      -- JSON, see domain::Camera
        stored_at TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        embedding BLOB NOT NULL,   -- little-endian f32, unit length
        verdict TEXT NOT NULL      -- JSON, see domain::Verdict
    ) STRICT;

    -- What became of every file that was looked at; `reason` says why it gave no result.
    CREATE TABLE file (
        path BLOB PRIMARY KEY,
        bytes INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        reason TEXT
    ) STRICT, WITHOUT ROWID;

    -- Events that the broker has not acknowledged yet. Id and payload never change.
    CREATE TABLE outbox (
        sequence INTEGER PRIMARY KEY,
        event_id TEXT NOT NULL UNIQUE,
        topic TEXT NOT NULL,       -- below the device's prefix
        payload BLOB NOT NULL
    ) STRICT;

    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO counter VALUES ('sequence', 0);
",
    "
    ALTER TABLE capture ADD COLUMN quality TEXT;    -- JSON, see domain::PhotoQuality
    ALTER TABLE capture ADD COLUMN metadata TEXT;   -- JSON: domain::Exposure and domain::Drone
",
    "
    -- Nanoseconds since the start of the machine whose boot_id is beside it; see domain::Capture.
    ALTER TABLE capture ADD COLUMN monotonic_ns INTEGER;
    ALTER TABLE capture ADD COLUMN tag TEXT;   -- JSON, see domain::Tag

    -- What people said that the photos from then on show. The last row holds; an empty one takes it back.
    CREATE TABLE tag (
        id INTEGER PRIMARY KEY,
        set_at TEXT NOT NULL,      -- the device's clock
        boot_id TEXT NOT NULL,
        bridge TEXT,
        span TEXT,
        member TEXT
    ) STRICT;
",
    "
    ALTER TABLE capture ADD COLUMN burst TEXT;     -- JSON, see domain::Burst
    -- The device's clock. Older rows have none.
    ALTER TABLE file ADD COLUMN noted_at TEXT;
",
];

/// Prepares a connection for writing and migrates the file.
pub fn prepare(connection: &mut Connection, path: &Path) -> Result<(), JournalError> {
    let failed = |source| JournalError::Open { path: path.to_owned(), source: Arc::new(source) };
    check_owner(connection, path)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA busy_timeout = 5000;",
        )
        .map_err(failed)?;
    let version = pragma(connection, "user_version").map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(JournalError::NewerSchema { path: path.to_owned(), found: version, known });
    }
    if version == known {
        return Ok(());
    }
    migrate(connection, version as usize).map_err(failed)
}

/// A database that holds tables but not our mark belongs to somebody else.
fn check_owner(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let failed = |source| JournalError::Open { path: path.to_owned(), source: Arc::new(source) };
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let id = pragma(connection, "application_id").map_err(failed)?;
    if tables > 0 && id != APPLICATION_ID {
        return Err(JournalError::Foreign { path: path.to_owned() });
    }
    Ok(())
}

fn migrate(connection: &mut Connection, version: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for step in &MIGRATIONS[version..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    transaction.commit()
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_file_keeps_its_captures() {
        let mut connection = Connection::open_in_memory().expect("a database");
        connection.execute_batch(MIGRATIONS[0]).expect("the first schema");
        connection
            .execute_batch(
                "INSERT INTO capture VALUES (NULL, x'00', x'61', 1, 2, 3, '{}', NULL, '{}', '', '', x'', '{}');
                 PRAGMA user_version = 1;",
            )
            .expect("a capture");
        connection.pragma_update(None, "application_id", APPLICATION_ID).expect("marked");
        prepare(&mut connection, Path::new("device.db")).expect("brought up to date");
        let row = connection.query_row("SELECT width, quality FROM capture", [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(row, Ok((2_i64, None::<String>)));
        assert_eq!(pragma(&connection, "user_version"), Ok(MIGRATIONS.len() as i64));
    }
}
