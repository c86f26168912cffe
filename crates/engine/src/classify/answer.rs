//! A method's answer for one category, before calibration.

use bridgeclip_domain::{Category, CategoryVerdict, ScoredClass, Scores};

/// A method's answer for one category.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The answered classes, with the method's own confidences.
    pub verdict: CategoryVerdict,
    /// Lead of the answered class over the next one, in the method's own measure. Infinite in a multi-label category,
    /// where several classes can be right and so none trails another.
    pub lead: f32,
}

/// The answers for all categories, in the order of [`Category::ALL`].
pub type Answers = [Answer; 4];

/// Returns the answers of the linear heads by their published rule. A single-label category gets the most probable
/// class. A multi-label category gets every class with a probability above 0.5, or the most probable class if there is
/// none.
///
/// Confidences are the probabilities.
pub fn linear_answers(scores: &Scores) -> Answers {
    Category::ALL.map(|category| linear_answer(category, scores.get(category)))
}

/// Returns the answer of the linear heads for one category, see [`linear_answers`], from its probabilities.
pub(super) fn linear_answer(category: Category, probabilities: &[f32]) -> Answer {
    decide(category, probabilities, |probability| probability > 0.5)
}

/// Chooses classes by probability. A single-label category gets the most probable class. A multi-label category gets
/// every class whose probability is `enough`, the most probable first, or the most probable class if there is none.
/// Classes of equal probability keep the class order.
pub fn decide(category: Category, probabilities: &[f32], enough: impl Fn(f32) -> bool) -> Answer {
    let mut ranked: Vec<ScoredClass> =
        (0..).zip(probabilities).map(|(index, &confidence)| ScoredClass { index, confidence }).collect();
    // The sort is stable, so that equal classes keep the class order.
    ranked.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let lead = lead(category, ranked.iter().map(|class| class.confidence));
    let chosen = match category.is_multi() {
        true => ranked.iter().take_while(|class| enough(class.confidence)).count(),
        false => 1,
    };
    ranked.truncate(chosen.max(1));
    Answer { verdict: CategoryVerdict { classes: ranked }, lead }
}

/// Returns the lead of the first value of `ranked` over the second. A missing value counts as 0. The lead is infinite
/// in a multi-label category.
pub(super) fn lead(category: Category, mut ranked: impl Iterator<Item = f32>) -> f32 {
    match category.is_multi() {
        true => f32::INFINITY,
        false => ranked.next().unwrap_or(0.0) - ranked.next().unwrap_or(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(answer: &Answer) -> Vec<u8> {
        answer.verdict.classes.iter().map(|class| class.index).collect()
    }

    #[test]
    fn single_label_takes_the_most_probable_alone() {
        let cases = [([0.1, 0.6, 0.55, 0.0], 1, 0.05), ([0.2, 0.3, 0.3, 0.2], 1, 0.0), ([0.0; 4], 0, 0.0)];
        for (probabilities, expected, lead) in cases {
            let answer = decide(Category::Soundness, &probabilities, |p| p > 0.5);
            assert_eq!(indexes(&answer), [expected], "{probabilities:?}");
            assert_eq!(answer.verdict.classes[0].confidence, probabilities[usize::from(expected)]);
            assert!((answer.lead - lead).abs() < 1e-6, "{probabilities:?}");
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
            let answers = linear_answers(&scores(values));
            let answer = &answers[Category::DamageType as usize];
            assert_eq!(indexes(answer), expected, "{values:?}");
            assert_eq!(answer.lead, f32::INFINITY);
        }
    }
}
