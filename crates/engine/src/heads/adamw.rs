//! AdamW (Loshchilov and Hutter, arXiv 1711.05101), as PyTorch computes it with its default betas and epsilon.

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// The optimiser's state: the moments of every parameter.
pub struct AdamW {
    weight_decay: f32,
    steps: i32,
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl AdamW {
    /// Returns the state before the first step.
    pub fn new(parameters: usize, weight_decay: f32) -> Self {
        AdamW { weight_decay, steps: 0, mean: vec![0.0; parameters], square: vec![0.0; parameters] }
    }

    /// Takes one step against the gradient. All parameters decay, including biases, as they do in PyTorch.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], rate: f32) {
        self.steps += 1;
        let keep = 1.0 - rate * self.weight_decay;
        let step_size = rate / (1.0 - BETA1.powi(self.steps));
        let square_scale = 1.0 / (1.0 - BETA2.powi(self.steps)).sqrt();
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for ((value, &slope), (mean, square)) in parameters.iter_mut().zip(gradient).zip(moments) {
            *mean = BETA1 * *mean + (1.0 - BETA1) * slope;
            *square = BETA2 * *square + (1.0 - BETA2) * slope * slope;
            *value = keep * *value - step_size * *mean / (square.sqrt() * square_scale + EPSILON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values computed with `torch.optim.AdamW`: rate 0.1, weight decay 0.01, gradients 1, -2 and then 0.5, 3.
    #[test]
    fn steps_are_those_of_pytorch() {
        let mut values = [1.0, -1.0];
        let mut adam = AdamW::new(2, 0.01);
        adam.step(&mut values, &[1.0, -2.0], 0.1);
        adam.step(&mut values, &[0.5, 3.0], 0.1);
        for (value, expected) in values.into_iter().zip(ADAMW_EXPECTED) {
            assert!((value - expected).abs() < 1e-6, "{value}, {expected}");
        }
    }

    const ADAMW_EXPECTED: [f32; 2] = [0.8048831, -0.9228712];
}
