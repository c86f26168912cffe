//! Quantises float weights to int8.

/// Int8 rows, each with a scale.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// Values of all rows, `[rows][depth]`.
    pub values: Vec<i8>,
    /// Scale of each row.
    pub scales: Vec<f32>,
}

/// Quantises each row of `weights`, `[rows][depth]`, symmetrically: the greatest magnitude becomes 127.
pub fn quantize_weights(weights: &[f32], depth: usize) -> QuantizedWeights {
    let mut quantized = QuantizedWeights { values: Vec::with_capacity(weights.len()), scales: Vec::new() };
    for row in weights.chunks_exact(depth) {
        let greatest = row.iter().fold(0.0f32, |greatest, weight| greatest.max(weight.abs()));
        let scale = greatest / 127.0;
        let factor = if scale > f32::MIN_POSITIVE { 1.0 / scale } else { 0.0 };
        quantized
            .values
            .extend(row.iter().map(|weight| (weight * factor).round_ties_even().clamp(-127.0, 127.0) as i8));
        quantized.scales.push(scale);
    }
    quantized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_uses_the_whole_range() {
        let quantized = quantize_weights(&[0.5, -1.0, 0.25, 0.0, 0.0, 0.0, -3.0, 1e-9, 3.0], 3);
        assert_eq!(quantized.values, [64, -127, 32, 0, 0, 0, -127, 0, 127]);
        assert_eq!(quantized.scales, [1.0 / 127.0, 0.0, 3.0 / 127.0]);
    }
}
