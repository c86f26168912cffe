//! File names of a package.

pub const MANIFEST: &str = "package.toml";
pub const IMAGE_GRAPH: &str = "image.onnx";
pub const IMAGE_WEIGHTS: &str = "image.weights";
pub const TEXT_GRAPH: &str = "text.onnx";
pub const TEXT_WEIGHTS: &str = "text.weights";
pub const TOKENIZER: &str = "tokenizer.json";
pub const REFERENCE: &str = "reference.db";

/// Files in which an int8 package differs from the float package that it was made from.
pub const QUANTIZED: [&str; 4] = [IMAGE_GRAPH, IMAGE_WEIGHTS, TEXT_GRAPH, TEXT_WEIGHTS];

/// Files that determine an embedding. A reference that was made with other ones cannot be compared with.
pub const ENCODERS: [&str; 5] = [IMAGE_GRAPH, IMAGE_WEIGHTS, TEXT_GRAPH, TEXT_WEIGHTS, TOKENIZER];
