//! Classes by their descriptions: a photo belongs to the class whose texts are nearest to it.

use bridgeclip_domain::{Category, Embedding, EmbeddingError, Scores};

use super::{Answer, Answers, decide};
use crate::heads::softmax;

/// Least probability at which a class counts in a multi-label category, as published.
///
/// Cosines are not scaled before the softmax, so the probabilities of many classes are nearly equal and hardly any
/// reaches this value: one of 15 classes would need 0.3 where an even share is 0.067. In practice the most probable
/// class is the answer.
const MULTI_LABEL_MIN: f32 = 0.3;

/// One embedding for each class of every category.
#[derive(Clone, Debug)]
pub struct ZeroShot([Vec<Embedding>; 4]);

impl ZeroShot {
    /// Builds the classifier from the embeddings of each class's prompts. Calls `prompts` for every class of every
    /// category, in order.
    ///
    /// The embedding of a class is the mean of its unit-length prompts, normalised. Fails if the prompts of a class
    /// cancel each other out, or if there are none.
    pub fn new(mut prompts: impl FnMut(Category, u8) -> Vec<Embedding>) -> Result<Self, EmbeddingError> {
        let mut classes: [Vec<Embedding>; 4] = Default::default();
        for category in Category::ALL {
            for index in 0..category.classes().len() as u8 {
                classes[category as usize].push(mean(&prompts(category, index))?);
            }
        }
        Ok(ZeroShot(classes))
    }

    /// Returns the probabilities of the classes of every category: the softmax of the plain cosine similarities,
    /// without a temperature.
    ///
    /// # Panics
    /// If the photo's embedding has another dimension than the prompts'.
    pub fn scores(&self, photo: &Embedding) -> Scores {
        let cosines = |category| self.0[category as usize].iter().map(|class| photo.cosine(class)).collect::<Vec<_>>();
        Scores::new(|category| softmax(&cosines(category)))
    }

    /// Answers every category. A single-label category gets the most probable class. A multi-label category gets every
    /// class with a probability of at least 0.3, or the most probable class if there is none. Confidences are the
    /// probabilities.
    ///
    /// # Panics
    /// If the photo's embedding has another dimension than the prompts'.
    pub fn answers(&self, photo: &Embedding) -> Answers {
        zero_shot_answers(&self.scores(photo))
    }
}

/// Returns the answers of the prompts, see [`ZeroShot::answers`], from their [`ZeroShot::scores`].
pub fn zero_shot_answers(scores: &Scores) -> Answers {
    Category::ALL.map(|category| zero_shot_answer(category, scores.get(category)))
}

/// Returns the answer of the prompts for one category, see [`ZeroShot::answers`], from its probabilities.
pub fn zero_shot_answer(category: Category, probabilities: &[f32]) -> Answer {
    decide(category, probabilities, |probability| probability >= MULTI_LABEL_MIN)
}

fn mean(prompts: &[Embedding]) -> Result<Embedding, EmbeddingError> {
    let mut sum = vec![0.0; prompts.first().map_or(0, |prompt| prompt.values().len())];
    for prompt in prompts {
        sum.iter_mut().zip(prompt.values()).for_each(|(sum, value)| *sum += value);
    }
    // Normalisation makes a division by the number of prompts unnecessary.
    Embedding::normalise(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a classifier in which two texts describe class `index` of every category. Their mean is axis `index` of
    /// 20.
    fn axes() -> ZeroShot {
        let text = |index: u8, side: f32| {
            let mut values = vec![0.0; 20];
            values[usize::from(index)] = 0.8;
            values[usize::from(index + 1) % 20] = side;
            Embedding::normalise(values).expect("a direction")
        };
        ZeroShot::new(|_, index| vec![text(index, 0.6), text(index, -0.6)]).expect("directions")
    }

    #[test]
    fn a_class_stands_at_the_normalised_mean_of_its_prompts() {
        let mut values = vec![0.0; 20];
        values[2] = 3.0;
        let photo = Embedding::normalise(values).expect("a direction");
        let scores = axes().scores(&photo);
        let e = std::f32::consts::E;
        assert!((scores.get(Category::Soundness)[2] - e / (e + 3.0)).abs() < 1e-6);
        assert!((scores.get(Category::DamageLocation)[5] - 1.0 / (e + 19.0)).abs() < 1e-6);
        for (category, answer) in Category::ALL.into_iter().zip(axes().answers(&photo)) {
            assert_eq!(answer.verdict.classes.len(), 1, "{category}");
            assert_eq!(answer.verdict.classes[0].index, 2, "{category}");
            assert!((scores.get(category).iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn prompts_without_a_direction_are_refused() {
        let x = |value: f32| Embedding::normalise(vec![value, 0.0]).expect("a direction");
        assert_eq!(ZeroShot::new(|_, _| vec![]).err(), Some(EmbeddingError::Zero));
        assert_eq!(ZeroShot::new(|_, _| vec![x(1.0), x(-1.0)]).err(), Some(EmbeddingError::Zero));
    }
}
