//! Measures the error that int8 adds to one layer.

use bridgeclip_kernels::{FloatMatrix, Int8Matrix, Kernel};

use super::tower::FloatLinear;
use super::weights::quantize_weights;
use crate::encoder::fused::{Linear, Matrix};

/// Returns the layer in int8, as a device runs it.
pub fn int8_linear(kernel: Kernel, linear: &FloatLinear) -> Linear {
    let quantized = quantize_weights(&linear.weights, linear.depth);
    let read = |first: usize, out: &mut [i8]| {
        out.copy_from_slice(&quantized.values[first * linear.depth..][..out.len()]);
        Ok(())
    };
    let weights = Int8Matrix::pack(kernel, linear.outputs(), linear.depth, read).expect("quantised weights fit");
    let bias = linear.bias.clone().unwrap_or_else(|| vec![0.0; linear.outputs()]);
    let matrix = Matrix::Int8 { weights, scales: quantized.scales };
    Linear { kernel, matrix, bias, activation: linear.activation }
}

/// Returns the error of the layer's output in int8 over `rows`, `[rows][depth]`, as a share of the output's norm.
pub fn relative_error(kernel: Kernel, linear: &FloatLinear, rows: &[f32]) -> f64 {
    let outputs = linear.outputs();
    let zeros = vec![0.0; outputs];
    let bias = linear.bias.as_ref().unwrap_or(&zeros);
    let mut exact = vec![0.0; rows.len() / linear.depth * outputs];
    let mut int8 = exact.clone();
    let weights = FloatMatrix::pack(kernel, &linear.weights, linear.depth);
    weights.multiply(rows, bias, linear.activation, false, &mut exact);
    int8_linear(kernel, linear).apply(rows, false, &mut int8);
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let error = squares(&mut exact.iter().zip(&int8).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let norm = squares(&mut exact.iter().map(|value| f64::from(*value)));
    (error / norm.max(f64::MIN_POSITIVE)).sqrt()
}
