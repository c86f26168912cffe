//! Answers compared with true labels: the published metrics, equal to scikit-learn's on 0/1 indicator matrices with
//! `zero_division=0`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Calibration, Confidence};
use crate::domain::{Category, CategoryVerdict, Labels, ScoredClass, Verdict};

/// A photo's true labels and the answer about it. A category whose truth is unknown has no true labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// True labels of the photo.
    pub truth: Labels,
    /// Answered classes of each category, in the order of [`Category::ALL`].
    pub answers: [CategoryVerdict; 4],
}

impl Judged {
    /// Pairs true labels with an answer that has confidences.
    pub fn by_verdict(truth: Labels, verdict: &Verdict) -> Self {
        Judged { truth, answers: verdict.categories.clone() }
    }

    /// Pairs true labels with an answer without confidences. No calibration is computed with it.
    pub fn by_labels(truth: Labels, answer: &Labels) -> Self {
        let certain = |&index: &u8| ScoredClass { index, confidence: f32::NAN };
        let classes = |category| answer.get(category).indexes().iter().map(certain).collect();
        Judged { truth, answers: Category::ALL.map(|category| CategoryVerdict { classes: classes(category) }) }
    }
}

impl Judged {
    /// Reports whether exactly the true classes were answered. Where the truth is unknown, every answer counts as
    /// exact.
    pub fn is_exact(&self, category: Category) -> bool {
        let pair = self.pair(category);
        pair.truth.is_empty() || pair.is_exact()
    }

    fn pair(&self, category: Category) -> Pair<'_> {
        Pair { truth: self.truth.get(category).indexes(), answer: &self.answers[category as usize].classes }
    }
}

/// The scores of all categories that can be scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// Mean of the macro-F1 scores in `categories`; 0 if there are none.
    pub mean_macro_f1: f64,
    /// Scores of each category that has true labels.
    pub categories: BTreeMap<Category, CategoryScores>,
    /// Categories that are not scored, with the reason. They do not count in the mean.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_scored: BTreeMap<Category, String>,
}

impl Classification {
    /// Takes a category out of the scores and of their mean. `reason` is for a message.
    pub fn leave_out(&mut self, category: Category, reason: &str) {
        self.categories.remove(&category);
        self.not_scored.insert(category, reason.to_owned());
        self.mean_macro_f1 = mean_macro_f1(&self.categories);
    }
}

fn mean_macro_f1(categories: &BTreeMap<Category, CategoryScores>) -> f64 {
    categories.values().map(|scores| scores.macro_f1).sum::<f64>() / categories.len().max(1) as f64
}

/// The scores of one category over the photos with at least one true label of it. All scores are in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryScores {
    /// Number of photos with at least one true label.
    pub photos: usize,
    /// Mean F1 of all classes; a class without true or answered items counts 0.
    pub macro_f1: f64,
    /// Mean precision of all classes.
    pub macro_precision: f64,
    /// Mean recall of all classes.
    pub macro_recall: f64,
    /// F1 over the decisions of all classes together.
    pub micro_f1: f64,
    /// Mean F1 of the classes, weighted by their support.
    pub weighted_f1: f64,
    /// Mean precision of the classes, weighted by their support.
    pub weighted_precision: f64,
    /// Mean recall of the classes, weighted by their support.
    pub weighted_recall: f64,
    /// Mean recall of the classes that occur. None in a multi-label category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balanced_accuracy: Option<f64>,
    /// mAP: mean over the classes that occur of the average precision of the answers, each 1 for an answered class and 0
    /// for another one.
    #[serde(default)]
    pub mean_average_precision: f64,
    /// Share of the photos whose set of labels was answered exactly.
    pub exact_match: f64,
    /// Calibration of the confidences. None if answers have no confidences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The scores of each class, in class order.
    pub classes: Vec<ClassScores>,
    /// Number of photos by true class (row) and answered class (column). None in a multi-label category. Photos without
    /// an answer are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Vec<Vec<usize>>>,
}

/// The scores of one class against all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// English label of the class.
    pub label: String,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    /// Average precision, as scikit-learn defines it, of the scores 1 for an answered class and 0 for another one. None
    /// if no photo has the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
    /// Number of photos that have the class.
    pub support: usize,
    pub true_positives: usize,
    pub false_positives: usize,
    pub false_negatives: usize,
    pub true_negatives: usize,
}

/// Scores all answers. A category without any true label is not scored.
pub fn classification(judged: &[Judged]) -> Classification {
    let (scored, unlabelled): (Vec<Category>, Vec<Category>) = Category::ALL
        .into_iter()
        .partition(|category| judged.iter().any(|photo| !photo.truth.get(*category).is_empty()));
    let categories = scored.into_iter().map(|category| (category, score(category, judged))).collect();
    let not_scored = unlabelled.into_iter().map(|category| (category, "no photo has a true label of it".to_owned()));
    Classification { mean_macro_f1: mean_macro_f1(&categories), categories, not_scored: not_scored.collect() }
}

/// The true and the answered classes of one photo.
struct Pair<'a> {
    truth: &'a [u8],
    answer: &'a [ScoredClass],
}

impl Pair<'_> {
    fn answers(&self, index: u8) -> bool {
        self.answer.iter().any(|class| class.index == index)
    }

    fn is_exact(&self) -> bool {
        self.truth.len() == self.answer.len() && self.truth.iter().all(|&index| self.answers(index))
    }
}

fn score(category: Category, judged: &[Judged]) -> CategoryScores {
    let pairs = judged.iter().map(|photo| photo.pair(category));
    let pairs: Vec<Pair> = pairs.filter(|pair| !pair.truth.is_empty()).collect();
    let classes: Vec<ClassScores> =
        (0..).zip(category.classes()).map(|(index, class)| ClassScores::of(class.en, index, &pairs)).collect();
    let single = !category.is_multi();
    CategoryScores {
        photos: pairs.len(),
        macro_f1: mean(&classes, |class| class.f1),
        macro_precision: mean(&classes, |class| class.precision),
        macro_recall: mean(&classes, |class| class.recall),
        micro_f1: micro_f1(&classes),
        weighted_f1: weighted(&classes, |class| class.f1),
        weighted_precision: weighted(&classes, |class| class.precision),
        weighted_recall: weighted(&classes, |class| class.recall),
        mean_average_precision: mean_average_precision(&classes),
        balanced_accuracy: single.then(|| balanced_accuracy(&classes)),
        exact_match: ratio(pairs.iter().filter(|pair| pair.is_exact()).count(), pairs.len()),
        calibration: calibration(&pairs),
        confusion: single.then(|| confusion(&pairs, classes.len())),
        classes,
    }
}

impl ClassScores {
    fn of(label: &str, index: u8, pairs: &[Pair]) -> Self {
        let count = |truth: bool, answer: bool| {
            pairs.iter().filter(|pair| pair.truth.contains(&index) == truth && pair.answers(index) == answer).count()
        };
        let (hit, wrong, missed) = (count(true, true), count(false, true), count(true, false));
        ClassScores {
            label: label.to_owned(),
            precision: ratio(hit, hit + wrong),
            recall: ratio(hit, hit + missed),
            f1: ratio(2 * hit, 2 * hit + wrong + missed),
            average_precision: average_precision(hit, wrong, missed, pairs.len()),
            support: hit + missed,
            true_positives: hit,
            false_positives: wrong,
            false_negatives: missed,
            true_negatives: count(false, false),
        }
    }
}

/// Returns the average precision of scores that are 1 for the answered photos and 0 for the others: at the threshold 1,
/// precision and recall of the answers; at 0, all photos. None without a photo that has the class.
fn average_precision(hit: usize, wrong: usize, missed: usize, photos: usize) -> Option<f64> {
    let (recall, precision) = (ratio(hit, hit + missed), ratio(hit, hit + wrong));
    let rest = (1.0 - recall) * ratio(hit + missed, photos);
    (hit + missed > 0).then_some(recall * precision + rest)
}

fn mean_average_precision(classes: &[ClassScores]) -> f64 {
    let known: Vec<f64> = classes.iter().filter_map(|class| class.average_precision).collect();
    if known.is_empty() { 0.0 } else { known.iter().sum::<f64>() / known.len() as f64 }
}

/// Returns `part / whole`, or 0 if `whole` is 0.
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn mean(classes: &[ClassScores], value: impl Fn(&ClassScores) -> f64) -> f64 {
    classes.iter().map(value).sum::<f64>() / classes.len() as f64
}

fn weighted(classes: &[ClassScores], value: impl Fn(&ClassScores) -> f64) -> f64 {
    let support: usize = classes.iter().map(|class| class.support).sum();
    let sum: f64 = classes.iter().map(|class| class.support as f64 * value(class)).sum();
    if support == 0 { 0.0 } else { sum / support as f64 }
}

fn micro_f1(classes: &[ClassScores]) -> f64 {
    let sum = |count: fn(&ClassScores) -> usize| classes.iter().map(count).sum::<usize>();
    let hits = 2 * sum(|class| class.true_positives);
    ratio(hits, hits + sum(|class| class.false_positives) + sum(|class| class.false_negatives))
}

fn balanced_accuracy(classes: &[ClassScores]) -> f64 {
    let recalls: Vec<f64> = classes.iter().filter(|class| class.support > 0).map(|class| class.recall).collect();
    if recalls.is_empty() { 0.0 } else { recalls.iter().sum::<f64>() / recalls.len() as f64 }
}

fn confusion(pairs: &[Pair], classes: usize) -> Vec<Vec<usize>> {
    let mut matrix = vec![vec![0; classes]; classes];
    for pair in pairs {
        if let ([truth, ..], [answer, ..]) = (pair.truth, pair.answer) {
            matrix[usize::from(*truth)][usize::from(answer.index)] += 1;
        }
    }
    matrix
}

/// Returns the calibration of all answered classes. None unless every one of them has a confidence.
fn calibration(pairs: &[Pair]) -> Option<Calibration> {
    let answered = pairs.iter().flat_map(|pair| pair.answer.iter().map(move |class| (pair, class)));
    let confidences: Vec<Confidence> = answered
        .map(|(pair, class)| Confidence {
            value: f64::from(class.confidence),
            correct: pair.truth.contains(&class.index),
        })
        .collect();
    let known = confidences.iter().all(|confidence| confidence.value.is_finite());
    Calibration::of(&confidences).filter(|_| known)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::*;
    use crate::domain::CategoryLabels;
    use crate::evaluate::run::tests::assert_close;

    /// Returns a photo with labels in one category only.
    fn judged(category: Category, truth: &str, answer: &[(u8, f32)]) -> Judged {
        let truth = Labels::new(|c| match c == category {
            true => CategoryLabels::parse(category, truth).expect("known labels"),
            false => CategoryLabels::default(),
        });
        let mut answers: [CategoryVerdict; 4] = Default::default();
        let scored = answer.iter().map(|&(index, confidence)| ScoredClass { index, confidence });
        answers[category as usize].classes = scored.collect();
        Judged { truth, answers }
    }

    #[test]
    fn photos_without_a_true_label_do_not_count() {
        let category = Category::Soundness;
        let photos =
            [judged(category, "II", &[(1, 0.9)]), judged(category, "", &[(3, 0.9)]), judged(category, "I", &[])];
        let scores = &classification(&photos).categories[&category];
        assert_eq!((scores.photos, scores.exact_match, scores.macro_f1), (2, 0.5, 0.25));
        assert_eq!(scores.balanced_accuracy, Some(0.5));
        let matrix = scores.confusion.as_ref().expect("single label");
        assert_eq!((matrix[1][1], matrix.iter().flatten().sum::<usize>()), (1, 1));
    }

    #[test]
    fn a_category_without_true_labels_is_left_out_of_the_mean() {
        let photos = [judged(Category::Measure, "B", &[(1, 0.9)]), judged(Category::Measure, "C1", &[(1, 0.9)])];
        let mut scores = classification(&photos);
        assert_eq!(scores.categories.keys().collect::<Vec<_>>(), [&Category::Measure]);
        assert_eq!(scores.mean_macro_f1, scores.categories[&Category::Measure].macro_f1);
        assert_eq!(scores.not_scored.len(), 3);
        scores.leave_out(Category::Measure, "no answers");
        assert_eq!((scores.mean_macro_f1, scores.not_scored.len()), (0.0, 4));
        assert_eq!(classification(&[]).not_scored.len(), 4);
    }

    #[test]
    fn average_precision_of_yes_and_no() {
        // Values of sklearn.metrics.average_precision_score on 0/1 scores of 8 photos.
        let cases = [
            ((2, 1, 1, 8), 0.569_444_444_444_444_5),
            ((0, 0, 3, 8), 0.375),
            ((3, 5, 0, 8), 0.375),
            ((3, 0, 0, 8), 1.0),
        ];
        for ((hit, wrong, missed, photos), expected) in cases {
            let found = average_precision(hit, wrong, missed, photos).expect("the class occurs");
            assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
        }
        assert_eq!(average_precision(0, 4, 0, 8), None);
    }

    #[test]
    fn answers_without_confidence_have_no_calibration() {
        let truth = Labels::new(|category| CategoryLabels::new(category, [0]));
        let scores = classification(&[Judged::by_labels(truth.clone(), &truth)]);
        assert!(scores.categories.values().all(|scores| scores.calibration.is_none() && scores.exact_match == 1.0));
    }

    #[test]
    fn scores_are_those_of_scikit_learn() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/metrics.json");
        let goldens: Value = serde_json::from_slice(&fs::read(path).expect("read")).expect("JSON");
        let cases = goldens["classification"].as_array().expect("a list");
        assert!(cases.len() >= 8);
        for case in cases {
            let category: Category = serde_json::from_value(case["category"].clone()).expect("a category");
            let answers: Vec<Vec<(u8, f32)>> = serde_json::from_value(case["answers"].clone()).expect("answers");
            let truths = case["truth"].as_array().expect("a list");
            let photos = truths
                .iter()
                .zip(&answers)
                .map(|(truth, answer)| judged(category, truth.as_str().expect("a cell"), answer));
            let scores = &classification(&photos.collect::<Vec<_>>()).categories[&category];
            assert_close(&serde_json::to_value(scores).expect("JSON"), &case["expected"], category.id());
        }
    }
}
