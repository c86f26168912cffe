//! Gathers the inputs of the layers over calibration samples.

use std::collections::BTreeMap;

use tract_onnx::prelude::Tensor;

use crate::encoder::EncodeError;
use crate::encoder::plan::Plan;

/// Number of rows of each layer's input that are kept, over all samples.
const ROWS_KEPT: usize = 256;

/// A photo or text as the encoder's input.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Input tensor, `[1, 3, size, size]` for a photo or `[1, length]` for a text.
    pub input: Tensor,
    /// Number of tokens, from the first on, that the embedding depends on. None: all tokens.
    pub tokens: Option<usize>,
}

/// The inputs of one linear layer over all samples.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Greatest magnitude of each channel over all samples, `[depth]`.
    pub magnitudes: Vec<f32>,
    /// A selection of rows, spread evenly over all samples, `[rows][depth]`.
    pub rows: Vec<f32>,
}

/// Runs the fused float encoder over the samples and gathers the inputs of each linear layer, by the layer's name.
/// `depth` returns a layer's input width. Calls `progress` after each sample.
pub fn gather(
    plan: &Plan,
    samples: &[Sample],
    depth: impl Fn(&str) -> usize,
    mut progress: impl FnMut(),
) -> Result<BTreeMap<String, Inputs>, EncodeError> {
    let mut layers: BTreeMap<String, Inputs> = BTreeMap::new();
    let rows_per_sample = ROWS_KEPT.div_ceil(samples.len());
    for sample in samples {
        plan.run_hooked(sample.input.clone(), |name, x| {
            let depth = depth(name);
            let rows = x.len() / depth;
            // After pooling a layer has a single row, even if the sample has more tokens.
            let rows = sample.tokens.map_or(rows, |tokens| tokens.min(rows));
            let inputs = layers.entry(name.to_owned()).or_default();
            inputs.magnitudes.resize(depth, 0.0);
            for row in x.chunks_exact(depth).take(rows) {
                inputs.magnitudes.iter_mut().zip(row).for_each(|(max, value)| *max = max.max(value.abs()));
            }
            for row in x.chunks_exact(depth).take(rows).step_by(rows.div_ceil(rows_per_sample)) {
                inputs.rows.extend(row);
            }
            None
        })?;
        progress();
    }
    Ok(layers)
}
