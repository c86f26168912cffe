//! Check of a database from outside, which changes nothing.

use std::ffi::c_int;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::JournalError;
use super::names::FILE_NAME;
use super::quarantine::has_unfinished;

/// Condition of `device.db`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no file: no daemon has worked in this folder yet.
    Absent,
    /// The check found nothing wrong.
    Whole,
    /// The file is damaged. The text names the first thing that is wrong.
    Damaged(String),
    /// The check did not finish in time.
    Unknown,
}

/// Number of SQLite's virtual machine steps between two looks at the clock.
const STEPS: c_int = 1_000;

/// Checks the database in a data folder, for at most `time_max`.
///
/// # Errors
/// If the file cannot be opened or read for another reason than damage.
pub fn examine(dir: &Path, time_max: Duration) -> Result<Condition, JournalError> {
    let path = dir.join(FILE_NAME);
    if has_unfinished(dir) {
        return Ok(Condition::Damaged("its salvage is not finished".to_owned()));
    }
    if !path.exists() {
        return Ok(Condition::Absent);
    }
    let mut connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match quick_check(&mut connection, time_max) {
        Ok(found) if found == "ok" => Ok(Condition::Whole),
        Ok(found) => Ok(Condition::Damaged(found)),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Ok(Condition::Unknown),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(Condition::Damaged(error.to_string())),
            _ => Err(error.into()),
        },
    }
}

fn quick_check(connection: &mut Connection, time_max: Duration) -> rusqlite::Result<String> {
    let begin = Instant::now();
    connection.progress_handler(STEPS, Some(move || begin.elapsed() >= time_max))?;
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TIME_MAX: Duration = Duration::from_secs(60);

    #[test]
    fn a_database_is_absent_whole_or_damaged() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let condition = || examine(dir.path(), TIME_MAX).expect("a condition");
        assert_eq!(condition(), Condition::Absent);
        let path = dir.path().join(FILE_NAME);
        let connection = Connection::open(&path).expect("opens");
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000))").expect("a table");
        drop(connection);
        assert_eq!(condition(), Condition::Whole);
        let mut bytes = fs::read(&path).expect("read");
        bytes[4096..8192].fill(7);
        fs::write(&path, bytes).expect("write");
        assert!(matches!(condition(), Condition::Damaged(_)));
        fs::write(&path, [7; 8192]).expect("write");
        assert!(matches!(condition(), Condition::Damaged(_)));
    }

    #[test]
    fn a_database_that_takes_too_long_is_let_be() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let connection = Connection::open(dir.path().join(FILE_NAME)).expect("opens");
        let rows = "CREATE TABLE t (x UNIQUE);
            WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n LIMIT 500000) INSERT INTO t SELECT x FROM n";
        connection.execute_batch(rows).expect("rows");
        assert_eq!(examine(dir.path(), Duration::ZERO).expect("a condition"), Condition::Unknown);
    }
}
