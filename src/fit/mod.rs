//! Fits rules to labelled photos that are not in the reference: the balanced vote, calibration of confidences,
//! thresholds of urgency and of a second look. Cross-validation measures their quality.
//!
//! A rule has few parameters. They are chosen on a few thousand photos and must work on others.

mod balanced;
mod certainty;
mod check;
mod fold;
mod sample;
mod urgency;

use balanced::fit_balanced;
use certainty::{fit_certainty, quantile};
use fold::fold_of;
use urgency::fit_urgency;

use crate::classify::{Answers, BalancedVote, Rules, Source};
use crate::domain::Category;

pub use check::{RulesCheck, WayCheck};
pub use fold::FOLDS;
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
    let all: Vec<&Sample> = samples.iter().collect();
    let rules = complete(&all, votes.all, source);
    let fold_rules = votes.without_fold.into_iter().enumerate().map(|(fold, vote)| {
        let others: Vec<&Sample> =
            samples.iter().enumerate().filter(|(row, _)| fold_of(*row) != fold).map(|(_, sample)| sample).collect();
        complete(&others, vote, source)
    });
    let check = RulesCheck::of(samples, &fold_rules.collect::<Vec<_>>(), source);
    Ok((rules, check))
}

/// Fits all remaining rules to a balanced vote.
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
