//! The form of a fused layer in an ONNX graph: operator names and attributes, read and written side by side.
//!
//! A place is an offset in bytes from the start of the weights file. Values in that file are little endian.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

use bridgeclip_kernels::Activation;

/// ONNX domain of the fused operators.
pub const DOMAIN: &str = "bridgeclip";

const LINEAR: &str = "FusedLinear";
const LAYER_NORM: &str = "FusedLayerNorm";
const ATTENTION: &str = "FusedAttention";
const TOKEN_EMBEDDING: &str = "FusedTokenEmbedding";

/// Names of all fused operators.
pub const OPERATORS: [&str; 4] = [LINEAR, LAYER_NORM, ATTENTION, TOKEN_EMBEDDING];

/// A fused layer as stored in a graph.
#[derive(Clone, Debug, PartialEq)]
pub enum FusedNode {
    Linear(LinearNode),
    LayerNorm(NormNode),
    Attention { heads: usize, causal: bool },
    TokenEmbedding(EmbeddingNode),
}

/// A linear layer as stored in a graph. Its inputs are x, `[rows][depth]`, and optionally the values that the result is
/// added to.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearNode {
    /// Name of the weights file, next to the graph.
    pub file: String,
    /// Number of values of an output row.
    pub outputs: usize,
    /// Number of values of an input row.
    pub depth: usize,
    pub weights: StoredWeights,
    /// Place of the f32 bias, `[outputs]`. None: no bias.
    pub bias: Option<u64>,
    pub activation: Option<Activation>,
}

/// Type and places of a linear layer's weights, `[outputs][depth]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredWeights {
    /// Int8 weights with f32 scales, `[outputs]`.
    Int8 {
        weights: u64,
        scales: u64,
    },
    Float {
        weights: u64,
    },
}

/// A layer norm as stored in a graph. Its input is `[rows][width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct NormNode {
    /// Name of the weights file, next to the graph.
    pub file: String,
    pub width: usize,
    /// Place of the f32 weight, `[width]`.
    pub weight: u64,
    /// Place of the f32 bias, `[width]`.
    pub bias: u64,
    /// Value added to the variance.
    pub epsilon: f32,
}

/// A token embedding as stored in a graph. Its input is a row of tokens, `[1][length]`.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingNode {
    /// Name of the weights file, next to the graph.
    pub file: String,
    /// Number of tokens in the vocabulary.
    pub vocabulary: usize,
    pub width: usize,
    /// Place of the int8 rows, `[vocabulary][width]`.
    pub rows: u64,
    /// Place of the f32 scales, `[vocabulary]`.
    pub scales: u64,
}

impl FusedNode {
    /// Reads a layer from the attributes of a node with one of [`OPERATORS`].
    pub fn read(node: &NodeProto) -> TractResult<Self> {
        let size = |name: &str| node.get_attr::<usize>(name);
        let place = |name: &str| node.get_attr::<usize>(name).map(|place| place as u64);
        let file = || node.get_attr::<String>("file");
        Ok(match &*node.op_type {
            LINEAR => FusedNode::Linear(LinearNode {
                file: file()?,
                outputs: size("outputs")?,
                depth: size("depth")?,
                weights: match &*node.get_attr::<String>("stored")? {
                    "int8" => StoredWeights::Int8 { weights: place("weights")?, scales: place("scales")? },
                    "f32" => StoredWeights::Float { weights: place("weights")? },
                    other => bail!("weights stored as `{other}`; this program knows int8 and f32"),
                },
                bias: node.get_attr_opt::<usize>("bias")?.map(|place| place as u64),
                activation: node.get_attr_opt::<String>("activation")?.map(|name| activation(&name)).transpose()?,
            }),
            LAYER_NORM => FusedNode::LayerNorm(NormNode {
                file: file()?,
                width: size("width")?,
                weight: place("weight")?,
                bias: place("bias")?,
                epsilon: node.get_attr("epsilon")?,
            }),
            ATTENTION => FusedNode::Attention { heads: size("heads")?, causal: node.get_attr::<usize>("causal")? != 0 },
            TOKEN_EMBEDDING => FusedNode::TokenEmbedding(EmbeddingNode {
                file: file()?,
                vocabulary: size("vocabulary")?,
                width: size("width")?,
                rows: place("rows")?,
                scales: place("scales")?,
            }),
            other => bail!("`{other}` is not a fused layer"),
        })
    }

    /// Returns a graph node with the attributes of this layer.
    pub fn write(&self, name: &str, inputs: &[&str], output: &str) -> NodeProto {
        let (op_type, attribute) = match self {
            FusedNode::Linear(linear) => (LINEAR, linear.attributes()),
            FusedNode::LayerNorm(norm) => (LAYER_NORM, norm.attributes()),
            FusedNode::Attention { heads, causal } => {
                (ATTENTION, vec![int("heads", *heads as u64), int("causal", u64::from(*causal))])
            }
            FusedNode::TokenEmbedding(embedding) => (TOKEN_EMBEDDING, embedding.attributes()),
        };
        NodeProto {
            name: name.to_owned(),
            op_type: op_type.to_owned(),
            domain: DOMAIN.to_owned(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.to_owned()],
            attribute,
            ..NodeProto::default()
        }
    }
}

impl LinearNode {
    fn attributes(&self) -> Vec<AttributeProto> {
        let mut attributes =
            vec![string("file", &self.file), int("outputs", self.outputs as u64), int("depth", self.depth as u64)];
        match self.weights {
            StoredWeights::Int8 { weights, scales } => {
                attributes.extend([string("stored", "int8"), int("weights", weights), int("scales", scales)]);
            }
            StoredWeights::Float { weights } => attributes.extend([string("stored", "f32"), int("weights", weights)]),
        }
        attributes.extend(self.bias.map(|place| int("bias", place)));
        attributes.extend(self.activation.map(|activation| string("activation", activation_name(activation))));
        attributes
    }
}

impl NormNode {
    fn attributes(&self) -> Vec<AttributeProto> {
        vec![
            string("file", &self.file),
            int("width", self.width as u64),
            int("weight", self.weight),
            int("bias", self.bias),
            float("epsilon", self.epsilon),
        ]
    }
}

impl EmbeddingNode {
    fn attributes(&self) -> Vec<AttributeProto> {
        vec![
            string("file", &self.file),
            int("vocabulary", self.vocabulary as u64),
            int("width", self.width as u64),
            int("rows", self.rows),
            int("scales", self.scales),
        ]
    }
}

const GELU: &str = "gelu";
const QUICK_GELU: &str = "quick_gelu";

fn activation(name: &str) -> TractResult<Activation> {
    match name {
        GELU => Ok(Activation::Gelu),
        QUICK_GELU => Ok(Activation::QuickGelu),
        other => bail!("activation `{other}`; this program knows {GELU} and {QUICK_GELU}"),
    }
}

fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu => GELU,
        Activation::QuickGelu => QUICK_GELU,
    }
}

fn attribute(name: &str, r#type: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: r#type.into(), ..AttributeProto::default() }
}

fn int(name: &str, value: u64) -> AttributeProto {
    AttributeProto { i: value.cast_signed(), ..attribute(name, AttributeType::Int) }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: value, ..attribute(name, AttributeType::Float) }
}

fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: value.as_bytes().to_vec(), ..attribute(name, AttributeType::String) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let linear = LinearNode {
            file: "image.weights".into(),
            outputs: 3,
            depth: 4,
            weights: StoredWeights::Int8 { weights: 64, scales: 128 },
            bias: Some(1 << 40),
            activation: Some(Activation::QuickGelu),
        };
        let float =
            LinearNode { weights: StoredWeights::Float { weights: 0 }, bias: None, activation: None, ..linear.clone() };
        let file = linear.file.clone();
        let norm = NormNode { file: file.clone(), width: 7, weight: 1, bias: 2, epsilon: 1e-5 };
        let embedding = EmbeddingNode { file, vocabulary: 9, width: 5, rows: 1, scales: 2 };
        let nodes = [
            FusedNode::Linear(linear),
            FusedNode::Linear(float),
            FusedNode::LayerNorm(norm),
            FusedNode::Attention { heads: 12, causal: true },
            FusedNode::TokenEmbedding(embedding),
        ];
        for node in nodes {
            let written = node.write("n", &["a", "b"], "c");
            assert!(OPERATORS.contains(&&*written.op_type));
            assert_eq!(FusedNode::read(&written).expect("reads"), node);
        }
    }

    #[test]
    fn a_missing_or_foreign_attribute_is_named() {
        let node = FusedNode::Attention { heads: 2, causal: false }.write("attn", &["x"], "y");
        let mut missing = node.clone();
        missing.attribute.remove(0);
        assert!(format!("{:#}", FusedNode::read(&missing).expect_err("refused")).contains("heads"));
        let mut negative = node;
        negative.attribute[0].i = -1;
        assert!(FusedNode::read(&negative).is_err());
    }
}
