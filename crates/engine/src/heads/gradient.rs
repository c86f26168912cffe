//! The loss of a batch and its gradient, written by hand: layer norm, dropout, linear layer, then cross-entropy (single
//! label) or binary cross-entropy (multi label).

use bridgeclip_domain::Category;
use bridgeclip_kernels::{FloatMatrix, Kernel, layer_norm};
use bridgeclip_random::Random;

use super::{Head, sigmoid, softmax};

/// Number of rows in a block: few enough for their values to stay in the cache. Sums are formed block by block, so
/// another number gives other rounding errors.
const BLOCK: usize = 64;

/// Examples that one category's head is trained on.
pub struct Examples<'a> {
    /// Embeddings of the examples, `[rows][dim]`.
    pub rows: &'a [f32],
    /// Classes of each row, one bit each; exactly one in a single-label category.
    pub targets: &'a [u32],
}

/// Gradients of one category's head, with the buffers for computing them.
pub struct Gradient {
    /// Gradient of the last batch.
    pub values: Head,
    kernel: Kernel,
    category: Category,
    epsilon: f32,
    dropout: Dropout,
    ones: Vec<f32>,
    zeros: Vec<f32>,
    /// Rows after normalisation, `[block][dim]`.
    normal: Vec<f32>,
    /// Factors of dropout, `[block][dim]`.
    keep: Vec<f32>,
    /// Input of the linear layer, and later the slope of the loss there, `[block][dim]`.
    input: Vec<f32>,
    /// Outputs, and later the slopes of the loss there, `[block][classes]`.
    outputs: Vec<f32>,
}

impl Gradient {
    /// Returns the buffers for one category. `dropout` is the share of the linear layer's inputs that are left out, in
    /// [0, 1).
    pub fn new(kernel: Kernel, category: Category, dim: usize, epsilon: f32, dropout: f32) -> Self {
        let zeros = |count: usize| vec![0.0; count];
        Gradient {
            values: Head { dim, values: zeros(Head::len(dim, category)) },
            kernel,
            category,
            epsilon,
            dropout: Dropout::new(dropout),
            ones: vec![1.0; dim],
            zeros: zeros(dim),
            normal: zeros(BLOCK * dim),
            keep: zeros(BLOCK * dim),
            input: zeros(BLOCK * dim),
            outputs: zeros(BLOCK * category.classes().len()),
        }
    }

    /// Computes the gradient over the examples in `batch` into `self.values`, and returns their mean loss. `random`
    /// decides which inputs are left out.
    pub fn compute(&mut self, head: &Head, examples: &Examples, batch: &[u32], random: &mut Random) -> f64 {
        let forward = FloatMatrix::pack(self.kernel, head.parts().weight, head.dim);
        let backward = FloatMatrix::pack_transposed(self.kernel, head.parts().weight, head.dim);
        self.values.values.fill(0.0);
        let scale = self.scale(batch.len());
        let mut loss = 0.0;
        for block in batch.chunks(BLOCK) {
            self.load(examples, block);
            self.dropout.fill(&mut self.keep[..block.len() * head.dim], random);
            self.forward(head, &forward, block.len());
            loss += self.outputs_to_slopes(examples, block, scale);
            self.backward(&backward, block.len());
        }
        loss * f64::from(scale)
    }

    /// Returns the factor that averages losses over the rows. In a multi-label category each class is a question of its
    /// own, so losses are averaged over the classes too, as PyTorch's `BCEWithLogitsLoss` does by default.
    fn scale(&self, rows: usize) -> f32 {
        let questions = if self.category.is_multi() { self.category.classes().len() } else { 1 };
        1.0 / (rows * questions) as f32
    }

    fn load(&mut self, examples: &Examples, block: &[u32]) {
        let dim = self.values.dim;
        for (to, &row) in self.normal.chunks_exact_mut(dim).zip(block) {
            to.copy_from_slice(&examples.rows[row as usize * dim..][..dim]);
        }
        let normal = &mut self.normal[..block.len() * dim];
        layer_norm(self.kernel, normal, &self.ones, &self.zeros, self.epsilon);
    }

    fn forward(&mut self, head: &Head, matrix: &FloatMatrix, rows: usize) {
        let parts = head.parts();
        let dim = head.dim;
        let values = self.normal.chunks_exact(dim).zip(self.keep.chunks_exact(dim));
        for (input, (normal, keep)) in self.input.chunks_exact_mut(dim).zip(values).take(rows) {
            scale_and_shift(normal, parts, keep, input);
        }
        let outputs = &mut self.outputs[..rows * matrix.outputs()];
        matrix.multiply(&self.input[..rows * dim], parts.bias, None, false, outputs);
    }

    /// Turns outputs into the slopes of the loss there. Returns the sum of the losses.
    fn outputs_to_slopes(&mut self, examples: &Examples, block: &[u32], scale: f32) -> f64 {
        let rows = self.outputs.chunks_exact_mut(self.category.classes().len()).zip(block);
        let losses = rows.map(|(outputs, &row)| {
            let target = examples.targets[row as usize];
            let loss = match self.category.is_multi() {
                true => binary_cross_entropy(outputs, target),
                false => cross_entropy(outputs, target.trailing_zeros() as usize),
            };
            outputs.iter_mut().for_each(|slope| *slope *= scale);
            loss
        });
        losses.sum()
    }

    fn backward(&mut self, matrix: &FloatMatrix, rows: usize) {
        let (dim, classes) = (self.values.dim, self.category.classes().len());
        let (input, slopes) = (&mut self.input[..rows * dim], &self.outputs[..rows * classes]);
        let gradient = self.values.parts_mut();
        let inputs = FloatMatrix::pack_transposed(self.kernel, input, dim);
        inputs.multiply(&transposed(slopes, classes), &self.zeros, None, true, gradient.weight);
        slopes.chunks_exact(classes).for_each(|slopes| add(slopes, gradient.bias));
        matrix.multiply(slopes, &self.zeros, None, false, input);
        let values = self.normal.chunks_exact(dim).zip(self.keep.chunks_exact(dim));
        for (slopes, (normal, keep)) in input.chunks_exact(dim).zip(values) {
            add_norm_slopes(slopes, normal, keep, gradient.norm_weight, gradient.norm_bias);
        }
    }
}

fn scale_and_shift(normal: &[f32], parts: super::Parts, keep: &[f32], input: &mut [f32]) {
    let parameters = parts.norm_weight.iter().zip(parts.norm_bias);
    for ((to, normal), ((weight, bias), keep)) in input.iter_mut().zip(normal).zip(parameters.zip(keep)) {
        *to = (normal * weight + bias) * keep;
    }
}

fn add_norm_slopes(slopes: &[f32], normal: &[f32], keep: &[f32], weight: &mut [f32], bias: &mut [f32]) {
    let sums = weight.iter_mut().zip(bias);
    for ((slope, normal), (keep, (weight, bias))) in slopes.iter().zip(normal).zip(keep.iter().zip(sums)) {
        let slope = slope * keep;
        *weight += slope * normal;
        *bias += slope;
    }
}

fn add(values: &[f32], sums: &mut [f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// Transposes `[rows][width]` to `[width][rows]`.
fn transposed(values: &[f32], width: usize) -> Vec<f32> {
    (0..width).flat_map(|column| values.iter().skip(column).step_by(width).copied()).collect()
}

/// Returns -ln of the softmax at the target. Replaces the outputs by slopes.
fn cross_entropy(outputs: &mut [f32], target: usize) -> f64 {
    let greatest = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let distance = outputs[target] - greatest;
    let sum: f32 = outputs.iter().map(|output| (output - greatest).exp()).sum();
    let probabilities = softmax(outputs);
    outputs.copy_from_slice(&probabilities);
    outputs[target] -= 1.0;
    f64::from(sum.ln() - distance)
}

/// Returns the sum, over the classes, of -ln of the probability given to the right answer. Replaces the outputs by
/// slopes.
fn binary_cross_entropy(outputs: &mut [f32], target: u32) -> f64 {
    let mut loss = 0.0;
    for (class, output) in outputs.iter_mut().enumerate() {
        let wanted = (target >> class & 1) as f32;
        // ln(1 + e^x) - wanted x, without computing e^x for a large x.
        let softplus = output.max(0.0) + (-output.abs()).exp().ln_1p();
        loss += f64::from(softplus - wanted * *output);
        *output = sigmoid(*output) - wanted;
    }
    loss
}

/// Leaves values out at random, and enlarges the remaining ones so that the expected sum does not change.
struct Dropout {
    /// Number of cases out of 65,536 in which a value is left out.
    dropped: u64,
    factor: f32,
}

impl Dropout {
    fn new(share: f32) -> Self {
        Dropout { dropped: (f64::from(share) * 65_536.0).round() as u64, factor: 1.0 / (1.0 - share) }
    }

    /// Fills in a factor for each value: 0 or 1 / (1 - share). Sixteen random bits decide.
    fn fill(&self, factors: &mut [f32], random: &mut Random) {
        for four in factors.chunks_mut(4) {
            let bits = random.bits();
            for (place, factor) in four.iter_mut().enumerate() {
                let is_kept = bits >> (16 * place) & 0xFFFF >= self.dropped;
                *factor = if is_kept { self.factor } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::{NORM_EPSILON, normalise, tests::random_head};

    const DIM: usize = 7;
    const ROWS: usize = 70; // more than a block

    fn examples(category: Category) -> (Vec<f32>, Vec<u32>) {
        let mut random = Random::new(&[11]);
        let rows = (0..ROWS * DIM).map(|_| random.within(1.0)).collect();
        let classes = category.classes().len() as u64;
        let target = |random: &mut Random| match category.is_multi() {
            true => (random.bits() & random.bits() & ((1 << classes) - 1)) as u32,
            false => 1 << (random.bits() % classes),
        };
        (rows, (0..ROWS).map(|_| target(&mut random)).collect())
    }

    /// Computes the mean loss by its definition, in f64, with the given factors of dropout.
    fn loss(head: &[f64], category: Category, rows: &[f32], targets: &[u32], keep: &[f32]) -> f64 {
        let classes = category.classes().len();
        let (norm, linear) = head.split_at(2 * DIM);
        let (weight, bias) = linear.split_at(classes * DIM);
        let mut total = 0.0;
        for ((row, target), keep) in rows.chunks(DIM).zip(targets).zip(keep.chunks(DIM)) {
            let normal = normalise(row, NORM_EPSILON);
            let input: Vec<f64> =
                (0..DIM).map(|i| (normal[i] * norm[i] + norm[DIM + i]) * f64::from(keep[i])).collect();
            let outputs = weight.chunks(DIM).zip(bias);
            let outputs: Vec<f64> =
                outputs.map(|(w, b)| w.iter().zip(&input).map(|(w, x)| w * x).sum::<f64>() + b).collect();
            total += match category.is_multi() {
                true => {
                    let answer = |class: usize| if target >> class & 1 == 1 { 1.0 } else { -1.0 };
                    let each = outputs.iter().enumerate().map(|(c, x)| (1.0 + (-answer(c) * x).exp()).ln());
                    each.sum::<f64>() / classes as f64
                }
                false => {
                    let sum: f64 = outputs.iter().map(|x| x.exp()).sum();
                    sum.ln() - outputs[target.trailing_zeros() as usize]
                }
            };
        }
        total / ROWS as f64
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for category in Category::ALL {
            let (rows, targets) = examples(category);
            let head = random_head(DIM, category, &mut Random::new(&[3]));
            let mut gradient = Gradient::new(Kernel::available()[0], category, DIM, NORM_EPSILON, 0.3);
            let batch: Vec<u32> = (0..ROWS as u32).collect();
            let examples = Examples { rows: &rows, targets: &targets };
            let found = gradient.compute(&head, &examples, &batch, &mut Random::new(&[4]));

            let mut keep = vec![0.0; ROWS * DIM];
            let mut random = Random::new(&[4]);
            // The blocks draw their factors one after another.
            keep.chunks_mut(BLOCK * DIM).for_each(|keep| gradient.dropout.fill(keep, &mut random));
            assert!(keep.contains(&0.0));
            let values: Vec<f64> = head.values.iter().map(|&value| f64::from(value)).collect();
            let loss_at = |place: usize, change: f64| {
                let mut values = values.clone();
                values[place] += change;
                loss(&values, category, &rows, &targets, &keep)
            };
            assert!((found - loss_at(0, 0.0)).abs() < 1e-5, "{category}: loss {found}");
            for (place, &slope) in gradient.values.values.iter().enumerate() {
                let expected = (loss_at(place, 1e-4) - loss_at(place, -1e-4)) / 2e-4;
                assert!((f64::from(slope) - expected).abs() < 2e-6, "{category}, {place}: {slope}, {expected}");
            }
        }
    }

    #[test]
    fn every_kernel_gives_the_same_bits() {
        let category = Category::DamageLocation;
        let (rows, targets) = examples(category);
        let head = random_head(DIM, category, &mut Random::new(&[3]));
        let bits = |kernel| {
            let mut gradient = Gradient::new(kernel, category, DIM, NORM_EPSILON, 0.3);
            let examples = Examples { rows: &rows, targets: &targets };
            gradient.compute(&head, &examples, &[5, 1, 9, 9], &mut Random::new(&[4]));
            gradient.values.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        for kernel in Kernel::available() {
            assert!(bits(kernel) == bits(Kernel::SCALAR), "{}", kernel.name);
        }
    }

    #[test]
    fn dropout_drops_its_share_and_keeps_the_sum() {
        let mut factors = vec![0.0; 400_000];
        Dropout::new(0.3).fill(&mut factors, &mut Random::new(&[1]));
        let mean = factors.iter().map(|&factor| f64::from(factor)).sum::<f64>() / factors.len() as f64;
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
        Dropout::new(0.0).fill(&mut factors, &mut Random::new(&[1]));
        assert!(factors.iter().all(|&factor| factor == 1.0));
    }
}
