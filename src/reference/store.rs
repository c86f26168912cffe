//! `reference.db`: schema, stamp, writing and reading.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::{Index, Record};
use crate::domain::{Category, CategoryLabels, Embedding, Evidence, LABEL_VERSION, Labels};
use crate::encoder::Package;

/// The schema that this program writes and reads.
const FORMAT: &str = "1";

const SCHEMA: &str = "
    CREATE TABLE stamp (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    -- Labels are class indexes, one byte each, in the order of the source record.
    CREATE TABLE photo (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        caption TEXT NOT NULL,
        soundness BLOB NOT NULL,
        measure BLOB NOT NULL,
        damage_type BLOB NOT NULL,
        damage_location BLOB NOT NULL
    );
    -- Unit-length vectors, little-endian f32.
    CREATE TABLE vector (id INTEGER PRIMARY KEY REFERENCES photo (id), f32 BLOB NOT NULL);
";

/// What a reference was made with; it serves no other encoders, labels or sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// [`Package::embedding_space`] of the package that made the vectors.
    pub embedding_space: String,
    pub embedding_dim: usize,
    pub label_version: String,
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
}

/// An open reference with its vectors in memory.
#[derive(Debug)]
pub struct Reference {
    connection: Connection,
    path: PathBuf,
    index: Index,
}

/// What `reference info` shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    pub stamp: Stamp,
    pub photos: u64,
    /// Per category, photos per class in class order.
    pub counts: Vec<(Category, Vec<usize>)>,
}

impl Stamp {
    pub fn of(package: &Package) -> Self {
        Stamp {
            embedding_space: package.embedding_space().to_string(),
            embedding_dim: package.manifest().embedding_dim,
            label_version: LABEL_VERSION.to_owned(),
        }
    }

    fn entries(&self) -> [(&'static str, String); 4] {
        [
            ("format", FORMAT.to_owned()),
            ("embedding_space", self.embedding_space.clone()),
            ("embedding_dim", self.embedding_dim.to_string()),
            ("label_version", self.label_version.clone()),
        ]
    }
}

impl Reference {
    /// Opens a reference read-only, checks its stamp against the package and loads the vectors.
    pub fn open(path: &Path, package: &Package) -> Result<Self, ReferenceError> {
        let failed = |source| ReferenceError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        for (what, expected) in Stamp::of(package).entries() {
            let found = read_stamp(&connection, what).map_err(failed)?.unwrap_or_default();
            if found != expected {
                return Err(ReferenceError::Mismatch { path: path.to_owned(), what, found, expected });
            }
        }
        let index = load_index(&connection, package.manifest().embedding_dim, path)?;
        Ok(Reference { connection, path: path.to_owned(), index })
    }

    /// The `k` nearest photos of `query` with what is known of them, most similar first.
    pub fn evidence(&self, query: &Embedding, k: usize) -> Result<Vec<Evidence>, ReferenceError> {
        self.index.nearest(query, k).into_iter().map(|hit| self.photo(hit.id, hit.similarity)).collect()
    }

    /// Number of photos.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn photo(&self, id: i64, similarity: f32) -> Result<Evidence, ReferenceError> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT source, caption, soundness, measure, damage_type, damage_location FROM photo WHERE id = ?1",
            )
            .map_err(|source| self.failed(source))?;
        let (source, caption, codes) = statement
            .query_row([id], |row| {
                let codes: [Vec<u8>; 4] = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
                Ok((row.get(0)?, row.get(1)?, codes))
            })
            .map_err(|source| self.failed(source))?;
        let labels = decode_labels(&codes).ok_or_else(|| ReferenceError::Damaged {
            path: self.path.clone(),
            reason: format!("photo {id} has a class beyond the table"),
        })?;
        Ok(Evidence { reference_id: id, similarity, source, caption, labels })
    }

    fn failed(&self, source: rusqlite::Error) -> ReferenceError {
        ReferenceError::Sqlite { path: self.path.clone(), source }
    }
}

impl Info {
    /// Reads the facts about any reference file, whatever package it belongs to.
    pub fn read(path: &Path) -> Result<Self, ReferenceError> {
        let failed = |source| ReferenceError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        let value = |key| read_stamp(&connection, key).map(Option::unwrap_or_default).map_err(failed);
        let stamp = Stamp {
            embedding_space: value("embedding_space")?,
            embedding_dim: value("embedding_dim")?.parse().unwrap_or(0),
            label_version: value("label_version")?,
        };
        let photos: u64 = connection.query_row("SELECT count(*) FROM photo", [], |row| row.get(0)).map_err(failed)?;
        let counts = Category::ALL.iter().map(|&category| Ok((category, count(&connection, category)?)));
        let counts = counts.collect::<Result<_, _>>().map_err(failed)?;
        Ok(Info { stamp, photos, counts })
    }
}

fn read_stamp(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM stamp WHERE key = ?1", [key], |row| row.get(0)).optional()
}

fn count(connection: &Connection, category: Category) -> rusqlite::Result<Vec<usize>> {
    let mut counts = vec![0; category.classes().len()];
    let mut statement = connection.prepare(&format!("SELECT {} FROM photo", category.id()))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for &index in row.get_ref(0)?.as_blob()? {
            if let Some(count) = counts.get_mut(usize::from(index)) {
                *count += 1;
            }
        }
    }
    Ok(counts)
}

pub(super) fn decode_labels(codes: &[Vec<u8>; 4]) -> Option<Labels> {
    let in_range = |category: Category| {
        codes[category as usize].iter().all(|&index| usize::from(index) < category.classes().len())
    };
    Category::ALL
        .into_iter()
        .all(in_range)
        .then(|| Labels::new(|category| CategoryLabels::new(category, codes[category as usize].iter().copied())))
}

fn load_index(connection: &Connection, dim: usize, path: &Path) -> Result<Index, ReferenceError> {
    let failed = |source| ReferenceError::Sqlite { path: path.to_owned(), source };
    let damaged = |reason| ReferenceError::Damaged { path: path.to_owned(), reason };
    let mut index = Index::new(dim);
    let mut statement = connection.prepare("SELECT id, f32 FROM vector ORDER BY id").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let id = row.get(0).map_err(failed)?;
        let blob = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).map_err(failed)?;
        if blob.len() != dim * size_of::<f32>() {
            return Err(damaged(format!("vector {id} has {} bytes", blob.len())));
        }
        let values = blob.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        index.push(id, values).map_err(|value| damaged(format!("vector {id} holds {value}")))?;
    }
    Ok(index)
}

/// Writes a new reference file.
pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
}

impl Writer {
    /// Creates the file at `path`, which must not exist or be empty.
    pub fn create(path: &Path, stamp: &Stamp) -> Result<Self, ReferenceError> {
        let create = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(path)?;
            connection
                .execute_batch("PRAGMA page_size = 16384; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
            connection.execute_batch(SCHEMA)?;
            for (key, value) in stamp.entries() {
                connection.execute("INSERT INTO stamp VALUES (?1, ?2)", [key, &value])?;
            }
            connection.execute_batch("BEGIN")?;
            Ok(connection)
        };
        let connection = create().map_err(|source| ReferenceError::Sqlite { path: path.to_owned(), source })?;
        Ok(Writer { connection, path: path.to_owned() })
    }

    /// Adds one photo; ids count from 1 in the order of the calls.
    pub fn add(&mut self, record: &Record, embedding: &Embedding) -> Result<(), ReferenceError> {
        let codes = Category::ALL.map(|category| record.labels.get(category).indexes());
        let insert = || -> rusqlite::Result<()> {
            self.connection
                .prepare_cached("INSERT INTO photo VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![record.image, record.caption, codes[0], codes[1], codes[2], codes[3]])?;
            let id = self.connection.last_insert_rowid();
            self.connection
                .prepare_cached("INSERT INTO vector VALUES (?1, ?2)")?
                .execute(params![id, embedding.to_bytes()])?;
            Ok(())
        };
        insert().map_err(|source| ReferenceError::Sqlite { path: self.path.clone(), source })
    }

    /// Completes the file.
    pub fn finish(self) -> Result<(), ReferenceError> {
        let failed = |source| ReferenceError::Sqlite { path: self.path.clone(), source };
        self.connection.execute_batch("COMMIT; ANALYZE;").map_err(failed)?;
        self.connection.close().map_err(|(_, source)| failed(source))
    }
}
