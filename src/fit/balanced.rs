//! Fits the balanced vote with the best macro-F1.
//!
//! The threshold of a class is `base * (share / mean share) ^ exponent`, where `share` is the class's share of the
//! reference's photos. The vote of a category therefore has four parameters, and the fit tries all combinations of a
//! few values of each. Fitting a separate threshold for each class, by coordinate ascent with shrinkage, was tried too.
//! On photos outside the fit, its mean macro-F1 was up to 0.003 worse (rendered pictures, fits to 400 to 2,000 of
//! them), because rare classes have few examples.

use rayon::prelude::*;

use super::fold::{FOLDS, fold_of};
use super::sample::{ClassShares, NEIGHBOURHOOD, Sample};
use crate::classify::{BalancedVote, CategoryVote, Weighting};
use crate::domain::Category;

const NEIGHBOURS: [usize; 4] = [10, 20, 50, NEIGHBOURHOOD];
const POWERS: [f32; 8] = [0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0];
const EXPONENTS: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// Bases tried in a multi-label category. In a single-label category only the ratios of thresholds matter.
const BASES: [f32; 9] = [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6];
const BASE: f32 = 0.5;

/// The best votes for all photos and for the photos outside each fold.
pub struct BalancedFit {
    /// The vote that is best for all photos.
    pub all: BalancedVote,
    /// The vote that is best for all photos outside a fold, for each fold.
    pub without_fold: [BalancedVote; FOLDS],
}

/// Returns the votes with the best macro-F1. Among equally good ones, it prefers fewer neighbours, then a lower power,
/// exponent and base.
pub fn fit_balanced(samples: &[Sample], reference: &ClassShares) -> BalancedFit {
    let best = Category::ALL.map(|category| best_votes(samples, category, reference.get(category)));
    let vote = |fit: usize| BalancedVote(Category::ALL.map(|category| best[category as usize][fit].clone()));
    BalancedFit { all: vote(FOLDS), without_fold: std::array::from_fn(vote) }
}

/// Returns the best vote for the photos outside each fold, followed by the best vote for all photos.
fn best_votes(samples: &[Sample], category: Category, reference: &[f32]) -> Vec<CategoryVote> {
    let rows: Vec<&Sample> = samples.iter().filter(|sample| !sample.truth.get(category).is_empty()).collect();
    let weightings: Vec<Weighting> = NEIGHBOURS
        .iter()
        .flat_map(|&neighbours| POWERS.iter().map(move |&power| Weighting { neighbours, power }))
        .collect();
    // For each weighting the best candidates with their scores, in the order of the weightings.
    let best: Vec<Vec<(f64, CategoryVote)>> = weightings
        .par_iter()
        .map(|&weighting| {
            let shares = rows.iter().map(|sample| weighting.class_shares(category, &sample.neighbours));
            let shares: Vec<Vec<f32>> = shares.collect();
            let scored = thresholds(category, reference).map(|thresholds| {
                let vote = CategoryVote { weighting, thresholds };
                (scores(&vote, category, &rows, &shares), vote)
            });
            best_of_each(scored)
        })
        .collect();
    let pick = |fit: usize| best_of(best.iter().map(|of_weighting| of_weighting[fit].clone()));
    (0..=FOLDS).map(|fit| pick(fit).1).collect()
}

/// Returns the thresholds of every combination of exponent and base.
fn thresholds(category: Category, reference: &[f32]) -> impl Iterator<Item = Vec<f32>> {
    let mean = reference.iter().sum::<f32>() / reference.len() as f32;
    let bases = if category.is_multi() { &BASES[..] } else { &[BASE] };
    EXPONENTS.iter().flat_map(move |exponent| {
        bases.iter().map(move |base| reference.iter().map(|share| base * (share / mean).powf(*exponent)).collect())
    })
}

/// Returns the macro-F1 without each fold in turn, followed by the macro-F1 over all folds.
fn scores(vote: &CategoryVote, category: Category, rows: &[&Sample], shares: &[Vec<f32>]) -> Vec<f64> {
    let mut folds = vec![vec![Counts::default(); category.classes().len()]; FOLDS];
    for (sample, shares) in rows.iter().zip(shares) {
        let answer = vote.answer(category, shares).verdict;
        let truth = sample.truth.get(category).indexes();
        let counts = &mut folds[fold_of(sample.group)];
        for class in &answer.classes {
            let counts = &mut counts[usize::from(class.index)];
            counts.answered += 1;
            counts.hit += u32::from(truth.contains(&class.index));
        }
        truth.iter().for_each(|&index| counts[usize::from(index)].occurs += 1);
    }
    (0..=FOLDS).map(|without| macro_f1(folds.iter().enumerate().filter(|(fold, _)| *fold != without))).collect()
}

/// Counts of one class.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    hit: u32,
    answered: u32,
    occurs: u32,
}

/// Returns the mean F1 of the classes, computed from their counts summed over the folds. A class without any counts has
/// F1 0.
fn macro_f1<'a>(folds: impl Iterator<Item = (usize, &'a Vec<Counts>)>) -> f64 {
    let mut sums: Vec<Counts> = Vec::new();
    for (_, fold) in folds {
        sums.resize(fold.len(), Counts::default());
        for (sum, counts) in sums.iter_mut().zip(fold) {
            sum.hit += counts.hit;
            sum.answered += counts.answered;
            sum.occurs += counts.occurs;
        }
    }
    let f1 = |counts: &Counts| match counts.answered + counts.occurs {
        0 => 0.0,
        items => f64::from(2 * counts.hit) / f64::from(items),
    };
    sums.iter().map(f1).sum::<f64>() / sums.len() as f64
}

/// Returns the best candidate by each of the scores. Every candidate has the same number of scores.
fn best_of_each(scored: impl Iterator<Item = (Vec<f64>, CategoryVote)>) -> Vec<(f64, CategoryVote)> {
    let scored: Vec<(Vec<f64>, CategoryVote)> = scored.collect();
    let pick = |fit: usize| best_of(scored.iter().map(|(scores, vote)| (scores[fit], vote.clone())));
    (0..=FOLDS).map(pick).collect()
}

/// Returns the first candidate with the greatest score.
fn best_of(scored: impl Iterator<Item = (f64, CategoryVote)>) -> (f64, CategoryVote) {
    let best = scored.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.expect("there are candidates")
}
