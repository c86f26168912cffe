//! A labelled photo with all that verdicts on it come from.

use crate::classify::{Answers, Neighbour, Opinions, published_vote};
use crate::domain::{Category, Labels};

/// Neighbours that fitting looks at, or more if more vote by the published rule.
pub const NEIGHBOURHOOD: usize = 100;

/// A labelled photo that is not in the reference.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    pub truth: Labels,
    /// The nearest reference photos, most similar first; [`NEIGHBOURHOOD`] or more where the reference has so many.
    pub neighbours: Vec<Neighbour<'a>>,
    pub opinions: Opinions,
}

impl Sample<'_> {
    pub(super) fn published_vote(&self, neighbours: usize) -> Answers {
        published_vote(&self.neighbours[..neighbours.min(self.neighbours.len())])
    }
}

/// How frequent each class is among the photos of a reference.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassShares([Vec<f32>; 4]);

impl ClassShares {
    pub fn of(labels: &[Labels]) -> Self {
        ClassShares(Category::ALL.map(|category| {
            // A class without photos counts as if it had one: it gets no votes anyway.
            let mut counts = vec![0; category.classes().len()];
            for &index in labels.iter().flat_map(|labels| labels.get(category).indexes()) {
                counts[usize::from(index)] += 1;
            }
            counts.into_iter().map(|count: usize| count.max(1) as f32 / labels.len().max(1) as f32).collect()
        }))
    }

    /// In class order; above 0.
    pub fn get(&self, category: Category) -> &[f32] {
        &self.0[category as usize]
    }
}
