//! An encoder as a tract plan: takes one tensor, returns one vector.

use std::path::{Path, PathBuf};

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{Cost, EvalOp, ensure, format_err};
use tract_onnx::tract_core::plan::eval;

use bridgeclip_domain::{Embedding, EmbeddingError};

use super::fused::{self, FusedOperator, Layer};

/// Reason why an encoder cannot be loaded or returns no embedding.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("{}: not a usable encoder: {reason}", path.display())]
    Load { path: PathBuf, reason: String },
    #[error("{}: {what} is {found}, expected {expected}; the package is inconsistent, export it again", path.display())]
    Shape { path: PathBuf, what: &'static str, found: String, expected: String },
    #[error("the encoder failed: {0}")]
    Run(String),
    #[error("the encoder's output is unusable: {0}")]
    Output(#[from] EmbeddingError),
    #[error(transparent)]
    Tokenizer(#[from] super::TokenizerError),
}

/// Choice of the tokens that pass through the last layers of a fused graph. The embedding is the same either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// Only the tokens that the embedding needs.
    Needed,
    /// All tokens, and every layer exactly as in the graph, so that layers can be inspected.
    All,
}

/// A loaded graph with one input and an output of `[1, embedding_dim]`. Several threads can run it at once.
#[derive(Debug, Clone)]
pub struct Plan {
    plan: Arc<TypedRunnableModel>,
    embedding_dim: usize,
}

impl Plan {
    /// Loads an ONNX graph, whose weights may be in files next to it, and checks its input and output.
    pub fn load(
        path: &Path,
        input: &[usize],
        input_type: DatumType,
        embedding_dim: usize,
        tokens: Tokens,
    ) -> Result<Self, EncodeError> {
        let failed = |error: TractError| EncodeError::Load { path: path.to_owned(), reason: format!("{error:#}") };
        let plan = read(path, tokens).map_err(failed)?;
        let shape = |what, found: &TypedFact, expected: String| EncodeError::Shape {
            path: path.to_owned(),
            what,
            found: format!("{found:?}"),
            expected,
        };
        let found = plan.model().input_fact(0).map_err(failed)?;
        if *found != input_type.fact(input) {
            return Err(shape("the input", found, format!("{input:?} of {input_type:?}")));
        }
        let found = plan.model().output_fact(0).map_err(failed)?;
        if *found != f32::fact([1, embedding_dim]) {
            return Err(shape("the output", found, format!("[1, {embedding_dim}] of F32")));
        }
        keep_freed_memory();
        Ok(Plan { plan, embedding_dim })
    }

    /// Runs the graph on a tensor of its input's shape and type.
    pub fn run(&self, input: Tensor) -> Result<Embedding, EncodeError> {
        let output = self.plan.run(tvec!(input.into()))?;
        self.embedding(&output)
    }

    /// Returns the number of multiplications of weights with activations in one run. Counts matrix products only.
    pub fn multiply_adds(&self) -> Result<u64, EncodeError> {
        let model = self.plan.model();
        let mut sum = 0;
        for node in model.nodes() {
            let costs = node.op.cost(&model.node_input_facts(node.id)?)?;
            for (_, count) in costs.iter().filter(|(cost, _)| matches!(cost, Cost::FMA(_))) {
                sum += count.to_i64().map_err(TractError::from)?;
            }
        }
        Ok(sum.cast_unsigned())
    }

    /// Runs the graph and calls `hook` with the name and the input rows of each fused linear layer before that layer
    /// runs. If `hook` returns a layer, that one runs instead.
    pub fn run_hooked(
        &self,
        input: Tensor,
        mut hook: impl FnMut(&str, &[f32]) -> Option<Arc<Layer>>,
    ) -> Result<Embedding, EncodeError> {
        let mut state = self.plan.spawn()?;
        let evaluate = state.run_plan_with_eval(tvec!(input.into()), |context, state, node, inputs| {
            let linear = node.op_as::<FusedOperator>().filter(|operator| matches!(*operator.0, Layer::Linear(_)));
            if linear.is_some()
                && let Some(layer) = hook(&node.name, inputs[0].view().as_slice()?)
            {
                return FusedOperator(layer).eval(context, inputs);
            }
            eval(context, state, node, inputs)
        });
        self.embedding(&evaluate?)
    }

    fn embedding(&self, outputs: &[TValue]) -> Result<Embedding, EncodeError> {
        let values = outputs[0].view().as_slice::<f32>()?.to_vec();
        debug_assert_eq!(values.len(), self.embedding_dim);
        Ok(Embedding::normalise(values)?)
    }
}

/// Makes the allocator keep the memory that a run frees for the next run. Otherwise it returns the memory to the system
/// and gets it back page by page, which takes 5 % of a run's time. glibc keeps free memory up to twice the size of the
/// largest mapped block that was ever freed (mallopt(3), `M_MMAP_THRESHOLD`). The block freed here is never touched, so
/// it costs nothing.
fn keep_freed_memory() {
    const BYTES: usize = if size_of::<usize>() == 8 { 4 << 20 } else { 512 << 10 };
    drop(std::hint::black_box(Vec::<u8>::with_capacity(BYTES)));
}

impl From<TractError> for EncodeError {
    fn from(error: TractError) -> Self {
        EncodeError::Run(format!("{error:#}"))
    }
}

fn read(path: &Path, tokens: Tokens) -> TractResult<Arc<TypedRunnableModel>> {
    let mut importer = tract_onnx::onnx();
    fused::register(&mut importer.op_register);
    let mut file = importer.proto_model_for_path(path)?;
    if tokens == Tokens::Needed
        && let Some(graph) = &mut file.graph
    {
        fused::keep_pooled_token(graph)?;
    }
    let dir = path.parent().and_then(Path::to_str);
    let dir = dir.ok_or_else(|| format_err!("the graph lies in a folder whose name is not UTF-8"))?;
    let parsed = importer.parse(&file, Some(dir))?;
    ensure!(parsed.unresolved_inputs.is_empty(), "nothing gives the inputs {:?}", parsed.unresolved_inputs);
    let model = parsed.model.into_typed()?;
    for node in model.nodes() {
        for konst in node.outputs.iter().filter_map(|output| output.fact.konst.as_ref()) {
            let values = konst.view();
            let floats = values.as_slice::<f32>().unwrap_or_default();
            ensure!(floats.iter().all(|value| value.is_finite()), "`{}` holds NaN or infinite values", node.name);
        }
    }
    model.into_optimized()?.into_runnable()
}
