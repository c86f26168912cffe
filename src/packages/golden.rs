//! Golden photos: the answers that a package must give on every device, tested before the package is used.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{Embedding, EmbeddingError};
use crate::durable::{self, SHARED};
use crate::encoder::{EncodeError, TextEncoder, pictures};
use crate::kernels::Threads;
use crate::package::{Package, PackageError};
use crate::pipeline::{Classifier, PipelineError};
use crate::reference::ReferenceError;

/// Name of the file that lists the golden photos with their embeddings.
pub const GOLDEN: &str = "golden.json";

/// Least cosine between an expected and a found embedding. Devices compute the same bits, but decoders of another
/// version may differ in the last ones.
const COSINE_MIN: f32 = 0.999;
/// Maximum size of the file of golden photos.
const BYTES_MAX: u64 = 1 << 22;

/// Reason why a package fails its test.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    #[error(transparent)]
    Load(#[from] crate::pipeline::LoadError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("{}: {source}", path.display())]
    Photo { path: PathBuf, source: PipelineError },
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("{}: {source}", path.display())]
    Embedding { path: PathBuf, source: EmbeddingError },
    #[error("{}: the cosine to the expected embedding is {cosine:.4}, at least {COSINE_MIN} is needed", path.display())]
    Differs { path: PathBuf, cosine: f32 },
    #[error("the image encoder gives two answers for one picture")]
    Unsteady,
    #[error("the image encoder gives the same answer for every picture")]
    Blind,
    #[error(transparent)]
    Package(#[from] PackageError),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    /// The expected embedding of each photo, by file name.
    photos: BTreeMap<String, Vec<f32>>,
}

/// Tests a package with its golden photos, or with synthetic pictures if it has none, and with one text.
pub fn self_test(package: &Package, classifier: &Classifier) -> Result<(), GoldenError> {
    match read(package)? {
        Some(golden) => {
            let mut photos = golden.photos.iter();
            photos.try_for_each(|(name, expected)| compare(package.path(name), expected, classifier))?;
        }
        None => try_pictures(package, classifier)?,
    }
    TextEncoder::load(package, &Threads::default())?.encode("corrosion at a joint")?;
    Ok(())
}

fn compare(path: PathBuf, expected: &[f32], classifier: &Classifier) -> Result<(), GoldenError> {
    let expected = Embedding::normalise(expected.to_vec())
        .map_err(|source| GoldenError::Embedding { path: path.clone(), source })?;
    let embedded =
        classifier.embedder.embed_file(&path).map_err(|source| GoldenError::Photo { path: path.clone(), source })?;
    let (found, dim) = (expected.values().len(), embedded.embedding.values().len());
    if found != dim {
        return Err(GoldenError::File { path, reason: format!("{found} values are expected, the encoder has {dim}") });
    }
    let cosine = embedded.embedding.cosine(&expected);
    if cosine < COSINE_MIN {
        return Err(GoldenError::Differs { path, cosine });
    }
    classifier.answerer().verdict(&embedded.embedding, Some(&embedded.quality))?;
    Ok(())
}

fn try_pictures(package: &Package, classifier: &Classifier) -> Result<(), GoldenError> {
    let pictures = pictures(2, package.manifest().image.size as usize);
    let encode = |picture: &Vec<f32>| classifier.embedder.encoder.encode(picture);
    let (first, again, second) = (encode(&pictures[0])?, encode(&pictures[0])?, encode(&pictures[1])?);
    if first != again {
        return Err(GoldenError::Unsteady);
    }
    if first == second {
        return Err(GoldenError::Blind);
    }
    classifier.answerer().verdict(&first, None)?;
    Ok(())
}

/// Reads the golden photos of a package. None if it has no golden photos.
fn read(package: &Package) -> Result<Option<Golden>, GoldenError> {
    let Some(entry) = package.manifest().files.get(GOLDEN) else { return Ok(None) };
    let path = package.path(GOLDEN);
    let wrong = |reason: String| GoldenError::File { path: path.clone(), reason };
    if entry.bytes > BYTES_MAX {
        return Err(wrong(format!("more than {BYTES_MAX} bytes")));
    }
    let golden: Golden = serde_json::from_slice(&fs::read(&path).map_err(|error| wrong(error.to_string()))?)
        .map_err(|error| wrong(error.to_string()))?;
    match golden.photos.keys().find(|name| !package.manifest().files.contains_key(*name)) {
        Some(name) => Err(wrong(format!("`{name}` is not a file of the package"))),
        None => Ok(Some(golden)),
    }
}

/// Copies photos into the package as golden ones, with the embeddings that the package gives now.
pub fn add_golden(package: &mut Package, classifier: &Classifier, photos: &[PathBuf]) -> Result<(), GoldenError> {
    let mut golden = read(package)?.unwrap_or_default();
    for photo in photos {
        let embedded = classifier
            .embedder
            .embed_file(photo)
            .map_err(|source| GoldenError::Photo { path: photo.clone(), source })?;
        let taken = golden.photos.keys().chain(package.manifest().files.keys());
        let name = new_name(taken.map(String::as_str), photo);
        let path = package.path(&name);
        fs::copy(photo, &path).map_err(|error| GoldenError::File { path, reason: error.to_string() })?;
        package.add_file(&name)?;
        golden.photos.insert(name, embedded.embedding.values().to_vec());
    }
    let path = package.path(GOLDEN);
    let text = serde_json::to_string(&golden).expect("numbers and names are JSON");
    durable::write(&path, text.as_bytes(), SHARED)
        .map_err(|error| GoldenError::File { path, reason: error.to_string() })?;
    Ok(package.add_file(GOLDEN)?)
}

/// Returns a file name for a photo, with a number above those of all golden photos among `taken`. Counting them is not
/// enough: some may have been removed by hand.
fn new_name<'a>(taken: impl Iterator<Item = &'a str>, photo: &Path) -> String {
    let number = |name: &str| name.strip_prefix("golden-")?.split('.').next()?.parse::<u64>().ok();
    let last = taken.filter_map(number).max().unwrap_or(0);
    format!("golden-{}.{}", last + 1, suffix(photo))
}

fn suffix(photo: &Path) -> String {
    let suffix = photo.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    suffix.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_golden_photo_gets_a_name_that_none_has() {
        let name = |taken: &[&str], photo: &str| new_name(taken.iter().copied(), Path::new(photo));
        assert_eq!(name(&[], "a.JPG"), "golden-1.jpg");
        assert_eq!(name(&["golden-1.jpg", "golden-2.png"], "a.png"), "golden-3.png");
        assert_eq!(name(&["golden-2.jpg", "golden-10.jpg"], "a.jpg"), "golden-11.jpg", "some were removed by hand");
        assert_eq!(name(&["golden-x.jpg", "image.onnx", "golden-4.tif"], "a.jpg"), "golden-5.jpg");
    }
}
