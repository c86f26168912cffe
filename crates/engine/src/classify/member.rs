//! One answer for a member from several photos of it.
//!
//! The photos' class values are averaged, and the method decides on the mean as it does for one photo. Near-identical
//! frames share one vote: a photo weighs one divided by the number of photos that show nearly the same. The label of a
//! photo that an inspector has judged counts as certain, and no member is rated better than its worst judged photo.

use bridgeclip_domain::{
    Category, CategoryLabels, CategoryVerdict, Labels, MemberAnswer, MemberPhoto, PredictionSets, ScoredClass, Scores,
};

use super::draft::member_draft;
use super::{Engine, Neighbour, Observation};

/// Maximum number of photos that one answer rests on. The work grows with the cube of their number.
pub const MEMBER_PHOTOS_MAX: usize = 200;

/// Cosine from which two photos show the same: that of the frames of a burst (`burst_similarity`).
const SAME: f32 = 0.985;
/// Cosine up to which two photos are views of their own. In between, they count partly as the same.
const DIFFERENT: f32 = 0.9;

/// What a photo says about the classes of its member.
struct Testimony {
    /// Values that the method decides by.
    values: Scores,
    /// Probabilities that the prediction sets follow from, of ratings and of measures. None without fitted limits.
    credible: Option<[Vec<f32>; 2]>,
    /// Damage types that the photo shows by itself.
    damage: CategoryLabels,
    /// Rating by an inspector.
    inspected_rating: Option<u8>,
}

impl Engine {
    /// Returns the answer about the member that all `photos` show, of which there are at most [`MEMBER_PHOTOS_MAX`].
    ///
    /// # Panics
    /// If there are more photos, or if an embedding has another dimension than those of the reference.
    pub fn member(&self, photos: &[Observation]) -> MemberAnswer {
        assert!(photos.len() <= MEMBER_PHOTOS_MAX, "{} photos of one member", photos.len());
        let testimonies: Vec<Testimony> = photos.iter().map(|photo| self.testimony(photo)).collect();
        let likeness = Likeness::of(photos);
        let everyone: Vec<usize> = (0..photos.len()).collect();
        let weights = likeness.weights(&everyone);
        let (rating, rating_by_inspector) = self.rating(&testimonies, &everyone, &weights);
        let categories = Category::ALL.map(|category| match category {
            Category::Soundness => rating.clone(),
            _ => self.join(category, &testimonies, &everyone, &weights),
        });
        let answered: Vec<u8> =
            categories[Category::DamageType as usize].classes.iter().map(|class| class.index).collect();
        let single = testimonies.iter().flat_map(|testimony| testimony.damage.indexes()).copied();
        let rating = categories[0].classes.first().map(|class| class.index);
        let supports = rating.map_or(vec![0.0; photos.len()], |rating| supports(&testimonies, &weights, rating));
        let decisive = |left_out: usize| {
            let others: Vec<usize> = everyone.iter().copied().filter(|index| *index != left_out).collect();
            let weights = likeness.weights(&others);
            let (without, _) = self.rating(&testimonies, &others, &weights);
            !others.is_empty() && without.classes.first().map(|class| class.index) != rating
        };
        let labels = Labels::new(|category| {
            CategoryLabels::new(category, categories[category as usize].classes.iter().map(|class| class.index))
        });
        MemberAnswer {
            rating_by_inspector,
            draft: member_draft(&labels, photos, self.judge().params.neighbours),
            single_damage: CategoryLabels::new(
                Category::DamageType,
                single.filter(|index| !answered.contains(index)).collect::<Vec<_>>(),
            ),
            not_excluded: self.member_sets(&testimonies, &weights),
            photos: photos
                .iter()
                .zip(weights.iter().zip(supports))
                .enumerate()
                .map(|(index, (photo, (&weight, support)))| MemberPhoto {
                    capture: photo.capture,
                    sha256: photo.sha256,
                    weight,
                    support,
                    inspected: photo.inspected.is_some(),
                    decisive: decisive(index),
                })
                .collect(),
            categories,
        }
    }

    fn testimony(&self, photo: &Observation) -> Testimony {
        let judge = self.judge();
        let limits = judge.prediction();
        if let Some(labels) = photo.inspected {
            let values = certain(labels);
            let credible = PredictionSets::CATEGORIES.map(|category| values.get(category).to_vec());
            return Testimony {
                values,
                credible: limits.map(|_| credible),
                damage: labels.get(Category::DamageType).clone(),
                inspected_rating: labels.get(Category::Soundness).indexes().first().copied(),
            };
        }
        let neighbours: Vec<Neighbour> = photo.evidence.iter().map(Neighbour::from).collect();
        let opinions = self.opinions(photo.embedding);
        let values = judge.class_values(&opinions, &neighbours);
        let credible = limits
            .and_then(|limits| limits.probabilities(&neighbours, opinions.linear_scores.as_ref(), judge.source.heads));
        let damage = judge.decide(Category::DamageType, values.get(Category::DamageType));
        let damage = CategoryLabels::new(Category::DamageType, damage.classes.iter().map(|class| class.index));
        Testimony { values, credible, damage, inspected_rating: None }
    }

    /// Answers a category from the testimonies with these numbers, which have these weights.
    fn join(
        &self,
        category: Category,
        testimonies: &[Testimony],
        numbers: &[usize],
        weights: &[f32],
    ) -> CategoryVerdict {
        let values = |&number: &usize| testimonies[number].values.get(category);
        self.judge().decide(category, &mean(numbers.iter().map(values), weights))
    }

    /// Answers the rating as [`Self::join`] does, but never better than the worst judgement of an inspector. Also returns
    /// whether that judgement decided.
    fn rating(&self, testimonies: &[Testimony], numbers: &[usize], weights: &[f32]) -> (CategoryVerdict, bool) {
        let joined = self.join(Category::Soundness, testimonies, numbers, weights);
        let worst = numbers.iter().filter_map(|&number| testimonies[number].inspected_rating).max();
        match worst.filter(|worst| joined.classes.first().is_none_or(|class| class.index < *worst)) {
            Some(worst) => (CategoryVerdict { classes: vec![ScoredClass { index: worst, confidence: 1.0 }] }, true),
            None => (joined, false),
        }
    }

    /// Returns what the photos together do not exclude. None if the limits do not apply to all of them.
    fn member_sets(&self, testimonies: &[Testimony], weights: &[f32]) -> Option<PredictionSets> {
        let limits = self.judge().prediction()?;
        let credible: Vec<&[Vec<f32>; 2]> =
            testimonies.iter().map(|testimony| testimony.credible.as_ref()).collect::<Option<_>>()?;
        let joined = |number: usize| mean(credible.iter().map(|both| both[number].as_slice()), weights);
        (!credible.is_empty()).then(|| limits.sets_of(&[joined(0), joined(1)]))
    }
}

/// How much photos show the same: for each pair, from 0 for different views to 1 for the same one.
struct Likeness(Vec<Vec<f32>>);

impl Likeness {
    fn of(photos: &[Observation]) -> Self {
        let alike = |a: &Observation, b: &Observation| {
            ((a.embedding.cosine(b.embedding) - DIFFERENT) / (SAME - DIFFERENT)).clamp(0.0, 1.0)
        };
        Likeness(photos.iter().map(|a| photos.iter().map(|b| alike(a, b)).collect()).collect())
    }

    /// Returns the weight of each of the photos with these numbers, in (0, 1].
    fn weights(&self, numbers: &[usize]) -> Vec<f32> {
        let frames = |&number: &usize| numbers.iter().map(|&other| self.0[number][other]).sum::<f32>();
        numbers.iter().map(|number| 1.0 / frames(number).max(1.0)).collect()
    }
}

/// Returns 1 for every class that the labels have, and 0 for the others.
fn certain(labels: &Labels) -> Scores {
    Scores::new(|category| {
        let mut values = vec![0.0; category.classes().len()];
        labels.get(category).indexes().iter().for_each(|&index| values[usize::from(index)] = 1.0);
        values
    })
}

/// Returns the mean of lists that say something, with these weights. Lists of zeros say nothing.
fn mean<'a>(lists: impl Iterator<Item = &'a [f32]>, weights: &[f32]) -> Vec<f32> {
    let (mut sum, mut total) = (Vec::new(), 0.0);
    for (list, weight) in lists.zip(weights) {
        sum.resize(list.len(), 0.0);
        if list.iter().any(|value| *value != 0.0) {
            sum.iter_mut().zip(list).for_each(|(sum, value)| *sum += value * weight);
            total += weight;
        }
    }
    if total > 0.0 {
        sum.iter_mut().for_each(|sum| *sum /= total);
    }
    sum
}

/// Returns each photo's share of the support for a rating.
fn supports(testimonies: &[Testimony], weights: &[f32], rating: u8) -> Vec<f32> {
    let support = |(testimony, weight): (&Testimony, &f32)| {
        testimony.values.get(Category::Soundness)[usize::from(rating)] * weight
    };
    let supports: Vec<f32> = testimonies.iter().zip(weights).map(support).collect();
    let sum: f32 = supports.iter().sum();
    supports.into_iter().map(|support| if sum > 0.0 { support / sum } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::{Embedding, Evidence, Sha256};
    use bridgeclip_random::Random;

    use super::*;
    use crate::classify::rules::tests::rules;
    use crate::classify::{Fitted, Params, prediction};

    const DIM: usize = 8;

    /// A photo with ten neighbours that carry these ratings, and a direction by a seed.
    struct Photo {
        embedding: Embedding,
        evidence: Vec<Evidence>,
        inspected: Option<Labels>,
    }

    fn rated(rating: &str) -> Labels {
        Labels::new(|category| match category {
            Category::Soundness => CategoryLabels::parse(category, rating).expect("a rating"),
            Category::DamageType => CategoryLabels::new(category, [0]),
            _ => CategoryLabels::default(),
        })
    }

    fn photo(seed: u64, ratings: &[(&str, usize)]) -> Photo {
        let mut random = Random::splitmix64(seed);
        let values: Vec<f32> = (0..DIM).map(|_| random.below(2001) as f32 - 1000.0).collect();
        let cells = ratings.iter().flat_map(|(rating, count)| std::iter::repeat_n(*rating, *count));
        let evidence = cells.zip(1..).map(|(rating, reference_id)| Evidence {
            reference_id,
            similarity: 0.9,
            source: String::new(),
            caption: String::new(),
            labels: rated(rating),
        });
        let embedding = Embedding::normalise(values).expect("a direction");
        Photo { embedding, evidence: evidence.collect(), inspected: None }
    }

    fn member(engine: &Engine, photos: &[Photo]) -> MemberAnswer {
        let observations = photos.iter().zip(1..).map(|(photo, capture)| Observation {
            capture,
            sha256: Sha256([0; 32]),
            embedding: &photo.embedding,
            evidence: &photo.evidence,
            inspected: photo.inspected.as_ref(),
        });
        engine.member(&observations.collect::<Vec<_>>())
    }

    fn engine() -> Engine {
        Engine::new(Params::default(), Fitted::default(), DIM).expect("an engine")
    }

    fn rating(answer: &MemberAnswer) -> Option<&'static str> {
        answer.rating().map(|index| Category::Soundness.class(index).en)
    }

    fn weights(answer: &MemberAnswer) -> Vec<f32> {
        answer.photos.iter().map(|photo| photo.weight).collect()
    }

    #[test]
    fn one_photo_is_answered_as_by_itself() {
        let alone = photo(1, &[("II", 6), ("III", 4)]);
        let answer = member(&engine(), std::slice::from_ref(&alone));
        let verdict = engine().verdict(&alone.embedding, alone.evidence, None);
        assert_eq!(answer.categories, verdict.categories);
        let [only] = &answer.photos[..] else { panic!("one photo") };
        assert_eq!((only.weight, only.support, only.decisive), (1.0, 1.0, false));
        assert_eq!(member(&engine(), &[]), MemberAnswer::default());
    }

    #[test]
    fn frames_of_a_burst_count_as_one_photo() {
        let severe = [("III", 10)];
        let others = [photo(2, &[("II", 9), ("III", 1)]), photo(3, &[("II", 9), ("III", 1)])];
        let burst: Vec<Photo> = [photo(1, &severe), photo(1, &severe), photo(1, &severe)].into();
        let photos: Vec<Photo> = burst.into_iter().chain(others).collect();
        let answer = member(&engine(), &photos);
        assert_eq!(rating(&answer), Some("II"));
        assert!(weights(&answer)[..3].iter().all(|weight| (weight - 1.0 / 3.0).abs() < 1e-5), "{answer:?}");
        assert!((answer.views() - 3.0).abs() < 1e-5);
    }

    #[test]
    fn photos_that_carry_the_rating_and_that_decide_it_are_named() {
        let photos = [photo(1, &[("III", 10)]), photo(2, &[("II", 6), ("III", 4)]), photo(3, &[("II", 6), ("III", 4)])];
        let answer = member(&engine(), &photos);
        assert_eq!(rating(&answer), Some("III"));
        assert_eq!(answer.carriers().iter().map(|photo| photo.capture).collect::<Vec<_>>(), [1]);
        assert_eq!(answer.photos.iter().map(|photo| photo.decisive).collect::<Vec<_>>(), [true, false, false]);
        assert!((answer.photos[0].support - 10.0 / 18.0).abs() < 1e-5);
    }

    #[test]
    fn no_member_is_rated_better_than_an_inspector_rated_one_of_its_photos() {
        let mut photos: Vec<Photo> = (1..=6).map(|seed| photo(seed, &[("I", 10)])).collect();
        photos[4].inspected = Some(rated("III"));
        let answer = member(&engine(), &photos);
        assert_eq!((rating(&answer), answer.photos[4].inspected), (Some("III"), true));
        assert!(answer.rating_by_inspector);
        assert_eq!(answer.carriers().iter().map(|photo| photo.capture).collect::<Vec<_>>(), [5]);
        photos[4].inspected = Some(rated("I"));
        let agreed = member(&engine(), &photos);
        assert_eq!((rating(&agreed), agreed.rating_by_inspector), (Some("I"), false));
    }

    #[test]
    fn damage_in_a_single_photo_is_told_apart_from_the_joined_answer() {
        let mut photos: Vec<Photo> = (1..=4).map(|seed| photo(seed, &[("I", 10)])).collect();
        let corrosion = CategoryLabels::new(Category::DamageType, [2]);
        for evidence in &mut photos[0].evidence {
            evidence.labels = Labels::new(|category| match category {
                Category::DamageType => corrosion.clone(),
                other => rated("I").get(other).clone(),
            });
        }
        let answer = member(&engine(), &photos);
        let joined: Vec<u8> = answer.get(Category::DamageType).classes.iter().map(|class| class.index).collect();
        assert_eq!((joined, answer.single_damage), (vec![0], corrosion));
    }

    #[test]
    fn sets_of_a_member_are_those_of_its_mean_and_hold_what_an_inspector_says() {
        let rules = crate::classify::Rules { prediction: Some(prediction::tests::prediction()), ..rules() };
        let fitted = Fitted { rules: Some(rules), ..Fitted::default() };
        let engine = Engine::new(Params::default(), fitted, DIM).expect("an engine");
        let names = |answer: &MemberAnswer| -> Vec<&'static str> {
            let sets = answer.not_excluded.as_ref().expect("sets");
            sets.soundness.names(Category::Soundness).collect()
        };
        let mut photos = [photo(1, &[("II", 10)]), photo(2, &[("I", 10)])];
        // The last rating is never excluded, because it has no limit.
        assert_eq!(names(&member(&engine, &photos[..1])), ["II", "IV"]);
        let both = member(&engine, &photos);
        assert_eq!((names(&both), both.worst_credible()), (vec!["I", "II", "IV"], Some(3)));
        photos[1].inspected = Some(rated("III"));
        assert_eq!(names(&member(&engine, &photos)), ["II", "III", "IV"]);
    }
}
