//! SmoothQuant (Xiao et al., 2022): divides channels with outliers by a factor where they are computed, and multiplies
//! the weights that read them by the same factor. The function stays the same, and int8 rows lose less.
//!
//! The factor of a channel is `a^alpha / w^(1 - alpha)`, where a is the channel's greatest activation and w its
//! greatest weight. Each fold uses the alpha with the least error on calibration rows, or no factors if those are best.

use std::collections::BTreeMap;

use bridgeclip_kernels::Kernel;

use super::calibrate::Inputs;
use super::error::relative_error;
use super::tower::{FloatLayer, FloatLinear, Tower};

/// Values of alpha that are tried for each fold.
const ALPHAS: [f32; 5] = [0.35, 0.5, 0.65, 0.8, 1.0];
/// Least magnitude of a channel, as a share of the greatest one. Smaller channels count as this large, so that no
/// factor explodes.
const MAGNITUDE_FLOOR: f32 = 1e-4;

/// The place whose outputs a fold divides.
#[derive(Clone, Debug)]
enum FoldSource {
    /// The layer norm at this step.
    LayerNorm(usize),
    /// The values of an attention. The linear layer at this step computes its queries, keys and values.
    AttentionValues(usize),
}

/// Folds factors into the tower wherever a layer norm or an attention feeds only linear layers. Divides `inputs` by the
/// same factors. Returns the alpha of each smoothed layer, by the layer's name.
pub fn smooth(kernel: Kernel, tower: &mut Tower, inputs: &mut BTreeMap<String, Inputs>) -> BTreeMap<String, f32> {
    let mut chosen = BTreeMap::new();
    for (source, readers) in folds(tower) {
        let Some((alpha, factors)) = best(kernel, tower, &readers, inputs) else { continue };
        for &reader in &readers {
            let name = tower.steps[reader].name.clone();
            scale_columns(linear_mut(tower, reader), &factors);
            divide(inputs.get_mut(&name).expect("calibrated"), &factors);
            chosen.insert(name, alpha);
        }
        apply(tower, &source, &factors);
    }
    chosen
}

/// Returns each possible fold, with the steps of the linear layers that read its source.
fn folds(tower: &Tower) -> Vec<(FoldSource, Vec<usize>)> {
    let readers = |value: &str| -> Option<Vec<usize>> {
        let uses = (0..tower.steps.len()).filter(|&step| tower.steps[step].inputs.iter().any(|input| input == value));
        let reads = |step: usize| match &tower.steps[step].layer {
            FloatLayer::Linear(_) => tower.steps[step].inputs[0] == value,
            _ => false,
        };
        uses.map(|step| reads(step).then_some(step)).collect::<Option<Vec<_>>>().filter(|steps| !steps.is_empty())
    };
    let mut folds = Vec::new();
    for (index, step) in tower.steps.iter().enumerate() {
        let source = match &step.layer {
            FloatLayer::LayerNorm { .. } => FoldSource::LayerNorm(index),
            FloatLayer::Attention { .. } => match sole_projection(tower, &step.inputs[0]) {
                Some(linear) => FoldSource::AttentionValues(linear),
                None => continue,
            },
            _ => continue,
        };
        folds.extend(readers(&step.output).map(|readers| (source, readers)));
    }
    folds
}

/// Returns the step of the projection, a linear layer, that computes the input `value` of an attention. None if another
/// step uses `value` or if the layer has another form.
fn sole_projection(tower: &Tower, value: &str) -> Option<usize> {
    let uses = tower.steps.iter().flat_map(|step| &step.inputs).filter(|input| *input == value).count();
    let linear = tower.steps.iter().position(|step| step.output == value)?;
    let plain = matches!(&tower.steps[linear].layer, FloatLayer::Linear(l) if l.activation.is_none());
    (uses == 1 && plain && tower.steps[linear].inputs.len() == 1).then_some(linear)
}

/// Returns the alpha with the least error over all readers, and its factors. None if smoothing does not help.
fn best(
    kernel: Kernel,
    tower: &Tower,
    readers: &[usize],
    inputs: &BTreeMap<String, Inputs>,
) -> Option<(f32, Vec<f32>)> {
    let layers: Vec<(&FloatLinear, &Inputs)> =
        readers.iter().map(|&step| (linear(tower, step), &inputs[&tower.steps[step].name])).collect();
    let depth = layers[0].0.depth;
    let weights = layers.iter().fold(vec![0.0; depth], |greatest, (linear, _)| column_magnitudes(linear, greatest));
    let error = |factors: Option<&[f32]>| -> f64 {
        let of = |(linear, inputs): &(&FloatLinear, &Inputs)| match factors {
            None => relative_error(kernel, linear, &inputs.rows),
            Some(factors) => {
                let (mut linear, mut inputs) = ((*linear).clone(), (*inputs).clone());
                scale_columns(&mut linear, factors);
                divide(&mut inputs, factors);
                relative_error(kernel, &linear, &inputs.rows)
            }
        };
        layers.iter().map(of).sum()
    };
    let mut best = (error(None), None);
    for alpha in ALPHAS {
        let factors = factors(alpha, &layers[0].1.magnitudes, &weights);
        let error = error(Some(&factors));
        if error < best.0 {
            best = (error, Some((alpha, factors)));
        }
    }
    best.1
}

fn factors(alpha: f32, activations: &[f32], weights: &[f32]) -> Vec<f32> {
    let floor = |values: &[f32]| values.iter().copied().fold(0.0, f32::max).max(f32::MIN_POSITIVE) * MAGNITUDE_FLOOR;
    let (least_activation, least_weight) = (floor(activations), floor(weights));
    let factor = |(activation, weight): (&f32, &f32)| {
        let factor = activation.max(least_activation).powf(alpha) / weight.max(least_weight).powf(1.0 - alpha);
        if factor.is_normal() { factor } else { 1.0 }
    };
    activations.iter().zip(weights).map(factor).collect()
}

/// Returns the greatest weight magnitude of each column, or the value in `greatest` where that is greater.
fn column_magnitudes(linear: &FloatLinear, mut greatest: Vec<f32>) -> Vec<f32> {
    for row in linear.weights.chunks_exact(linear.depth) {
        greatest.iter_mut().zip(row).for_each(|(greatest, weight)| *greatest = greatest.max(weight.abs()));
    }
    greatest
}

fn scale_columns(linear: &mut FloatLinear, factors: &[f32]) {
    for row in linear.weights.chunks_exact_mut(linear.depth) {
        row.iter_mut().zip(factors).for_each(|(weight, factor)| *weight *= factor);
    }
}

fn divide(inputs: &mut Inputs, factors: &[f32]) {
    inputs.magnitudes.iter_mut().zip(factors).for_each(|(magnitude, factor)| *magnitude /= factor);
    for row in inputs.rows.chunks_exact_mut(factors.len()) {
        row.iter_mut().zip(factors).for_each(|(value, factor)| *value /= factor);
    }
}

/// Divides the channels of the source by the factors.
fn apply(tower: &mut Tower, source: &FoldSource, factors: &[f32]) {
    match *source {
        FoldSource::LayerNorm(step) => {
            let FloatLayer::LayerNorm { weight, bias, .. } = &mut tower.steps[step].layer else {
                unreachable!("a layer norm was found here")
            };
            for values in [weight, bias] {
                values.iter_mut().zip(factors).for_each(|(value, factor)| *value /= factor);
            }
        }
        FoldSource::AttentionValues(step) => {
            // The rows of the queries and keys come first; then each row belongs to a channel of the values.
            let linear = linear_mut(tower, step);
            let first = linear.outputs() - factors.len();
            let rows = linear.weights.chunks_exact_mut(linear.depth).skip(first);
            rows.zip(factors).for_each(|(row, factor)| row.iter_mut().for_each(|weight| *weight /= factor));
            let bias = linear.bias.iter_mut().flatten().skip(first);
            bias.zip(factors).for_each(|(bias, factor)| *bias /= factor);
        }
    }
}

fn linear(tower: &Tower, step: usize) -> &FloatLinear {
    match &tower.steps[step].layer {
        FloatLayer::Linear(linear) => linear,
        _ => unreachable!("a linear layer was found here"),
    }
}

fn linear_mut(tower: &mut Tower, step: usize) -> &mut FloatLinear {
    match &mut tower.steps[step].layer {
        FloatLayer::Linear(linear) => linear,
        _ => unreachable!("a linear layer was found here"),
    }
}
