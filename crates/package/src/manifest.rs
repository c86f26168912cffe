//! `package.toml`: the description of a package, with the size and hash of each of its files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{LABEL_VERSION, Sha256};

use super::error::{FORMAT, PackageError};

/// Value of `precision` for a float package.
pub const FLOAT: &str = "f32";
/// Value of `precision` for an int8 package.
pub const INT8: &str = "int8";
/// Maximum number of bytes read from a manifest, which is a page of text.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// Content of `package.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the package layout.
    pub format: u32,
    pub name: String,
    pub version: String,
    pub description: String,
    /// Name of the model in open_clip.
    pub architecture: String,
    /// Arithmetic of the encoders: `f32` or `int8`.
    pub precision: String,
    /// Number of values in an embedding, 1 to 8192.
    pub embedding_dim: usize,
    /// Language of the captions that the text encoder knows: `en` or `ja`.
    pub caption_language: String,
    /// Version of the labels, equal to [`LABEL_VERSION`] in a usable package.
    pub label_version: String,
    /// Licence of the weights.
    pub licence: String,
    pub checkpoint: Checkpoint,
    /// Origin and fidelity of an int8 package; `None` for a float package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantized: Option<Quantized>,
    pub image: ImageInput,
    pub text: TextInput,
    /// Size and hash of each file, by its name.
    pub files: BTreeMap<String, FileEntry>,
}

impl Manifest {
    /// Parses and checks a manifest. Errors name `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PackageError> {
        let manifest = toml::from_str(text)
            .map_err(|error| PackageError::Manifest { path: path.to_owned(), reason: error.to_string() })?;
        check(&manifest, path)?;
        Ok(manifest)
    }
}

/// Training result from which the encoders were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    pub file: String,
    /// SHA-256 of the checkpoint, as 64 hexadecimal digits.
    pub sha256: String,
}

/// Float package from which an int8 package was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantized {
    /// Hash of the float package's manifest.
    pub from: Sha256,
    /// Embedding space of the float package. The int8 encoders map to the same one.
    pub embedding_space: Sha256,
    pub image: Fidelity,
    pub text: Fidelity,
}

/// Cosines between the embeddings of an int8 encoder and of the float one, over the samples used for calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fidelity {
    pub samples: usize,
    pub mean: f64,
    /// Cosine that 1 % of the samples stay below.
    pub percentile_1: f64,
    pub worst: f64,
}

impl Fidelity {
    /// Summarises the cosines of all samples. Without any, all figures are 1.
    pub fn of(cosines: impl Iterator<Item = f64>) -> Self {
        let mut cosines: Vec<f64> = cosines.collect();
        cosines.sort_by(f64::total_cmp);
        let samples = cosines.len();
        let at = |index: usize| cosines.get(index).copied().unwrap_or(1.0);
        let mean = if samples == 0 { 1.0 } else { cosines.iter().sum::<f64>() / samples as f64 };
        Fidelity { samples, mean, percentile_1: at(samples / 100), worst: at(0) }
    }
}

/// Preparation of a photo for the image encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageInput {
    /// Width and height of the input in pixels, 1 to 4096.
    pub size: u32,
    /// Short side of the photo in pixels before the centre is cut out, `size` to 4096; `size` if not given, as in the
    /// published k-NN. The published classifiers take 8/7 of the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<u32>,
    /// Mean of each channel, red, green and blue, on a scale from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel on the same scale, above 0.
    pub std: [f32; 3],
    /// Whether the encoder takes photos upright. The published pipeline takes the pixels as they are stored.
    pub apply_orientation: bool,
}

impl ImageInput {
    /// Returns the text that stands for the preparation in the identity of an embedding space. It must never change for
    /// the same preparation.
    pub fn identity(&self) -> String {
        let ImageInput { size, resize, mean, std, apply_orientation } = self;
        let resize = resize.filter(|resize| resize != size).map(|resize| format!(", resize: {resize}"));
        format!(
            "ImageInput {{ size: {size:?}, mean: {mean:?}, std: {std:?}, apply_orientation: {apply_orientation:?}{} }}",
            resize.unwrap_or_default()
        )
    }
}

/// Preparation of a text for the text encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextInput {
    /// Number of tokens per text, padding included.
    pub context_length: usize,
}

/// Size and hash of one file of the package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// SHA-256 of the file, as 64 hexadecimal digits.
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
    if !image.resize.is_none_or(|resize| (image.size..=4096).contains(&resize)) {
        let resize = image.resize.unwrap_or_default().to_string();
        return Err(wrong("image.resize", resize, "image.size to 4096 pixels"));
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

/// Reports whether a name is that of a file directly inside the folder: ASCII letters, digits, `.`, `_` and `-`, with
/// no `.` first.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
