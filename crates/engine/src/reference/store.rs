//! An open reference: the index in memory, everything else in the file.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use bridgeclip_domain::{Category, CategoryLabels, Embedding, Evidence, Labels};
use bridgeclip_kernels as kernels;
use bridgeclip_package::Package;

use super::fitted::{self, FittedKind, FittedNote};
use super::format::{self, damaged, failed};
use super::index::{Block, ExactRows, Hit};
use super::{Index, Record, ReferenceError, RowSet, Search, Stamp};

/// Upper bound on the norm of a stored vector: vectors have length 1, except for rounding.
const NORM_MAX: f32 = 1.00001;

/// An open reference, with its int8 vectors in memory.
#[derive(Debug)]
pub struct Reference {
    connection: Connection,
    path: PathBuf,
    index: Index,
}

impl Reference {
    /// Opens a reference read-only, checks its stamp against the package and loads the index.
    pub fn open(path: &Path, package: &Package) -> Result<Self, ReferenceError> {
        Self::open_stamped(path, &Stamp::of(package))
    }

    /// Opens a reference read-only, checks its stamp against `stamp` and loads the index.
    pub fn open_stamped(path: &Path, stamp: &Stamp) -> Result<Self, ReferenceError> {
        let connection = format::open(path)?;
        stamp.check(&connection, path)?;
        let index = Blocks::open(&connection, path, stamp.embedding_dim)?.load()?;
        Ok(Reference { connection, path: path.to_owned(), index })
    }

    /// Returns the `k` nearest photos of `query` with their captions and labels, most similar first.
    pub fn evidence(&self, query: &Embedding, k: usize) -> Result<Vec<Evidence>, ReferenceError> {
        self.search(query, &Search::nearest(k))
    }

    /// Returns the photos that match a search with their captions and labels, most similar first.
    pub fn search(&self, query: &Embedding, search: &Search<'_>) -> Result<Vec<Evidence>, ReferenceError> {
        Ok(self.search_all(std::slice::from_ref(query), search)?.remove(0))
    }

    /// Returns the photos of each query, like [`Self::search`]. The queries share scans, which is much faster than one
    /// search after another.
    pub fn search_all(&self, queries: &[Embedding], search: &Search<'_>) -> Result<Vec<Vec<Evidence>>, ReferenceError> {
        let found = self.hits(queries, search)?;
        let photos = |hits: Vec<Hit>| {
            hits.into_iter().map(|hit| self.photo(id(hit.position), hit.similarity)).collect::<Result<Vec<_>, _>>()
        };
        found.into_iter().map(photos).collect()
    }

    /// Returns the positions and similarities of each query's hits, without reading captions and labels.
    pub fn hits(&self, queries: &[Embedding], search: &Search<'_>) -> Result<Vec<Vec<Hit>>, ReferenceError> {
        self.index.search_all(queries, search, self)
    }

    /// Returns the labels of every photo, in the order of positions.
    pub fn labels(&self) -> Result<Vec<Labels>, ReferenceError> {
        (0..self.len()).map(|position| Ok(self.photo(id(position), 1.0)?.labels)).collect()
    }

    /// Returns the stored bytes of a fitted value. None if the reference has no such value.
    pub fn fitted(&self, kind: FittedKind) -> Result<Option<Vec<u8>>, ReferenceError> {
        fitted::read(&self.connection, kind, &self.path)
    }

    /// Number of values of a vector.
    pub fn dim(&self) -> usize {
        self.index.dim()
    }

    /// Returns the photos that carry a class, for [`Search::among`].
    pub fn labelled(&self, category: Category, class: u8) -> Result<RowSet, ReferenceError> {
        let query = format!("SELECT id FROM photo WHERE instr({}, ?1) > 0", category.id());
        let positions = || -> rusqlite::Result<RowSet> {
            let mut statement = self.connection.prepare(&query)?;
            let ids = statement.query_map([&[class][..]], |row| row.get::<_, i64>(0))?;
            let positions = ids.take(self.len()).map(|id| id.map(position));
            positions.filter(|found| found.as_ref().map_or(true, |position| *position < self.len())).collect()
        };
        positions().map_err(failed(&self.path))
    }

    /// Number of photos.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over all photos in the order of their ids, each with its labels and vector.
    pub fn rows(&self) -> impl Iterator<Item = Result<(Record, Embedding), ReferenceError>> {
        (0..self.len()).map(|position| self.row(position))
    }

    /// Returns the labels and the vector of the photo at `position`, from 0. The record's `line` and `row` are those of
    /// a CSV that lists the photos in the order of positions.
    pub fn row(&self, position: usize) -> Result<(Record, Embedding), ReferenceError> {
        let mut values = vec![0.0; self.index.dim()];
        self.read(position, &mut values)?;
        let embedding = Embedding::normalise(values).map_err(|error| self.damaged(error.to_string()))?;
        let Evidence { source, caption, labels, .. } = self.photo(id(position), 1.0)?;
        let (line, row) = (position as u64 + 2, position);
        Ok((Record { line, row, image: source, caption, labels }, embedding))
    }

    fn photo(&self, id: i64, similarity: f32) -> Result<Evidence, ReferenceError> {
        let read = || -> rusqlite::Result<_> {
            let mut statement = self.connection.prepare_cached(
                "SELECT source, caption, soundness, measure, damage_type, damage_location FROM photo WHERE id = ?1",
            )?;
            statement.query_row([id], |row| {
                let codes: [Vec<u8>; 4] = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
                Ok((row.get(0)?, row.get(1)?, codes))
            })
        };
        let (source, caption, codes) = read().map_err(failed(&self.path))?;
        let labels =
            decode_labels(&codes).ok_or_else(|| self.damaged(format!("photo {id} has a class beyond the table")))?;
        Ok(Evidence { reference_id: id, similarity, source, caption, labels })
    }

    fn damaged(&self, reason: String) -> ReferenceError {
        damaged(&self.path, reason)
    }
}

fn id(position: usize) -> i64 {
    position as i64 + 1
}

fn position(id: i64) -> usize {
    usize::try_from(id - 1).unwrap_or(usize::MAX)
}

/// Decodes stored class indexes, a list for each category. None if an index is out of range.
pub(super) fn decode_labels(codes: &[Vec<u8>; 4]) -> Option<Labels> {
    let in_range = |category: Category| {
        codes[category as usize].iter().all(|&index| usize::from(index) < category.classes().len())
    };
    Category::ALL
        .into_iter()
        .all(in_range)
        .then(|| Labels::new(|category| CategoryLabels::new(category, codes[category as usize].iter().copied())))
}

/// Reads the vectors from the file.
impl ExactRows for Reference {
    type Error = ReferenceError;

    fn read(&self, position: usize, values: &mut [f32]) -> Result<(), ReferenceError> {
        read_vector(&self.connection, &self.path, id(position), values)
    }
}

/// Reads the vector of one photo from the file at `path` into `values`.
pub(super) fn read_vector(
    connection: &Connection,
    path: &Path,
    id: i64,
    values: &mut [f32],
) -> Result<(), ReferenceError> {
    let mut read = || -> rusqlite::Result<bool> {
        let mut statement = connection.prepare_cached("SELECT f32 FROM vector WHERE id = ?1")?;
        statement.query_row([id], |row| Ok(read_floats(row.get_ref(0)?.as_blob()?, values)))
    };
    match read().map_err(failed(path))? {
        true => Ok(()),
        false => Err(damaged(path, format!("vector {id} has another length than {} values", values.len()))),
    }
}

/// Decodes little-endian f32 values. Returns false if their number is not that of `values`.
pub(super) fn read_floats(blob: &[u8], values: &mut [f32]) -> bool {
    let (stored, rest) = blob.as_chunks();
    if !rest.is_empty() || stored.len() != values.len() {
        return false;
    }
    values.iter_mut().zip(stored).for_each(|(value, bytes)| *value = f32::from_le_bytes(*bytes));
    true
}

/// The blocks of int8 rows, read one after another.
struct Blocks<'a> {
    connection: &'a Connection,
    path: &'a Path,
    dim: usize,
    photos: usize,
}

impl<'a> Blocks<'a> {
    fn open(connection: &'a Connection, path: &'a Path, dim: usize) -> Result<Self, ReferenceError> {
        let photos = format::photos(connection, path, dim)?;
        Ok(Blocks { connection, path, dim, photos })
    }

    /// Loads the index of all rows.
    fn load(&self) -> Result<Index, ReferenceError> {
        let kernel = kernels::selected()?;
        let mut statement = self
            .connection
            .prepare("SELECT centre, position, distance, int8, scale, error FROM block ORDER BY number")
            .map_err(failed(self.path))?;
        let mut blocks = statement.query([]).map_err(failed(self.path))?;
        let next = || blocks.next().and_then(|row| row.map(block).transpose()).map_err(io::Error::other);
        Index::pack(kernel, self.dim, self.photos, NORM_MAX, next).map_err(|error| self.damaged(&error))
    }

    fn damaged(&self, reason: &dyn std::fmt::Display) -> ReferenceError {
        damaged(self.path, format!("the index cannot be read: {reason}"))
    }
}

/// Decodes a stored block. Bytes that do not fill a number are ignored; the index then finds the block unsound.
fn block(row: &rusqlite::Row<'_>) -> rusqlite::Result<Block> {
    let blob = |index| -> rusqlite::Result<&[u8]> { Ok(row.get_ref(index)?.as_blob()?) };
    let floats = |index| -> rusqlite::Result<Vec<f32>> {
        Ok(blob(index)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    };
    Ok(Block {
        centre: floats(0)?,
        positions: blob(1)?.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect(),
        distances: floats(2)?,
        int8: blob(3)?.iter().map(|byte| byte.cast_signed()).collect(),
        scales: floats(4)?,
        errors: floats(5)?,
    })
}

/// Facts about a reference file, as `reference info` shows them.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    pub stamp: Stamp,
    /// Number of photos.
    pub photos: u64,
    /// Number of photos of each class, in class order, for each category.
    pub counts: Vec<(Category, Vec<usize>)>,
    /// The fitted values, in the order of their names.
    pub fitted: Vec<FittedNote>,
}

impl Info {
    /// Reads the facts about a reference file, for any package.
    pub fn read(path: &Path) -> Result<Self, ReferenceError> {
        let connection = format::open(path)?;
        format::check_format(&connection, path)?;
        let fitted = fitted::notes(&connection, path)?;
        let stamp = Stamp::read(&connection).map_err(failed(path))?;
        let photos = format::photos(&connection, path, stamp.embedding_dim)?;
        let counts = Category::ALL.iter().map(|&category| Ok((category, count(&connection, category, photos)?)));
        let counts = counts.collect::<rusqlite::Result<_>>().map_err(failed(path))?;
        Ok(Info { stamp, photos: photos as u64, counts, fitted })
    }
}

/// Counts the photos of each class among the first `photos` rows.
fn count(connection: &Connection, category: Category, photos: usize) -> rusqlite::Result<Vec<usize>> {
    let mut counts = vec![0; category.classes().len()];
    let mut statement = connection.prepare(&format!("SELECT {} FROM photo LIMIT ?1", category.id()))?;
    let mut rows = statement.query([photos])?;
    while let Some(row) = rows.next()? {
        for &index in row.get_ref(0)?.as_blob()? {
            if let Some(count) = counts.get_mut(usize::from(index)) {
                *count += 1;
            }
        }
    }
    Ok(counts)
}
