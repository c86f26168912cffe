//! What every database of ours that several processes may open at once needs.

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

/// Between two attempts to get a lock.
const PAUSE: Duration = Duration::from_millis(5);

/// Switches a file to a write-ahead log, or leaves it there. `patience` is how long this, and every later statement, waits
/// for other processes. SQLite's own waiting does not cover the switch: of two processes that make the same new file, one
/// is told at once that the database is locked.
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

/// Whether another process was in the way.
pub fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}
