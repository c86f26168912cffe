//! An encoder as a tract plan: one tensor in, one vector out. The only file that names tract.

use std::path::{Path, PathBuf};

use tract_onnx::prelude::*;

use super::fused;
use crate::domain::EmbeddingError;

/// Why an encoder cannot be loaded or gives no embedding.
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

/// A loaded graph with one input and an output of `[1, embedding_dim]`. Can be run from several threads at once.
#[derive(Debug, Clone)]
pub struct Plan {
    plan: Arc<TypedRunnableModel>,
    embedding_dim: usize,
}

impl Plan {
    /// Loads an ONNX graph, whose weights may lie in files beside it, and checks its input and output.
    pub fn load(
        path: &Path,
        input: &[usize],
        input_type: DatumType,
        embedding_dim: usize,
    ) -> Result<Self, EncodeError> {
        let mut importer = tract_onnx::onnx();
        fused::register(&mut importer.op_register);
        let load = || importer.model_for_path(path)?.into_optimized()?.into_runnable();
        let plan: Arc<TypedRunnableModel> =
            load().map_err(|error| EncodeError::Load { path: path.to_owned(), reason: format!("{error:#}") })?;
        let facts = |error: TractError| EncodeError::Load { path: path.to_owned(), reason: format!("{error:#}") };
        let shape = |what, found: &TypedFact, expected: String| EncodeError::Shape {
            path: path.to_owned(),
            what,
            found: format!("{found:?}"),
            expected,
        };
        let found = plan.model().input_fact(0).map_err(facts)?;
        if *found != input_type.fact(input) {
            return Err(shape("the input", found, format!("{input:?} of {input_type:?}")));
        }
        let found = plan.model().output_fact(0).map_err(facts)?;
        if *found != f32::fact([1, embedding_dim]) {
            return Err(shape("the output", found, format!("[1, {embedding_dim}] of F32")));
        }
        Ok(Plan { plan, embedding_dim })
    }

    /// Runs the graph on `values`, whose number and type are those of the input.
    pub fn run<T: Datum + Copy>(&self, shape: &[usize], values: &[T]) -> Result<Vec<f32>, EncodeError> {
        let run = || -> TractResult<Vec<f32>> {
            let output = self.plan.run(tvec!(Tensor::from_shape(shape, values)?.into()))?;
            Ok(output[0].view().as_slice::<f32>()?.to_vec())
        };
        let values = run().map_err(|error| EncodeError::Run(format!("{error:#}")))?;
        debug_assert_eq!(values.len(), self.embedding_dim);
        Ok(values)
    }
}
