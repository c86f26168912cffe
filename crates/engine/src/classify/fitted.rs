//! The values fitted to a reference, decoded from their stored bytes.

use bridgeclip_domain::Sha256;

use super::{PromptEmbeddings, PromptEmbeddingsError, Rules, RulesError, Source};
use crate::heads::{Heads, HeadsError};

/// All values that can be fitted to a reference; each may be missing.
#[derive(Clone, Debug, Default)]
pub struct Fitted {
    pub heads: Option<Stored<Heads>>,
    pub prompts: Option<Stored<PromptEmbeddings>>,
    pub rules: Option<Rules>,
}

/// A value with the hash of its stored bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    pub value: T,
    /// Hash of the stored bytes.
    pub sha256: Sha256,
}

/// Reason why stored bytes cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FittedError {
    #[error("{0}; make the linear heads again with `bridgeclip reference fit-heads`")]
    Heads(#[from] HeadsError),
    #[error("{0}; make them again with `bridgeclip reference fit-prompts`")]
    Prompts(#[from] PromptEmbeddingsError),
    #[error("the fitted rules are damaged: {0}; make them again with `bridgeclip reference fit-rules`")]
    Rules(#[from] RulesError),
}

impl Fitted {
    /// Decodes the stored forms of heads, prompts and rules.
    pub fn decode(heads: Option<&[u8]>, prompts: Option<&[u8]>, rules: Option<&[u8]>) -> Result<Self, FittedError> {
        let heads = heads.map(|bytes| Ok::<_, HeadsError>(Stored::new(Heads::from_bytes(bytes)?, bytes)));
        let prompts = prompts
            .map(|bytes| Ok::<_, PromptEmbeddingsError>(Stored::new(PromptEmbeddings::from_bytes(bytes)?, bytes)));
        Ok(Fitted {
            heads: heads.transpose()?,
            prompts: prompts.transpose()?,
            rules: rules.map(Rules::from_bytes).transpose()?,
        })
    }

    /// Returns the origin of the answers that come from these values and from a published vote of `neighbours`.
    pub fn source(&self, neighbours: usize) -> Source {
        Source {
            neighbours,
            heads: self.heads.as_ref().map(|stored| stored.sha256),
            prompts: self.prompts.as_ref().map(|stored| stored.sha256),
        }
    }
}

impl<T> Stored<T> {
    fn new(value: T, bytes: &[u8]) -> Self {
        Stored { value, sha256: Sha256::of(bytes) }
    }
}
