//! Thresholds and worths of the classes that maximise the expected macro-F1 of calibrated probabilities.
//!
//! A class's F1 is `2 hits / (occurrences + answers)`. One more answer with probability `p` raises it as long as
//! `p > F1 / 2`, and by `(2 p - F1) / (occurrences + answers)`. F1 itself depends on the answers, so both are found in
//! turns. All counts are expected ones: no photo's label is used, so a rare class needs no examples of its own.

/// Number of turns; the values settle within about twenty.
const TURNS: usize = 40;
/// F1 of every class before the first turn.
const START: f64 = 0.3;
/// Least expected count of a class.
const COUNT_MIN: f64 = 1e-3;
/// Bounds of a threshold.
const THRESHOLDS: (f64, f64) = (1e-3, 0.5);

/// Returns the threshold and the worth of each class. `probabilities` are those of each photo, in class order. The worths
/// of a single-label category have a mean of 1; a multi-label category's are the inverse thresholds.
pub fn decision(probabilities: &[Vec<f32>], classes: usize, multi: bool) -> (Vec<f32>, Vec<f32>) {
    let mut occurs = vec![COUNT_MIN; classes];
    for photo in probabilities {
        occurs.iter_mut().zip(photo).for_each(|(sum, probability)| *sum += f64::from(*probability));
    }
    let (mut scores, mut items) = (vec![START; classes], occurs.iter().map(|count| 2.0 * count).collect::<Vec<f64>>());
    for _ in 0..TURNS {
        let (hits, answers) = expected(probabilities, &scores, &items, multi);
        for class in 0..classes {
            let now = occurs[class] + answers[class];
            scores[class] = 0.5 * (scores[class] + 2.0 * hits[class] / now);
            items[class] = 0.5 * (items[class] + now);
        }
    }
    let thresholds: Vec<f64> = scores.iter().map(|score| threshold(*score)).collect();
    let worths = worths(&thresholds, &items, multi);
    (thresholds.iter().map(|value| *value as f32).collect(), worths.iter().map(|value| *value as f32).collect())
}

fn threshold(score: f64) -> f64 {
    (score / 2.0).clamp(THRESHOLDS.0, THRESHOLDS.1)
}

fn worths(thresholds: &[f64], items: &[f64], multi: bool) -> Vec<f64> {
    if multi {
        return thresholds.iter().map(|threshold| 1.0 / threshold).collect();
    }
    let mean = items.iter().map(|items| 1.0 / items).sum::<f64>() / items.len() as f64;
    items.iter().map(|items| 1.0 / items / mean).collect()
}

/// Returns the expected hits and the number of answers of each class.
fn expected(probabilities: &[Vec<f32>], scores: &[f64], items: &[f64], multi: bool) -> (Vec<f64>, Vec<f64>) {
    let thresholds: Vec<f64> = scores.iter().map(|score| threshold(*score)).collect();
    let worths = worths(&thresholds, items, multi);
    let (mut hits, mut answers) = (vec![0.0; scores.len()], vec![0.0; scores.len()]);
    for photo in probabilities {
        let value = |class: usize| (f64::from(photo[class]) - thresholds[class]) * worths[class];
        let values: Vec<f64> = (0..photo.len()).map(value).collect();
        let best = (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]).then(b.cmp(a)));
        for class in 0..values.len() {
            if Some(class) == best || (multi && values[class] >= 0.0) {
                hits[class] += f64::from(photo[class]);
                answers[class] += 1.0;
            }
        }
    }
    (hits, answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_cannot_be_told_apart_is_answered_from_a_low_probability() {
        // Class 1 is rare and never probable, class 0 is everywhere else.
        let photos: Vec<Vec<f32>> =
            (0..1000).map(|row| if row % 20 == 0 { vec![0.7, 0.3] } else { vec![0.99, 0.01] }).collect();
        let (thresholds, worths) = decision(&photos, 2, false);
        let value = |photo: &[f32], class: usize| (photo[class] - thresholds[class]) * worths[class];
        assert!(value(&photos[0], 1) > value(&photos[0], 0), "{thresholds:?} {worths:?}");
        assert!(value(&photos[1], 1) < value(&photos[1], 0), "{thresholds:?} {worths:?}");
        let (thresholds, _) = decision(&photos, 2, true);
        assert!(thresholds[1] < 0.3 && thresholds[1] > 0.01 && thresholds[0] > 0.45, "{thresholds:?}");
    }

    #[test]
    fn certain_classes_have_a_threshold_of_a_half() {
        let photos: Vec<Vec<f32>> =
            (0..100).map(|row| if row % 2 == 0 { vec![1.0, 0.0] } else { vec![0.0, 1.0] }).collect();
        for multi in [false, true] {
            let (thresholds, worths) = decision(&photos, 2, multi);
            assert!(thresholds.iter().all(|threshold| (threshold - 0.5).abs() < 1e-3), "{thresholds:?}");
            assert!((worths[0] - worths[1]).abs() < 1e-3 && worths[0] > 0.9);
        }
        let (thresholds, worths) = decision(&[], 3, false);
        assert!(thresholds.iter().chain(&worths).all(|value| value.is_finite() && *value > 0.0));
    }
}
