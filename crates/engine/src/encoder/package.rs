//! A model package: a folder with `package.toml`, two encoders, a tokenizer and a reference database.
//!
//! Everything that a device trusts about its model passes through here: every file is measured and hashed before
//! anything reads it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{LABEL_VERSION, Sha256};
use bridgeclip_photo::Preprocess;
use bridgeclip_storage::durable::{self, Draft, SHARED};
use bridgeclip_storage::plain_file;

/// The file names of a package.
pub mod files {
    pub const MANIFEST: &str = "package.toml";
    pub const IMAGE_GRAPH: &str = "image.onnx";
    pub const IMAGE_WEIGHTS: &str = "image.weights";
    pub const TEXT_GRAPH: &str = "text.onnx";
    pub const TEXT_WEIGHTS: &str = "text.weights";
    pub const TOKENIZER: &str = "tokenizer.json";
    pub const REFERENCE: &str = "reference.db";

    /// What is other in an int8 package than in the float package that it was made from.
    pub(super) const QUANTIZED: [&str; 4] = [IMAGE_GRAPH, IMAGE_WEIGHTS, TEXT_GRAPH, TEXT_WEIGHTS];

    /// What determines an embedding: a reference made with other encoders cannot be compared with.
    pub(super) const ENCODERS: [&str; 5] = [IMAGE_GRAPH, IMAGE_WEIGHTS, TEXT_GRAPH, TEXT_WEIGHTS, TOKENIZER];
}

/// The layout of packages that this program reads.
const FORMAT: u32 = 1;
/// Values of `precision`.
const FLOAT: &str = "f32";
const INT8: &str = "int8";
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

/// What is wrong with a package, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("{}: no model package there ({source}); give the folder that holds package.toml", path.display())]
    NotFound { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Manifest { path: PathBuf, reason: String },
    #[error("{}: package format {found}, this program reads {FORMAT}; update the program or export the package again", path.display())]
    Format { path: PathBuf, found: u32 },
    #[error("{}: labels `{found}`, this program knows `{LABEL_VERSION}`; use a package exported for these labels", path.display())]
    Labels { path: PathBuf, found: String },
    #[error("{}: {key} = {value} is not usable: {expected}", path.display())]
    Value { path: PathBuf, key: &'static str, value: String, expected: &'static str },
    #[error("{}: {} names no {name}; the package is incomplete, export or copy it again", dir.display(), files::MANIFEST)]
    Unlisted { dir: PathBuf, name: String },
    #[error("{}: {source}; the package is incomplete, copy it again", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {found} bytes instead of {expected}; the copy is damaged or changed, copy the package again", path.display())]
    Size { path: PathBuf, expected: u64, found: u64 },
    #[error("{}: SHA-256 is {found}, package.toml says {expected}; the copy is damaged or changed, copy the package again", path.display())]
    Hash { path: PathBuf, expected: String, found: Sha256 },
    #[error("{}: the package has no reference database; make one with `bridgeclip reference build`", dir.display())]
    NoReference { dir: PathBuf },
    #[error("{}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A package whose every file was found as the manifest describes it.
#[derive(Clone, Debug)]
pub struct Package {
    dir: PathBuf,
    manifest: Manifest,
    hash: Sha256,
}

impl Package {
    /// Reads the manifest and verifies all of its files.
    pub fn open(dir: &Path) -> Result<Self, PackageError> {
        Self::open_known(dir, |_| false)
    }

    /// The same, but of a file that `is_known` to be unchanged since it was hashed, only the size is compared.
    pub fn open_known(dir: &Path, is_known: impl Fn(&str) -> bool) -> Result<Self, PackageError> {
        let package = Self::read_manifest(dir)?;
        for name in files::ENCODERS {
            package.entry(name)?;
        }
        for (name, entry) in &package.manifest.files {
            let path = dir.join(name);
            compare_size(&path, entry)?;
            if !is_known(name) {
                compare_hash(&path, entry)?;
            }
        }
        Ok(package)
    }

    fn read_manifest(dir: &Path) -> Result<Self, PackageError> {
        let path = dir.join(files::MANIFEST);
        let text = read_text(&path)?;
        let manifest = Manifest::parse(&text, &path)?;
        Ok(Package { dir: dir.to_owned(), manifest, hash: Sha256::of(text.as_bytes()) })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Hash of the manifest, which holds the hash of every file: names this package exactly.
    pub fn hash(&self) -> Sha256 {
        self.hash
    }

    /// Names the space that the encoders map to: embeddings of two packages can be compared if this is equal.
    /// An int8 package is of the space of the float package that it was made from.
    pub fn embedding_space(&self) -> Sha256 {
        if let Some(quantized) = &self.manifest.quantized {
            return quantized.embedding_space;
        }
        let mut text = format!("{:?} {:?}\n", self.manifest.image, self.manifest.text);
        for name in files::ENCODERS {
            text += &format!("{name} {}\n", self.manifest.files[name].sha256);
        }
        Sha256::of(text.as_bytes())
    }

    /// The path of a file of the package.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The path of the reference database.
    pub fn reference(&self) -> Result<PathBuf, PackageError> {
        match self.manifest.files.contains_key(files::REFERENCE) {
            true => Ok(self.path(files::REFERENCE)),
            false => Err(PackageError::NoReference { dir: self.dir.clone() }),
        }
    }

    pub fn preprocess(&self) -> Preprocess {
        let ImageInput { size, mean, std, apply_orientation } = self.manifest.image;
        Preprocess { size, mean, std, apply_orientation }
    }

    /// Completes an int8 package: `dir` holds its encoders; all else is copied from this float package.
    pub fn write_quantized(&self, dir: &Path, quantized: Quantized) -> Result<(), PackageError> {
        let mut manifest = Manifest { precision: INT8.to_owned(), quantized: Some(quantized), ..self.manifest.clone() };
        for (name, entry) in &mut manifest.files {
            let path = dir.join(name);
            let failed = |source| PackageError::Write { path: path.clone(), source };
            match files::QUANTIZED.contains(&&**name) {
                true => *entry = measure(&path)?,
                false => drop(fs::copy(self.path(name), &path).map_err(failed)?),
            }
        }
        let text = toml::to_string(&manifest).expect("a manifest is a TOML document");
        let path = dir.join(files::MANIFEST);
        durable::write(&path, text.as_bytes(), SHARED).map_err(|source| PackageError::Write { path, source })
    }

    /// Takes the file `name`, which lies in the folder already, into the manifest. The manifest is replaced as a whole.
    pub fn add_file(&mut self, name: &str) -> Result<(), PackageError> {
        self.take(name, &self.path(name))
    }

    /// Puts the file at `from`, which lies in the folder under another name, in the place of the file `name`, and takes
    /// it into the manifest. All that can fail for want of space is done before either is replaced.
    pub fn replace_file(&mut self, name: &str, from: &Path) -> Result<(), PackageError> {
        self.take(name, from)
    }

    fn take(&mut self, name: &str, from: &Path) -> Result<(), PackageError> {
        let entry = measure(from)?;
        let mut manifest = self.manifest.clone();
        manifest.files.insert(name.to_owned(), entry);
        let text = toml::to_string(&manifest).expect("a manifest is a TOML document");
        let (path, manifest_path) = (self.path(name), self.dir.join(files::MANIFEST));
        let failed = |source| PackageError::Write { path: manifest_path.clone(), source };
        let mut new_manifest = Draft::create(&manifest_path, SHARED).map_err(failed)?;
        new_manifest.file().write_all(text.as_bytes()).map_err(failed)?;
        if from != path {
            fs::rename(from, &path).map_err(|source| PackageError::Write { path, source })?;
        }
        new_manifest.publish().map_err(failed)?;
        (self.manifest, self.hash) = (manifest, Sha256::of(text.as_bytes()));
        Ok(())
    }

    fn entry(&self, name: &str) -> Result<&FileEntry, PackageError> {
        self.manifest
            .files
            .get(name)
            .ok_or_else(|| PackageError::Unlisted { dir: self.dir.clone(), name: name.to_owned() })
    }
}

fn read_text(path: &Path) -> Result<String, PackageError> {
    let not_found = |source| PackageError::NotFound { path: path.to_owned(), source };
    let mut text = String::new();
    let file = plain_file::open(path).map_err(not_found)?;
    file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text).map_err(not_found)?;
    Ok(text)
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

fn compare_size(path: &Path, entry: &FileEntry) -> Result<(), PackageError> {
    let unreadable = |source| PackageError::Unreadable { path: path.to_owned(), source };
    match fs::metadata(path).map_err(unreadable)?.len() {
        found if found == entry.bytes => Ok(()),
        found => Err(PackageError::Size { path: path.to_owned(), expected: entry.bytes, found }),
    }
}

fn compare_hash(path: &Path, entry: &FileEntry) -> Result<(), PackageError> {
    let unreadable = |source| PackageError::Unreadable { path: path.to_owned(), source };
    match hash_file(path).map_err(unreadable)? {
        found if found.to_string() == entry.sha256 => Ok(()),
        found => Err(PackageError::Hash { path: path.to_owned(), expected: entry.sha256.clone(), found }),
    }
}

fn measure(path: &Path) -> Result<FileEntry, PackageError> {
    let unreadable = |source| PackageError::Unreadable { path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    let sha256 = hash_file(path).map_err(unreadable)?.to_string();
    Ok(FileEntry { sha256, bytes })
}

fn hash_file(path: &Path) -> io::Result<Sha256> {
    use sha2::Digest;
    let mut file = plain_file::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Sha256(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let input = FileEntry { sha256: Sha256::of(b"abc").to_string(), bytes: 3 };
        Manifest {
            format: FORMAT,
            name: "test".into(),
            version: "1.0.0".into(),
            description: "A test.".into(),
            architecture: "ViT-B-32".into(),
            precision: FLOAT.into(),
            embedding_dim: 4,
            caption_language: "en".into(),
            label_version: LABEL_VERSION.into(),
            licence: "MIT".into(),
            checkpoint: Checkpoint { file: "epoch_1.pt".into(), sha256: "0".repeat(64) },
            quantized: None,
            image: ImageInput { size: 32, mean: [0.5; 3], std: [0.5; 3], apply_orientation: false },
            text: TextInput { context_length: 77 },
            files: files::ENCODERS.map(|name| (name.to_owned(), input.clone())).into(),
        }
    }

    /// A folder with that manifest and files of three bytes.
    fn folder(manifest: &Manifest) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("temporary folder");
        for name in files::ENCODERS {
            fs::write(dir.path().join(name), "abc").expect("write");
        }
        let text = toml::to_string(manifest).expect("TOML");
        fs::write(dir.path().join(files::MANIFEST), text).expect("write");
        dir
    }

    fn refusal(edit: impl FnOnce(&mut Manifest)) -> String {
        let mut manifest = manifest();
        edit(&mut manifest);
        Package::open(folder(&manifest).path()).expect_err("refused").to_string()
    }

    #[test]
    fn a_whole_package_opens() {
        let dir = folder(&manifest());
        let package = Package::open(dir.path()).expect("opens");
        assert_eq!(package.manifest(), &manifest());
    }

    #[test]
    fn a_package_may_want_photos_upright() {
        for apply_orientation in [false, true] {
            let mut manifest = manifest();
            manifest.image.apply_orientation = apply_orientation;
            let package = Package::open(folder(&manifest).path()).expect("opens");
            assert_eq!(package.preprocess().apply_orientation, apply_orientation);
        }
    }

    #[test]
    fn every_wrong_value_is_named() {
        type Edit = fn(&mut Manifest);
        let cases: [(&str, Edit); 10] = [
            ("package format 9", |m| m.format = 9),
            ("labels `other-1`", |m| m.label_version = "other-1".into()),
            ("embedding_dim = 0", |m| m.embedding_dim = 0),
            ("image.size = 0", |m| m.image.size = 0),
            ("image.mean", |m| m.image.mean[1] = f32::NAN),
            ("image.std", |m| m.image.std[2] = 0.0),
            ("caption_language = de", |m| m.caption_language = "de".into()),
            ("precision = f16", |m| m.precision = "f16".into()),
            ("int8 with a [quantized] section", |m| m.precision = INT8.into()),
            ("names no text.onnx", |m| drop(m.files.remove(files::TEXT_GRAPH))),
        ];
        for (expected, edit) in cases {
            let message = refusal(edit);
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_file_outside_the_folder_is_refused() {
        for name in ["../image.onnx", "/etc/passwd", "a/b", ".hidden", ""] {
            let message = refusal(|m| drop(m.files.insert(name.into(), m.files[files::TOKENIZER].clone())));
            assert!(message.contains("plain file names"), "{message}");
        }
    }

    #[test]
    fn damage_is_found_and_named() {
        let dir = folder(&manifest());
        let path = dir.path().join(files::IMAGE_WEIGHTS);
        fs::write(&path, "abd").expect("write");
        assert!(matches!(Package::open(dir.path()), Err(PackageError::Hash { path: p, .. }) if p == path));
        fs::write(&path, "abcd").expect("write");
        assert!(matches!(Package::open(dir.path()), Err(PackageError::Size { found: 4, .. })));
        fs::remove_file(&path).expect("remove");
        assert!(matches!(Package::open(dir.path()), Err(PackageError::Unreadable { .. })));
        fs::remove_file(dir.path().join(files::MANIFEST)).expect("remove");
        assert!(matches!(Package::open(dir.path()), Err(PackageError::NotFound { .. })));
    }

    #[test]
    fn an_unknown_key_is_shown_with_its_line() {
        let dir = folder(&manifest());
        let path = dir.path().join(files::MANIFEST);
        let text = fs::read_to_string(&path).expect("read").replace("licence", "license");
        fs::write(&path, text).expect("write");
        let message = Package::open(dir.path()).expect_err("refused").to_string();
        assert!(message.contains("license") && message.contains("line "), "{message}");
    }

    #[test]
    fn an_added_file_is_verified_from_then_on() {
        let dir = folder(&manifest());
        let mut package = Package::open(dir.path()).expect("opens");
        let space = package.embedding_space();
        assert!(matches!(package.reference(), Err(PackageError::NoReference { .. })));
        fs::write(package.path(files::REFERENCE), "db").expect("write");
        package.add_file(files::REFERENCE).expect("adds");
        let again = Package::open(dir.path()).expect("opens");
        assert_eq!((again.hash(), again.embedding_space()), (package.hash(), space));
        assert!(again.reference().is_ok());
        fs::write(package.path(files::REFERENCE), "dB").expect("write");
        assert!(matches!(Package::open(dir.path()), Err(PackageError::Hash { .. })));
    }
}
