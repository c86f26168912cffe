//! Files that gave no result and are to be tried again, asked for from another process.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use super::{JournalError, schema};

/// Forgets that these files gave no result, so that the next rescan takes them for new ones. A daemon may be running on
/// the same database: SQLite lets one write after the other, and waits up to five seconds.
pub fn forget_failures(database: &Path, files: &[PathBuf]) -> Result<usize, JournalError> {
    let open = |source| JournalError::Open { path: database.to_owned(), source: Arc::new(source) };
    let mut connection = Connection::open(database).map_err(open)?;
    schema::prepare(&mut connection, database)?;
    forget(&mut connection, files).map_err(|source| JournalError::Write(Arc::new(source)))
}

fn forget(connection: &mut Connection, files: &[PathBuf]) -> rusqlite::Result<usize> {
    let transaction = connection.transaction()?;
    let mut forgotten = 0;
    for file in files {
        forgotten += transaction
            .prepare_cached("DELETE FROM file WHERE path = ?1 AND reason IS NOT NULL")?
            .execute([file.as_os_str().as_bytes()])?;
    }
    transaction.commit()?;
    Ok(forgotten)
}
