//! Why a package is not installed.

use std::io;
use std::path::{Path, PathBuf};

use super::GoldenError;
use crate::package::PackageError;

/// Reason why a package is not installed. In every case the package in use stays in use.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("{}: the package is not signed; sign it with `bridgeclip package sign`, or copy it again", origin.display())]
    Unsigned { origin: PathBuf },
    #[error(
        "{}: {reason}; package.toml was changed, or its signer is not one of [package] trusted_keys", origin.display()
    )]
    Signature { origin: PathBuf, reason: String },
    #[error("{}: {reason}; a package archive is made by `bridgeclip package pack`", origin.display())]
    Archive { origin: PathBuf, reason: String },
    #[error("{}: `{entry}` {reason}; this is no package, or somebody changed it", origin.display())]
    Entry { origin: PathBuf, entry: String, reason: &'static str },
    #[error("{}: {name} is missing; the package is incomplete, copy it again", origin.display())]
    Missing { origin: PathBuf, name: String },
    #[error("{}: {name} is not as package.toml says; the copy is damaged or changed, copy it again", origin.display())]
    Content { origin: PathBuf, name: String },
    #[error("{}: {key} = `{value}` cannot be installed: {expected}", origin.display())]
    Value { origin: PathBuf, key: &'static str, value: String, expected: &'static str },
    #[error("{name} {version} is older than {newest}, which was in use; give --allow-downgrade if this is intended")]
    Older { name: String, version: String, newest: String },
    #[error("{}: the package has {bytes} bytes, [package] megabytes_max allows {bytes_max}", origin.display())]
    TooLarge { origin: PathBuf, bytes: u64, bytes_max: u64 },
    #[error("{}: {free} bytes are free, the package needs {needed}; make room", store.display())]
    NoSpace { store: PathBuf, free: u64, needed: u64 },
    #[error("{}: another installation is going on; wait for its end", store.display())]
    Busy { store: PathBuf },
    #[error("{}: there is no earlier package to go back to", store.display())]
    NothingBefore { store: PathBuf },
    #[error("{url}: {reason}")]
    Download { url: String, reason: String },
    #[error("the package does not work on this device: {0}")]
    SelfTest(#[from] GoldenError),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl InstallError {
    /// Returns a function for `map_err` that adds the path.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| InstallError::Io { path, source }
    }
}
