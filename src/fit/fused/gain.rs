//! How much better the fused rule is than the published vote, with the interval of chance.

use std::collections::HashMap;

use serde::Serialize;

use crate::domain::{Category, CategoryLabels, CategoryVerdict};
use crate::fit::bootstrap;

/// Least share of the bootstrap samples in which the fused rule must be better in a category.
const FAVOURABLE_MIN: f64 = 0.25;

/// F1 or macro-F1 by two rules, and the difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gain {
    /// F1 by the published vote, in [0, 1].
    pub published: f64,
    /// F1 by the fused rule, in [0, 1].
    pub fused: f64,
    /// Interval of 95 % of the difference, in [-1, 1]; all of it with fewer than 20 members.
    pub interval: (f64, f64),
}

/// The gain in a category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CategoryGain {
    /// Gain in macro-F1.
    pub total: Gain,
    /// Gain in the F1 of each class, in class order.
    pub classes: Vec<Gain>,
    /// Gain in macro-F1 of each bootstrap sample; none with too few members.
    #[serde(skip)]
    draws: Vec<f64>,
}

/// The gain in all categories.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FusedGain {
    /// Gain in the mean of the four macro-F1.
    pub mean: Gain,
    /// Gain in each category, in the order of [`Category::ALL`].
    pub categories: [CategoryGain; 4],
}

impl FusedGain {
    /// Joins the gains of the categories.
    pub fn new(categories: [CategoryGain; 4]) -> Self {
        let mean = |value: &dyn Fn(&CategoryGain) -> f64| categories.iter().map(value).sum::<f64>() / 4.0;
        let draws = categories.iter().map(|gain| gain.draws.len()).min().unwrap_or(0);
        let draws: Vec<f64> = (0..draws).map(|draw| mean(&|gain| gain.draws[draw])).collect();
        let (published, fused) = (mean(&|gain| gain.total.published), mean(&|gain| gain.total.fused));
        FusedGain { mean: Gain { published, fused, interval: interval(draws) }, categories }
    }

    /// Reports whether a category should be fused: the rule as a whole is surely better than the published vote, and in
    /// this category it is not probably worse.
    pub fn is_worth(&self, category: Category) -> bool {
        let draws = &self.categories[category as usize].draws;
        let favourable = draws.iter().filter(|gain| **gain > 0.0).count();
        self.mean.is_better() && favourable as f64 >= FAVOURABLE_MIN * draws.len() as f64
    }
}

/// Returns the interval of 95 % of differences; the widest one without any.
fn interval(differences: Vec<f64>) -> (f64, f64) {
    bootstrap::interval(differences).unwrap_or((-1.0, 1.0))
}

impl Gain {
    /// Reports whether the fused rule is surely better: the whole interval is above 0.
    pub fn is_better(&self) -> bool {
        self.interval.0 > 0.0
    }
}

/// Counts of one class in one group: occurrences; hits and answers of the published vote and of the fused rule.
type Counts = [f64; 5];

/// Measures the gain in a category. Each row has its group, its true labels, and the answers of the published vote and of
/// the fused rule. Rows without true labels do not count.
pub fn category_gain<'a>(
    category: Category,
    rows: impl Iterator<Item = (usize, &'a CategoryLabels, &'a CategoryVerdict, &'a CategoryVerdict)>,
) -> CategoryGain {
    let classes = category.classes().len();
    let groups = count(classes, rows);
    let whole = scores(classes, &vec![1; groups.len()], &groups);
    let draws = bootstrap::bootstrap(groups.len(), |times| scores(classes, times, &groups));
    let differences = |of: &dyn Fn(&[[f64; 2]]) -> [f64; 2]| -> Vec<f64> {
        draws.iter().map(|scores| of(scores)).map(|[published, fused]| fused - published).collect()
    };
    let gain = |of: &dyn Fn(&[[f64; 2]]) -> [f64; 2]| {
        let [published, fused] = of(&whole);
        Gain { published, fused, interval: interval(differences(of)) }
    };
    let mean = |scores: &[[f64; 2]]| [0, 1].map(|rule| scores.iter().map(|f1| f1[rule]).sum::<f64>() / classes as f64);
    CategoryGain {
        total: gain(&mean),
        classes: (0..classes).map(|class| gain(&|scores| scores[class])).collect(),
        draws: differences(&mean),
    }
}

/// Counts the classes of each group.
fn count<'a>(
    classes: usize,
    rows: impl Iterator<Item = (usize, &'a CategoryLabels, &'a CategoryVerdict, &'a CategoryVerdict)>,
) -> Vec<Vec<Counts>> {
    let (mut numbers, mut groups) = (HashMap::new(), Vec::<Vec<Counts>>::new());
    for (group, truth, published, fused) in rows.filter(|row| !row.1.is_empty()) {
        let number = *numbers.entry(group).or_insert(groups.len());
        groups.resize(groups.len().max(number + 1), vec![Counts::default(); classes]);
        let counts = &mut groups[number];
        truth.indexes().iter().for_each(|&index| counts[usize::from(index)][0] += 1.0);
        for (place, answer) in [(1, published), (3, fused)] {
            for class in &answer.classes {
                let counts = &mut counts[usize::from(class.index)];
                counts[place] += f64::from(u8::from(truth.indexes().contains(&class.index)));
                counts[place + 1] += 1.0;
            }
        }
    }
    groups
}

/// Returns the F1 of each class by both rules, with each group counted `times`.
fn scores(classes: usize, times: &[u32], groups: &[Vec<Counts>]) -> Vec<[f64; 2]> {
    let mut sums = vec![Counts::default(); classes];
    for (times, group) in times.iter().zip(groups).filter(|(times, _)| **times > 0) {
        for (sum, counts) in sums.iter_mut().zip(group) {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += f64::from(*times) * count);
        }
    }
    let f1 = |hits: f64, items: f64| if items > 0.0 { 2.0 * hits / items } else { 0.0 };
    sums.iter().map(|sum| [f1(sum[1], sum[0] + sum[2]), f1(sum[3], sum[0] + sum[4])]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ScoredClass;

    fn answer(index: u8) -> CategoryVerdict {
        CategoryVerdict { classes: vec![ScoredClass { index, confidence: 0.5 }] }
    }

    /// One photo in ten has class 3; the published vote never answers it. `group` names the group of a photo.
    fn gain(group: impl Fn(usize) -> usize, fused: impl Fn(usize) -> u8) -> CategoryGain {
        let truths: Vec<CategoryLabels> =
            (0..400).map(|row| CategoryLabels::new(Category::Soundness, [if row % 10 == 0 { 3 } else { 1 }])).collect();
        let (published, fused): (CategoryVerdict, Vec<CategoryVerdict>) =
            (answer(1), (0..400).map(|row| answer(fused(row))).collect());
        let rows = truths.iter().zip(&fused).enumerate();
        category_gain(Category::Soundness, rows.map(|(row, (truth, fused))| (group(row), truth, &published, fused)))
    }

    #[test]
    fn what_is_surely_better_is_told_from_chance() {
        let right = gain(|row| row, |row| if row % 10 == 0 { 3 } else { 1 });
        assert!((right.classes[3].fused - 1.0).abs() < 1e-9 && right.classes[3].published == 0.0);
        assert!(right.total.is_better() && right.total.fused == 0.5, "{right:?}");
        // One hit of a class and one wrong answer may be chance.
        let chance = gain(|row| row, |row| if row == 0 || row == 1 { 3 } else { 1 });
        assert!(chance.total.fused > chance.total.published && !chance.total.is_better(), "{chance:?}");
        let same = gain(|row| row, |_| 1);
        assert_eq!((same.total.interval, same.total.is_better()), ((0.0, 0.0), false));
    }

    #[test]
    fn a_category_is_fused_if_the_rule_is_better_and_it_is_not_probably_worse_there() {
        let right = || gain(|row| row, |row| if row.is_multiple_of(10) { 3 } else { 1 });
        let (same, worse) = (gain(|row| row, |_| 1), || gain(|row| row, |row| if row < 20 { 0 } else { 1 }));
        let mixed = FusedGain::new([right(), right(), same.clone(), worse()]);
        assert!(mixed.mean.is_better(), "{:?}", mixed.mean);
        assert_eq!(Category::ALL.map(|category| mixed.is_worth(category)), [true, true, false, false]);
        let not = FusedGain::new([worse(), same.clone(), same.clone(), same]);
        assert_eq!(Category::ALL.map(|category| not.is_worth(category)), [false; 4]);
    }

    #[test]
    fn photos_of_few_members_prove_less() {
        let fused = |row: usize| if row.is_multiple_of(20) && row < 200 { 3 } else { 1 };
        let (photos, members) = (gain(|row| row, fused), gain(|row| row / 20, fused));
        let width = |gain: &CategoryGain| gain.classes[3].interval.1 - gain.classes[3].interval.0;
        assert!(width(&photos) > 0.0 && width(&members) > 0.0 && photos.total.published == members.total.published);
        let few = gain(|row| row % 19, fused);
        assert!(!few.total.is_better() && width(&few) == 2.0, "too few to tell");
    }
}
