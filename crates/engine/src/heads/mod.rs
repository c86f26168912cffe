//! Linear heads: for each category, a layer norm and a linear layer on a photo's embedding, and their training.
//!
//! The published heads take the image feature before it is divided by its length. Here only the unit-length embedding
//! exists. A layer norm gives the same result for both, because it divides by the spread of its input; only its epsilon
//! differs, see [`NORM_EPSILON`].

mod adamw;
mod fit;
mod gradient;
mod preparation;

use bridgeclip_domain::{Category, Embedding, Scores};

pub use fit::{EpochEnd, FitError, FitParams, Progress, fit};
pub use preparation::Preparation;

/// Value added to the variance in a layer norm over a unit-length embedding.
///
/// PyTorch adds 1e-5 to the variance of the feature, whose length is about 10 with CLIP's ViT-B/32. A vector a tenth as
/// long has a hundredth of the variance, which makes it 1e-7.
pub const NORM_EPSILON: f32 = 1e-7;

/// The heads of all four categories.
#[derive(Clone, Debug, PartialEq)]
pub struct Heads {
    dim: usize,
    epsilon: f32,
    preparation: Option<Preparation>,
    heads: [Head; 4],
}

/// The weights of one category in one vector: layer norm weight `[dim]`, layer norm bias `[dim]`, linear weight
/// `[classes][dim]`, linear bias `[classes]`.
#[derive(Clone, Debug, PartialEq)]
struct Head {
    dim: usize,
    values: Vec<f32>,
}

/// The parts of a head, or of its gradient.
#[derive(Clone, Copy)]
struct Parts<'a> {
    norm_weight: &'a [f32],
    norm_bias: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
}

/// The parts of a head, or of its gradient, for changing them.
struct PartsMut<'a> {
    norm_weight: &'a mut [f32],
    norm_bias: &'a mut [f32],
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

/// Reason why bytes are not heads for these categories.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HeadsError {
    #[error("not linear heads: the data does not start with `BCHEADS1` or `BCHEADS2`")]
    Magic,
    #[error("the data of the linear heads has {found} bytes instead of {expected}; copy it again")]
    Length { expected: u64, found: usize },
    #[error("the head of {category} has {found} classes; this program knows {expected}")]
    Classes { category: Category, expected: usize, found: u32 },
    #[error("the linear heads' dimension is {0}; expected 1 to {DIM_MAX}")]
    Dimension(u32),
    #[error("the linear heads' epsilon is {0}; expected a positive number")]
    Epsilon(f32),
    #[error(
        "the linear heads' photos had a short side of {resize} pixels and were cut to {size}; expected 1 to {PIXELS_MAX}"
    )]
    Preparation { resize: u32, size: u32 },
    #[error("the head of {category} holds {value}")]
    NotFinite { category: Category, value: f32 },
}

/// First bytes of stored heads whose preparation is not known.
const UNPREPARED: &[u8; 8] = b"BCHEADS1";
/// First bytes of stored heads whose preparation is known.
const PREPARED: &[u8; 8] = b"BCHEADS2";
/// Upper limit on the dimension of embeddings in stored heads.
const DIM_MAX: u32 = 65_536;
/// Upper limit on the sides of photos in stored heads.
const PIXELS_MAX: u32 = 4096;
/// Size of the header: magic bytes, dimension, epsilon, and the numbers of classes.
const HEADER_BYTES: usize = 8 + 4 + 4 + 4 * 4;
/// Size of the preparation after the header: short side and side of the centre.
const PREPARATION_BYTES: usize = 4 + 4;

impl Heads {
    /// Number of values of the embeddings that the heads take.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How the photos were prepared that the heads were trained on. None if it is not known.
    pub fn preparation(&self) -> Option<Preparation> {
        self.preparation
    }

    /// Returns the heads with a known preparation.
    pub fn prepared(self, preparation: Preparation) -> Self {
        Heads { preparation: Some(preparation), ..self }
    }

    /// Returns the probabilities of all classes: the softmax of the outputs in a single-label category, the sigmoid of
    /// each output in a multi-label one.
    ///
    /// # Panics
    /// If the embedding has another dimension than [`Self::dim`].
    pub fn scores(&self, embedding: &Embedding) -> Scores {
        Scores::new(|category| probabilities(category, &self.logits(embedding, category)))
    }

    /// Returns the outputs of a category's linear layer, one for each class.
    ///
    /// # Panics
    /// If the embedding has another dimension than [`Self::dim`].
    pub fn logits(&self, embedding: &Embedding, category: Category) -> Vec<f32> {
        assert_eq!(embedding.values().len(), self.dim, "dimension of an embedding for linear heads");
        let normal = normalise(embedding.values(), self.epsilon);
        let parts = self.heads[category as usize].parts();
        let scaled = normal.iter().zip(parts.norm_weight.iter().zip(parts.norm_bias));
        let input: Vec<f64> = scaled.map(|(x, (w, b))| x * f64::from(*w) + f64::from(*b)).collect();
        let output = |weights: &[f32], bias: f32| {
            let products = input.iter().zip(weights).map(|(x, w)| x * f64::from(*w));
            (products.sum::<f64>() + f64::from(bias)) as f32
        };
        parts.weight.chunks_exact(self.dim).zip(parts.bias).map(|(weights, bias)| output(weights, *bias)).collect()
    }

    /// Returns the stored form, little-endian: `BCHEADS2`, the dimension (u32), the epsilon (f32), the number of
    /// classes of each category (u32), short side and size of the photos (u32); then per category, as f32, the layer
    /// norm's weight and bias `[dim]`, the linear weight `[classes][dim]` and its bias `[classes]`. Heads whose
    /// preparation is not known begin with `BCHEADS1` and have no sizes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = if self.preparation.is_some() { PREPARED } else { UNPREPARED }.to_vec();
        bytes.extend((self.dim as u32).to_le_bytes());
        bytes.extend(self.epsilon.to_le_bytes());
        bytes.extend(Category::ALL.iter().flat_map(|category| (category.classes().len() as u32).to_le_bytes()));
        bytes.extend(self.preparation.iter().flat_map(|p| [p.resize, p.size]).flat_map(u32::to_le_bytes));
        bytes.extend(self.heads.iter().flat_map(|head| &head.values).flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// Reads the form that [`Self::to_bytes`] writes. Checks lengths, numbers of classes, and that all values are
    /// finite.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeadsError> {
        let header_bytes = match bytes {
            bytes if bytes.starts_with(PREPARED) => HEADER_BYTES + PREPARATION_BYTES,
            bytes if bytes.starts_with(UNPREPARED) => HEADER_BYTES,
            _ => return Err(HeadsError::Magic),
        };
        let (header, values) = bytes
            .split_at_checked(header_bytes)
            .ok_or(HeadsError::Length { expected: header_bytes as u64, found: bytes.len() })?;
        let [dim, epsilon, classes @ ..] = words::<6>(&header[UNPREPARED.len()..]);
        let preparation = header[HEADER_BYTES..].as_chunks().0.first().map(preparation).transpose()?;
        let (dim, epsilon) = (dimension(dim)?, positive(f32::from_bits(epsilon))?);
        check_classes(classes)?;
        let expected = Category::ALL.iter().map(|category| 4 * Head::len(dim, *category)).sum::<usize>();
        if values.len() != expected {
            return Err(HeadsError::Length { expected: (header_bytes + expected) as u64, found: bytes.len() });
        }
        let mut values = values.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word));
        let heads = Category::ALL
            .map(|category| Head { dim, values: values.by_ref().take(Head::len(dim, category)).collect() });
        check_finite(&heads)?;
        Ok(Heads { dim, epsilon, preparation, heads })
    }
}

fn words<const COUNT: usize>(bytes: &[u8]) -> [u32; COUNT] {
    std::array::from_fn(|index| u32::from_le_bytes(std::array::from_fn(|byte| bytes[4 * index + byte])))
}

fn dimension(dim: u32) -> Result<usize, HeadsError> {
    match dim {
        1..=DIM_MAX => Ok(dim as usize),
        _ => Err(HeadsError::Dimension(dim)),
    }
}

fn preparation(sizes: &[u8; PREPARATION_BYTES]) -> Result<Preparation, HeadsError> {
    let [resize, size] = words::<2>(sizes);
    match (1..=resize).contains(&size) && resize <= PIXELS_MAX {
        true => Ok(Preparation { resize, size }),
        false => Err(HeadsError::Preparation { resize, size }),
    }
}

fn positive(epsilon: f32) -> Result<f32, HeadsError> {
    match epsilon.is_finite() && epsilon > 0.0 {
        true => Ok(epsilon),
        false => Err(HeadsError::Epsilon(epsilon)),
    }
}

fn check_classes(found: [u32; 4]) -> Result<(), HeadsError> {
    for (category, found) in Category::ALL.into_iter().zip(found) {
        let expected = category.classes().len();
        if found as usize != expected {
            return Err(HeadsError::Classes { category, expected, found });
        }
    }
    Ok(())
}

fn check_finite(heads: &[Head; 4]) -> Result<(), HeadsError> {
    for (category, head) in Category::ALL.into_iter().zip(heads) {
        if let Some(&value) = head.values.iter().find(|value| !value.is_finite()) {
            return Err(HeadsError::NotFinite { category, value });
        }
    }
    Ok(())
}

impl Head {
    /// Returns the number of values of a head.
    fn len(dim: usize, category: Category) -> usize {
        let classes = category.classes().len();
        2 * dim + classes * dim + classes
    }

    fn parts(&self) -> Parts<'_> {
        let (norm_weight, rest) = self.values.split_at(self.dim);
        let (norm_bias, rest) = rest.split_at(self.dim);
        let (weight, bias) = rest.split_at(rest.len() / (self.dim + 1) * self.dim);
        Parts { norm_weight, norm_bias, weight, bias }
    }

    fn parts_mut(&mut self) -> PartsMut<'_> {
        let (norm_weight, rest) = self.values.split_at_mut(self.dim);
        let (norm_bias, rest) = rest.split_at_mut(self.dim);
        let (weight, bias) = rest.split_at_mut(rest.len() / (self.dim + 1) * self.dim);
        PartsMut { norm_weight, norm_bias, weight, bias }
    }
}

/// Normalises a vector to mean 0 and variance 1, with `epsilon` added to the variance.
fn normalise(values: &[f32], epsilon: f32) -> Vec<f64> {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / (variance + f64::from(epsilon)).sqrt();
    values.iter().map(|&value| (f64::from(value) - mean) * scale).collect()
}

fn probabilities(category: Category, logits: &[f32]) -> Vec<f32> {
    match category.is_multi() {
        true => logits.iter().map(|&logit| sigmoid(logit)).collect(),
        false => softmax(logits),
    }
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// Returns the softmax. Logits of any size do not overflow.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f32> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;

    use serde::Deserialize;

    use bridgeclip_random::Random;

    use super::*;

    /// A feature before its normalisation, with the logits that PyTorch computes from it.
    #[derive(Deserialize)]
    struct Example {
        feature: Vec<f32>,
        #[serde(flatten)]
        logits: HashMap<Category, Vec<f32>>,
    }

    /// Stored forms in hexadecimal digits. All examples belong to the first.
    #[derive(Deserialize)]
    struct Golden {
        heads: Vec<String>,
        examples: Vec<Example>,
    }

    fn golden() -> (Heads, Vec<Example>) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/heads.json");
        let golden: Golden = serde_json::from_slice(&fs::read(path).expect("read")).expect("JSON");
        let digits = golden.heads[0].as_bytes().chunks_exact(2);
        let byte = |digits| u8::from_str_radix(std::str::from_utf8(digits).expect("ASCII"), 16).expect("hexadecimal");
        let bytes: Vec<u8> = digits.map(byte).collect();
        (Heads::from_bytes(&bytes).expect("heads"), golden.examples)
    }

    #[test]
    fn logits_of_unit_length_features_are_those_that_pytorch_gives_for_the_features() {
        let (heads, examples) = golden();
        assert!(examples.len() >= 3);
        for example in examples {
            let embedding = Embedding::normalise(example.feature).expect("a direction");
            for category in Category::ALL {
                let found = heads.logits(&embedding, category);
                for (found, expected) in found.iter().zip(&example.logits[&category]) {
                    assert!((found - expected).abs() < 1e-5, "{category}: {found}, {expected}");
                }
            }
        }
    }

    pub fn random_head(dim: usize, category: Category, random: &mut Random) -> Head {
        Head { dim, values: (0..Head::len(dim, category)).map(|_| random.within(1.0)).collect() }
    }

    fn random_heads(dim: usize) -> Heads {
        let mut random = Random::new(&[5]);
        let heads = Category::ALL.map(|c| random_head(dim, c, &mut random));
        Heads { dim, epsilon: NORM_EPSILON, preparation: Some(Preparation { resize: 256, size: 224 }), heads }
    }

    #[test]
    fn the_stored_form_is_read_back_and_damage_is_refused() {
        let heads = random_heads(6);
        let unprepared = Heads { preparation: None, ..heads.clone() };
        assert_eq!(Heads::from_bytes(&unprepared.to_bytes()), Ok(unprepared));
        let bytes = heads.to_bytes();
        assert_eq!(Heads::from_bytes(&bytes), Ok(heads));
        let changed = |place: usize, word: [u8; 4]| {
            let mut bytes = bytes.clone();
            bytes[place..place + 4].copy_from_slice(&word);
            Heads::from_bytes(&bytes).expect_err("refused").to_string()
        };
        let nan = f32::NAN.to_le_bytes();
        let cases = [
            (changed(0, *b"NOPE"), "does not start"),
            (changed(8, 7u32.to_le_bytes()), "instead of"),
            (changed(8, u32::MAX.to_le_bytes()), "dimension is 4294967295"),
            (changed(12, 0f32.to_le_bytes()), "epsilon is 0"),
            (changed(12, nan), "epsilon is NaN"),
            (changed(20, 3u32.to_le_bytes()), "measure has 3 classes; this program knows 9"),
            (changed(HEADER_BYTES, 5000u32.to_le_bytes()), "a short side of 5000 pixels and were cut to 224"),
            (changed(HEADER_BYTES + 4, 257u32.to_le_bytes()), "a short side of 256 pixels and were cut to 257"),
            (changed(HEADER_BYTES + PREPARATION_BYTES, nan), "soundness holds NaN"),
            (changed(bytes.len() - 4, f32::INFINITY.to_le_bytes()), "damage_location holds inf"),
        ];
        for (message, expected) in cases {
            assert!(message.contains(expected), "{message}, expected {expected}");
        }
        for end in 0..bytes.len() {
            assert!(Heads::from_bytes(&bytes[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn probabilities_are_softmax_or_sigmoids() {
        let embedding = Embedding::normalise(vec![1.0, -2.0, 0.5, 0.0, 3.0, 1.5]).expect("a direction");
        let heads = random_heads(6);
        let scores = heads.scores(&embedding);
        assert!((scores.get(Category::Measure).iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let logits = heads.logits(&embedding, Category::DamageType);
        for (probability, logit) in scores.get(Category::DamageType).iter().zip(logits) {
            assert!(((probability / (1.0 - probability)).ln() - logit).abs() < 1e-4);
        }
    }

    #[test]
    fn extreme_logits_stay_finite() {
        assert_eq!(softmax(&[1000.0, 0.0]), [1.0, 0.0]);
        assert_eq!([sigmoid(-1000.0), sigmoid(1000.0)], [0.0, 1.0]);
    }
}
