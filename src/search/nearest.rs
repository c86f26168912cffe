//! The photos most similar to an embedding.

use super::Filter;
use crate::domain::{Embedding, Evidence};
use crate::reference::{Reference, ReferenceError, RowSet, Search};

/// Returns the labelled photos that are most similar to `query` and pass the filter, most similar first.
pub fn in_reference(
    reference: &Reference,
    query: &Embedding,
    count: usize,
    filter: &Filter,
) -> Result<Vec<Evidence>, ReferenceError> {
    let mut among: Option<RowSet> = None;
    for condition in &filter.0 {
        let rows = reference.labelled(condition.category, condition.class)?;
        among = Some(match among {
            Some(others) => others.intersection(&rows),
            None => rows,
        });
    }
    reference.search(query, &Search { among: among.as_ref(), ..Search::nearest(count) })
}

/// Keeps the most similar items of a sequence. Among equally similar items the earlier one is ahead.
#[derive(Debug)]
pub struct Nearest<T> {
    count: usize,
    /// Kept items with their similarities, most similar first.
    items: Vec<(f32, T)>,
}

impl<T> Nearest<T> {
    /// Returns an empty collection for up to `count` items.
    pub fn new(count: usize) -> Self {
        Nearest { count, items: Vec::new() }
    }

    /// Offers an item. Calls `make` only if the item is kept.
    pub fn offer(&mut self, similarity: f32, make: impl FnOnce() -> T) {
        let place = self.items.partition_point(|(other, _)| *other >= similarity);
        if place < self.count {
            self.items.truncate(self.count - 1);
            self.items.insert(place, (similarity, make()));
        }
    }

    /// Returns the kept items with their similarities, most similar first.
    pub fn into_sorted(self) -> Vec<(f32, T)> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_are_kept_in_order() {
        let offered = [0.1, 0.9, 0.5, 0.9, 0.2, 0.7];
        for (count, expected) in [(0, vec![]), (1, vec![1]), (3, vec![1, 3, 5]), (9, vec![1, 3, 5, 2, 4, 0])] {
            let mut nearest = Nearest::new(count);
            for (index, similarity) in offered.into_iter().enumerate() {
                nearest.offer(similarity, || index);
            }
            let found: Vec<usize> = nearest.into_sorted().into_iter().map(|(_, index)| index).collect();
            assert_eq!(found, expected, "{count}");
        }
    }
}
