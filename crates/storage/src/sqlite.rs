//! Helpers for SQLite databases that several processes may open at once.

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

/// Pause between two attempts to get a lock.
const PAUSE: Duration = Duration::from_millis(5);

/// Switches a database to a write-ahead log, or keeps it there.
///
/// `patience` is how long this call and every later statement wait for other processes. SQLite's own waiting does not
/// cover the switch: if two processes create the same database, one of them immediately gets the error that it is
/// locked.
pub fn use_write_ahead_log(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(patience)?;
    let begin = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_busy(&error) && begin.elapsed() < patience => thread::sleep(PAUSE),
            done => return done,
        }
    }
}

/// Reports whether an error means that another process held a lock.
pub fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}
