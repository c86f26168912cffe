//! Requests for a search, and its results.

use std::convert::Infallible;

/// Reads vectors in f32, for rows that the int8 bounds cannot tell apart.
pub trait ExactRows {
    type Error;

    /// Writes the values of the row at `position`, from 0, into `values`.
    fn read(&self, position: usize, values: &mut [f32]) -> Result<(), Self::Error>;
}

/// All vectors in memory, row by row.
impl ExactRows for [f32] {
    type Error = Infallible;

    fn read(&self, position: usize, values: &mut [f32]) -> Result<(), Infallible> {
        values.copy_from_slice(&self[position * values.len()..][..values.len()]);
        Ok(())
    }
}

/// The rows that a search returns.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Maximum number of rows.
    pub count: usize,
    /// Least cosine similarity of a row.
    pub similarity_min: Option<f32>,
    /// The rows to search. None: all rows.
    pub among: Option<&'a RowSet>,
}

impl Search<'_> {
    /// Returns a search for the `count` most similar rows.
    pub fn nearest(count: usize) -> Self {
        Search { count, similarity_min: None, among: None }
    }
}

/// A set of rows, by their positions from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
}

impl RowSet {
    /// Adds the row at `position`, from 0.
    pub fn insert(&mut self, position: usize) {
        let word = position / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (position % 64);
    }

    /// Reports whether the set has the row at `position`, from 0.
    pub fn contains(&self, position: usize) -> bool {
        self.words.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    /// Returns the rows that are in both sets.
    pub fn intersection(&self, other: &RowSet) -> RowSet {
        RowSet { words: self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect() }
    }
}

impl FromIterator<usize> for RowSet {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        let mut set = RowSet::default();
        positions.into_iter().for_each(|position| set.insert(position));
        set
    }
}

/// A row and its cosine similarity to the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Position of the row, from 0.
    pub position: usize,
    /// Dot product of row and query: their cosine similarity if the row has length 1.
    pub similarity: f32,
}
