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

/// Lets four threads at a time open the same new file, many times over.
#[cfg(test)]
pub fn open_at_once<E: std::fmt::Debug + Send>(open: impl Fn(&std::path::Path) -> Result<(), E> + Sync) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for round in 0..50 {
        let path = dir.path().join(format!("{round}.db"));
        let start = std::sync::Barrier::new(4);
        let opened = || {
            start.wait();
            open(&path)
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(opened)).collect();
            threads.into_iter().for_each(|thread| thread.join().expect("no panic").expect("it opens"));
        });
    }
}
