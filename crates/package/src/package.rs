//! Folder of a package, and its verification.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bridgeclip_domain::Sha256;
use bridgeclip_photo::Preprocess;
use bridgeclip_storage::durable::{self, Draft, SHARED};
use bridgeclip_storage::plain_file;

use super::error::PackageError;
use super::files;
use super::manifest::{FileEntry, INT8, ImageInput, MANIFEST_BYTES_MAX, Manifest, Quantized};

/// Package whose every file was found as the manifest describes it.
#[derive(Clone, Debug)]
pub struct Package {
    dir: PathBuf,
    manifest: Manifest,
    hash: Sha256,
}

impl Package {
    /// Reads the manifest, and verifies all files by size and hash.
    pub fn open(dir: &Path) -> Result<Self, PackageError> {
        Self::open_known(dir, |_| false)
    }

    /// Reads the manifest and verifies all files. If `is_known` says that a file is unchanged since it was hashed, only
    /// its size is compared.
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

    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the package's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the hash of the manifest, which holds the hash of every file. It identifies this package exactly.
    pub fn hash(&self) -> Sha256 {
        self.hash
    }

    /// Returns the identity of the space to which the encoders map. Embeddings of two packages can be compared if it is
    /// equal. An int8 package has that of the float package it was made from.
    pub fn embedding_space(&self) -> Sha256 {
        if let Some(quantized) = &self.manifest.quantized {
            return quantized.embedding_space;
        }
        let mut text = format!("{} {:?}\n", self.manifest.image.identity(), self.manifest.text);
        for name in files::ENCODERS {
            text += &format!("{name} {}\n", self.manifest.files[name].sha256);
        }
        Sha256::of(text.as_bytes())
    }

    /// Returns the path of a file of the package.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Returns the path of the reference database.
    ///
    /// # Errors
    /// [`PackageError::NoReference`] if the package has none.
    pub fn reference(&self) -> Result<PathBuf, PackageError> {
        match self.manifest.files.contains_key(files::REFERENCE) {
            true => Ok(self.path(files::REFERENCE)),
            false => Err(PackageError::NoReference { dir: self.dir.clone() }),
        }
    }

    /// Returns how photos are prepared for the image encoder.
    pub fn preprocess(&self) -> Preprocess {
        let ImageInput { size, resize, mean, std, apply_orientation } = self.manifest.image;
        Preprocess { resize: resize.unwrap_or(size), size, mean, std, apply_orientation }
    }

    /// Completes an int8 package in `dir`, which holds its encoders already. Everything else is copied from this float
    /// package.
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

    /// Adds the file `name`, which is in the folder already, to the manifest. The manifest is replaced atomically.
    pub fn add_file(&mut self, name: &str) -> Result<(), PackageError> {
        self.take(name, &self.path(name))
    }

    /// Replaces the file `name` with the file at `from`, which is in the folder under another name, and adds it to the
    /// manifest. Everything that can fail for want of space is done before either is replaced.
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
    use bridgeclip_domain::LABEL_VERSION;

    use super::*;
    use crate::error::FORMAT;
    use crate::manifest::{Checkpoint, FLOAT, TextInput};

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
            image: ImageInput { size: 32, resize: None, mean: [0.5; 3], std: [0.5; 3], apply_orientation: false },
            text: TextInput { context_length: 77 },
            files: files::ENCODERS.map(|name| (name.to_owned(), input.clone())).into(),
        }
    }

    /// Makes a folder with this manifest and files of three bytes.
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
    fn a_package_may_cut_its_input_out_of_a_larger_photo() {
        let plain = Package::open(folder(&manifest()).path()).expect("opens");
        let mut manifest = manifest();
        manifest.image.resize = Some(37);
        let package = Package::open(folder(&manifest).path()).expect("opens");
        assert_eq!((plain.preprocess().resize, package.preprocess().resize), (32, 37));
        assert_ne!(plain.embedding_space(), package.embedding_space());
        // The identity of packages without the field is that of earlier versions, which printed the fields like this.
        let fields = "ImageInput { size: 32, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], apply_orientation: false }";
        assert_eq!(plain.manifest().image.identity(), fields);
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
        let cases: [(&str, Edit); 11] = [
            ("package format 9", |m| m.format = 9),
            ("labels `other-1`", |m| m.label_version = "other-1".into()),
            ("embedding_dim = 0", |m| m.embedding_dim = 0),
            ("image.size = 0", |m| m.image.size = 0),
            ("image.resize = 31", |m| m.image.resize = Some(31)),
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
