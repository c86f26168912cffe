//! Fused layers of a graph, loaded: weights from the file into the form of the processor's kernel.

use std::path::Path;
use std::sync::Arc;

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::node::{EmbeddingNode, LinearNode, NormNode, OPERATORS, StoredWeights};
use super::{Attention, FusedNode, FusedOperator, Layer, LayerNorm, Linear, Matrix, TokenEmbedding, WeightsFile};
use crate::kernels::{self, FloatMatrix, Int8Matrix, Kernel};

/// Bound on widths, depths and the vocabulary: well above any CLIP's.
const SIZE_MAX: usize = 1 << 20;

/// Teaches tract's importer the fused layers.
pub fn register(operators: &mut OnnxOpRegister) {
    for name in OPERATORS {
        operators.insert(name, load);
    }
}

fn load(context: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let kernel = kernels::selected()?;
    let dir = Path::new(context.model_dir.context("a graph with fused layers is loaded from a folder")?);
    let layer = match FusedNode::read(node)? {
        FusedNode::Linear(node) => Layer::Linear(linear(kernel, dir, &node)?),
        FusedNode::LayerNorm(node) => Layer::LayerNorm(layer_norm(kernel, dir, &node)?),
        FusedNode::Attention { heads, causal } => {
            check_size("heads", heads)?;
            Layer::Attention(Attention { kernel, heads, causal })
        }
        FusedNode::TokenEmbedding(node) => Layer::TokenEmbedding(token_embedding(dir, &node)?),
    };
    Ok((Box::new(FusedOperator(Arc::new(layer))), vec![]))
}

fn check_size(name: &str, size: usize) -> TractResult<()> {
    ensure!((1..=SIZE_MAX).contains(&size), "{name} = {size}, expected 1 to {SIZE_MAX}");
    Ok(())
}

fn linear(kernel: Kernel, dir: &Path, node: &LinearNode) -> TractResult<Linear> {
    let &LinearNode { outputs, depth, .. } = node;
    check_size("outputs", outputs)?;
    check_size("depth", depth)?;
    let file = WeightsFile::open(dir, &node.file)?;
    let matrix = match node.weights {
        StoredWeights::Int8 { weights, scales } => {
            file.check(weights, outputs * depth, 1)?;
            let read = |first, values: &mut [i8]| file.read_int8(weights + (first * depth) as u64, values);
            Matrix::Int8 {
                weights: Int8Matrix::pack(kernel, outputs, depth, read)?,
                scales: file.scales(scales, outputs)?,
            }
        }
        StoredWeights::Float { weights } => {
            Matrix::Float(FloatMatrix::pack(kernel, &file.floats(weights, outputs * depth)?, depth))
        }
    };
    let bias = node.bias.map_or_else(|| Ok(vec![0.0; outputs]), |place| file.floats(place, outputs))?;
    Ok(Linear { kernel, matrix, bias, activation: node.activation })
}

fn layer_norm(kernel: Kernel, dir: &Path, node: &NormNode) -> TractResult<LayerNorm> {
    check_size("width", node.width)?;
    ensure!(node.epsilon.is_finite() && node.epsilon >= 0.0, "epsilon = {}, expected 0 or more", node.epsilon);
    let file = WeightsFile::open(dir, &node.file)?;
    let weight = file.floats(node.weight, node.width)?;
    let bias = file.floats(node.bias, node.width)?;
    Ok(LayerNorm { kernel, weight, bias, epsilon: node.epsilon })
}

fn token_embedding(dir: &Path, node: &EmbeddingNode) -> TractResult<TokenEmbedding> {
    let &EmbeddingNode { vocabulary, width, .. } = node;
    check_size("vocabulary", vocabulary)?;
    check_size("width", width)?;
    let file = WeightsFile::open(dir, &node.file)?;
    file.check(node.rows, vocabulary * width, 1)?;
    let mut rows = vec![0; vocabulary * width];
    file.read_int8(node.rows, &mut rows)?;
    Ok(TokenEmbedding { width, rows, scales: file.scales(node.scales, vocabulary)? })
}
