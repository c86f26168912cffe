//! Leaves out work that the embedding does not need.
//!
//! An image encoder's embedding comes from one token, which a `Slice` takes from the last block's output. The block's
//! linear layers and norms treat each token by itself, so they can work on that token alone. Only keys and values are
//! needed for all tokens. The remaining computations do not change, so the embedding has the same bits.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

use super::node::{FusedNode, LinearNode, StoredWeights};

/// Moves the choice of the token up to where the tokens last interact: the queries of the last attention. Leaves a
/// graph of another form unchanged.
pub fn keep_pooled_token(graph: &mut GraphProto) -> TractResult<()> {
    let Some(pool) = graph.node.iter().position(|node| node.op_type == "Slice" && node.name.ends_with(POOL)) else {
        return Ok(());
    };
    let moved = Moved::find(graph, pool)?;
    let Some(attention) = moved.attention else { return Ok(()) };
    let Some(split) = SplitProjection::of(&graph.node, attention)? else { return Ok(()) };
    let pool = graph.node.remove(pool);
    let nodes = std::mem::take(&mut graph.node);
    let mut writer = Writer { pool, moved, split, nodes: Vec::new(), pooled: HashMap::new() };
    for node in nodes {
        writer.take(node)?;
    }
    graph.node = writer.nodes;
    Ok(())
}

/// Suffix of the exporter's name for the node that takes the token.
const POOL: &str = ".pool";

/// The nodes that can work on the chosen token alone.
struct Moved {
    /// Names of their outputs.
    values: HashSet<String>,
    /// Index of the first of them in the graph, if it is an attention.
    attention: Option<usize>,
}

impl Moved {
    /// Walks up from the choice of the token as long as no other node needs the other tokens' values.
    fn find(graph: &GraphProto, pool: usize) -> TractResult<Self> {
        let mut wanted = HashSet::from([graph.node[pool].input[0].clone()]);
        let mut moved = Moved { values: HashSet::new(), attention: None };
        for (index, node) in graph.node.iter().enumerate().take(pool).rev() {
            let [output] = &node.output[..] else { continue };
            let others = |user: &NodeProto| {
                let is_moved = user.output.iter().any(|output| moved.values.contains(output));
                user.input.contains(output) && !is_moved && user.name != graph.node[pool].name
            };
            if !wanted.contains(output) || graph.node.iter().any(others) {
                continue;
            }
            match &*node.op_type {
                "FusedLinear" | "FusedLayerNorm" => wanted.extend(node.input.iter().cloned()),
                "FusedAttention" => {
                    let FusedNode::Attention { causal, .. } = FusedNode::read(node)? else { continue };
                    if causal {
                        continue;
                    }
                    moved.attention = Some(index);
                }
                _ => continue,
            }
            moved.values.insert(output.clone());
        }
        Ok(moved)
    }
}

/// The layer that computes queries, keys and values, split in two. This is possible because their weights are stored
/// one after another in the file.
struct SplitProjection {
    /// Name of the output of the undivided layer.
    output: String,
    queries: LinearNode,
    keys_values: LinearNode,
}

impl SplitProjection {
    /// Splits the layer before an attention. None if another node uses its output, or if it has another form.
    fn of(nodes: &[NodeProto], attention: usize) -> TractResult<Option<Self>> {
        let [output] = &nodes[attention].input[..] else { return Ok(None) };
        let users = nodes.iter().filter(|node| node.input.contains(output)).count();
        let maker = nodes.iter().find(|node| node.output.contains(output) && node.op_type == "FusedLinear");
        let Some(maker) = maker.filter(|maker| users == 1 && maker.input.len() == 1) else { return Ok(None) };
        let FusedNode::Linear(linear) = FusedNode::read(maker)? else { return Ok(None) };
        if !linear.outputs.is_multiple_of(3) {
            return Ok(None);
        }
        let width = linear.outputs / 3;
        let queries = LinearNode { outputs: width, ..linear.clone() };
        let keys_values = LinearNode {
            outputs: 2 * width,
            weights: match linear.weights {
                StoredWeights::Int8 { weights, scales } => StoredWeights::Int8 {
                    weights: weights + (width * linear.depth) as u64,
                    scales: scales + 4 * width as u64,
                },
                StoredWeights::Float { weights } => {
                    StoredWeights::Float { weights: weights + 4 * (width * linear.depth) as u64 }
                }
            },
            bias: linear.bias.map(|bias| bias + 4 * width as u64),
            ..linear
        };
        Ok(Some(SplitProjection { output: output.clone(), queries, keys_values }))
    }
}

/// Rewrites the nodes in their order.
struct Writer {
    pool: NodeProto,
    moved: Moved,
    split: SplitProjection,
    nodes: Vec<NodeProto>,
    /// Names of values of all tokens, each with the name of its part for the chosen token.
    pooled: HashMap<String, String>,
}

impl Writer {
    fn take(&mut self, mut node: NodeProto) -> TractResult<()> {
        if node.output.contains(&self.split.output) {
            return self.projections(&node);
        }
        if node.op_type == "FusedAttention" && node.input.contains(&self.split.output) {
            node.input = vec![name_of(&self.split.output, "queries"), name_of(&self.split.output, "keys_values")];
        } else if node.output.iter().any(|output| self.moved.values.contains(output)) {
            for input in &mut node.input {
                *input = self.pooled(input);
            }
        }
        if let [output] = &mut node.output[..]
            && *output == self.pool.input[0]
        {
            output.clone_from(&self.pool.output[0]);
        }
        self.nodes.push(node);
        Ok(())
    }

    fn projections(&mut self, node: &NodeProto) -> TractResult<()> {
        let [x] = &node.input[..] else { bail!("{} inputs of {}", node.input.len(), node.name) };
        let token = self.pooled(x);
        for (part, linear, x) in [("queries", &self.split.queries, &token), ("keys_values", &self.split.keys_values, x)]
        {
            let layer = FusedNode::Linear(linear.clone());
            self.nodes.push(layer.write(&name_of(&node.name, part), &[x], &name_of(&self.split.output, part)));
        }
        Ok(())
    }

    /// Returns the name of the chosen token's part of a value, and adds the node that takes it if there is none yet.
    fn pooled(&mut self, value: &str) -> String {
        if self.moved.values.contains(value) {
            return value.to_owned();
        }
        if let Some(name) = self.pooled.get(value) {
            return name.clone();
        }
        let name = name_of(value, "pooled");
        let mut pool = self.pool.clone();
        pool.name.clone_from(&name);
        pool.input[0] = value.to_owned();
        pool.output = vec![name.clone()];
        self.nodes.push(pool);
        self.pooled.insert(value.to_owned(), name.clone());
        name
    }
}

fn name_of(value: &str, part: &str) -> String {
    format!("{value}.{part}")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use bridgeclip_package::Package;

    use super::*;
    use crate::encoder::pictures;
    use crate::encoder::plan::{Plan, Tokens};

    fn demo(file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo/package").join(file)
    }

    fn graph(file: &str) -> GraphProto {
        tract_onnx::onnx().proto_model_for_path(demo(file)).expect("reads").graph.expect("a graph")
    }

    #[test]
    fn the_embedding_keeps_its_bits_at_less_work() {
        let package = Package::open(&demo("")).expect("the demo package");
        let (size, dim) = (package.manifest().image.size as usize, package.manifest().embedding_dim);
        let shape = [1, 3, size, size];
        let load = |tokens| Plan::load(&demo("image.onnx"), &shape, f32::datum_type(), dim, tokens).expect("loads");
        let (all, needed) = (load(Tokens::All), load(Tokens::Needed));
        for picture in pictures(3, size) {
            let run = |plan: &Plan| plan.run(Tensor::from_shape(&shape, &picture).expect("a tensor")).expect("runs");
            assert_eq!(run(&all), run(&needed));
        }
        let work = |plan: &Plan| plan.multiply_adds().expect("counts");
        assert!(work(&needed) * 10 < work(&all) * 9, "{} of {}", work(&needed), work(&all));
    }

    /// The place of a text's last token is known only at run time.
    #[test]
    fn a_text_encoder_stays_as_it_is() {
        let (mut changed, whole) = (graph("text.onnx"), graph("text.onnx"));
        keep_pooled_token(&mut changed).expect("reads");
        assert_eq!(changed, whole);
    }

    /// If another node uses all tokens of the last block, nothing may be left out.
    #[test]
    fn values_with_other_users_stay_whole() {
        let mut whole = graph("image.onnx");
        let pool = whole.node.iter().find(|node| node.name.ends_with(POOL)).expect("a pool");
        let user = NodeProto {
            name: "other".to_owned(),
            op_type: "Identity".to_owned(),
            input: vec![pool.input[0].clone()],
            output: vec!["other".to_owned()],
            ..NodeProto::default()
        };
        whole.node.push(user);
        let mut changed = whole.clone();
        keep_pooled_token(&mut changed).expect("reads");
        assert_eq!(changed, whole);
    }
}
