//! The text encoder: turns a finding in words into its embedding, in the same space as the photos.

use tract_onnx::prelude::{Datum, Tensor};

use bridgeclip_domain::Embedding;
use bridgeclip_kernels::Threads;
use bridgeclip_package::{Package, files};

use super::plan::{Plan, Tokens};
use super::{CONTEXT_LENGTH, EncodeError, Tokenizer};

/// The loaded text encoder of a package, with its tokenizer.
#[derive(Debug)]
pub struct TextEncoder {
    tokenizer: Tokenizer,
    plan: Plan,
    threads: Threads,
}

impl TextEncoder {
    /// Loads the encoder. It splits the work on each text over `threads`.
    pub fn load(package: &Package, threads: &Threads) -> Result<Self, EncodeError> {
        let manifest = package.manifest();
        let path = package.path(files::TEXT_GRAPH);
        if manifest.text.context_length != CONTEXT_LENGTH {
            return Err(EncodeError::Shape {
                path: package.path(files::MANIFEST),
                what: "text.context_length",
                found: manifest.text.context_length.to_string(),
                expected: CONTEXT_LENGTH.to_string(),
            });
        }
        let tokenizer = Tokenizer::load(&package.path(files::TOKENIZER))?;
        let plan = Plan::load(&path, &[1, CONTEXT_LENGTH], i64::datum_type(), manifest.embedding_dim, Tokens::Needed)?;
        Ok(TextEncoder { tokenizer, plan, threads: threads.clone() })
    }

    /// Returns the number of multiplications of weights with activations for one text.
    pub fn multiply_adds(&self) -> Result<u64, EncodeError> {
        self.plan.multiply_adds()
    }

    /// Encodes one text. A text beyond the context length is cut as open_clip cuts it.
    pub fn encode(&self, text: &str) -> Result<Embedding, EncodeError> {
        self.encode_tokens(&self.tokenizer.tokens(text)?)
    }

    /// Encodes one text given as tokens.
    pub fn encode_tokens(&self, tokens: &[u32; CONTEXT_LENGTH]) -> Result<Embedding, EncodeError> {
        let input = Tensor::from_shape(&[1, CONTEXT_LENGTH], &tokens.map(i64::from))?;
        self.threads.run(|| self.plan.run(input))
    }
}
