//! What a classifier thinks of every class, before anything is decided.

use super::Category;

/// One probability per class in every category, in class order. Each is within [0, 1].
///
/// Those of a single-label category sum to 1. Those of a multi-label category may be independent of each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores([Vec<f32>; 4]);

impl Scores {
    /// # Panics
    /// If `of` gives another number of values than the category has classes.
    pub fn new(mut of: impl FnMut(Category) -> Vec<f32>) -> Self {
        Scores(Category::ALL.map(|category| {
            let values = of(category);
            assert_eq!(values.len(), category.classes().len(), "scores of {category}");
            values
        }))
    }

    pub fn get(&self, category: Category) -> &[f32] {
        &self.0[category as usize]
    }
}
