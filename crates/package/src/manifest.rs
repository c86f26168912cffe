//! `package.toml`: what a package is, and the size and hash of each of its files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{LABEL_VERSION, Sha256};

use super::error::{FORMAT, PackageError};

/// Values of `precision`.
pub const FLOAT: &str = "f32";
pub const INT8: &str = "int8";
/// A manifest is a page of text; more is not read.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// The content of `package.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    pub name: String,
    pub version: String,
    pub description: String,
    /// open_clip's name of the model.
    pub architecture: String,
    /// Arithmetic of the encoders: `f32` or `int8`.
    pub precision: String,
    /// Length of an embedding.
    pub embedding_dim: usize,
    /// Language of the captions that the text encoder knows: `en` or `ja`.
    pub caption_language: String,
    pub label_version: String,
    /// Licence of the weights.
    pub licence: String,
    pub checkpoint: Checkpoint,
    /// For int8: where it came from and how near it stayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantized: Option<Quantized>,
    pub image: ImageInput,
    pub text: TextInput,
    pub files: BTreeMap<String, FileEntry>,
}

impl Manifest {
    /// `path` is named by errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PackageError> {
        let manifest = toml::from_str(text)
            .map_err(|error| PackageError::Manifest { path: path.to_owned(), reason: error.to_string() })?;
        check(&manifest, path)?;
        Ok(manifest)
    }
}

/// The training result that the encoders were made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    pub file: String,
    pub sha256: String,
}

/// The float package that an int8 package was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantized {
    /// Hash of the float package.
    pub from: Sha256,
    /// Of the float package; the int8 encoders map to the same one.
    pub embedding_space: Sha256,
    pub image: Fidelity,
    pub text: Fidelity,
}

/// Cosines between the embeddings of an int8 encoder and of the float one, over the samples it was calibrated with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fidelity {
    pub samples: usize,
    pub mean: f64,
    /// The cosine that 1 % of the samples are below.
    pub percentile_1: f64,
    pub worst: f64,
}

impl Fidelity {
    /// From each sample's cosine; of none, all are 1.
    pub fn of(cosines: impl Iterator<Item = f64>) -> Self {
        let mut cosines: Vec<f64> = cosines.collect();
        cosines.sort_by(f64::total_cmp);
        let samples = cosines.len();
        let at = |index: usize| cosines.get(index).copied().unwrap_or(1.0);
        let mean = if samples == 0 { 1.0 } else { cosines.iter().sum::<f64>() / samples as f64 };
        Fidelity { samples, mean, percentile_1: at(samples / 100), worst: at(0) }
    }
}

/// How a photo becomes the image encoder's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageInput {
    pub size: u32,
    pub mean: [f32; 3],
    pub std: [f32; 3],
    /// Whether the encoder wants the photo upright. The published pipeline does not.
    pub apply_orientation: bool,
}

/// How a text becomes the text encoder's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextInput {
    /// Tokens per text, padding included.
    pub context_length: usize,
}

/// Size and hash of one file of the package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    pub sha256: String,
    pub bytes: u64,
}

fn check(manifest: &Manifest, path: &Path) -> Result<(), PackageError> {
    if manifest.format != FORMAT {
        return Err(PackageError::Format { path: path.to_owned(), found: manifest.format });
    }
    if manifest.label_version != LABEL_VERSION {
        return Err(PackageError::Labels { path: path.to_owned(), found: manifest.label_version.clone() });
    }
    let wrong = |key, value: String, expected| PackageError::Value { path: path.to_owned(), key, value, expected };
    let image = &manifest.image;
    if !(1..=8192).contains(&manifest.embedding_dim) {
        return Err(wrong("embedding_dim", manifest.embedding_dim.to_string(), "1 to 8192"));
    }
    if !(1..=4096).contains(&image.size) {
        return Err(wrong("image.size", image.size.to_string(), "1 to 4096 pixels"));
    }
    if !image.mean.iter().all(|mean| mean.is_finite()) {
        return Err(wrong("image.mean", format!("{:?}", image.mean), "finite numbers"));
    }
    if !image.std.iter().all(|std| std.is_finite() && *std > 0.0) {
        return Err(wrong("image.std", format!("{:?}", image.std), "positive numbers"));
    }
    if !["en", "ja"].contains(&manifest.caption_language.as_str()) {
        return Err(wrong("caption_language", manifest.caption_language.clone(), "en or ja"));
    }
    if ![FLOAT, INT8].contains(&&*manifest.precision) {
        return Err(wrong("precision", manifest.precision.clone(), "f32 or int8"));
    }
    if (manifest.precision == INT8) != manifest.quantized.is_some() {
        return Err(wrong("precision", manifest.precision.clone(), "int8 with a [quantized] section, or f32 without"));
    }
    match manifest.files.keys().find(|name| !is_plain(name)) {
        Some(name) => Err(wrong("files", name.clone(), "plain file names inside the package")),
        None => Ok(()),
    }
}

/// A name that cannot lead out of the folder.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
