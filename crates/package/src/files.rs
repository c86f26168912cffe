//! Names of the files in a package.

/// Manifest of the package.
pub const MANIFEST: &str = "package.toml";
/// ONNX graph of the image encoder.
pub const IMAGE_GRAPH: &str = "image.onnx";
/// Weights of the image encoder.
pub const IMAGE_WEIGHTS: &str = "image.weights";
/// ONNX graph of the text encoder.
pub const TEXT_GRAPH: &str = "text.onnx";
/// Weights of the text encoder.
pub const TEXT_WEIGHTS: &str = "text.weights";
/// Tokenizer of the text encoder.
pub const TOKENIZER: &str = "tokenizer.json";
/// Reference database. A package may lack it.
pub const REFERENCE: &str = "reference.db";

/// Files in which an int8 package differs from the float package that it was made from.
pub const QUANTIZED: [&str; 4] = [IMAGE_GRAPH, IMAGE_WEIGHTS, TEXT_GRAPH, TEXT_WEIGHTS];

/// Files that determine an embedding. Embeddings made with different files cannot be compared.
pub const ENCODERS: [&str; 5] = [IMAGE_GRAPH, IMAGE_WEIGHTS, TEXT_GRAPH, TEXT_WEIGHTS, TOKENIZER];
