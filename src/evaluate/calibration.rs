//! Measures how well confidences match accuracy, by the expected calibration error.

use serde::{Deserialize, Serialize};

/// Number of bins of equal width over [0, 1]. A bin contains its upper bound and not its lower one, as in Guo et al.,
/// "On Calibration of Modern Neural Networks" (arXiv 1706.04599).
pub const BINS: usize = 10;

/// Distance above a bound within which a confidence still belongs to the bin below it: a share such as 3 of 10 has no
/// exact `f32`.
const BOUND_TOLERANCE: f64 = 1e-6;

/// One class of an answer: its confidence, and whether the photo has the class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confidence {
    /// Confidence, in [0, 1].
    pub value: f64,
    /// Whether the photo has the class.
    pub correct: bool,
}

/// The expected calibration error over all answered classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Mean distance of confidence and accuracy over the bins, weighted by the number of answers; in [0, 1], 0 is best.
    pub expected_error: f64,
    /// Always [`BINS`] bins, from the lowest confidence to the highest.
    pub bins: Vec<Bin>,
}

/// The answers whose confidence is in one bin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Number of answers.
    pub answers: usize,
    /// Mean confidence of the answers, in [0, 1]; 0 without answers.
    pub mean_confidence: f64,
    /// Share of the answers that are right, in [0, 1]; 0 without answers.
    pub accuracy: f64,
}

impl Calibration {
    /// Returns the calibration over these answers. None without an answer.
    pub fn of(answers: &[Confidence]) -> Option<Self> {
        let bins: Vec<Bin> = (0..BINS).map(|index| Bin::of(answers, index)).collect();
        let gap = |bin: &Bin| bin.answers as f64 * (bin.accuracy - bin.mean_confidence).abs();
        let expected_error = bins.iter().map(gap).sum::<f64>() / answers.len() as f64;
        (!answers.is_empty()).then_some(Calibration { expected_error, bins })
    }
}

impl Bin {
    fn of(answers: &[Confidence], index: usize) -> Self {
        let members: Vec<_> = answers.iter().filter(|answer| bin_index(answer.value) == index).collect();
        let mean = |sum: f64| if members.is_empty() { 0.0 } else { sum / members.len() as f64 };
        Bin {
            answers: members.len(),
            mean_confidence: mean(members.iter().map(|answer| answer.value).sum()),
            accuracy: mean(members.iter().filter(|answer| answer.correct).count() as f64),
        }
    }
}

fn bin_index(confidence: f64) -> usize {
    let bin = (confidence * BINS as f64 - BOUND_TOLERANCE).ceil() - 1.0;
    bin.clamp(0.0, (BINS - 1) as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_contains_its_upper_bound() {
        let cases = [(0.0, 0), (0.1, 0), (f64::from(0.3_f32), 2), (f64::from(0.7_f32), 6), (0.71, 7), (1.0, 9)];
        for (confidence, bin) in cases {
            assert_eq!(bin_index(confidence), bin, "{confidence}");
        }
    }

    #[test]
    fn the_error_is_the_gap_between_confidence_and_accuracy() {
        let answer = |value, correct| Confidence { value, correct };
        let calibration =
            Calibration::of(&[answer(1.0, true), answer(1.0, false), answer(0.5, true), answer(0.5, false)]);
        assert_eq!(calibration.unwrap().expected_error, 0.25);
        assert_eq!(Calibration::of(&[]), None);
    }
}
