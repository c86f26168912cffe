//! Writes a tower as a graph of fused layers, with its weights file.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use prost::Message;
use tract_onnx::pb::{NodeProto, OperatorSetIdProto};
use tract_onnx::tract_hir::internal::*;

use super::tower::{FloatLayer, FloatLinear, Step, Tower};
use super::weights::{QuantizedWeights, quantize_weights};
use crate::encoder::fused::{DOMAIN, EmbeddingNode, FusedNode, LinearNode, NormNode, StoredWeights};

/// Alignment of tensors in the weights file, in bytes.
const ALIGNMENT: u64 = 64;

/// Choice of the linear layers that are written as int8.
#[derive(Clone, Debug)]
pub enum Precision {
    /// No layer is int8.
    Float,
    /// All layers are int8, except those with these names.
    Int8Except(BTreeSet<String>),
}

impl Precision {
    fn is_int8(&self, name: &str) -> bool {
        match self {
            Precision::Float => false,
            Precision::Int8Except(float) => !float.contains(name),
        }
    }
}

impl Tower {
    /// Writes the files `graph` and `weights` into the folder `dir`.
    pub fn write(&self, dir: &Path, graph: &str, weights: &str, precision: &Precision) -> TractResult<()> {
        let mut file = WeightsWriter::create(&dir.join(weights), weights)?;
        let nodes = self.steps.iter().map(|step| write_step(step, &mut file, precision));
        let node = nodes.collect::<io::Result<Vec<_>>>()?;
        file.finish()?;
        let mut frame = self.frame.clone();
        frame.opset_import.push(OperatorSetIdProto { domain: DOMAIN.to_owned(), version: 1 });
        let body = frame.graph.as_mut().context("the frame holds no graph")?;
        body.node = node;
        body.initializer.clone_from(&self.constants);
        fs::write(dir.join(graph), frame.encode_to_vec())?;
        Ok(())
    }
}

fn write_step(step: &Step, file: &mut WeightsWriter, precision: &Precision) -> io::Result<NodeProto> {
    let fused = match &step.layer {
        FloatLayer::Standard(node) => return Ok(node.clone()),
        FloatLayer::Linear(linear) => FusedNode::Linear(write_linear(linear, file, precision.is_int8(&step.name))?),
        FloatLayer::LayerNorm { weight, bias, epsilon } => FusedNode::LayerNorm(NormNode {
            file: file.name.clone(),
            width: weight.len(),
            weight: file.floats(weight)?,
            bias: file.floats(bias)?,
            epsilon: *epsilon,
        }),
        FloatLayer::Attention { heads, causal } => FusedNode::Attention { heads: *heads, causal: *causal },
        FloatLayer::TokenEmbedding { table, vocabulary } => {
            let width = table.len() / vocabulary;
            let QuantizedWeights { values, scales } = quantize_weights(table, width);
            FusedNode::TokenEmbedding(EmbeddingNode {
                file: file.name.clone(),
                vocabulary: *vocabulary,
                width,
                rows: file.int8(&values)?,
                scales: file.floats(&scales)?,
            })
        }
    };
    let inputs: Vec<&str> = step.inputs.iter().map(String::as_str).collect();
    Ok(fused.write(&step.name, &inputs, &step.output))
}

fn write_linear(linear: &FloatLinear, file: &mut WeightsWriter, int8: bool) -> io::Result<LinearNode> {
    let weights = if int8 {
        let QuantizedWeights { values, scales } = quantize_weights(&linear.weights, linear.depth);
        StoredWeights::Int8 { weights: file.int8(&values)?, scales: file.floats(&scales)? }
    } else {
        StoredWeights::Float { weights: file.floats(&linear.weights)? }
    };
    Ok(LinearNode {
        file: file.name.clone(),
        outputs: linear.outputs(),
        depth: linear.depth,
        weights,
        bias: linear.bias.as_ref().map(|bias| file.floats(bias)).transpose()?,
        activation: linear.activation,
    })
}

/// Writes tensors one after another and returns the place of each.
struct WeightsWriter {
    name: String,
    file: BufWriter<File>,
    end: u64,
}

impl WeightsWriter {
    fn create(path: &Path, name: &str) -> io::Result<Self> {
        Ok(WeightsWriter { name: name.to_owned(), file: BufWriter::new(File::create(path)?), end: 0 })
    }

    fn floats(&mut self, values: &[f32]) -> io::Result<u64> {
        let place = self.align()?;
        for value in values {
            self.file.write_all(&value.to_le_bytes())?;
        }
        self.end += size_of_val(values) as u64;
        Ok(place)
    }

    fn int8(&mut self, values: &[i8]) -> io::Result<u64> {
        let place = self.align()?;
        for piece in values.chunks(1 << 16) {
            self.file.write_all(&piece.iter().map(|value| value.cast_unsigned()).collect::<Vec<_>>())?;
        }
        self.end += values.len() as u64;
        Ok(place)
    }

    fn align(&mut self) -> io::Result<u64> {
        let place = self.end.next_multiple_of(ALIGNMENT);
        self.file.write_all(&vec![0; (place - self.end) as usize])?;
        self.end = place;
        Ok(place)
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }
}
