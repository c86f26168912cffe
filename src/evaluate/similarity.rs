//! Cosine similarities in double precision.

use crate::domain::Embedding;

/// Returns the dot products of `query` with all `items`, in their order. Equal items have exactly equal similarities.
pub fn similarities(query: &Embedding, items: &[Embedding]) -> Vec<f64> {
    items.iter().map(|item| dot(query.values(), item.values())).collect()
}

/// Returns the dot product: eight sums side by side, so that the compiler can keep them in vector registers.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0_f64; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 =
        a_lanes.remainder().iter().zip(b_lanes.remainder()).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    for (x, y) in a_lanes.zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dot_product_covers_every_length() {
        for length in 0..40 {
            let values: Vec<f32> = (0..length).map(|i| i as f32).collect();
            assert_eq!(dot(&values, &values), values.iter().map(|value| f64::from(value * value)).sum::<f64>());
        }
    }
}
