//! Chooses the photos whose labels would help a reference most.
//!
//! A photo is worth its label if photos like it are answered with doubt, if there are many of them, and if neither a
//! labelled photo nor one that is chosen already resembles them. So the photos are chosen one by one. Each adds the most
//! to the sum over all photos of their doubt times the similarity that they gain to the nearest labelled or chosen photo
//! (weighted facility location). Choosing one by one reaches at least 63 % of the best sum: Nemhauser, Wolsey and Fisher,
//! *An analysis of approximations for maximizing submodular set functions*, 1978.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use crate::classify::{Neighbour, Weighting};
use crate::domain::{Category, Embedding};

/// Number of neighbours that doubt considers.
pub const NEIGHBOURHOOD: usize = 50;
/// Vote that doubt is measured by.
const VOTE: Weighting = Weighting { neighbours: NEIGHBOURHOOD, power: 2.0 };
/// Most photos that the sum counts. With more, evenly spaced ones stand for the others, which bounds the time.
const REPRESENTATIVES_MAX: usize = 5000;

/// A photo without labels.
#[derive(Clone, Debug)]
pub struct Unlabelled {
    /// Embedding of the photo.
    pub embedding: Embedding,
    /// How much the labelled photos disagree about it, in [0, 1]; see [`doubt`].
    pub doubt: f32,
    /// Cosine similarity of the nearest labelled photo, in [-1, 1]; -1 without one.
    pub nearest: f32,
}

/// A photo that should get labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestion {
    /// Index among the photos given.
    pub index: usize,
    /// What its labels add to the sum, in units of one entirely doubtful photo that gains a similarity of 1.
    pub gain: f32,
}

/// Returns how much the nearest labelled photos, most similar first, disagree: the mean entropy of their labels over the
/// categories, as a share of the greatest one; in [0, 1]. Photos without neighbours are entirely doubtful.
pub fn doubt(neighbours: &[Neighbour]) -> f32 {
    if neighbours.is_empty() {
        return 1.0;
    }
    let entropy = |category: Category| {
        let shares = VOTE.class_shares(category, neighbours);
        let total: f32 = shares.iter().sum();
        if total == 0.0 {
            return 1.0;
        }
        let term = |share: &f32| if *share > 0.0 { -share / total * (share / total).ln() } else { 0.0 };
        shares.iter().map(term).sum::<f32>() / (shares.len() as f32).ln()
    };
    (Category::ALL.map(entropy).iter().sum::<f32>() / 4.0).clamp(0.0, 1.0)
}

/// Chooses up to `count` photos, the most helpful first. `on_choice` hears of each one. The same input gives the same
/// choice. Photos that add nothing, because a labelled or chosen one equals them, are left out.
pub fn suggest(photos: &[Unlabelled], count: usize, mut on_choice: impl FnMut()) -> Vec<Suggestion> {
    let step = photos.len().div_ceil(REPRESENTATIVES_MAX).max(1);
    let mut represented: Vec<Represented> = photos.iter().step_by(step).map(Represented::of).collect();
    let bounds = photos.par_iter().enumerate().map(|(index, photo)| Bound { gain: gain(photo, &represented), index });
    let mut bounds: BinaryHeap<Bound> = bounds.collect::<Vec<_>>().into();
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let Some(Bound { index, gain: was }) = bounds.pop() else { break };
        // Gains only shrink. So a photo whose gain is still above the bounds of all others has the greatest one.
        let now = Bound { gain: gain(&photos[index], &represented), index };
        if now.gain < was && bounds.peek().is_some_and(|next| *next > now) {
            bounds.push(now);
            continue;
        }
        if now.gain <= 0.0 {
            break;
        }
        represented.par_iter_mut().for_each(|photo| photo.nearest = photo.similarity(&photos[index]));
        chosen.push(Suggestion { index, gain: now.gain * step as f32 });
        on_choice();
    }
    chosen
}

/// A photo that counts in the sum.
struct Represented<'a> {
    photo: &'a Unlabelled,
    /// Similarity of the nearest labelled or chosen photo.
    nearest: f32,
}

impl<'a> Represented<'a> {
    fn of(photo: &'a Unlabelled) -> Self {
        Represented { photo, nearest: photo.nearest }
    }

    /// Returns the similarity of the nearest labelled or chosen photo once `other` is chosen.
    fn similarity(&self, other: &Unlabelled) -> f32 {
        self.nearest.max(self.photo.embedding.cosine(&other.embedding))
    }
}

fn gain(photo: &Unlabelled, represented: &[Represented]) -> f32 {
    represented.iter().map(|other| other.photo.doubt * (other.similarity(photo) - other.nearest)).sum()
}

/// Upper bound on the gain of a photo. Of equal ones the earlier photo is greater.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound {
    gain: f32,
    index: usize,
}

impl Eq for Bound {}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.gain.total_cmp(&other.gain).then(other.index.cmp(&self.index))
    }
}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CategoryLabels, Labels};
    use crate::random::Random;

    fn photo(values: [f32; 3], doubt: f32, nearest: f32) -> Unlabelled {
        Unlabelled { embedding: Embedding::normalise(values.to_vec()).expect("a direction"), doubt, nearest }
    }

    fn indexes(photos: &[Unlabelled], count: usize) -> Vec<usize> {
        suggest(photos, count, || ()).iter().map(|found| found.index).collect()
    }

    #[test]
    fn each_group_of_doubtful_photos_gets_one_label_before_any_gets_two() {
        let photos = [
            photo([1.0, 0.0, 0.0], 0.5, 0.0),
            photo([1.0, 0.1, 0.0], 0.5, 0.0),
            photo([0.0, 1.0, 0.0], 0.5, 0.0),
            // Like a labelled one already.
            photo([0.0, 0.0, 1.0], 0.5, 0.99),
            // Nobody doubts what it shows.
            photo([0.0, 0.1, -1.0], 0.01, 0.0),
        ];
        // Of the group, the photo that is nearest to all others.
        assert_eq!(indexes(&photos, 2), [1, 2]);
        assert_eq!(indexes(&photos, 9).len(), 5);
        assert_eq!(indexes(&photos[..1], 3), [0]);
        assert!(indexes(&[], 3).is_empty() && indexes(&photos, 0).is_empty());
        assert!(indexes(&[photo([1.0, 0.0, 0.0], 0.5, 1.0)], 1).is_empty(), "its labels are known");
    }

    #[test]
    fn the_shortcut_chooses_as_trying_all_photos_does() {
        let mut random = Random::new(&[5]);
        let mut value = || random.below(2001) as f32 / 1000.0 - 1.0;
        let photos: Vec<Unlabelled> =
            (0..200).map(|_| photo([value(), value(), value()], value().abs(), value())).collect();
        let mut represented: Vec<Represented> = photos.iter().map(Represented::of).collect();
        let mut expected: Vec<usize> = Vec::new();
        for _ in 0..40 {
            let left = (0..photos.len()).filter(|index| !expected.contains(index));
            let best =
                left.map(|index| Bound { gain: gain(&photos[index], &represented), index }).max().expect("photos");
            expected.push(best.index);
            represented.iter_mut().for_each(|photo| photo.nearest = photo.similarity(&photos[best.index]));
        }
        assert_eq!(indexes(&photos, 40), expected);
    }

    #[test]
    fn neighbours_that_disagree_make_doubt() {
        let labels = |index: u8| Labels::new(|category| CategoryLabels::new(category, [index]));
        let (one, other) = (labels(0), labels(1));
        let neighbour = |labels| Neighbour { similarity: 0.9, labels };
        assert_eq!(doubt(&[neighbour(&one), neighbour(&one)]), 0.0);
        let divided = doubt(&[neighbour(&one), neighbour(&other)]);
        assert!(divided > 0.2 && divided < 0.6, "{divided}");
        assert_eq!(doubt(&[]), 1.0);
        assert_eq!(doubt(&[Neighbour { similarity: 0.9, labels: &Labels::new(|_| CategoryLabels::default()) }]), 1.0);
    }
}
