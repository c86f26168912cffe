//! The model: its package on disk, the image encoder and the text encoder.

mod clean;
mod fused;
mod image;
mod on_demand;
mod plan;
mod quantize;
mod text;
mod tokenizer;

pub use image::{EncodeImage, ImageEncoder};
pub use on_demand::OnDemandTextEncoder;
pub use plan::EncodeError;
pub use quantize::{Aim, LayerReport, Progress, QuantizeError, Report, TowerReport, pictures, quantize};
pub use text::TextEncoder;
pub use tokenizer::{CONTEXT_LENGTH, Tokenizer, TokenizerError};
