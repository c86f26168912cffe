//! `reference.db`: its tables, its stamp, and what can be wrong with it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::domain::LABEL_VERSION;
use crate::encoder::Package;
use crate::kernels::KernelError;

/// The schema that this program writes and reads.
const FORMAT: &str = "4";

/// Ids count from 1 without gaps, so that a row's position is its id less 1.
pub(super) const SCHEMA: &str = "
    CREATE TABLE stamp (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    -- Labels are class indexes, one byte each, in the order of the source record.
    CREATE TABLE photo (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL UNIQUE,
        caption TEXT NOT NULL,
        soundness BLOB NOT NULL,
        measure BLOB NOT NULL,
        damage_type BLOB NOT NULL,
        damage_location BLOB NOT NULL
    );
    -- Unit-length vectors, little-endian f32.
    CREATE TABLE vector (id INTEGER PRIMARY KEY REFERENCES photo (id), f32 BLOB NOT NULL);
    -- The same vectors for the search, many rows a blob: those that lie near each other, the nearest to their centre first.
    -- All numbers are little-endian; `crate::reference::index::Block` says more.
    CREATE TABLE block (
        number INTEGER PRIMARY KEY,
        centre BLOB NOT NULL,
        position BLOB NOT NULL,
        distance BLOB NOT NULL,
        int8 BLOB NOT NULL,
        scale BLOB NOT NULL,
        error BLOB NOT NULL
    );
    -- What was fitted to these photos: linear heads, embeddings of prompts, rules; and with what, as JSON.
    CREATE TABLE fitted (name TEXT PRIMARY KEY, made_with TEXT NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
";

/// What a reference was made with; it serves no other encoders, labels or sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// [`Package::embedding_space`] of the package that made the vectors.
    pub embedding_space: String,
    pub embedding_dim: usize,
    /// How photos became the encoder's input.
    pub preprocessing: String,
    pub label_version: String,
}

impl Stamp {
    pub fn of(package: &Package) -> Self {
        Stamp {
            embedding_space: package.embedding_space().to_string(),
            embedding_dim: package.manifest().embedding_dim,
            preprocessing: package.preprocess().to_string(),
            label_version: LABEL_VERSION.to_owned(),
        }
    }

    pub(super) fn entries(&self) -> [(&'static str, String); 5] {
        [
            ("format", FORMAT.to_owned()),
            ("embedding_space", self.embedding_space.clone()),
            ("embedding_dim", self.embedding_dim.to_string()),
            ("preprocessing", self.preprocessing.clone()),
            ("label_version", self.label_version.clone()),
        ]
    }

    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let value = |key| stamped(connection, key).map(Option::unwrap_or_default);
        Ok(Stamp {
            embedding_space: value("embedding_space")?,
            embedding_dim: value("embedding_dim")?.parse().unwrap_or(0),
            preprocessing: value("preprocessing")?,
            label_version: value("label_version")?,
        })
    }

    /// Fails unless the file at `path` is stamped with just this.
    pub(super) fn check(&self, connection: &Connection, path: &Path) -> Result<(), ReferenceError> {
        for (what, expected) in self.entries() {
            let found = stamped(connection, what).map_err(failed(path))?.unwrap_or_default();
            if found != expected {
                return Err(ReferenceError::Mismatch { path: path.to_owned(), what, found, expected });
            }
        }
        Ok(())
    }
}

/// Fails unless the file at `path` has the schema of this program.
pub(super) fn check_format(connection: &Connection, path: &Path) -> Result<(), ReferenceError> {
    let found = stamped(connection, "format").map_err(failed(path))?.unwrap_or_default();
    match found == FORMAT {
        true => Ok(()),
        false => {
            let expected = FORMAT.to_owned();
            Err(ReferenceError::Mismatch { path: path.to_owned(), what: "format", found, expected })
        }
    }
}

/// The value of one key of the stamp.
pub(super) fn stamped(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM stamp WHERE key = ?1", [key], |row| row.get(0)).optional()
}

/// Opens a reference for reading. The lock that keeps writers out is taken once, not for each query.
pub(super) fn open(path: &Path) -> Result<Connection, ReferenceError> {
    let open = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
        Ok(connection)
    };
    open().map_err(failed(path))
}

/// SQLite's error with the file that it is about.
pub(super) fn failed(path: &Path) -> impl Fn(rusqlite::Error) -> ReferenceError {
    move |source| ReferenceError::Sqlite { path: path.to_owned(), source }
}

/// What is wrong with a reference database, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    #[error("{}: {source}; make the reference again with `bridgeclip reference build`", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("{}: {what} is `{found}`, the package needs `{expected}`; use the reference of this package or make it again with `bridgeclip reference build`", path.display())]
    Mismatch { path: PathBuf, what: &'static str, found: String, expected: String },
    #[error("{}: {reason}; the reference is damaged, copy or make it again", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("`{source_name}` is there twice: {first} and {second}; leave one of them out")]
    Duplicate { source_name: String, first: String, second: String },
    #[error("{}: another program is at work on it; wait for it to end", .0.display())]
    Busy(PathBuf),
    #[error("{}: was replaced meanwhile; nothing was changed, run the command again", .0.display())]
    Replaced(PathBuf),
    #[error("{}: {reason}", path.display())]
    Input { path: PathBuf, reason: String },
    #[error(transparent)]
    Kernel(#[from] KernelError),
}
