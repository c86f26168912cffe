//! All vectors and labels of a reference at once, for evaluations that search parts of it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};

use super::ReferenceError;
use super::store::decode_labels;
use crate::domain::Labels;

/// The rows of a reference in the order of their ids.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledVectors {
    /// Values in a row.
    pub dim: usize,
    /// Unit-length rows one after the other.
    pub values: Vec<f32>,
    /// One entry for each row.
    pub labels: Vec<Labels>,
}

impl LabelledVectors {
    /// Reads a reference whose stamp has been checked: [`super::Reference::open`].
    pub fn read(path: &Path, dim: usize) -> Result<Self, ReferenceError> {
        let failed = |source| ReferenceError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        let mut statement = connection
            .prepare(
                "SELECT soundness, measure, damage_type, damage_location, f32, id \
                 FROM photo JOIN vector USING (id) ORDER BY id",
            )
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut vectors = LabelledVectors { dim, values: Vec::new(), labels: Vec::new() };
        while let Some(row) = rows.next().map_err(failed)? {
            if !vectors.push(row).map_err(failed)? {
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

    /// The vector of one row.
    ///
    /// # Panics
    /// If `index` is not below [`Self::len`].
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dim..][..self.dim]
    }

    /// False if the row is damaged.
    fn push(&mut self, row: &Row) -> rusqlite::Result<bool> {
        let codes = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
        let blob = row.get_ref(4)?.as_blob()?;
        let Some(labels) = decode_labels(&codes).filter(|_| blob.len() == self.dim * size_of::<f32>()) else {
            return Ok(false);
        };
        self.labels.push(labels);
        self.values
            .extend(blob.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])));
        Ok(true)
    }
}
