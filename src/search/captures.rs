//! Searches this device's own photos by an embedding: a scan of the stored results, in order and without an index.

use super::{Filter, Nearest};
use crate::domain::{Embedding, Sha256};
use crate::journal::{JournalError, StoredResult};

/// A capture and its similarity to the query.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundCapture {
    /// Cosine similarity in [-1, 1].
    pub similarity: f32,
    /// Stored result of the capture.
    pub result: StoredResult,
}

/// Returns the captures of these pages that are most similar to `query` and whose verdicts pass the filter, most
/// similar first. `space` is the embedding space of the query; captures of other spaces cannot be compared and are left
/// out.
pub fn in_captures(
    pages: impl Iterator<Item = Result<Vec<StoredResult>, JournalError>>,
    query: &Embedding,
    space: Sha256,
    count: usize,
    filter: &Filter,
) -> Result<Vec<FoundCapture>, JournalError> {
    let mut nearest = Nearest::new(count);
    for page in pages {
        for result in page? {
            if result.embedding_space == Some(space) && filter.passes_labels(&result.verdict.labels()) {
                nearest.offer(query.cosine(&result.embedding), || result);
            }
        }
    }
    let found = nearest.into_sorted().into_iter();
    Ok(found.map(|(similarity, result)| FoundCapture { similarity, result }).collect())
}
