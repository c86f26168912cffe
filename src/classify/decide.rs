//! Probabilities to classes.

use crate::domain::{Category, CategoryVerdict, ScoredClass, Scores};

/// The published rule of the linear heads: single label, the most probable class; multi label, every class with a
/// probability above 0.5, and if there is none, the most probable one.
///
/// In the order of [`Category::ALL`]. Confidences are the probabilities.
pub fn linear_verdict(scores: &Scores) -> [CategoryVerdict; 4] {
    Category::ALL.map(|category| decide(category, scores.get(category), |probability| probability > 0.5))
}

/// Single label: the most probable class. Multi label: every class that is `enough`, the most probable first, and if
/// there is none, the most probable one. Among equals the class order decides.
pub fn decide(category: Category, probabilities: &[f32], enough: impl Fn(f32) -> bool) -> CategoryVerdict {
    let mut ranked: Vec<ScoredClass> =
        (0..).zip(probabilities).map(|(index, &confidence)| ScoredClass { index, confidence }).collect();
    // Stable, so that equals keep the class order.
    ranked.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let chosen = match category.is_multi() {
        true => ranked.iter().take_while(|class| enough(class.confidence)).count(),
        false => 1,
    };
    ranked.truncate(chosen.max(1));
    CategoryVerdict { classes: ranked }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(verdict: &CategoryVerdict) -> Vec<u8> {
        verdict.classes.iter().map(|class| class.index).collect()
    }

    #[test]
    fn single_label_takes_the_most_probable_alone() {
        for (probabilities, expected) in [([0.1, 0.6, 0.55, 0.0], 1), ([0.2, 0.3, 0.3, 0.2], 1), ([0.0; 4], 0)] {
            let verdict = decide(Category::Soundness, &probabilities, |p| p > 0.5);
            assert_eq!(indexes(&verdict), [expected], "{probabilities:?}");
            assert_eq!(verdict.classes[0].confidence, probabilities[usize::from(expected)]);
        }
    }

    #[test]
    fn multi_label_takes_all_above_a_half_or_else_the_most_probable() {
        let scores = |values: &[(usize, f32)]| {
            let mut probabilities = vec![0.1; 15];
            values.iter().for_each(|&(index, value)| probabilities[index] = value);
            Scores::new(|category| match category {
                Category::DamageType => probabilities.clone(),
                other => vec![0.0; other.classes().len()],
            })
        };
        type Case<'a> = (&'a [(usize, f32)], &'a [u8]);
        let cases: [Case; 3] = [(&[(3, 0.6), (9, 0.9), (1, 0.5)], &[9, 3]), (&[(4, 0.5), (7, 0.5)], &[4]), (&[], &[0])];
        for (values, expected) in cases {
            let verdict = linear_verdict(&scores(values));
            assert_eq!(indexes(&verdict[Category::DamageType as usize]), expected, "{values:?}");
        }
    }
}
