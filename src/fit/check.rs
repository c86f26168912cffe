//! The quality of fitted rules on photos that they were not fitted to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fold::{FOLDS, fold_of};
use super::fused::{FusedGain, category_gain};
use super::prediction::{SetsCheck, check_sets};
use super::sample::Sample;
use crate::classify::{Judge, Params, Prediction, Rules, Source};
use crate::domain::{Category, Method, PredictionSets, Rule};
use crate::evaluate::{CategoryScores, Classification, Judged, UrgencyScores, classification, urgency};

/// A cross-validation: each photo is answered by rules that were fitted without its fold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RulesCheck {
    /// Number of photos.
    pub photos: usize,
    /// Number of folds.
    pub folds: usize,
    /// The result for each method and rule that is available.
    pub ways: Vec<WayCheck>,
    /// Gain of the fused rule over the published vote. None without linear heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fused: Option<FusedGain>,
    /// Coverage and size of the prediction sets, by category.
    pub not_excluded: BTreeMap<Category, SetsCheck>,
    /// Scores of the urgency rule.
    pub urgency: UrgencyScores,
}

/// The result for one method; for k-NN, with one rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WayCheck {
    pub method: Method,
    /// Rule of a vote. None for the other methods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// Mean of the four macro-F1 scores, in [0, 1].
    pub mean_macro_f1: f64,
    /// Macro-F1 by category, in [0, 1].
    pub macro_f1: BTreeMap<Category, f64>,
    /// Calibration error of the method's own confidences, by category.
    pub own_calibration_error: BTreeMap<Category, f64>,
    /// Calibration error of the calibrated confidences, by category.
    pub calibration_error: BTreeMap<Category, f64>,
}

impl RulesCheck {
    /// Checks rules on the samples. `fold_rules` are the rules fitted without each fold; see [`fold_of`].
    pub(super) fn of(samples: &[Sample], fold_rules: &[Rules], source: &Source) -> Self {
        let ways = [
            (Method::Knn, Rule::Published),
            (Method::Knn, Rule::Balanced),
            (Method::Knn, Rule::Fused),
            (Method::Linear, Rule::Published),
            (Method::ZeroShot, Rule::Published),
        ];
        let has_fused = fold_rules.iter().all(|rules| rules.fused.is_some());
        let is_there = |(method, rule): &(Method, Rule)| match method {
            Method::Knn => *rule != Rule::Fused || has_fused,
            Method::Linear => samples.iter().all(|sample| sample.opinions.linear.is_some()),
            Method::ZeroShot => samples.iter().all(|sample| sample.opinions.zero_shot.is_some()),
        };
        let checks = ways.into_iter().filter(is_there).map(|way| {
            let judges: Vec<Judge> = fold_rules.iter().map(|rules| judge(rules, source, way)).collect();
            WayCheck::of(samples, &judges)
        });
        // Urgency does not depend on the method, so any way serves.
        let judges: Vec<Judge> = fold_rules.iter().map(|rules| judge(rules, source, ways[0])).collect();
        let review = |sample: &Sample| judges[fold_of(sample.group)].urgency().judge(&sample.neighbours).review;
        let reviews = samples.iter().map(review);
        let urgency = urgency(samples.iter().map(|sample| &sample.truth).zip(reviews));
        let fused = has_fused.then(|| gains(samples, fold_rules, source));
        let not_excluded = sets(samples, fold_rules, source);
        RulesCheck { photos: samples.len(), folds: FOLDS, ways: checks.collect(), fused, not_excluded, urgency }
    }
}

impl WayCheck {
    fn of(samples: &[Sample], judges: &[Judge]) -> Self {
        let (mut own, mut calibrated) = (Vec::new(), Vec::new());
        for Sample { group, truth, neighbours, opinions } in samples {
            let judge = &judges[fold_of(*group)];
            let answers = judge.answers(opinions, neighbours).map(|answer| answer.verdict);
            own.push(Judged { truth: truth.clone(), answers });
            calibrated.push(Judged::by_verdict(truth.clone(), &judge.verdict(opinions, neighbours, None)));
        }
        let (own, calibrated) = (classification(&own), classification(&calibrated));
        let Params { method, rule, .. } = judges[0].params;
        WayCheck {
            method,
            rule: (method == Method::Knn).then_some(rule),
            mean_macro_f1: calibrated.mean_macro_f1,
            macro_f1: figures(&calibrated, |scores| Some(scores.macro_f1)),
            own_calibration_error: figures(&own, calibration_error),
            calibration_error: figures(&calibrated, calibration_error),
        }
    }
}

/// Compares the fused rule with the published vote on each fold, by rules fitted to the others.
fn gains(samples: &[Sample], fold_rules: &[Rules], source: &Source) -> FusedGain {
    let [published, fused] = [Rule::Published, Rule::Fused].map(|rule| {
        let judges: Vec<Judge> = fold_rules.iter().map(|rules| judge(rules, source, (Method::Knn, rule))).collect();
        let answer = |sample: &Sample| judges[fold_of(sample.group)].answers(&sample.opinions, &sample.neighbours);
        samples.iter().map(answer).collect::<Vec<_>>()
    });
    let gain = |category: Category| {
        let rows = samples.iter().zip(published.iter().zip(&fused)).map(|(sample, (published, fused))| {
            let [published, fused] = [published, fused].map(|answers| &answers[category as usize].verdict);
            (sample.group, sample.truth.get(category), published, fused)
        });
        category_gain(category, rows)
    };
    FusedGain::new(Category::ALL.map(gain))
}

/// Checks the prediction sets of each fold, by limits fitted to the others.
fn sets(samples: &[Sample], fold_rules: &[Rules], source: &Source) -> BTreeMap<Category, SetsCheck> {
    let predictions = fold_rules.iter().map(|rules| rules.prediction.as_ref().expect("every fit has limits"));
    let predictions: Vec<&Prediction> = predictions.collect();
    let of = |sample: &Sample| {
        let linear = sample.opinions.linear_scores.as_ref();
        predictions[fold_of(sample.group)].sets(&sample.neighbours, linear, source.heads)
    };
    let sets: Vec<Option<PredictionSets>> = samples.iter().map(of).collect();
    let rows =
        samples.iter().zip(&sets).filter_map(|(sample, sets)| Some((sample.group, &sample.truth, sets.as_ref()?)));
    let check = |category: Category| {
        let is_always = |class: usize| predictions.iter().all(|prediction| prediction.limit(category, class).is_none());
        let always: Vec<bool> = (0..category.classes().len()).map(is_always).collect();
        (category, check_sets(category, &rows, &always))
    };
    PredictionSets::CATEGORIES.into_iter().map(check).collect()
}

fn judge(rules: &Rules, source: &Source, (method, rule): (Method, Rule)) -> Judge {
    let params = Params { method, rule, neighbours: source.neighbours };
    Judge { params, rules: Some(rules.clone()), source: *source }
}

fn calibration_error(scores: &CategoryScores) -> Option<f64> {
    Some(scores.calibration.as_ref()?.expected_error)
}

fn figures(scores: &Classification, figure: impl Fn(&CategoryScores) -> Option<f64>) -> BTreeMap<Category, f64> {
    scores.categories.iter().filter_map(|(category, scores)| Some((*category, figure(scores)?))).collect()
}
