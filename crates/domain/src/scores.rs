//! Scores: a classifier's probability for every class, before anything is decided.

use super::Category;

/// One probability per class in every category, in class order, each in [0, 1].
///
/// The probabilities of a single-label category sum to 1. Those of a multi-label category may be independent of each
/// other.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores([Vec<f32>; 4]);

impl Scores {
    /// Creates scores by calling `of` for each category.
    ///
    /// # Panics
    /// If `of` returns a different number of values than the category has classes.
    pub fn new(mut of: impl FnMut(Category) -> Vec<f32>) -> Self {
        Scores(Category::ALL.map(|category| {
            let values = of(category);
            assert_eq!(values.len(), category.classes().len(), "scores of {category}");
            values
        }))
    }

    /// Returns the probabilities of one category, in class order.
    pub fn get(&self, category: Category) -> &[f32] {
        &self.0[category as usize]
    }
}
