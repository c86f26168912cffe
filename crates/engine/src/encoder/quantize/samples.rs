//! The samples that an encoder is calibrated with.

use std::path::Path;

use tract_onnx::prelude::Tensor;

use bridgeclip_domain::{Category, CategoryLabels, Labels, caption};

use super::calibrate::Sample;
use crate::encoder::{EncodeError, Tokenizer};

/// Number of captions that the text encoder is calibrated with.
const CAPTIONS: usize = 64;

/// Turns tensors of photos, `[3][size][size]`, into samples.
pub fn images(tensors: Vec<Vec<f32>>, size: usize) -> Vec<Sample> {
    let sample = |values: Vec<f32>| Sample {
        input: Tensor::from_shape(&[1, 3, size, size], &values).expect("values of the input's shape"),
        tokens: None,
    };
    tensors.into_iter().map(sample).collect()
}

/// Returns samples of captions that together contain every label.
pub fn caption_samples(tokenizer: &Path) -> Result<Vec<Sample>, EncodeError> {
    let tokenizer = Tokenizer::load(tokenizer)?;
    let sample = |index: usize| {
        let labels = Labels::new(|category| {
            let classes = category.classes().len();
            // The steps have no common divisor with the number of classes, so that every class appears, in varying
            // combinations.
            let first = (index * 7 % classes) as u8;
            let second = ((index * 11 + 3) % classes) as u8;
            let both = category.is_multi() && index.is_multiple_of(3);
            CategoryLabels::new(category, [first].into_iter().chain(both.then_some(second)))
        });
        let known = if index.is_multiple_of(5) { without_ratings(&labels) } else { labels };
        let tokens = tokenizer.tokens(&caption(&known))?;
        let used = tokens.iter().rposition(|&token| token != 0).map_or(1, |last| last + 1);
        let input = Tensor::from_shape(&[1, tokens.len()], &tokens.map(i64::from)).expect("a row of tokens");
        Ok(Sample { input, tokens: Some(used) })
    };
    (0..CAPTIONS).map(sample).collect()
}

fn without_ratings(labels: &Labels) -> Labels {
    Labels::new(|category| match category {
        Category::Soundness | Category::Measure => CategoryLabels::default(),
        Category::DamageType | Category::DamageLocation => labels.get(category).clone(),
    })
}

/// Returns synthetic pictures for a package without photos: smooth patterns, edges and noise, in the range of
/// normalised pixels, `[3][size][size]`. They are the same on every run.
pub fn pictures(count: usize, size: usize) -> Vec<Vec<f32>> {
    (0..count).map(|index| picture(index as u64, size)).collect()
}

fn picture(index: u64, size: usize) -> Vec<f32> {
    let mut state = index.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let mut uniform = || {
        // This is a xorshift64* generator rather than the generator of bridgeclip-random. An int8 package made without
        // photos is fitted to these pictures, so other numbers would change its bytes.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / 16_777_216.0
    };
    let mut values = Vec::with_capacity(3 * size * size);
    let waves: Vec<[f32; 4]> =
        (0..6).map(|_| [uniform() * 40.0 - 20.0, uniform() * 40.0 - 20.0, uniform() * 6.3, uniform() - 0.5]).collect();
    let (edge, level, noise) = (uniform() * 2.0 - 0.5, uniform() * 2.0 - 1.0, uniform() * 0.6);
    for channel in 0..3 {
        let tint = uniform() - 0.5;
        for y in 0..size {
            for x in 0..size {
                let (u, v) = (x as f32 / size as f32, y as f32 / size as f32);
                let smooth: f32 = waves
                    .iter()
                    .map(|[a, b, phase, height]| height * (a * u + b * v + phase + channel as f32 * 0.3).sin())
                    .sum();
                let step = if u + v * 0.5 > edge { level } else { 0.0 };
                values.push((smooth + step + tint + noise * (uniform() - 0.5) * 2.0).clamp(-1.8, 2.1));
            }
        }
    }
    values
}
