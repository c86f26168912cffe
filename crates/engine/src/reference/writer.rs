//! Writes a reference into a file next to its target path, so that it appears there complete or not at all.
//!
//! The unfinished file keeps the rows that are done. A build that was stopped resumes from it when it starts again with
//! the same input.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use bridgeclip_domain::{Category, Embedding, Sha256};
use bridgeclip_kernels::{self as kernels, Threads, processors};
use bridgeclip_storage::durable;

use super::cluster::Clusters;
use super::format::{SCHEMA, failed};
use super::index::Block;
use super::store::read_vector;
use super::{Record, ReferenceError, Stamp};

/// Average number of rows per cluster: few enough to scan in no time, many enough that comparing the clusters' centres
/// takes little time.
const CLUSTER_ROWS: usize = 256;
/// Upper limit on the number of clusters.
const CLUSTERS_MAX: usize = 4096;
/// Maximum number of vectors in the sample from which clusters are computed.
const SAMPLE_MAX: usize = 16_384;
/// Maximum number of rows in memory at once; a cluster with more rows becomes several blocks.
const BLOCK_ROWS_MAX: usize = 4096;

const PROGRESS_SCHEMA: &str = "
    -- How far it is. Dropped from a complete file.
    CREATE TABLE progress (input TEXT NOT NULL, done INTEGER NOT NULL);
    CREATE TABLE rejected (line INTEGER NOT NULL, path TEXT NOT NULL, reason TEXT NOT NULL);
";

/// A row of the CSV whose photo could not be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// Line of the CSV on which the row starts, from 1.
    pub line: u64,
    pub path: PathBuf,
    /// Reason why the photo could not be used, for a message.
    pub reason: String,
}

/// A reference that is being written.
pub(super) struct Writer {
    connection: Connection,
    target: PathBuf,
    partial: PathBuf,
    dim: usize,
}

impl Writer {
    /// Starts the reference for `target`, or resumes an unfinished one that has the same `input` and stamp. Returns the
    /// number of rows of the input that are done. Fails with [`ReferenceError::Busy`] while another process writes it.
    pub fn start(target: &Path, stamp: &Stamp, input: Sha256) -> Result<(Self, usize), ReferenceError> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let partial = durable::folder(target).join(format!(".{name}.partial"));
        let writer = |connection| Writer {
            connection,
            target: target.to_owned(),
            partial: partial.clone(),
            dim: stamp.embedding_dim,
        };
        if partial.exists() {
            match lock(&partial) {
                Ok(connection) => {
                    if let Some(done) = done(&connection, stamp, input, &partial)? {
                        return Ok((writer(connection), done));
                    }
                }
                Err(error) if is_damage(&error) => (),
                Err(error) => return Err(error),
            }
            remove(&partial).map_err(|source| ReferenceError::Io { path: partial.clone(), source })?;
        }
        let connection = lock(&partial)?;
        create(&connection, stamp, input).map_err(failed(&partial))?;
        Ok((writer(connection), 0))
    }

    /// Adds one photo. Ids count from 1 in the order of the calls.
    pub fn add(&self, record: &Record, embedding: &Embedding) -> Result<(), ReferenceError> {
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
        insert().map_err(failed(&self.partial))
    }

    /// Records a row whose photo could not be used.
    pub fn reject(&self, rejected: &Rejected) -> Result<(), ReferenceError> {
        let Rejected { line, path, reason } = rejected;
        self.connection
            .prepare_cached("INSERT INTO rejected VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![line, path.to_string_lossy(), reason]))
            .map(drop)
            .map_err(failed(&self.partial))
    }

    /// Makes durable that the first `done` rows of the input are done.
    pub fn checkpoint(&self, done: usize) -> Result<(), ReferenceError> {
        let commit = || {
            self.connection.execute("UPDATE progress SET done = ?1", [done])?;
            self.connection.execute_batch("COMMIT; BEGIN IMMEDIATE")
        };
        commit().map_err(failed(&self.partial))
    }

    /// Reports whether no photo has been added.
    pub fn is_empty(&self) -> Result<bool, ReferenceError> {
        let is_empty = self.connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM photo)", [], |row| row.get(0));
        is_empty.map_err(failed(&self.partial))
    }

    /// Returns the rows recorded so far whose photos could not be used.
    pub fn rejected(&self) -> Result<Vec<Rejected>, ReferenceError> {
        rejected(&self.connection).map_err(failed(&self.partial))
    }

    /// Abandons the reference and removes the unfinished file.
    pub fn discard(self) {
        drop(self.connection);
        // A file that cannot be removed is left to the next writer.
        let _ = fs::remove_file(&self.partial);
    }

    /// Completes the file and moves it to its target path. Returns the number of photos and the rows that could not be
    /// used. Fails with [`ReferenceError::Empty`] if there is no photo, and leaves a file at the target unchanged.
    pub fn finish(self) -> Result<(usize, Vec<Rejected>), ReferenceError> {
        if self.is_empty()? {
            let target = self.target.clone();
            self.discard();
            return Err(ReferenceError::Empty(target));
        }
        let photos = write_blocks(&self.connection, &self.partial, self.dim)?;
        let complete = || -> rusqlite::Result<Vec<Rejected>> {
            let rejected = rejected(&self.connection)?;
            self.connection.execute("INSERT INTO stamp VALUES ('photos', ?1)", [photos.to_string()])?;
            self.connection.execute_batch("DROP TABLE progress; DROP TABLE rejected; COMMIT")?;
            Ok(rejected)
        };
        let rejected = complete().map_err(failed(&self.partial))?;
        self.connection.close().map_err(|(_, source)| failed(&self.partial)(source))?;
        let publish = || -> io::Result<()> {
            fs::set_permissions(&self.partial, fs::Permissions::from_mode(0o644))?;
            durable::sync(&self.partial)?;
            fs::rename(&self.partial, &self.target)?;
            durable::sync(durable::folder(&self.target))
        };
        publish().map_err(|source| ReferenceError::Io { path: self.target.clone(), source })?;
        Ok((photos, rejected))
    }
}

/// Removes an unfinished file and the journal that a killed process left beside it, which must not be rolled back into
/// a new file.
fn remove(partial: &Path) -> io::Result<()> {
    durable::remove(&durable::with_end(partial, "-journal"))?;
    durable::remove(partial).map(drop)
}

/// Reports whether an error says that the file itself is damaged.
fn is_damage(error: &ReferenceError) -> bool {
    let ReferenceError::Sqlite { source, .. } = error else { return false };
    matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Opens the unfinished file for this process alone.
fn lock(partial: &Path) -> Result<Connection, ReferenceError> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(partial)?;
        connection.busy_timeout(std::time::Duration::ZERO)?;
        connection.execute_batch(
            "PRAGMA page_size = 16384; PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
        )?;
        Ok(connection)
    };
    open().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) => ReferenceError::Busy(partial.to_owned()),
        _ => failed(partial)(error),
    })
}

fn create(connection: &Connection, stamp: &Stamp, input: Sha256) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch(PROGRESS_SCHEMA)?;
    for (key, value) in stamp.entries() {
        connection.execute("INSERT INTO stamp VALUES (?1, ?2)", [key, &value])?;
    }
    connection.execute("INSERT INTO progress VALUES (?1, 0)", [input.to_string()])?;
    connection.execute_batch("COMMIT; BEGIN IMMEDIATE")
}

/// Returns the number of rows done in an unfinished file. None if it has another input or stamp, or cannot be read.
fn done(connection: &Connection, stamp: &Stamp, input: Sha256, path: &Path) -> Result<Option<usize>, ReferenceError> {
    if stamp.check(connection, path).is_err() {
        return Ok(None);
    }
    let found = connection
        .query_row("SELECT done FROM progress WHERE input = ?1", [input.to_string()], |row| row.get(0))
        .optional();
    Ok(found.unwrap_or_default())
}

fn rejected(connection: &Connection) -> rusqlite::Result<Vec<Rejected>> {
    let mut statement = connection.prepare("SELECT line, path, reason FROM rejected ORDER BY line")?;
    let rows = statement.query_map([], |row| {
        let path: String = row.get(1)?;
        Ok(Rejected { line: row.get(0)?, path: path.into(), reason: row.get(2)? })
    })?;
    rows.collect()
}

/// Divides all vectors into blocks of near ones, for the index. Returns the number of vectors.
fn write_blocks(connection: &Connection, path: &Path, dim: usize) -> Result<usize, ReferenceError> {
    let kernel = kernels::selected()?;
    let count: usize =
        connection.query_row("SELECT count(*) FROM vector", [], |row| row.get(0)).map_err(failed(path))?;
    let vectors = Vectors { connection, path, dim };
    let sample = vectors.read((1..=count).step_by(count.div_ceil(SAMPLE_MAX).max(1)))?;
    if sample.is_empty() {
        return Ok(0);
    }
    let threads = Threads::new(processors()).unwrap_or_default();
    let clusters = threads.run(|| Clusters::find(kernel, &sample, (count / CLUSTER_ROWS).min(CLUSTERS_MAX)));
    drop(sample);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); clusters.len()];
    for first in (1..=count).step_by(BLOCK_ROWS_MAX) {
        let ids = first..=count.min(first + BLOCK_ROWS_MAX - 1);
        let embeddings = vectors.read(ids.clone())?;
        for (id, cluster) in ids.zip(threads.run(|| clusters.nearest(&embeddings))) {
            members[cluster].push(id);
        }
    }
    for ids in members.iter().flat_map(|members| members.chunks(BLOCK_ROWS_MAX)) {
        let embeddings = vectors.read(ids.iter().copied())?;
        let mean = |index: usize| {
            let sum: f64 = embeddings.iter().map(|embedding| f64::from(embedding.values()[index])).sum();
            (sum / ids.len() as f64) as f32
        };
        let centre = (0..dim).map(mean).collect();
        let positions = ids.iter().map(|id| (id - 1) as u32);
        let rows: Vec<_> = positions.zip(embeddings.iter().map(|embedding| embedding.values().to_vec())).collect();
        insert(connection, &Block::new(centre, &rows)).map_err(failed(path))?;
    }
    Ok(count)
}

/// The vectors in the file.
struct Vectors<'a> {
    connection: &'a Connection,
    path: &'a Path,
    dim: usize,
}

impl Vectors<'_> {
    fn read(&self, ids: impl Iterator<Item = usize>) -> Result<Vec<Embedding>, ReferenceError> {
        let read = |id: usize| {
            let mut values = vec![0.0; self.dim];
            read_vector(self.connection, self.path, id as i64, &mut values)?;
            Embedding::normalise(values).map_err(|error| ReferenceError::Damaged {
                path: self.path.to_owned(),
                reason: format!("vector {id}: {error}"),
            })
        };
        ids.map(read).collect()
    }
}

fn insert(connection: &Connection, block: &Block) -> rusqlite::Result<()> {
    let Block { centre, positions, distances, int8, scales, errors } = block;
    let int8: Vec<u8> = int8.iter().map(|value| value.cast_unsigned()).collect();
    let positions: Vec<u8> = positions.iter().flat_map(|position| position.to_le_bytes()).collect();
    let [centre, distances, scales, errors] = [centre, distances, scales, errors]
        .map(|values| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    connection
        .prepare_cached("INSERT INTO block VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![centre, positions, distances, int8, scales, errors])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        let text = |text: &str| text.to_owned();
        Stamp {
            embedding_space: text("space"),
            embedding_dim: 2,
            preprocessing: text("as it is"),
            label_version: text(bridgeclip_domain::LABEL_VERSION),
        }
    }

    #[test]
    fn a_damaged_unfinished_file_is_begun_anew() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (target, input) = (dir.path().join("reference.db"), Sha256::of(b"input"));
        let [partial, journal] =
            ["partial", "partial-journal"].map(|end| dir.path().join(format!(".reference.db.{end}")));
        let start = || Writer::start(&target, &stamp(), input);
        for damage in [&[7_u8; 40_000][..], b"", b"SQLite format 3\0 and then nothing that fits"] {
            fs::write(&partial, damage).expect("write");
            fs::write(&journal, [7; 4096]).expect("write");
            let (writer, done) = start().expect("begins anew");
            assert_eq!(done, 0);
            writer.checkpoint(5).expect("a commit");
            assert!(matches!(start(), Err(ReferenceError::Busy(_))), "at work on it");
            drop(writer);
            assert_eq!(start().expect("goes on").1, 5);
        }
    }
}
