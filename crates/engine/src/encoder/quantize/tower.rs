//! An encoder read from a float graph, as a list of fused layers.
//!
//! All float graphs come from one exporter, whose node names are the module paths of the PyTorch model. The reader
//! finds layers by these names and checks that every group of nodes has the expected form. Other nodes stay as they
//! are.

use std::collections::HashMap;
use std::path::Path;

use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto};
use tract_onnx::tract_hir::internal::*;

use bridgeclip_kernels::Activation;
use bridgeclip_package::is_plain;

/// An encoder as a list of steps, in order.
#[derive(Clone, Debug)]
pub struct Tower {
    /// Steps in the order of the graph.
    pub steps: Vec<Step>,
    /// Constants that the standard steps use, with their names.
    pub constants: Vec<TensorProto>,
    /// The graph without nodes and initialisers: inputs, output, operator sets.
    pub frame: ModelProto,
}

/// One layer of a tower, with its inputs and its output.
#[derive(Clone, Debug)]
pub struct Step {
    /// The module path in the PyTorch model.
    pub name: String,
    /// Names of the input values.
    pub inputs: Vec<String>,
    /// Name of the output value.
    pub output: String,
    pub layer: FloatLayer,
}

/// A layer with float weights.
#[derive(Clone, Debug)]
pub enum FloatLayer {
    Linear(FloatLinear),
    /// A normalisation of each row; weight and bias are `[width]`.
    LayerNorm {
        weight: Vec<f32>,
        bias: Vec<f32>,
        epsilon: f32,
    },
    Attention {
        heads: usize,
        causal: bool,
    },
    /// A table of embeddings, `[vocabulary][width]`.
    TokenEmbedding {
        table: Vec<f32>,
        vocabulary: usize,
    },
    /// A node of standard ONNX, unchanged.
    Standard(NodeProto),
}

/// A linear layer: `activation(x W^T + b)`, added to the second input if there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatLinear {
    /// Weights, `[outputs][depth]`.
    pub weights: Vec<f32>,
    /// Number of values of an input row.
    pub depth: usize,
    /// Bias of each output.
    pub bias: Option<Vec<f32>>,
    pub activation: Option<Activation>,
}

impl FloatLinear {
    /// Number of values of an output row.
    pub fn outputs(&self) -> usize {
        self.weights.len() / self.depth
    }
}

impl Tower {
    /// Reads a float graph and its weights. Fails if a group of nodes has an unexpected form.
    pub fn read(path: &Path) -> TractResult<Tower> {
        let mut frame = tract_onnx::onnx().proto_model_for_path(path)?;
        let dir = path.parent().context("a graph lies in a folder")?;
        let graph = frame.graph.as_mut().context("the file holds no graph")?;
        let nodes = std::mem::take(&mut graph.node);
        let initializers = std::mem::take(&mut graph.initializer);
        let constants = Constants::new(&initializers, dir)?;
        let mut reader = Reader { constants, steps: Vec::new(), uses: count_uses(&nodes, &graph.output) };
        reader.read(&nodes)?;
        let Reader { constants, steps, .. } = reader;
        let constants = standard_constants(&steps, &constants)?;
        Ok(Tower { steps, constants, frame })
    }

    /// Iterates over the linear layers, in order.
    pub fn linears(&self) -> impl Iterator<Item = (&Step, &FloatLinear)> {
        self.steps.iter().filter_map(|step| match &step.layer {
            FloatLayer::Linear(linear) => Some((step, linear)),
            _ => None,
        })
    }
}

/// Counts how often each value is used, by nodes or as the graph's output.
fn count_uses(nodes: &[NodeProto], outputs: &[tract_onnx::pb::ValueInfoProto]) -> HashMap<String, usize> {
    let mut uses = HashMap::new();
    let names = nodes.iter().flat_map(|node| &node.input).chain(outputs.iter().map(|output| &output.name));
    for name in names {
        *uses.entry(name.clone()).or_default() += 1;
    }
    uses
}

/// Shape and float values of a constant.
#[derive(Clone, Debug)]
struct Constant {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// The initialisers of a graph, including reshaped or converted copies under their own names.
struct Constants<'a> {
    tensors: HashMap<&'a str, &'a TensorProto>,
    /// Name of the original, and the copy's shape if it was reshaped, by the name of each copy.
    copies: HashMap<String, (String, Option<Vec<usize>>)>,
    dir: &'a Path,
}

impl<'a> Constants<'a> {
    fn new(initializers: &'a [TensorProto], dir: &'a Path) -> TractResult<Self> {
        for tensor in initializers {
            let location = tensor.external_data.iter().find(|entry| entry.key == "location");
            if let Some(entry) = location {
                ensure!(is_plain(&entry.value), "{}: `{}` is no plain file name", tensor.name, entry.value);
            }
        }
        let tensors = initializers.iter().map(|tensor| (&*tensor.name, tensor)).collect();
        Ok(Constants { tensors, copies: HashMap::new(), dir })
    }

    fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.copies.contains_key(name)
    }

    fn tensor(&self, name: &str) -> TractResult<Tensor> {
        let proto = self.tensors.get(name).with_context(|| format!("`{name}` is not a constant"))?;
        let dir = self.dir.to_str().context("the folder's name is not UTF-8")?;
        tract_onnx::tensor::load_tensor(&MmapDataResolver, proto, Some(dir))
    }

    /// Returns the values and shape of a float constant. Fails if a value is NaN or infinite.
    fn floats(&self, name: &str) -> TractResult<Constant> {
        if let Some((original, shape)) = self.copies.get(name) {
            let constant = self.floats(original)?;
            let Some(shape) = shape.clone() else { return Ok(constant) };
            ensure!(shape.iter().product::<usize>() == constant.values.len(), "`{name}` reshaped to {shape:?}");
            return Ok(Constant { shape, ..constant });
        }
        let tensor = self.tensor(name)?;
        let values = tensor.cast_to::<f32>()?.view().as_slice::<f32>()?.to_vec();
        ensure!(values.iter().all(|value| value.is_finite()), "`{name}` holds NaN or infinite values");
        Ok(Constant { shape: tensor.shape().to_vec(), values })
    }

    /// Returns the values of a constant with one dimension. Fails if it has another shape.
    fn vector(&self, name: &str) -> TractResult<Vec<f32>> {
        let constant = self.floats(name)?;
        ensure!(constant.shape.len() == 1, "`{name}` has shape {:?}, expected one dimension", constant.shape);
        Ok(constant.values)
    }

    fn scalar(&self, name: &str) -> TractResult<f32> {
        let constant = self.floats(name)?;
        ensure!(constant.values.len() == 1, "`{name}` is not one number");
        Ok(constant.values[0])
    }

    fn shape(&self, name: &str) -> TractResult<Vec<usize>> {
        let tensor = self.tensor(name)?;
        let dims = tensor.view().as_slice::<i64>()?.to_vec();
        dims.into_iter().map(|dim| Ok(usize::try_from(dim)?)).collect()
    }
}

struct Reader<'a> {
    constants: Constants<'a>,
    steps: Vec<Step>,
    uses: HashMap<String, usize>,
}

impl Reader<'_> {
    fn read(&mut self, nodes: &[NodeProto]) -> TractResult<()> {
        let mut rest = nodes;
        while let Some((node, after)) = rest.split_first() {
            let group = if let Some(module) = node.name.strip_suffix(".split").filter(|_| node.op_type == "Split") {
                group(rest, &format!("{module}."), &format!("{module}.out_proj"))
            } else if let Some(module) = node.name.strip_suffix(".scale").filter(|name| name.ends_with(".gelu")) {
                group(rest, &format!("{module}."), "")
            } else {
                &rest[..1]
            };
            rest = if group.len() > 1 { &rest[group.len()..] } else { after };
            self.read_group(group).with_context(|| format!("{} ({})", node.name, node.op_type))?;
        }
        Ok(())
    }

    fn read_group(&mut self, group: &[NodeProto]) -> TractResult<()> {
        let node = &group[0];
        match &*node.op_type {
            "Split" => self.attention(group),
            "Mul" if group.len() > 1 => self.activation(group),
            "Mul" if node.name.ends_with(".ls_1") || node.name.ends_with(".ls_2") => self.layer_scale(node),
            "Cast" | "Reshape" if self.constants.contains(&node.input[0]) => self.copy(node),
            "LayerNormalization" => self.layer_norm(node),
            "Gemm" => self.linear(node),
            "Gather" if self.constants.contains(&node.input[0]) => self.token_embedding(node),
            "Add" => self.add(node),
            _ => self.push(node.name.clone(), node.input.clone(), &node.output[0], FloatLayer::Standard(node.clone())),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the last step of every reader")]
    fn push(&mut self, name: String, inputs: Vec<String>, output: &str, layer: FloatLayer) -> TractResult<()> {
        self.steps.push(Step { name, inputs, output: output.to_owned(), layer });
        Ok(())
    }

    fn copy(&mut self, node: &NodeProto) -> TractResult<()> {
        let shape = (node.op_type == "Reshape").then(|| self.constants.shape(&node.input[1])).transpose()?;
        self.constants.copies.insert(node.output[0].clone(), (node.input[0].clone(), shape));
        Ok(())
    }

    fn layer_norm(&mut self, node: &NodeProto) -> TractResult<()> {
        let [x, weight, bias] = &node.input[..] else { bail!("{} inputs, expected 3", node.input.len()) };
        let epsilon = node.get_attr_opt("epsilon")?.unwrap_or(1e-5);
        let (weight, bias) = (self.constants.vector(weight)?, self.constants.vector(bias)?);
        ensure!(weight.len() == bias.len(), "{} weights and {} biases", weight.len(), bias.len());
        let layer = FloatLayer::LayerNorm { weight, bias, epsilon };
        self.push(node.name.clone(), vec![x.clone()], &node.output[0], layer)
    }

    fn linear(&mut self, node: &NodeProto) -> TractResult<()> {
        let scale = |name| Ok::<f32, TractError>(node.get_attr_opt(name)?.unwrap_or(1.0));
        let transposed = |name| Ok::<bool, TractError>(node.get_attr_opt::<i64>(name)?.unwrap_or(0) != 0);
        ensure!(scale("alpha")? == 1.0 && scale("beta")? == 1.0 && !transposed("transA")?, "scaled or transposed");
        let weights = self.constants.floats(&node.input[1])?;
        let &[rows, columns] = &weights.shape[..] else { bail!("weights of shape {:?}", weights.shape) };
        let (outputs, depth, weights) = match transposed("transB")? {
            true => (rows, columns, weights.values),
            false => (columns, rows, transpose(&weights.values, columns)),
        };
        let bias = node.input.get(2).map(|name| self.constants.vector(name)).transpose()?;
        ensure!(bias.as_ref().is_none_or(|bias| bias.len() == outputs), "a bias of another length than {outputs}");
        let layer = FloatLayer::Linear(FloatLinear { weights, depth, bias, activation: None });
        self.push(node.name.clone(), vec![node.input[0].clone()], &node.output[0], layer)
    }

    /// Turns a `Gather` of a table's rows, which returns `[1][length][width]`, into a token embedding. The reshape
    /// after it becomes the identity.
    fn token_embedding(&mut self, node: &NodeProto) -> TractResult<()> {
        let table = self.constants.floats(&node.input[0])?;
        let &[vocabulary, _] = &table.shape[..] else { bail!("a table of shape {:?}", table.shape) };
        let layer = FloatLayer::TokenEmbedding { table: table.values, vocabulary };
        self.push(node.name.clone(), vec![node.input[1].clone()], &node.output[0], layer)
    }

    fn attention(&mut self, group: &[NodeProto]) -> TractResult<()> {
        const PLAIN: [&str; 12] = [
            "Split",
            "Reshape",
            "Transpose",
            "Reshape",
            "Transpose",
            "Reshape",
            "Transpose",
            "MatMul",
            "Mul",
            "Softmax",
            "MatMul",
            "Transpose",
        ];
        let kinds: Vec<&str> = group.iter().map(|node| &*node.op_type).collect();
        let causal = kinds.get(9) == Some(&"Add");
        let mut expected = PLAIN.to_vec();
        if causal {
            expected.insert(9, "Add");
        }
        expected.push("Reshape");
        ensure!(kinds == expected, "attention of the form {kinds:?}, expected {expected:?}");
        let heads = self.constants.shape(&group[1].input[1])?;
        let &[_, heads, head_width] = &heads[..] else { bail!("heads of shape {heads:?}") };
        let scale = self.constants.scalar(&group[8].input[1])? * (head_width as f32).sqrt();
        ensure!((scale - 1.0).abs() < 1e-5, "scores are not divided by the square root of the head width");
        let name = group[0].name.trim_end_matches(".split").to_owned();
        let output = &group.last().expect("compared above").output[0];
        self.push(name, vec![group[0].input[0].clone()], output, FloatLayer::Attention { heads, causal })
    }

    fn activation(&mut self, group: &[NodeProto]) -> TractResult<()> {
        let kinds: Vec<&str> = group.iter().map(|node| &*node.op_type).collect();
        let activation = match &kinds[..] {
            ["Mul", "Erf", "Add", "Mul", "Mul"] => Activation::Gelu,
            ["Mul", "Sigmoid", "Mul"] => Activation::QuickGelu,
            _ => bail!("an activation of the form {kinds:?}"),
        };
        let step = self.steps.last_mut().filter(|step| step.output == group[0].input[0]);
        let Some(Step { output, layer: FloatLayer::Linear(linear), .. }) = step else {
            bail!("an activation that follows no linear layer")
        };
        linear.activation = Some(activation);
        *output = group.last().expect("compared above").output[0].clone();
        Ok(())
    }

    /// Multiplies the weights and bias of the preceding linear layer by a factor for each output.
    fn layer_scale(&mut self, node: &NodeProto) -> TractResult<()> {
        let gamma = self.constants.vector(&node.input[1])?;
        let step = self.steps.last_mut().filter(|step| step.output == node.input[0]);
        let Some(Step { output, layer: FloatLayer::Linear(linear), .. }) = step else {
            bail!("a layer scale that follows no linear layer")
        };
        ensure!(linear.activation.is_none() && gamma.len() == linear.outputs(), "a layer scale of another form");
        for (weights, factor) in linear.weights.chunks_exact_mut(linear.depth).zip(&gamma) {
            weights.iter_mut().for_each(|weight| *weight *= factor);
        }
        linear.bias.iter_mut().flatten().zip(&gamma).for_each(|(bias, factor)| *bias *= factor);
        *output = node.output[0].clone();
        Ok(())
    }

    /// Makes a sum part of the linear layer just before it, if it adds that layer's output. Any other sum stays.
    fn add(&mut self, node: &NodeProto) -> TractResult<()> {
        let [a, b] = &node.input[..] else { bail!("{} inputs, expected 2", node.input.len()) };
        let before = self.steps.last_mut();
        let fits = |step: &&mut Step| {
            let single = self.uses.get(&step.output) == Some(&1);
            let linear = matches!(&step.layer, FloatLayer::Linear(linear) if linear.activation.is_none());
            single && linear && step.inputs.len() == 1 && step.output == *b && !self.constants.contains(a)
        };
        if let Some(step) = before.filter(fits) {
            step.inputs.push(a.clone());
            step.output.clone_from(&node.output[0]);
            return Ok(());
        }
        self.push(node.name.clone(), node.input.clone(), &node.output[0], FloatLayer::Standard(node.clone()))
    }
}

/// Returns the leading nodes whose names start with `prefix`, up to one whose name starts with `end`.
fn group<'n>(nodes: &'n [NodeProto], prefix: &str, end: &str) -> &'n [NodeProto] {
    let belongs = |node: &NodeProto| node.name.starts_with(prefix) && (end.is_empty() || !node.name.starts_with(end));
    let foreign = |node: &NodeProto| node.op_type == "Cast" || !belongs(node);
    &nodes[..nodes.iter().position(foreign).unwrap_or(nodes.len())]
}

fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns)).copied().collect()
}

/// Returns the constants that standard steps use, with their values inline and floats as f32.
fn standard_constants(steps: &[Step], constants: &Constants) -> TractResult<Vec<TensorProto>> {
    let mut found: Vec<TensorProto> = Vec::new();
    for step in steps {
        let FloatLayer::Standard(_) = step.layer else { continue };
        for name in step.inputs.iter().filter(|name| constants.contains(name)) {
            if found.iter().all(|constant| constant.name != *name) {
                found.push(inline(name, constants)?);
            }
        }
    }
    Ok(found)
}

fn inline(name: &str, constants: &Constants) -> TractResult<TensorProto> {
    let dims = |shape: &[usize]| shape.iter().map(|&dim| dim as i64).collect();
    let is_integer = constants.tensors.get(name).is_some_and(|tensor| tensor.data_type == DataType::Int64 as i32);
    let (dims, data_type, raw_data) = if is_integer {
        let tensor = constants.tensor(name)?;
        let values = tensor.view().as_slice::<i64>()?.to_vec();
        (dims(tensor.shape()), DataType::Int64, values.into_iter().flat_map(i64::to_le_bytes).collect())
    } else {
        let constant = constants.floats(name)?;
        let bytes = constant.values.into_iter().flat_map(f32::to_le_bytes).collect();
        (dims(&constant.shape), DataType::Float, bytes)
    };
    Ok(TensorProto { name: name.to_owned(), dims, data_type: data_type.into(), raw_data, ..TensorProto::default() })
}
