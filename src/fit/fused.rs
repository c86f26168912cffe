//! Fits the fused rule, and keeps the published vote where that is not better: in all categories unless the rule as a
//! whole is surely better, and in a category where it is probably worse.
//!
//! A fusion's weights are fitted by maximum likelihood and pulled towards those that suit any reference; its thresholds
//! follow from the probabilities. So nothing in it is chosen by the F1 scores of a few photos of rare classes.

mod decision;
mod gain;

use super::evidence::{Models, Prepared};
use super::fold::{FOLDS, fold_of};
use crate::classify::{Answer, Answers, CategoryFusion, FusedVote, Logits};
use crate::domain::Category;
use decision::decision;

pub(super) use gain::category_gain;
pub use gain::{CategoryGain, FusedGain, Gain};

/// A fused vote with answers that it was not fitted to.
pub struct Fusion {
    /// The vote, fitted to all photos.
    pub vote: FusedVote,
    /// Answers of the cross-validation within these photos, in their order.
    pub answers: Vec<Answers>,
}

/// Fits the fused rule to photos that have the probabilities by the linear heads.
pub fn fit_fused(photos: &[&Prepared], models: &[Models; 4]) -> Fusion {
    let fused = Category::ALL.map(|category| cross_validated(photos, category, &models[category as usize]));
    let gain = FusedGain::new(Category::ALL.map(|category| {
        let rows = photos.iter().zip(&fused[category as usize]).map(|(photo, fused)| {
            let published = &photo.published[category as usize].verdict;
            (photo.sample.group, photo.sample.truth.get(category), published, &fused.verdict)
        });
        category_gain(category, rows)
    }));
    let vote = FusedVote(
        Category::ALL
            .map(|category| gain.is_worth(category).then(|| fusion(photos, category, &models[category as usize].all))),
    );
    let answer = |(row, photo): (usize, &&Prepared)| {
        Category::ALL.map(|category| match vote.0[category as usize] {
            Some(_) => fused[category as usize][row].clone(),
            None => photo.published[category as usize].clone(),
        })
    };
    let answers = photos.iter().enumerate().map(answer).collect();
    Fusion { vote, answers }
}

/// Answers each photo by a fusion that was fitted to the photos outside its fold.
fn cross_validated(photos: &[&Prepared], category: Category, models: &Models) -> Vec<Answer> {
    let fit = |fold: usize| {
        let others: Vec<&Prepared> =
            photos.iter().filter(|photo| fold_of(photo.sample.group) != fold).copied().collect();
        fusion(&others, category, &models.without_fold[fold])
    };
    let fits: Vec<CategoryFusion> = (0..FOLDS).map(fit).collect();
    let answer = |photo: &&Prepared| {
        let fit = &fits[fold_of(photo.sample.group)];
        fit.answer(category, &photo.probabilities(category, &fit.logits))
    };
    photos.iter().map(answer).collect()
}

/// Chooses thresholds and worths for a model's probabilities of the labelled photos.
fn fusion(photos: &[&Prepared], category: Category, logits: &Logits) -> CategoryFusion {
    let labelled = photos.iter().filter(|photo| !photo.sample.truth.get(category).is_empty());
    let probabilities: Vec<Vec<f32>> = labelled.map(|photo| photo.probabilities(category, logits)).collect();
    let (thresholds, worths) = decision(&probabilities, category.classes().len(), category.is_multi());
    CategoryFusion { logits: logits.clone(), thresholds, worths }
}
