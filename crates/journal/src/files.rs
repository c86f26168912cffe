//! Notes on files that were looked at, so that a rescan passes over them.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use bridgeclip_domain::{Failure, FileStamp, Sha256};

/// Note that a file's photo is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNote {
    pub path: PathBuf,
    pub stamp: FileStamp,
    pub sha256: Sha256,
}

/// Writes a note that a file's photo is known.
pub fn note_file(connection: &Connection, note: &FileNote) -> rusqlite::Result<()> {
    put_file(connection, &note.path, &note.stamp, Some(&note.sha256), None)
}

/// Writes a note that a file gave no result, and why.
pub fn note_failure(connection: &Connection, failure: &Failure) -> rusqlite::Result<()> {
    put_file(connection, &failure.path, &failure.stamp, None, Some(failure))
}

/// Deletes the failure notes of these files. Returns how many there were.
pub fn forget_failures(connection: &Connection, files: &[PathBuf]) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached("DELETE FROM file WHERE path = ?1 AND reason IS NOT NULL")?;
    files.iter().map(|file| statement.execute([file.as_os_str().as_bytes()])).sum()
}

fn put_file(
    connection: &Connection,
    path: &Path,
    stamp: &FileStamp,
    sha256: Option<&Sha256>,
    failure: Option<&Failure>,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO file (path, bytes, modified_ns, sha256, reason, noted_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    connection.prepare_cached(sql)?.execute(params![
        path.as_os_str().as_bytes(),
        stamp.bytes as i64,
        stamp.modified_ns,
        sha256.map(|sha256| sha256.0),
        failure.map(|failure| &failure.reason),
        failure.and_then(|failure| failure.noted_at).map(|at| at.to_string()),
    ])?;
    Ok(())
}
