//! The quality of fitted rules on photos that they were not fitted to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fold::{FOLDS, fold_of};
use super::sample::Sample;
use crate::classify::{Judge, Params, Rules, Source};
use crate::domain::{Category, Method, Rule};
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
            (Method::Linear, Rule::Published),
            (Method::ZeroShot, Rule::Published),
        ];
        let is_there = |method: &Method| match method {
            Method::Knn => true,
            Method::Linear => samples.iter().all(|sample| sample.opinions.linear.is_some()),
            Method::ZeroShot => samples.iter().all(|sample| sample.opinions.zero_shot.is_some()),
        };
        let checks = ways.into_iter().filter(|(method, _)| is_there(method)).map(|way| {
            let judges: Vec<Judge> = fold_rules.iter().map(|rules| judge(rules, source, way)).collect();
            WayCheck::of(samples, &judges)
        });
        // Urgency does not depend on the method, so any way serves.
        let judges: Vec<Judge> = fold_rules.iter().map(|rules| judge(rules, source, ways[0])).collect();
        let review = |(row, sample): (usize, &Sample)| judges[fold_of(row)].urgency().judge(&sample.neighbours).review;
        let reviews = samples.iter().enumerate().map(review);
        let urgency = urgency(samples.iter().map(|sample| &sample.truth).zip(reviews));
        RulesCheck { photos: samples.len(), folds: FOLDS, ways: checks.collect(), urgency }
    }
}

impl WayCheck {
    fn of(samples: &[Sample], judges: &[Judge]) -> Self {
        let (mut own, mut calibrated) = (Vec::new(), Vec::new());
        for (row, Sample { truth, neighbours, opinions }) in samples.iter().enumerate() {
            let judge = &judges[fold_of(row)];
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
