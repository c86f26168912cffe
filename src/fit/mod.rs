//! Rules from labelled photos that are not in the reference: the balanced vote, calibration of confidences, thresholds
//! of urgency and of a second look. What they are worth is measured by cross-validation.
//!
//! A rule has few parameters. They are chosen on some thousand photos and have to hold on others.

mod balanced;
mod certainty;
mod check;
mod sample;
mod urgency;

use balanced::fit_balanced;
use certainty::{fit_certainty, quantile};
use urgency::fit_urgency;

use crate::classify::{Answers, BalancedVote, Rules, Source};
use crate::domain::Category;

pub use check::{RulesCheck, WayCheck};
pub use sample::{ClassShares, NEIGHBOURHOOD, Sample};

/// Labelled photos in each category below which nothing is fitted.
pub const PHOTOS_MIN: usize = 100;
/// Parts of the photos in the cross-validation.
pub const FOLDS: usize = 5;
/// A photo is far from the reference if its nearest neighbour is less similar than that of so many photos of the split.
const FAR_QUANTILE: f64 = 0.01;

/// Why no rules were fitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesFitError {
    #[error("{found} photos have a label of {category}; rules need at least {PHOTOS_MIN}, and should have thousands")]
    TooFew { category: Category, found: usize },
}

/// Fits the rules to all photos and checks them on each fold with rules fitted to the others.
///
/// `reference` are the shares of the reference's photos that have each class; `source` is where the opinions come from.
/// The photos are dealt to the folds in turn. The same input gives the same rules.
pub fn fit_rules(
    samples: &[Sample],
    reference: &ClassShares,
    source: &Source,
) -> Result<(Rules, RulesCheck), RulesFitError> {
    for category in Category::ALL {
        let found = samples.iter().filter(|sample| !sample.truth.get(category).is_empty()).count();
        if found < PHOTOS_MIN {
            return Err(RulesFitError::TooFew { category, found });
        }
    }
    let votes = fit_balanced(samples, reference);
    let all: Vec<&Sample> = samples.iter().collect();
    let rules = complete(&all, votes.all, source);
    let fold_rules = votes.without_fold.into_iter().enumerate().map(|(fold, vote)| {
        let others: Vec<&Sample> =
            samples.iter().enumerate().filter(|(row, _)| row % FOLDS != fold).map(|(_, sample)| sample).collect();
        complete(&others, vote, source)
    });
    let check = RulesCheck::of(samples, &fold_rules.collect::<Vec<_>>(), source);
    Ok((rules, check))
}

/// Everything but the balanced vote.
fn complete(samples: &[&Sample], balanced_vote: BalancedVote, source: &Source) -> Rules {
    let truths: Vec<_> = samples.iter().map(|sample| &sample.truth).collect();
    let certainty = |made_for, answers: Vec<Answers>| fit_certainty(made_for, &answers, &truths);
    let published = samples.iter().map(|sample| sample.published_vote(source.neighbours)).collect();
    let balanced = samples.iter().map(|sample| balanced_vote.answers(&sample.neighbours)).collect();
    let linear: Option<Vec<Answers>> = samples.iter().map(|sample| sample.opinions.linear.clone()).collect();
    let zero_shot: Option<Vec<Answers>> = samples.iter().map(|sample| sample.opinions.zero_shot.clone()).collect();
    let nearest = samples.iter().filter_map(|sample| sample.neighbours.first()).map(|nearest| nearest.similarity);
    Rules {
        neighbours: source.neighbours,
        published: certainty(None, published),
        balanced: certainty(None, balanced),
        linear: linear.map(|answers| certainty(source.heads, answers)),
        zero_shot: zero_shot.map(|answers| certainty(source.prompts, answers)),
        urgency: fit_urgency(samples, source.neighbours),
        // Rounding can take a similarity a little beyond 1.
        far_below: quantile(nearest.collect(), FAR_QUANTILE).unwrap_or(-1.0).clamp(-1.0, 1.0),
        balanced_vote,
    }
}
