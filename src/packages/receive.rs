//! Copies a package from a folder or an archive into a folder of the store.
//!
//! Manifest and signature come first and are verified before anything else is read. After that, the manifest gives the
//! names and sizes of the files to accept.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::Digest;

use super::{InstallError, SIGNATURE, TrustedKeys};
use crate::package::{FileEntry, MANIFEST_BYTES_MAX, Manifest, Package, files};
use crate::plain_file;

/// Maximum size of a signature, which has four lines.
const SIGNATURE_BYTES_MAX: u64 = 4096;

/// A package to be installed: a folder or an archive.
#[derive(Clone, Debug)]
pub enum NewPackage {
    Folder(PathBuf),
    Archive(PathBuf),
}

impl NewPackage {
    /// Returns the package at a path: a folder if there is one, otherwise an archive.
    pub fn at(path: &Path) -> Self {
        if path.is_dir() { NewPackage::Folder(path.to_owned()) } else { NewPackage::Archive(path.to_owned()) }
    }

    /// Copies the package into an empty folder. `accept` checks the manifest before any other file is read.
    pub(super) fn receive(
        &self,
        keys: &TrustedKeys,
        into: &Path,
        accept: impl FnOnce(&Manifest) -> Result<(), InstallError>,
    ) -> Result<Manifest, InstallError> {
        match self {
            NewPackage::Folder(dir) => from_folder(dir, keys, into, accept),
            NewPackage::Archive(path) => from_archive(path, keys, into, accept),
        }
    }
}

/// Writes a verified package as an archive: manifest, signature, then the other files in the order of their names.
pub fn pack(package: &Package, out: &mut impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    let signature = package.path(SIGNATURE).is_file().then_some(SIGNATURE);
    let head = [files::MANIFEST].into_iter().chain(signature);
    for name in head.chain(package.manifest().files.keys().map(String::as_str)) {
        let file = plain_file::open(package.path(name))?;
        let mut header = tar::Header::new_ustar();
        header.set_size(file.metadata()?.len());
        header.set_mode(0o644);
        archive.append_data(&mut header, name, file)?;
    }
    archive.finish()
}

fn from_folder(
    dir: &Path,
    keys: &TrustedKeys,
    into: &Path,
    accept: impl FnOnce(&Manifest) -> Result<(), InstallError>,
) -> Result<Manifest, InstallError> {
    let text = small(open_plain(dir, files::MANIFEST)?, MANIFEST_BYTES_MAX, dir)?;
    let signature = match dir.join(SIGNATURE).exists() {
        true => Some(small(open_plain(dir, SIGNATURE)?, SIGNATURE_BYTES_MAX, dir)?),
        false => None,
    };
    let manifest = believe(&text, signature.as_deref(), keys, dir)?;
    accept(&manifest)?;
    write_head(into, &text, signature.as_deref())?;
    for (name, entry) in &manifest.files {
        take(open_plain(dir, name)?, name, entry, into, dir)?;
    }
    Ok(manifest)
}

fn from_archive(
    path: &Path,
    keys: &TrustedKeys,
    into: &Path,
    accept: impl FnOnce(&Manifest) -> Result<(), InstallError>,
) -> Result<Manifest, InstallError> {
    let damaged = |error: io::Error| InstallError::Archive { origin: path.to_owned(), reason: error.to_string() };
    let file = plain_file::open(path).map_err(InstallError::io(path))?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    // In raw mode the reader ignores extended names. It would otherwise read names of any length into memory, and a
    // package has no long names.
    let mut entries = archive.entries().map_err(damaged)?.raw(true).map(|entry| entry.map_err(damaged));
    let mut next = move || entries.next().transpose();
    let missing = |name: &str| InstallError::Missing { origin: path.to_owned(), name: name.to_owned() };
    let first = next()?.ok_or_else(|| missing(files::MANIFEST))?;
    if plain_name(&first, path)? != files::MANIFEST {
        return Err(missing(files::MANIFEST));
    }
    let text = small(first, MANIFEST_BYTES_MAX, path)?;
    let mut second = next()?;
    let signature = match second.take_if(|entry| &*entry.path_bytes() == SIGNATURE.as_bytes()) {
        Some(entry) => {
            plain_name(&entry, path)?;
            Some(small(entry, SIGNATURE_BYTES_MAX, path)?)
        }
        None => None,
    };
    let manifest = believe(&text, signature.as_deref(), keys, path)?;
    accept(&manifest)?;
    write_head(into, &text, signature.as_deref())?;
    let mut awaited: BTreeSet<&str> = manifest.files.keys().map(String::as_str).collect();
    let mut entry = if second.is_some() { second } else { next()? };
    while let Some(file) = entry {
        let name = plain_name(&file, path)?;
        if !awaited.remove(&*name) {
            let reason = "is not in package.toml, or comes twice";
            return Err(InstallError::Entry { origin: path.to_owned(), entry: name, reason });
        }
        take(file, &name, &manifest.files[&name], into, path)?;
        entry = next()?;
    }
    match awaited.first() {
        Some(name) => Err(missing(name)),
        None => Ok(manifest),
    }
}

/// Parses the manifest after verifying its signature.
fn believe(text: &str, signature: Option<&str>, keys: &TrustedKeys, origin: &Path) -> Result<Manifest, InstallError> {
    keys.verify(text.as_bytes(), signature, origin)?;
    Ok(Manifest::parse(text, &origin.join(files::MANIFEST))?)
}

/// Returns the name of an entry. Fails unless the entry is a plain file in the archive's root.
fn plain_name(entry: &tar::Entry<'_, impl Read>, origin: &Path) -> Result<String, InstallError> {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let kind = entry.header().entry_type();
    match name.contains('/') || !kind.is_file() {
        true => Err(InstallError::Entry {
            origin: origin.to_owned(),
            entry: name,
            reason: "is not a plain file in the archive's root",
        }),
        false => Ok(name),
    }
}

/// Opens a plain file of a folder, never through a link.
fn open_plain(dir: &Path, name: &str) -> Result<File, InstallError> {
    use rustix::fs::{Mode, OFlags};
    let path = dir.join(name);
    // NONBLOCK keeps the open from waiting for the writer of a pipe.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => {
            return Err(InstallError::Missing { origin: dir.to_owned(), name: name.to_owned() });
        }
        Err(error) => return Err(InstallError::io(&path)(error.into())),
    };
    match file.metadata().map_err(InstallError::io(&path))?.is_file() {
        true => Ok(file),
        false => {
            let reason = "is not a plain file";
            Err(InstallError::Entry { origin: dir.to_owned(), entry: name.to_owned(), reason })
        }
    }
}

/// Reads a text file of at most `bytes_max` bytes.
fn small(file: impl Read, bytes_max: u64, origin: &Path) -> Result<String, InstallError> {
    let mut text = String::new();
    let read = file.take(bytes_max + 1).read_to_string(&mut text).map_err(InstallError::io(origin))?;
    match read as u64 > bytes_max {
        true => Err(InstallError::Archive {
            origin: origin.to_owned(),
            reason: format!("manifest or signature has more than {bytes_max} bytes"),
        }),
        false => Ok(text),
    }
}

fn write_head(into: &Path, text: &str, signature: Option<&str>) -> Result<(), InstallError> {
    for (name, text) in [(files::MANIFEST, Some(text)), (SIGNATURE, signature)] {
        let Some(text) = text else { continue };
        let path = into.join(name);
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(InstallError::io(&path))?;
    }
    Ok(())
}

/// Copies one file and verifies its hash and size. Never writes more than one byte beyond the size in the manifest.
fn take(from: impl Read, name: &str, entry: &FileEntry, into: &Path, origin: &Path) -> Result<(), InstallError> {
    let path = into.join(name);
    let copy = || -> io::Result<bool> {
        let out = Hashing { file: File::create_new(&path)?, hasher: sha2::Sha256::new() };
        let mut out = BufWriter::with_capacity(1 << 18, out);
        let copied = io::copy(&mut from.take(entry.bytes.saturating_add(1)), &mut out)?;
        let Hashing { file, hasher } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let found = crate::domain::Sha256(hasher.finalize().into());
        Ok(copied == entry.bytes && found.to_string() == entry.sha256)
    };
    match copy().map_err(InstallError::io(&path))? {
        true => Ok(()),
        false => {
            let _ = fs::remove_file(&path);
            Err(InstallError::Content { origin: origin.to_owned(), name: name.to_owned() })
        }
    }
}

/// A file that is hashed while it is written.
struct Hashing {
    file: File,
    hasher: sha2::Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
