//! The fused layers themselves: values in, values out. They know the kernels and nothing of graphs.

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

/// `activation(x W^T + b)`, with x quantised per row if W is int8.
#[derive(Debug)]
pub struct Linear {
    pub kernel: Kernel,
    pub matrix: Matrix,
    /// Of each output; zeros if the layer has none.
    pub bias: Vec<f32>,
    pub activation: Option<Activation>,
}

#[derive(Debug)]
pub enum Matrix {
    Int8 {
        weights: Int8Matrix,
        /// Of each output.
        scales: Vec<f32>,
    },
    Float(FloatMatrix),
}

impl Linear {
    pub fn depth(&self) -> usize {
        match &self.matrix {
            Matrix::Int8 { weights, .. } => weights.depth(),
            Matrix::Float(weights) => weights.depth(),
        }
    }

    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// `x` is `[rows][depth]`, `out` is `[rows][outputs]`; `accumulate` adds to what is there.
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

/// Normalises each row; see [`layer_norm`].
#[derive(Debug)]
pub struct LayerNorm {
    pub kernel: Kernel,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    pub epsilon: f32,
}

impl LayerNorm {
    pub fn width(&self) -> usize {
        self.weight.len()
    }

    /// `values` is `[rows][width]`.
    pub fn apply(&self, values: &mut [f32]) {
        layer_norm(self.kernel, values, &self.weight, &self.bias, self.epsilon);
    }
}

/// Multi-head self-attention; see [`attention`].
#[derive(Debug)]
pub struct Attention {
    pub kernel: Kernel,
    pub heads: usize,
    pub causal: bool,
}

impl Attention {
    /// `qkv` is `[tokens][3 * width]`, `out` is `[tokens][width]`.
    pub fn apply(&self, qkv: &[f32], width: usize, out: &mut [f32]) {
        let part = |first| Columns { matrix: qkv, row: 3 * width, first };
        self.run(AttentionInput { queries: part(0), keys: part(width), values: part(2 * width) }, width, out);
    }

    /// For some tokens alone: `queries` and `out` are `[queries][width]`, `kv` is `[tokens][2 * width]`, keys and values.
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

/// A row of values for each token of the vocabulary, as int8 with a scale of its own.
#[derive(Debug)]
pub struct TokenEmbedding {
    pub width: usize,
    /// `[vocabulary][width]`
    pub rows: Vec<i8>,
    /// Of each row.
    pub scales: Vec<f32>,
}

impl TokenEmbedding {
    /// The row of one token. None if the vocabulary has no such token.
    pub fn row(&self, token: i64) -> Option<impl Iterator<Item = f32>> {
        let token = usize::try_from(token).ok()?;
        let scale = *self.scales.get(token)?;
        let row = &self.rows[token * self.width..][..self.width];
        Some(row.iter().map(move |&value| f32::from(value) * scale))
    }
}
