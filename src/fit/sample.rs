//! A labelled photo with everything that verdicts on it depend on.

use crate::classify::{Answers, Neighbour, Opinions, published_vote};
use crate::domain::{Category, Labels};

/// Number of neighbours that fitting considers, unless the published rule needs more.
pub const NEIGHBOURHOOD: usize = 100;

/// A labelled photo that is not in the reference.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// Number of the group, such as a member, whose photos resemble each other: they share a fold of the
    /// cross-validation.
    pub group: usize,
    /// True labels of the photo.
    pub truth: Labels,
    /// The nearest reference photos, most similar first: at least [`NEIGHBOURHOOD`], or all photos of a smaller
    /// reference.
    pub neighbours: Vec<Neighbour<'a>>,
    /// Answers of the methods that need no neighbours.
    pub opinions: Opinions,
}

impl Sample<'_> {
    pub(super) fn published_vote(&self, neighbours: usize) -> Answers {
        published_vote(&self.neighbours[..neighbours.min(self.neighbours.len())])
    }
}

/// Each class's share of the photos of a reference.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassShares([Vec<f32>; 4]);

impl ClassShares {
    /// Counts the classes in the labels of a reference's photos.
    pub fn of(labels: &[Labels]) -> Self {
        ClassShares(Category::ALL.map(|category| {
            // A class without photos counts as if it had one: it gets no votes anyway, and a share must be above 0.
            let mut counts = vec![0; category.classes().len()];
            for &index in labels.iter().flat_map(|labels| labels.get(category).indexes()) {
                counts[usize::from(index)] += 1;
            }
            counts.into_iter().map(|count: usize| count.max(1) as f32 / labels.len().max(1) as f32).collect()
        }))
    }

    /// Returns the shares of a category's classes, in class order, above 0.
    pub fn get(&self, category: Category) -> &[f32] {
        &self.0[category as usize]
    }
}
