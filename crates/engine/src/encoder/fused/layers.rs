//! The fused layers: values in, values out. They use the kernels and know nothing of graphs.

use bridgeclip_kernels::{
    Activation, AttentionInput, AttentionShape, Columns, Finish, FloatMatrix, Int8Matrix, Kernel, QuantizedRows,
    attention, layer_norm,
};

/// One fused layer, ready to run.
#[derive(Debug)]
pub enum Layer {
    Linear(Linear),
    LayerNorm(LayerNorm),
    Attention(Attention),
    TokenEmbedding(TokenEmbedding),
}

/// A linear layer: `activation(x W^T + b)`. If W is int8, x is quantised per row.
#[derive(Debug)]
pub struct Linear {
    pub kernel: Kernel,
    pub matrix: Matrix,
    /// Bias of each output; zeros if the layer has no bias.
    pub bias: Vec<f32>,
    /// Function applied to each output. None: no function.
    pub activation: Option<Activation>,
}

/// Weights of a linear layer, `[outputs][depth]`, in the form of the kernel.
#[derive(Debug)]
pub enum Matrix {
    Int8 {
        weights: Int8Matrix,
        /// Scale of each output.
        scales: Vec<f32>,
    },
    Float(FloatMatrix),
}

impl Linear {
    /// Number of values of an input row.
    pub fn depth(&self) -> usize {
        match &self.matrix {
            Matrix::Int8 { weights, .. } => weights.depth(),
            Matrix::Float(weights) => weights.depth(),
        }
    }

    /// Number of values of an output row.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Applies the layer to `x`, `[rows][depth]`, and writes `out`, `[rows][outputs]`. With `accumulate`, adds to the
    /// values in `out`.
    pub fn apply(&self, x: &[f32], accumulate: bool, out: &mut [f32]) {
        match &self.matrix {
            Matrix::Int8 { weights, scales } => {
                let rows = QuantizedRows::quantize(self.kernel, x, weights.depth());
                let finish = Finish { scales, bias: &self.bias, activation: self.activation, accumulate };
                weights.multiply(&rows, &finish, out);
            }
            Matrix::Float(weights) => weights.multiply(x, &self.bias, self.activation, accumulate, out),
        }
    }
}

/// A layer norm over each row; see [`layer_norm`].
#[derive(Debug)]
pub struct LayerNorm {
    pub kernel: Kernel,
    /// Factor of each value, `[width]`.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    /// Value added to the variance.
    pub epsilon: f32,
}

impl LayerNorm {
    /// Number of values of a row.
    pub fn width(&self) -> usize {
        self.weight.len()
    }

    /// Normalises `values`, `[rows][width]`, in place.
    pub fn apply(&self, values: &mut [f32]) {
        layer_norm(self.kernel, values, &self.weight, &self.bias, self.epsilon);
    }
}

/// Multi-head self-attention; see [`attention`].
#[derive(Debug)]
pub struct Attention {
    pub kernel: Kernel,
    /// Number of heads, a divisor of the width.
    pub heads: usize,
    /// Whether a token attends only to itself and to earlier tokens.
    pub causal: bool,
}

impl Attention {
    /// Applies the layer to queries, keys and values in `qkv`, `[tokens][3 * width]`, and writes `out`,
    /// `[tokens][width]`.
    pub fn apply(&self, qkv: &[f32], width: usize, out: &mut [f32]) {
        let part = |first| Columns { matrix: qkv, row: 3 * width, first };
        self.run(AttentionInput { queries: part(0), keys: part(width), values: part(2 * width) }, width, out);
    }

    /// Computes the output of some tokens alone: `queries` and `out` are `[queries][width]`, `kv` is `[tokens][2 *
    /// width]` with keys and values.
    pub fn apply_to(&self, queries: &[f32], kv: &[f32], width: usize, out: &mut [f32]) {
        let part = |first| Columns { matrix: kv, row: 2 * width, first };
        let queries = Columns { matrix: queries, row: width, first: 0 };
        self.run(AttentionInput { queries, keys: part(0), values: part(width) }, width, out);
    }

    fn run(&self, input: AttentionInput<'_>, width: usize, out: &mut [f32]) {
        let shape = AttentionShape {
            queries: out.len() / width,
            tokens: input.keys.matrix.len() / input.keys.row,
            heads: self.heads,
            head_width: width / self.heads,
            causal: self.causal,
        };
        attention(self.kernel, shape, &input, out);
    }
}

/// The embedding of each token of the vocabulary, as an int8 row with its own scale.
#[derive(Debug)]
pub struct TokenEmbedding {
    pub width: usize,
    /// Int8 rows, `[vocabulary][width]`.
    pub rows: Vec<i8>,
    /// Scale of each row.
    pub scales: Vec<f32>,
}

impl TokenEmbedding {
    /// Returns the values of one token's row. None if the vocabulary has no such token.
    pub fn row(&self, token: i64) -> Option<impl Iterator<Item = f32>> {
        let token = usize::try_from(token).ok()?;
        let scale = *self.scales.get(token)?;
        let row = &self.rows[token * self.width..][..self.width];
        Some(row.iter().map(move |&value| f32::from(value) * scale))
    }
}
