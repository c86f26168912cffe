//! Fits rules to labelled photos that are not in the reference: the balanced vote, the fused rule, calibration of
//! confidences, prediction sets, thresholds of urgency and of a second look. Cross-validation measures their quality.
//!
//! A rule has few parameters. They are chosen on a few thousand photos and must work on others.

mod balanced;
mod bootstrap;
mod certainty;
mod check;
mod evidence;
mod fold;
mod fused;
mod prediction;
mod sample;
mod urgency;
mod weights;

use rayon::prelude::*;

use balanced::fit_balanced;
use certainty::{fit_certainty, quantile};
use evidence::{Models, Prepared, bases, has_heads};
use fold::fold_of;
use fused::{Fusion, fit_fused};
use prediction::fit_prediction;
use urgency::fit_urgency;

use crate::classify::{Answers, BalancedVote, Fused, Prediction, Rules, Source};
use crate::domain::Category;

pub use check::{RulesCheck, WayCheck};
pub use fold::FOLDS;
pub use fused::{CategoryGain, FusedGain, Gain};
pub use prediction::{ClassCoverage, SetsCheck};
pub use sample::{ClassShares, NEIGHBOURHOOD, Sample};

/// Minimum number of labelled photos in each category; with fewer, nothing is fitted.
pub const PHOTOS_MIN: usize = 100;
/// Share of the photos that count as far from the reference: those with the least similar nearest neighbour.
const FAR_QUANTILE: f64 = 0.01;

/// Reason why no rules were fitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesFitError {
    #[error("{found} photos have a label of {category}; rules need at least {PHOTOS_MIN}, and should have thousands")]
    TooFew { category: Category, found: usize },
}

/// Fits the rules to all photos, and checks them on each fold with rules fitted to the other folds.
///
/// `reference` has each class's share of the reference's photos; `source` is the origin of the opinions. The same input
/// gives the same rules. Fails if a category has fewer than [`PHOTOS_MIN`] labelled photos.
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
    let joined = fit_joined(samples, reference, source);
    // No photo is in the fold after the last one.
    let votes = votes.without_fold.into_iter().chain([votes.all]);
    let mut fits: Vec<Rules> = votes
        .zip(joined)
        .enumerate()
        .map(|(fold, (vote, joined))| {
            let others: Vec<&Sample> = samples.iter().filter(|sample| fold_of(sample.group) != fold).collect();
            complete(&others, vote, joined, source)
        })
        .collect();
    let rules = fits.pop().expect("a fit for each fold and one for all");
    let check = RulesCheck::of(samples, &fits, source);
    Ok((rules, check))
}

/// What is fitted to the joined evidence of votes and heads.
struct Joined {
    /// The fused rule. None without linear heads.
    fused: Option<Fusion>,
    prediction: Prediction,
}

/// Fits to the photos outside each fold, and at last to all photos.
fn fit_joined(samples: &[Sample], reference: &ClassShares, source: &Source) -> Vec<Joined> {
    let (bases, has_heads) = (bases(reference), has_heads(samples));
    let prepared = Prepared::all(samples, &bases, source.neighbours);
    let fit = |fold: usize| {
        let photos: Vec<&Prepared> = prepared.iter().filter(|photo| fold_of(photo.sample.group) != fold).collect();
        let models = Category::ALL.map(|category| Models::fit(&photos, category, &bases[category as usize]));
        let prediction = fit_prediction(&photos, &models, source.heads.filter(|_| has_heads));
        Joined { fused: has_heads.then(|| fit_fused(&photos, &models)), prediction }
    };
    (0..=FOLDS).into_par_iter().map(fit).collect()
}

/// Fits all remaining rules to a balanced vote and to what was fitted to the joined evidence.
fn complete(samples: &[&Sample], balanced_vote: BalancedVote, joined: Joined, source: &Source) -> Rules {
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
        fused: joined.fused.map(|Fusion { vote, answers }| Fused { vote, certainty: certainty(source.heads, answers) }),
        prediction: Some(joined.prediction),
        linear: linear.map(|answers| certainty(source.heads, answers)),
        zero_shot: zero_shot.map(|answers| certainty(source.prompts, answers)),
        urgency: fit_urgency(samples, source.neighbours),
        // Rounding can raise a similarity a little above 1.
        far_below: quantile(nearest.collect(), FAR_QUANTILE).unwrap_or(-1.0).clamp(-1.0, 1.0),
        balanced_vote,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{Neighbour, Opinions};
    use crate::domain::{CategoryLabels, Labels, Method, Rule};

    const SOURCE: Source = Source { neighbours: 10, heads: None, prompts: None };

    /// Returns labels of the rare class, which is the last one of every category, or of a common one. The rare classes
    /// include rating IV and measure S2.
    fn labels(rare: bool) -> Labels {
        Labels::new(|category| {
            CategoryLabels::new(category, [if rare { category.classes().len() as u8 - 1 } else { 1 }])
        })
    }

    /// Returns photos, one in ten of which has the rare class. Three in ten neighbours of such a photo have that class,
    /// and one in fifty of the other photos' neighbours.
    fn samples<'a>(count: usize, [common, rare]: [&'a Labels; 2]) -> Vec<Sample<'a>> {
        let sample = |row: usize| {
            let is_rare = row.is_multiple_of(10);
            let neighbour = |place: usize| {
                let turn = place + 3 * row;
                let labels = match is_rare {
                    true if turn % 10 < 3 => rare,
                    false if turn.is_multiple_of(50) => rare,
                    _ => common,
                };
                Neighbour { similarity: 0.9 - place as f32 / 1000.0, labels }
            };
            let truth = if is_rare { rare } else { common };
            Sample {
                group: row,
                truth: truth.clone(),
                neighbours: (0..100).map(neighbour).collect(),
                opinions: Opinions::default(),
            }
        };
        (0..count).map(sample).collect()
    }

    fn fit(count: usize) -> Result<(Rules, RulesCheck), RulesFitError> {
        let (common, rare) = (labels(false), labels(true));
        let reference: Vec<Labels> = (0..1000).map(|row| labels(row % 20 == 0)).collect();
        fit_rules(&samples(count, [&common, &rare]), &ClassShares::of(&reference), &SOURCE)
    }

    #[test]
    fn a_rare_class_is_found_on_photos_that_the_rules_were_not_fitted_to() {
        let (rules, check) = fit(500).expect("fits");
        let [published, balanced] = &check.ways[..] else { panic!("{check:?}") };
        assert_eq!((published.method, published.rule), (Method::Knn, Some(Rule::Published)));
        for category in Category::ALL {
            let classes = category.classes().len() as f64;
            assert!(published.macro_f1[&category] < 1.0 / classes, "the majority is always right");
            assert!(balanced.macro_f1[&category] > 1.9 / classes, "{category}: {}", balanced.macro_f1[&category]);
        }
        assert_eq!((check.urgency.urgent, check.urgency.found), (50, 50));
        for (category, sets) in &check.not_excluded {
            let (common, rare) = (&sets.classes[1], sets.classes.last().expect("a class"));
            assert!(common.coverage >= 0.93 && rare.coverage >= 0.9, "{category}: {sets:?}");
            assert!(sets.classes[0].always && !common.always && !rare.always, "{category}: {sets:?}");
        }
        assert_eq!(Rules::from_bytes(&rules.to_bytes()), Ok(rules.clone()));
        assert_eq!(fit(500).expect("fits"), (rules, check), "the same input gives the same rules");
    }

    #[test]
    fn too_few_photos_are_refused() {
        let expected = RulesFitError::TooFew { category: Category::Soundness, found: PHOTOS_MIN - 1 };
        assert_eq!(fit(PHOTOS_MIN - 1), Err(expected));
        assert!(fit(PHOTOS_MIN).is_ok());
    }
}
