//! Calibrates a method's confidences, and finds the leads that count as near ties.

use crate::classify::{Answers, Certainty, ConfidenceMap};
use crate::domain::{Category, Labels, Sha256};

/// Maximum number of steps of a confidence map.
const STEPS: usize = 15;
/// Minimum number of answers in a step.
const STEP_ANSWERS_MIN: usize = 20;
/// Share of the photos whose answers count as nearly tied. They are the photos with the least lead.
const NEAR_TIE_QUANTILE: f64 = 0.05;

/// Fits the calibration of a method from its answers and the true labels.
pub fn fit_certainty(made_for: Option<Sha256>, answers: &[Answers], truths: &[&Labels]) -> Certainty {
    Certainty {
        made_for,
        confidence: Category::ALL.map(|category| confidence_map(answered(category, answers, truths))),
        near_tie: Category::ALL.map(|category| near_tie(category, answers)),
    }
}

/// Returns the confidence of every class that was answered where the truth is known, and whether the class was right.
fn answered(category: Category, answers: &[Answers], truths: &[&Labels]) -> Vec<(f32, bool)> {
    let known = answers.iter().zip(truths).map(|(answers, truth)| (&answers[category as usize], truth.get(category)));
    let classes = known.filter(|(_, truth)| !truth.is_empty()).flat_map(|(answer, truth)| {
        answer.verdict.classes.iter().map(|class| (class.confidence, truth.indexes().contains(&class.index)))
    });
    classes.collect()
}

/// Fits a map by isotonic regression on a few steps with about equally many answers.
///
/// A step's share of right answers is (right + 1) / (answers + 2), by Laplace's rule, so no step is certain.
fn confidence_map(mut answers: Vec<(f32, bool)>) -> ConfidenceMap {
    answers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut steps: Vec<Step> = Vec::new();
    for step in steps_of(&answers) {
        steps.push(step);
        // Pool adjacent violators.
        while let [.., before, last] = &steps[..] {
            if before.share() < last.share() {
                break;
            }
            let pooled = before.with(last);
            steps.truncate(steps.len() - 2);
            steps.push(pooled);
        }
    }
    let points = steps.iter().map(|step| (step.mean_confidence().clamp(0.0, 1.0), step.share()));
    ConfidenceMap::new(points.collect()).unwrap_or_else(ConfidenceMap::identity)
}

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    answers: usize,
    right: usize,
    confidence_sum: f64,
}

impl Step {
    fn share(&self) -> f32 {
        (self.right + 1) as f32 / (self.answers + 2) as f32
    }

    fn mean_confidence(&self) -> f32 {
        (self.confidence_sum / self.answers as f64) as f32
    }

    fn with(&self, other: &Step) -> Step {
        Step {
            answers: self.answers + other.answers,
            right: self.right + other.right,
            confidence_sum: self.confidence_sum + other.confidence_sum,
        }
    }
}

/// Divides answers, in the order of confidence, into steps. Answers of equal confidence stay together.
fn steps_of(answers: &[(f32, bool)]) -> Vec<Step> {
    let enough = answers.len().div_ceil(STEPS).max(STEP_ANSWERS_MIN);
    let mut steps: Vec<Step> = Vec::new();
    for equal in answers.chunk_by(|a, b| a.0 == b.0) {
        if steps.last().is_none_or(|step| step.answers >= enough) {
            steps.push(Step::default());
        }
        let step = steps.last_mut().expect("just pushed");
        step.answers += equal.len();
        step.right += equal.iter().filter(|(_, right)| *right).count();
        step.confidence_sum += equal.iter().map(|(confidence, _)| f64::from(*confidence)).sum::<f64>();
    }
    steps
}

fn near_tie(category: Category, answers: &[Answers]) -> f32 {
    if category.is_multi() {
        return 0.0;
    }
    let leads = answers.iter().map(|answers| answers[category as usize].lead);
    // Rounding can raise a sum of weights a little above 1.
    quantile(leads.collect(), NEAR_TIE_QUANTILE).unwrap_or(0.0).clamp(0.0, 1.0)
}

/// Returns the value below which `share` of the values are. None without values.
pub fn quantile(mut values: Vec<f32>, share: f64) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get((values.len() as f64 * share) as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_gives_the_share_of_right_answers() {
        // The share c^2 of the answers with confidence c is right.
        let answers: Vec<(f32, bool)> =
            (0..20_000).map(|i| (i % 100, i / 100)).map(|(c, i)| (c as f32 / 100.0, i * 50 < c * c)).collect();
        let map = confidence_map(answers);
        for own in [0.1_f32, 0.3, 0.5, 0.7, 0.9] {
            assert!((map.apply(own) - own * own).abs() < 0.03, "{own}: {}", map.apply(own));
        }
    }

    #[test]
    fn a_map_never_falls_and_is_never_certain() {
        let falling: Vec<(f32, bool)> = (0..1000).map(|i| (i as f32 / 1000.0, i % 10 > i / 100)).collect();
        let map = confidence_map(falling);
        let values: Vec<f32> = (0..=100).map(|i| map.apply(i as f32 / 100.0)).collect();
        assert!(values.is_sorted() && values.iter().all(|value| (0.0..1.0).contains(value)), "{values:?}");
        let right = confidence_map(vec![(1.0, true); 98]);
        assert_eq!(right.apply(1.0), 0.99);
        // Without answers the map changes nothing.
        assert_eq!(confidence_map(Vec::new()).apply(0.3), 0.3);
    }

    #[test]
    fn quantiles_are_values() {
        let values: Vec<f32> = (0..200).map(|i| i as f32).collect();
        assert_eq!((quantile(values.clone(), 0.01), quantile(values, 0.05)), (Some(2.0), Some(10.0)));
        assert_eq!(quantile(Vec::new(), 0.5), None);
    }
}
