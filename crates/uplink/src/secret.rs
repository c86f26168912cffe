//! Passwords and keys in files that nobody else may read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A secret text. Its debug form is a placeholder.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns the secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The reason why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read, or is not UTF-8.
    #[error("{}: cannot read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// Other users may access the file; `mode` holds its permission bits, `remedy` the mode to set.
    #[error("{}: others may read or change this secret (mode {mode:03o}); run: chmod {remedy} {}", path.display(), path.display())]
    Open { path: PathBuf, mode: u32, remedy: &'static str },
    /// The file is longer than a password or key can be.
    #[error("{}: more than {BYTES_MAX} bytes are not a password or key", path.display())]
    TooLong { path: PathBuf },
    /// The file contains nothing but white space.
    #[error("{}: empty", path.display())]
    Empty { path: PathBuf },
    /// The service has no systemd credentials.
    #[error("there are no systemd credentials here ($CREDENTIALS_DIRECTORY); set LoadCredential={0} in the service")]
    NoCredentials(String),
    /// The text cannot be the name of a credential.
    #[error("`{0}` is not the name of a systemd credential")]
    NotACredential(String),
}

/// Maximum size of a secret in bytes; a chain of certificates with its key fits.
const BYTES_MAX: u64 = 64 * 1024;

/// Reads a file that only its owner may read. White space at the end is not part of the secret.
pub fn read_secret(path: &Path) -> Result<Secret, SecretError> {
    read(path, 0o077, "600")
}

/// Reads a systemd credential (`LoadCredential=`).
///
/// Permissions of the group are allowed: systemd admits the service through an access list, which appears as such.
pub fn read_credential(name: &str) -> Result<Secret, SecretError> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(SecretError::NotACredential(name.to_owned()));
    }
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| SecretError::NoCredentials(name.to_owned()))?;
    read(&Path::new(&dir).join(name), 0o007, "440")
}

fn read(path: &Path, forbidden: u32, remedy: &'static str) -> Result<Secret, SecretError> {
    let failed = |source| SecretError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(SecretError::Open { path: path.to_owned(), mode, remedy });
    }
    if metadata.size() > BYTES_MAX {
        return Err(SecretError::TooLong { path: path.to_owned() });
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    match text.trim_end() {
        "" => Err(SecretError::Empty { path: path.to_owned() }),
        secret => Ok(Secret(secret.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn secrets_that_others_can_read_are_refused_with_the_remedy() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("password");
        fs::write(&path, "s3cret\n").expect("write");
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o660, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            match read_secret(&path) {
                Ok(secret) => assert!(good && secret.expose() == "s3cret", "{mode:o}"),
                Err(error) => assert!(!good && error.to_string().contains("chmod 600"), "{mode:o}: {error}"),
            }
        }
    }

    #[test]
    fn secrets_are_short_and_never_printed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("password");
        let write = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("write");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
            read_secret(&path)
        };
        assert!(matches!(write(b" \n"), Err(SecretError::Empty { .. })));
        assert!(matches!(write(&vec![b'x'; 70_000]), Err(SecretError::TooLong { .. })));
        assert!(matches!(write(b"\xff\xfe"), Err(SecretError::Read { .. })));
        assert_eq!(format!("{:?}", write(b"hidden").expect("a secret")), "Secret(…)");
        assert!(matches!(read_credential("../password"), Err(SecretError::NotACredential(_))));
    }
}
