//! Fits the limits of the prediction sets, and measures their coverage and size.

use std::collections::HashMap;

use serde::Serialize;

use super::bootstrap::{bootstrap, interval};
use super::evidence::{Models, Prepared};
use crate::classify::{CategoryPrediction, Prediction};
use crate::domain::{Category, Labels, PredictionSets, Sha256};

/// Promised share of the photos of each class whose set holds that class.
const COVERAGE: f64 = 0.95;

/// Fits the limits to photos. `heads` is the hash of the linear heads that their probabilities come from.
pub fn fit_prediction(photos: &[&Prepared], models: &[Models; 4], heads: Option<Sha256>) -> Prediction {
    let of = |category: Category| {
        let models = &models[category as usize];
        let limits = (0..category.classes().len()).map(|class| limit(photos, category, class as u8, models)).collect();
        CategoryPrediction { logits: models.all.clone(), limits }
    };
    let (soundness, measure) = (of(Category::Soundness), of(Category::Measure));
    Prediction { made_for: heads, coverage: COVERAGE as f32, soundness, measure }
}

/// Returns the probability that at most 5 % of the photos of a class fall below. The models were fitted without them. Of `n` photos and a new one, each is equally likely to have the lowest probability, so the `k`-th lowest of the `n`
/// lies above the new one with a probability of `k / (n + 1)`. None with fewer than 19 photos.
fn limit(photos: &[&Prepared], category: Category, class: u8, models: &Models) -> Option<f32> {
    let of_class = photos.iter().filter(|photo| photo.sample.truth.get(category).indexes().contains(&class));
    let probability = |photo: &&Prepared| photo.probabilities(category, models.without(photo))[usize::from(class)];
    low(of_class.map(probability).collect())
}

fn low(mut probabilities: Vec<f32>) -> Option<f32> {
    // A little more than the exact product, so that 0.05 times 20 is 1 and not a little less.
    let below = ((1.0 - COVERAGE) * (probabilities.len() + 1) as f64 + 1e-9) as usize;
    probabilities.sort_by(f32::total_cmp);
    probabilities.get(below.checked_sub(1)?).copied()
}

/// Coverage and size of a category's prediction sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetsCheck {
    /// Mean number of classes in a set.
    pub mean_size: f64,
    /// Coverage of each class, in class order.
    pub classes: Vec<ClassCoverage>,
}

/// Coverage of a class by prediction sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassCoverage {
    /// Number of photos of the class.
    pub photos: usize,
    /// Share of these photos whose set holds the class, in [0, 1]; 0 without photos.
    pub coverage: f64,
    /// Interval of 95 % of the coverage, by a bootstrap over members; all of it with fewer than 20 members.
    pub interval: (f64, f64),
    /// Mean number of classes in the sets of these photos; 0 without photos.
    pub mean_size: f64,
    /// Whether there are too few labelled photos of the class to exclude it.
    pub always: bool,
}

/// Measures the sets of a category. Each row has its group, its true labels and its sets. `always` tells of each class
/// whether it is never excluded.
pub fn check_sets<'a>(
    category: Category,
    rows: &(impl Iterator<Item = (usize, &'a Labels, &'a PredictionSets)> + Clone),
    always: &[bool],
) -> SetsCheck {
    let sizes = rows.clone().filter_map(|(.., sets)| sets.get(category)).map(|set| set.indexes().len());
    let (sets, classes) = sizes.fold((0_usize, 0_usize), |(sets, classes), size| (sets + 1, classes + size));
    let coverage = |(class, &always): (usize, &bool)| ClassCoverage {
        always,
        ..class_coverage(category, class as u8, rows.clone())
    };
    SetsCheck {
        mean_size: share(classes as f64, sets as f64),
        classes: always.iter().enumerate().map(coverage).collect(),
    }
}

/// Photos of one class in one group: their number, how many sets hold the class, and the classes in these sets.
type Counts = [f64; 3];

fn class_coverage<'a>(
    category: Category,
    class: u8,
    rows: impl Iterator<Item = (usize, &'a Labels, &'a PredictionSets)>,
) -> ClassCoverage {
    let mut groups: HashMap<usize, Counts> = HashMap::new();
    for (group, truth, sets) in rows {
        let Some(set) = sets.get(category).filter(|_| truth.get(category).indexes().contains(&class)) else { continue };
        let holds = set.indexes().contains(&class);
        let counts = groups.entry(group).or_default();
        let new = [1.0, f64::from(u8::from(holds)), set.indexes().len() as f64];
        counts.iter_mut().zip(new).for_each(|(count, new)| *count += new);
    }
    let mut groups: Vec<(usize, Counts)> = groups.into_iter().collect();
    // The order of a hash map differs in every run.
    groups.sort_unstable_by_key(|(group, _)| *group);
    let groups: Vec<Counts> = groups.into_iter().map(|(_, counts)| counts).collect();
    let sum = |times: &[u32]| {
        let weighted = groups.iter().zip(times).map(|(counts, times)| counts.map(|count| count * f64::from(*times)));
        weighted.fold([0.0; 3], |sum: Counts, counts| [0, 1, 2].map(|index| sum[index] + counts[index]))
    };
    let [photos, held, size] = sum(&vec![1; groups.len()]);
    let drawn = bootstrap(groups.len(), |times| {
        let [photos, held, _] = sum(times);
        share(held, photos)
    });
    ClassCoverage {
        photos: photos as usize,
        coverage: share(held, photos),
        interval: interval(drawn).unwrap_or((0.0, 1.0)),
        mean_size: share(size, photos),
        always: false,
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CategoryLabels;
    use crate::random::Random;

    #[test]
    fn a_new_photo_of_a_class_falls_below_its_limit_as_rarely_as_promised() {
        let mut random = Random::new(&[21]);
        let mut probability = || random.below(1_000_000) as f32 / 1e6;
        for photos in [19, 50, 199] {
            let mut missed = 0_u32;
            for _ in 0..4000 {
                let limit = low((0..photos).map(|_| probability()).collect()).expect("a limit");
                missed += u32::from(probability() < limit);
            }
            // The standard deviation of the share is 0.0035.
            let all = f64::from(photos + 1);
            let promised = (0.05 * all + 1e-9).floor() / all;
            assert!((f64::from(missed) / 4000.0 - promised).abs() < 0.014, "{photos}: {missed}");
        }
        assert_eq!(low(vec![0.5; 18]), None, "too few photos to promise anything");
    }

    #[test]
    fn coverage_and_size_are_counted_by_class() {
        let category = Category::Soundness;
        let labels = |index| Labels::new(|of| CategoryLabels::new(of, (of == category).then_some(index)));
        let sets = |list: &[u8]| PredictionSets {
            coverage: 0.95,
            soundness: CategoryLabels::new(category, list.iter().copied()),
            measure: CategoryLabels::default(),
        };
        let rows = [(1, labels(1), sets(&[1])), (1, labels(1), sets(&[0, 1, 2])), (2, labels(1), sets(&[0, 2]))];
        let rows = rows.iter().map(|(group, truth, sets)| (*group, truth, sets));
        let check = check_sets(category, &rows, &[false, false, false, true]);
        assert_eq!(check.mean_size, 2.0);
        let ClassCoverage { photos, coverage, interval, mean_size, always } = check.classes[1].clone();
        assert_eq!((photos, interval, mean_size, always), (3, (0.0, 1.0), 2.0, false));
        assert!((coverage - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((check.classes[3].photos, check.classes[3].always), (0, true));
    }
}
