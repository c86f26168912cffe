//! Layers that run as one operation on our own kernels, as operators of a tract plan.
//!
//! A quantised graph is ordinary ONNX with four operators more. Their weights are not initialisers: attributes say where
//! they lie in the weights file ([`FusedNode`]), so that they are read straight into the form that the processor's
//! kernel wants, and no second copy of them is ever in memory.

mod layers;
mod load;
mod node;
mod operator;
mod pooled;
mod weights_file;

pub use layers::{Attention, Layer, LayerNorm, Linear, Matrix, TokenEmbedding};
pub use load::register;
pub use node::{DOMAIN, EmbeddingNode, FusedNode, LinearNode, NormNode, StoredWeights};
pub use operator::FusedOperator;
pub use pooled::keep_pooled_token;
pub use weights_file::WeightsFile;
