//! Weights of the evidence and offsets of the classes, by penalised maximum likelihood.
//!
//! The loss is convex, so Newton's method finds its one minimum.

use crate::classify::EVIDENCE;

/// Weights that suit any reference, which the fit starts from and is pulled towards.
const START: [f64; EVIDENCE] = [0.3, 0.3, 0.4, 1.0];
/// Penalty on half the square of a weight's distance from its start, in photos' log-likelihood.
const WEIGHT_PENALTY: f64 = 10.0;
/// Penalty on half the square of an offset. It is stronger, because a rare class has few examples.
const OFFSET_PENALTY: f64 = 20.0;
/// Most steps of Newton's method; it converges in about six.
const STEPS_MAX: usize = 40;
/// Decrease of the loss, in relation to it, below which the fit ends.
const PRECISION: f64 = 1e-10;

/// The evidence about one photo's classes, and the classes that it has.
pub struct Example<'a> {
    pub evidence: &'a [[f32; EVIDENCE]],
    pub truth: &'a [u8],
}

/// Returns the weights of the evidence and the offset of each class.
pub fn fit_weights(examples: &[Example], classes: usize, multi: bool) -> ([f32; EVIDENCE], Vec<f32>) {
    let mut at: Vec<f64> = START.into_iter().chain((0..classes).map(|_| 0.0)).collect();
    let mut here = Slope::at(&at, examples, multi);
    for _ in 0..STEPS_MAX {
        let Some(next) = step(&at, &here, examples, multi) else { break };
        let is_last = here.loss - next.1.loss < PRECISION * here.loss.abs();
        (at, here) = next;
        if is_last {
            break;
        }
    }
    let (weights, offsets) = at.split_at(EVIDENCE);
    (std::array::from_fn(|index| weights[index] as f32), offsets.iter().map(|offset| *offset as f32).collect())
}

/// Takes a step of Newton's method, halved until the loss decreases. None if no step decreases it.
fn step(at: &[f64], here: &Slope, examples: &[Example], multi: bool) -> Option<(Vec<f64>, Slope)> {
    let direction = solve(here.curvature.clone(), here.gradient.clone());
    (0..20).find_map(|halvings| {
        let length = 0.5_f64.powi(halvings);
        let next: Vec<f64> = at.iter().zip(&direction).map(|(value, step)| value - length * step).collect();
        let there = Slope::at(&next, examples, multi);
        (there.loss < here.loss).then_some((next, there))
    })
}

/// The loss with its first and second derivatives.
struct Slope {
    loss: f64,
    gradient: Vec<f64>,
    /// Rows of the symmetric matrix.
    curvature: Vec<Vec<f64>>,
}

impl Slope {
    fn at(at: &[f64], examples: &[Example], multi: bool) -> Self {
        let count = at.len();
        let mut slope = Slope { loss: 0.0, gradient: vec![0.0; count], curvature: vec![vec![0.0; count]; count] };
        examples.iter().for_each(|example| slope.add(at, example, multi));
        for (index, value) in at.iter().enumerate() {
            let (start, penalty) = START.get(index).map_or((0.0, OFFSET_PENALTY), |start| (*start, WEIGHT_PENALTY));
            slope.loss += 0.5 * penalty * (value - start).powi(2);
            slope.gradient[index] += penalty * (value - start);
            slope.curvature[index][index] += penalty;
        }
        slope
    }

    fn add(&mut self, at: &[f64], example: &Example, multi: bool) {
        let logits = example.evidence.iter().zip(&at[EVIDENCE..]).map(|(evidence, offset)| {
            evidence.iter().zip(at).map(|(value, weight)| f64::from(*value) * weight).sum::<f64>() + offset
        });
        let logits: Vec<f64> = logits.collect();
        let (probabilities, loss) = likelihood(&logits, example.truth, multi);
        self.loss += loss;
        let mut mean = vec![0.0; at.len()];
        for (class, (evidence, probability)) in example.evidence.iter().zip(&probabilities).enumerate() {
            let is_true = f64::from(u8::from(example.truth.contains(&(class as u8))));
            let weight = if multi { probability * (1.0 - probability) } else { *probability };
            self.add_class(class, evidence, probability - is_true, weight);
            evidence.iter().zip(&mut mean).for_each(|(value, mean)| *mean += probability * f64::from(*value));
            mean[EVIDENCE + class] = *probability;
        }
        if !multi {
            for (row, left) in self.curvature.iter_mut().zip(&mean) {
                row.iter_mut().zip(&mean).for_each(|(value, right)| *value -= left * right);
            }
        }
    }

    fn add_class(&mut self, class: usize, evidence: &[f32; EVIDENCE], residual: f64, weight: f64) {
        let offset = EVIDENCE + class;
        self.gradient[offset] += residual;
        self.curvature[offset][offset] += weight;
        for (row, left) in evidence.iter().map(|value| f64::from(*value)).enumerate() {
            self.gradient[row] += residual * left;
            self.curvature[row][offset] += weight * left;
            self.curvature[offset][row] += weight * left;
            for (column, right) in evidence.iter().enumerate() {
                self.curvature[row][column] += weight * left * f64::from(*right);
            }
        }
    }
}

/// Returns the probabilities of the classes and the negative log-likelihood of the true ones. In a single-label category
/// the first true class counts.
fn likelihood(logits: &[f64], truth: &[u8], multi: bool) -> (Vec<f64>, f64) {
    if multi {
        let has = |class: usize| truth.contains(&(class as u8));
        let loss = |(class, logit): (usize, &f64)| softplus(*logit) - if has(class) { *logit } else { 0.0 };
        let probabilities = logits.iter().map(|logit| (-softplus(-logit)).exp()).collect();
        return (probabilities, logits.iter().enumerate().map(loss).sum());
    }
    let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
    let log_sum = greatest + sum.ln();
    let probabilities = logits.iter().map(|logit| (logit - log_sum).exp()).collect();
    (probabilities, log_sum - logits[usize::from(truth[0])])
}

/// Returns ln(1 + e^x) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Solves `matrix * x = right` by Cholesky's method. The matrix is positive definite, because every penalty is above 0.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let count = right.len();
    for column in 0..count {
        for row in column..count {
            let sum: f64 = (0..column).map(|index| matrix[row][index] * matrix[column][index]).sum();
            let rest = matrix[row][column] - sum;
            matrix[row][column] =
                if row == column { rest.max(f64::MIN_POSITIVE).sqrt() } else { rest / matrix[column][column] };
        }
    }
    for row in 0..count {
        let sum: f64 = (0..row).map(|index| matrix[row][index] * right[index]).sum();
        right[row] = (right[row] - sum) / matrix[row][row];
    }
    for row in (0..count).rev() {
        let sum: f64 = (row + 1..count).map(|index| matrix[index][row] * right[index]).sum();
        right[row] = (right[row] - sum) / matrix[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved() {
        let matrix = vec![vec![4.0, 2.0, 1.0], vec![2.0, 5.0, 3.0], vec![1.0, 3.0, 6.0]];
        let found = solve(matrix, vec![11.0, 21.0, 25.0]);
        for (found, expected) in found.iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
    }

    #[test]
    fn without_examples_the_start_remains() {
        let (weights, offsets) = fit_weights(&[], 3, false);
        assert_eq!((weights, offsets), (START.map(|weight| weight as f32), vec![0.0; 3]));
    }

    /// The gradient vanishes at the minimum, and it is that of the loss.
    #[test]
    fn the_fit_is_the_minimum() {
        let mut random = crate::random::Random::new(&[3]);
        let evidence: Vec<Vec<[f32; EVIDENCE]>> =
            (0..300).map(|_| (0..4).map(|_| std::array::from_fn(|_| random.within(2.0))).collect()).collect();
        let truth: Vec<[u8; 1]> = (0..300).map(|_| [random.below(4) as u8]).collect();
        let examples: Vec<Example> =
            evidence.iter().zip(&truth).map(|(evidence, truth)| Example { evidence, truth }).collect();
        for multi in [false, true] {
            let (weights, offsets) = fit_weights(&examples, 4, multi);
            let mut at: Vec<f64> = weights.iter().chain(&offsets).map(|value| f64::from(*value)).collect();
            let slope = Slope::at(&at, &examples, multi);
            assert!(slope.gradient.iter().all(|value| value.abs() < 1e-3), "{:?}", slope.gradient);
            at[1] += 0.5;
            let (there, step) = (Slope::at(&at, &examples, multi), 1e-6);
            for index in 0..at.len() {
                let mut near = at.clone();
                near[index] += step;
                let expected = (Slope::at(&near, &examples, multi).loss - there.loss) / step;
                assert!((there.gradient[index] - expected).abs() < 1e-2, "{index}: {expected}");
            }
        }
    }
}
