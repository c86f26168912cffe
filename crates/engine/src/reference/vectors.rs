//! All vectors and labels of a reference at once, for evaluations that search parts of it.

use std::path::Path;

use rusqlite::Row;

use bridgeclip_domain::{Embedding, Labels};

use super::format::{self, failed};
use super::index::dot;
use super::store::{decode_labels, read_floats};
use super::{ReferenceError, Stamp};

/// The rows of a reference, in the order of their ids.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledVectors {
    /// Number of values of a row.
    pub dim: usize,
    /// Rows of unit length, `[rows][dim]`.
    pub values: Vec<f32>,
    /// Labels of each row.
    pub labels: Vec<Labels>,
}

impl LabelledVectors {
    /// Reads a reference. Fails with [`ReferenceError::Mismatch`] unless it has this stamp.
    pub fn read(path: &Path, stamp: &Stamp) -> Result<Self, ReferenceError> {
        let (failed, dim) = (failed(path), stamp.embedding_dim);
        let connection = format::open(path)?;
        stamp.check(&connection, path)?;
        let photos = format::photos(&connection, path, dim)?;
        let mut statement = connection
            .prepare(
                "SELECT soundness, measure, damage_type, damage_location, f32, id \
                 FROM photo JOIN vector USING (id) ORDER BY id LIMIT ?1",
            )
            .map_err(&failed)?;
        let mut rows = statement.query([photos]).map_err(&failed)?;
        let mut vectors = LabelledVectors { dim, values: Vec::new(), labels: Vec::new() };
        while let Some(row) = rows.next().map_err(&failed)? {
            if !vectors.push(row).map_err(&failed)? {
                let reason = format!("row {} is not a vector of {dim} values with known labels", vectors.len() + 1);
                return Err(ReferenceError::Damaged { path: path.to_owned(), reason });
            }
        }
        Ok(vectors)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the cosine similarity of one row and a query, with the same bits as a search.
    ///
    /// # Panics
    /// If `index` is not below [`Self::len`].
    pub fn similarity(&self, index: usize, query: &Embedding) -> f32 {
        dot(&self.values[index * self.dim..][..self.dim], query.values())
    }

    /// Appends a row of the SQL result. Returns false if the row is damaged.
    fn push(&mut self, row: &Row) -> rusqlite::Result<bool> {
        let codes = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
        let start = self.values.len();
        self.values.resize(start + self.dim, 0.0);
        let is_vector = read_floats(row.get_ref(4)?.as_blob()?, &mut self.values[start..]);
        let Some(labels) = decode_labels(&codes).filter(|_| is_vector) else {
            return Ok(false);
        };
        self.labels.push(labels);
        Ok(true)
    }
}
