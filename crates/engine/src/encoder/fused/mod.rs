//! Layers that run as one operation on this program's kernels, as operators of a tract plan.
//!
//! A quantised graph is ordinary ONNX with four additional operators. Their weights are not initialisers: attributes
//! give the places of the weights in the weights file ([`FusedNode`]). So the loader reads them straight into the form
//! that the processor's kernel needs, and no second copy is ever in memory.

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
