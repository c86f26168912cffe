//! Loads the fused layers of a graph: turns weights from the file into the form of the processor's kernel.

use std::path::Path;
use std::sync::Arc;

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use bridgeclip_kernels::{self as kernels, FloatMatrix, Int8Matrix, Kernel};

use super::node::{EmbeddingNode, LinearNode, NormNode, OPERATORS, StoredWeights};
use super::{Attention, FusedNode, FusedOperator, Layer, LayerNorm, Linear, Matrix, TokenEmbedding, WeightsFile};

/// Upper limit on widths, depths and the vocabulary, well above those of any CLIP.
const SIZE_MAX: usize = 1 << 20;

/// Registers the fused layers with tract's importer.
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

#[cfg(test)]
mod tests {
    use std::fs;

    use prost::Message;
    use tract_onnx::pb::tensor_proto::DataType;
    use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
    use tract_onnx::pb::{
        GraphProto, ModelProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
        type_proto,
    };

    use super::*;
    use crate::encoder::fused::DOMAIN;
    use crate::encoder::plan::{EncodeError, Plan, Tokens};

    /// Returns an int8 layer from four values to three. The file has the weights, then the scales, then the bias.
    fn linear_node() -> LinearNode {
        LinearNode {
            file: "w".to_owned(),
            outputs: 3,
            depth: 4,
            weights: StoredWeights::Int8 { weights: 0, scales: 12 },
            bias: Some(24),
            activation: None,
        }
    }

    fn weights() -> Vec<u8> {
        let int8 = (1..=12).map(i8::cast_unsigned);
        let floats = [1.0, 0.5, 0.25, 10.0, 20.0, 30.0f32].into_iter().flat_map(f32::to_le_bytes);
        int8.chain(floats).collect()
    }

    fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
        let dim = |&size: &i64| Dimension { value: Some(dimension::Value::DimValue(size)), ..Dimension::default() };
        let shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
        let tensor = type_proto::Tensor { elem_type: DataType::Float.into(), shape };
        let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() });
        ValueInfoProto { name: name.to_owned(), r#type, ..ValueInfoProto::default() }
    }

    fn graph(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> Vec<u8> {
        let operators = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
        let graph = GraphProto {
            node,
            initializer,
            input: vec![value("x", &[1, 4])],
            output: vec![value("y", &[1, 3])],
            ..GraphProto::default()
        };
        let opset_import = vec![operators("", 17), operators(DOMAIN, 1)];
        ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
    }

    fn load_graph(graph: &[u8], weights: &[u8]) -> Result<Plan, EncodeError> {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join("g.onnx"), graph).expect("write");
        fs::write(dir.path().join("w"), weights).expect("write");
        Plan::load(&dir.path().join("g.onnx"), &[1, 4], f32::datum_type(), 3, Tokens::Needed)
    }

    fn load_linear(edit: impl FnOnce(&mut LinearNode)) -> Result<Plan, EncodeError> {
        let mut node = linear_node();
        edit(&mut node);
        load_graph(&graph(vec![FusedNode::Linear(node).write("layer", &["x"], "y")], vec![]), &weights())
    }

    fn reason(result: Result<Plan, EncodeError>) -> String {
        result.expect_err("refused").to_string()
    }

    #[test]
    fn a_good_graph_runs() {
        let plan = load_linear(|_| ()).expect("loads");
        let x = Tensor::from_shape(&[1, 4], &[127f32, 0.0, 0.0, 127.0]).expect("a tensor");
        let found = plan.run(x).expect("runs");
        let expected: [f32; 3] = [127.0 * 5.0 + 10.0, 0.5 * 127.0 * 13.0 + 20.0, 0.25 * 127.0 * 21.0 + 30.0];
        let norm = expected.iter().map(|value| value * value).sum::<f32>().sqrt();
        for (found, expected) in found.values().iter().zip(expected) {
            assert!((found - expected / norm).abs() < 1e-6, "{found}, {}", expected / norm);
        }
    }

    #[test]
    fn attributes_that_do_not_fit_are_refused_with_the_reason() {
        type Edit = fn(&mut LinearNode);
        let cases: [(&str, Edit); 9] = [
            ("layer for 3 values", |node| node.depth = 3),
            ("lie beyond the end", |node| node.outputs = 1000),
            ("lie beyond the end", |node| node.bias = Some(1 << 40)),
            ("depth = 0, expected 1 to", |node| node.depth = 0),
            ("outputs = 4294967296, expected 1 to", |node| node.outputs = 1 << 32),
            ("`../w` is no plain file name", |node| node.file = "../w".to_owned()),
            ("cannot open", |node| node.file = "v".to_owned()),
            ("lie beyond the end", |node| node.weights = StoredWeights::Float { weights: 0 }),
            ("the output is", |node| node.outputs = 2),
        ];
        for (expected, edit) in cases {
            let reason = reason(load_linear(edit));
            assert!(reason.contains(expected), "{expected}: {reason}");
        }
    }

    #[test]
    fn weights_that_are_no_weights_are_refused() {
        let graph = graph(vec![FusedNode::Linear(linear_node()).write("layer", &["x"], "y")], vec![]);
        let with = |place: usize, bytes: &[u8]| {
            let mut weights = weights();
            weights[place..][..bytes.len()].copy_from_slice(bytes);
            reason(load_graph(&graph, &weights))
        };
        assert!(with(5, &[0x80]).contains("output 1 has a weight of -128"));
        assert!(with(16, &f32::NAN.to_le_bytes()).contains("value 1 of 3 at 12 is NaN"));
        assert!(with(24, &f32::INFINITY.to_le_bytes()).contains("value 0 of 3 at 24 is inf"));
        assert!(with(12, &(-1f32).to_le_bytes()).contains("below 0"));
        for len in [0, 11, 12, 35] {
            assert!(reason(load_graph(&graph, &weights()[..len])).contains("beyond the end"), "{len} bytes");
        }
    }

    #[test]
    fn nodes_that_are_not_known_are_refused() {
        let edited = |edit: fn(&mut NodeProto)| {
            let mut node = FusedNode::Linear(linear_node()).write("layer", &["x"], "y");
            edit(&mut node);
            reason(load_graph(&graph(vec![node], vec![]), &weights()))
        };
        assert!(edited(|node| node.op_type = "FusedConvolution".to_owned()).contains("FusedConvolution"));
        assert!(edited(|node| node.attribute.retain(|attribute| attribute.name != "depth")).contains("depth"));
        let stored = |node: &mut NodeProto| {
            let attribute = node.attribute.iter_mut().find(|attribute| attribute.name == "stored").expect("stored");
            attribute.s = b"int4".to_vec();
        };
        assert!(edited(stored).contains("stored as `int4`"));
        assert!(edited(|node| node.input.push("x".to_owned())).contains("to add to"));
        assert!(edited(|node| node.input.clear()).contains("with 0 inputs"));
    }

    #[test]
    fn heads_must_divide_the_width() {
        let attention = FusedNode::Attention { heads: 3, causal: false }.write("attention", &["x"], "y");
        assert!(reason(load_graph(&graph(vec![attention], vec![]), &[])).contains("of attention"));
        let attention = FusedNode::Attention { heads: 0, causal: false }.write("attention", &["x"], "y");
        assert!(reason(load_graph(&graph(vec![attention], vec![]), &[])).contains("heads = 0"));
    }

    #[test]
    fn constants_of_ordinary_nodes_must_be_finite() {
        let constant = TensorProto {
            name: "c".to_owned(),
            dims: vec![1, 3],
            data_type: DataType::Float.into(),
            float_data: vec![0.0, f32::NAN, 0.0],
            ..TensorProto::default()
        };
        let linear = FusedNode::Linear(linear_node()).write("layer", &["x"], "h");
        let add = NodeProto {
            name: "add".to_owned(),
            op_type: "Add".to_owned(),
            input: vec!["h".to_owned(), "c".to_owned()],
            output: vec!["y".to_owned()],
            ..NodeProto::default()
        };
        assert!(reason(load_graph(&graph(vec![linear, add], vec![constant]), &weights())).contains("NaN or infinite"));
    }

    #[test]
    fn a_graph_that_was_cut_off_is_refused() {
        let whole = graph(vec![FusedNode::Linear(linear_node()).write("layer", &["x"], "y")], vec![]);
        for len in 0..whole.len() {
            if ModelProto::decode(&whole[..len]).is_ok_and(|model| model.graph.is_some()) {
                continue; // Cut between two fields after the graph: the rest is a complete message again.
            }
            assert!(load_graph(&whole[..len], &weights()).is_err(), "{len} of {} bytes", whole.len());
        }
    }
}
