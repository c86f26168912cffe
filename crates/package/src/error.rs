//! Errors of packages.

use std::io;
use std::path::PathBuf;

use bridgeclip_domain::{LABEL_VERSION, Sha256};

use super::files;

/// Version of the package layout that this program reads: `format` in the manifest.
pub const FORMAT: u32 = 1;

/// Fault of a package. The message says what to do about it.
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
