//! The format of `reference.db`: its tables, its stamp, and its faults.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use bridgeclip_domain::LABEL_VERSION;
use bridgeclip_kernels::KernelError;
use bridgeclip_package::Package;

/// Version of the schema that this program writes and reads.
const FORMAT: &str = "4";
/// Upper limit on the number of photos of a reference; the positions of more would not fit the index.
const PHOTOS_MAX: u64 = 1 << 28;

/// Tables of a reference. Ids count from 1 without gaps, so that a row's position is its id minus 1.
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

/// Description of the encoder, labels and sizes that a reference was made with. The reference works only with those
/// that have the same stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// [`Package::embedding_space`] of the package that made the vectors.
    pub embedding_space: String,
    /// Number of values of a vector.
    pub embedding_dim: usize,
    /// How photos were turned into the encoder's input: the text form of the package's preprocessing.
    pub preprocessing: String,
    /// Version of the classes; see [`LABEL_VERSION`].
    pub label_version: String,
}

impl Stamp {
    /// Returns the stamp of references made with this package.
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

    /// Fails with [`ReferenceError::Mismatch`] unless the file at `path` has exactly this stamp.
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

/// Fails with [`ReferenceError::Mismatch`] unless the file at `path` has the schema that this program reads.
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

/// Reads the value of one key of the stamp. None if the key is missing.
pub(super) fn stamped(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM stamp WHERE key = ?1", [key], |row| row.get(0)).optional()
}

/// Opens a reference for reading. The lock that keeps writers out is taken once, not for each query. The file is not
/// trusted: its schema cannot run code, and reading it writes no temporary files.
pub(super) fn open(path: &Path) -> Result<Connection, ReferenceError> {
    let open = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON",
        )?;
        Ok(connection)
    };
    let connection = open().map_err(failed(path))?;
    match foreign_object(&connection).map_err(failed(path))? {
        Some(object) => Err(damaged(path, format!("it has {object}, which no reference has"))),
        None => Ok(connection),
    }
}

/// Returns the name of the first object that is not a plain table: a view, a trigger, a virtual table, an explicit
/// index or a computed column. A plain table cannot have more rows than the file has bytes for; the other objects can.
fn foreign_object(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let foreign = "SELECT format('a %s `%s`', type, name) FROM sqlite_schema \
         WHERE NOT (type = 'table' AND rootpage > 0) AND NOT (type = 'index' AND sql IS NULL) \
         UNION ALL SELECT format('a computed column `%s` in `%s`', x.name, t.name) \
         FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) x WHERE t.type = 'table' AND x.hidden <> 0 LIMIT 1";
    connection.query_row(foreign, [], |row| row.get(0)).optional()
}

/// Returns the number of photos that a complete reference claims to have. Fails if there are none, or if the file is
/// too small for that many vectors of `dim` values.
pub(super) fn photos(connection: &Connection, path: &Path, dim: usize) -> Result<usize, ReferenceError> {
    let stamped = stamped(connection, "photos").map_err(failed(path))?.and_then(|photos| photos.parse::<u64>().ok());
    let photos = stamped.ok_or_else(|| {
        damaged(path, "it does not say how many photos it has; its making was not completed".to_owned())
    })?;
    let bytes = std::fs::metadata(path).map_err(|source| ReferenceError::Io { path: path.to_owned(), source })?.len();
    // The file stores every vector as f32 and as int8.
    let room = bytes / (5 * dim as u64).max(1);
    match photos {
        0 => Err(ReferenceError::Empty(path.to_owned())),
        photos if photos > room.min(PHOTOS_MAX) => {
            Err(damaged(path, format!("it claims {photos} photos, and its {bytes} bytes have room for {room}")))
        }
        photos => Ok(photos as usize),
    }
}

/// Returns an error for a damaged file, with the reason.
pub(super) fn damaged(path: &Path, reason: String) -> ReferenceError {
    ReferenceError::Damaged { path: path.to_owned(), reason }
}

/// Returns a function that turns an error of SQLite into one that names the file.
pub(super) fn failed(path: &Path) -> impl Fn(rusqlite::Error) -> ReferenceError {
    move |source| ReferenceError::Sqlite { path: path.to_owned(), source }
}

/// Reason why a reference database cannot be used or written, with the remedy in the message.
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
    #[error("{}: has no labelled photo, so nothing could be answered from it; name a CSV with at least one usable row", .0.display())]
    Empty(PathBuf),
    #[error("{}: another program is at work on it; wait for it to end", .0.display())]
    Busy(PathBuf),
    #[error("{}: was replaced meanwhile; nothing was changed, run the command again", .0.display())]
    Replaced(PathBuf),
    #[error("{}: {reason}", path.display())]
    Input { path: PathBuf, reason: String },
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens a file with a reference's tables after running `statements` on it.
    fn opened(statements: &str) -> Result<(), String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("reference.db");
        let connection = Connection::open(&path).expect("opens");
        connection.execute_batch(SCHEMA).expect("makes tables");
        connection.execute_batch(statements).expect("good statements");
        drop(connection);
        open(&path).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn only_plain_tables_are_read() {
        assert_eq!(opened("CREATE TABLE more (a)"), Ok(()));
        let endless = "DROP TABLE block; CREATE VIEW block AS WITH RECURSIVE n (number) AS \
            (SELECT 1 UNION ALL SELECT number + 1 FROM n) SELECT number, zeroblob(1 << 20) AS centre FROM n";
        let cases = [
            (endless, "a view `block`"),
            ("CREATE TRIGGER t AFTER INSERT ON fitted BEGIN DELETE FROM photo; END", "a trigger `t`"),
            ("CREATE VIRTUAL TABLE v USING fts5(a)", "a table `v`"),
            ("CREATE INDEX i ON photo (caption)", "a index `i`"),
            (
                "ALTER TABLE vector ADD COLUMN more BLOB AS (zeroblob(1000000000))",
                "a computed column `more` in `vector`",
            ),
        ];
        for (statements, expected) in cases {
            let error = opened(statements).expect_err(statements);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_number_of_photos_that_the_file_has_no_room_for_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("reference.db");
        let connection = Connection::open(&path).expect("opens");
        connection.execute_batch(SCHEMA).expect("makes tables");
        let claim = |number: &str| {
            connection.execute("INSERT OR REPLACE INTO stamp VALUES ('photos', ?1)", [number]).expect("stamps");
            photos(&connection, &path, 512).map_err(|error| error.to_string())
        };
        assert_eq!(claim("3"), Ok(3));
        assert!(claim("200000000").expect_err("too many").contains("have room for"));
        assert!(claim("0").expect_err("none").contains("has no labelled photo"));
        for nonsense in ["-1", "many", "99999999999999999999"] {
            assert!(claim(nonsense).expect_err(nonsense).contains("does not say how many"));
        }
    }
}
