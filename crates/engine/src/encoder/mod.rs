//! The model: its package on disk, the image encoder and the text encoder.

mod clean;
mod fused;
mod image;
mod on_demand;
mod package;
mod plan;
mod quantize;
mod text;
mod tokenizer;

pub use image::{EncodeImage, ImageEncoder};
pub use on_demand::OnDemandTextEncoder;
pub use package::{Fidelity, FileEntry, MANIFEST_BYTES_MAX, Manifest, Package, PackageError, files, is_plain};
pub use plan::EncodeError;
pub use quantize::{Aim, LayerReport, Progress, QuantizeError, Report, TowerReport, pictures, quantize};
pub use text::TextEncoder;
pub use tokenizer::{CONTEXT_LENGTH, Tokenizer, TokenizerError};
