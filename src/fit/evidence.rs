//! Evidence about the classes of labelled photos, and the model of probabilities that is fitted to it with and without
//! each fold.

use rayon::prelude::*;

use super::fold::{FOLDS, fold_of};
use super::sample::{ClassShares, Sample};
use super::weights::{Example, fit_weights};
use crate::classify::{Answers, EVIDENCE, FusionBasis, Logits, Weighting};
use crate::domain::Category;

/// The narrow vote and the wide one.
const VOTES: [Weighting; 2] = [Weighting { neighbours: 10, power: 1.0 }, Weighting { neighbours: 50, power: 2.0 }];

/// A photo with what all fits use.
pub struct Prepared<'a> {
    pub sample: &'a Sample<'a>,
    /// Answers of the published vote.
    pub published: Answers,
    /// Evidence about each class of each category.
    evidence: [Vec<[f32; EVIDENCE]>; 4],
}

/// Returns what the evidence of each category is computed with.
pub fn bases(reference: &ClassShares) -> [FusionBasis; 4] {
    Category::ALL.map(|category| {
        // A class that every photo has would have infinite odds.
        let frequencies = reference.get(category).iter().map(|share| share.min(0.99)).collect();
        FusionBasis { votes: VOTES, frequencies }
    })
}

impl<'a> Prepared<'a> {
    /// Prepares photos in their order. `neighbours` is the number of neighbours of the published vote. The probabilities
    /// by the linear heads count only if every photo has them.
    pub fn all(samples: &'a [Sample<'a>], bases: &[FusionBasis; 4], neighbours: usize) -> Vec<Self> {
        let has_heads = has_heads(samples);
        let prepare = |sample: &'a Sample<'a>| {
            let linear = sample.opinions.linear_scores.as_ref().filter(|_| has_heads);
            let evidence = |category| {
                let linear = linear.map(|scores| scores.get(category));
                bases[category as usize].evidence(category, &sample.neighbours, linear)
            };
            let published = sample.published_vote(neighbours);
            Prepared { sample, evidence: Category::ALL.map(evidence), published }
        };
        samples.par_iter().map(prepare).collect()
    }

    /// Returns the probability of each class of a category.
    pub fn probabilities(&self, category: Category, logits: &Logits) -> Vec<f32> {
        logits.probabilities(category, &self.evidence[category as usize])
    }

    fn example(&self, category: Category) -> Example<'_> {
        Example { evidence: &self.evidence[category as usize], truth: self.sample.truth.get(category).indexes() }
    }
}

/// Reports whether every photo has the probabilities by the linear heads.
pub fn has_heads(samples: &[Sample]) -> bool {
    samples.iter().all(|sample| sample.opinions.linear_scores.is_some())
}

/// Models of one category's probabilities.
pub struct Models {
    /// The model fitted to all photos.
    pub all: Logits,
    /// The models fitted without the photos of each fold.
    pub without_fold: Vec<Logits>,
}

impl Models {
    /// Fits the models to photos.
    pub fn fit(photos: &[&Prepared], category: Category, basis: &FusionBasis) -> Self {
        let fit = |fold: usize| {
            let others = photos.iter().filter(|photo| fold_of(photo.sample.group) != fold);
            let examples: Vec<Example> =
                others.map(|photo| photo.example(category)).filter(|example| !example.truth.is_empty()).collect();
            let (coefficients, offsets) = fit_weights(&examples, category.classes().len(), category.is_multi());
            Logits { basis: basis.clone(), coefficients, offsets }
        };
        // No photo is in the fold after the last one.
        Models { all: fit(FOLDS), without_fold: (0..FOLDS).map(fit).collect() }
    }

    /// Returns the model that was fitted without a photo.
    pub fn without(&self, photo: &Prepared) -> &Logits {
        &self.without_fold[fold_of(photo.sample.group)]
    }
}
