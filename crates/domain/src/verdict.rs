//! Verdicts: the device's statement about a photo, and the evidence for it.

use super::{Category, CategoryLabels, Draft, Labels, Method, Rule, SecondLook, Urgency, UrgentSign};

/// The answer in all four categories, its evidence, and whether someone should look at it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Answers in the order of [`Category::ALL`].
    pub categories: [CategoryVerdict; 4],
    /// Method by which the device answered.
    pub method: Method,
    /// Rule by which the neighbours voted; `None` for methods without votes.
    pub rule: Option<Rule>,
    /// Whether the categories hold an inspector's judgement, which has no confidences, instead of the device's answer.
    pub by_inspector: bool,
    /// Whether confidences are shares of right answers, as measured on labelled photos. Otherwise they are on the
    /// method's own scale.
    pub confidence_calibrated: bool,
    /// Whether an engineer should see the photo first.
    pub urgency: Urgency,
    /// Reasons to doubt the answer, in the order of [`SecondLook::ALL`].
    pub second_look: Vec<SecondLook>,
    /// Ratings and measures that cannot be excluded. None unless they were fitted on labelled photos.
    pub not_excluded: Option<PredictionSets>,
    /// Draft of a finding. Empty in an inspector's judgement, and if the labelled photos do not agree on the answers.
    pub draft: Draft,
    /// Nearest reference photos, most similar first, whatever the method.
    pub evidence: Vec<Evidence>,
}

/// Ratings and measures that the labelled photos do not exclude. They hold the true class of a photo with the promised
/// probability, for each class by itself: a class that is missing was excluded.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionSets {
    /// Promised share of the photos of each class whose set holds that class, in (0, 1).
    pub coverage: f32,
    /// Soundness ratings, in class order.
    pub soundness: CategoryLabels,
    /// Measures, in class order.
    pub measure: CategoryLabels,
}

impl PredictionSets {
    /// Categories that have a set.
    pub const CATEGORIES: [Category; 2] = [Category::Soundness, Category::Measure];

    /// Returns the set of a category; `None` if the category has none.
    pub fn get(&self, category: Category) -> Option<&CategoryLabels> {
        match category {
            Category::Soundness => Some(&self.soundness),
            Category::Measure => Some(&self.measure),
            Category::DamageType | Category::DamageLocation => None,
        }
    }

    /// Returns the labels that mean "act now" and cannot be excluded, in the order of [`UrgentSign::ALL`].
    pub fn urgent(&self) -> impl Iterator<Item = UrgentSign> {
        let labels = Labels::new(|category| self.get(category).cloned().unwrap_or_default());
        UrgentSign::ALL.into_iter().filter(move |sign| sign.is_in(&labels))
    }
}

/// The answer in one category: at least one class, unless the reference has no label in this category.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CategoryVerdict {
    pub classes: Vec<ScoredClass>,
}

/// One class of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredClass {
    /// Index of the class in its category.
    pub index: u8,
    /// Probability of the class, in [0, 1]; see [`Verdict::confidence_calibrated`].
    pub confidence: f32,
}

/// One labelled reference photo near the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Row in the reference database. For a photo that an inspector rated on this device, the negative number of its
    /// capture.
    pub reference_id: i64,
    /// Cosine similarity in [-1, 1].
    pub similarity: f32,
    /// Name of the photo in the source data set.
    pub source: String,
    /// Finding that was written about the photo.
    pub caption: String,
    /// Labels of the photo.
    pub labels: Labels,
}

impl Verdict {
    /// Returns the answer in one category.
    pub fn get(&self, category: Category) -> &CategoryVerdict {
        &self.categories[category as usize]
    }

    /// Reports whether the verdict tells a reader something new: other classes, another urgency, other doubts, or other
    /// urgent labels that cannot be excluded. Confidences alone do not count, because they change with every reference.
    pub fn differs_from(&self, other: &Verdict) -> bool {
        self.labels() != other.labels()
            || (self.urgency.review, &self.urgency.signs) != (other.urgency.review, &other.urgency.signs)
            || self.second_look != other.second_look
            || !self.urgent_not_excluded().eq(other.urgent_not_excluded())
    }

    fn urgent_not_excluded(&self) -> impl Iterator<Item = UrgentSign> {
        self.not_excluded.iter().flat_map(PredictionSets::urgent)
    }

    /// Returns the classes that were not answered but cannot be excluded, in class order.
    pub fn others_not_excluded(&self, category: Category) -> impl Iterator<Item = u8> {
        let left =
            self.not_excluded.iter().filter_map(move |sets| sets.get(category)).flat_map(CategoryLabels::indexes);
        left.copied().filter(move |index| self.get(category).classes.iter().all(|class| class.index != *index))
    }

    /// Returns only the classes.
    pub fn labels(&self) -> Labels {
        let indexes = |category| self.get(category).classes.iter().map(|class| class.index);
        Labels::new(|category| CategoryLabels::new(category, indexes(category)))
    }
}

impl CategoryVerdict {
    /// Returns the English labels.
    pub fn names(&self, category: Category) -> impl Iterator<Item = &'static str> {
        self.classes.iter().map(move |class| category.class(class.index).en)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict() -> Verdict {
        let answer = |index| CategoryVerdict { classes: vec![ScoredClass { index, confidence: 0.5 }] };
        Verdict { categories: [1, 2, 0, 6].map(answer), ..Verdict::default() }
    }

    #[test]
    fn news_are_classes_urgency_and_doubts() {
        let mut same = verdict();
        same.categories[0].classes[0].confidence = 0.9;
        same.urgency.score = 0.3;
        assert!(!verdict().differs_from(&same));
        let mut class = verdict();
        class.categories[2].classes.push(ScoredClass { index: 3, confidence: 0.5 });
        let urgency = Urgency { review: true, score: 0.0, signs: vec![UrgentSign::MeasureE1] };
        let urgent = Verdict { urgency, ..verdict() };
        let doubtful = Verdict { second_look: vec![SecondLook::Blurred], ..verdict() };
        for other in [class, urgent, doubtful] {
            assert!(verdict().differs_from(&other) && other.differs_from(&verdict()));
        }
    }
}
