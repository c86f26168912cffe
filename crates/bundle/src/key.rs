//! The Ed25519 key with which a device signs the bundles it exports.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use log::error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use bridgeclip_random::secret;
use bridgeclip_storage::durable::{self, Draft, PRIVATE};

/// Name of the key file in the data folder.
const FILE_NAME: &str = "device.key";

/// A device's own Ed25519 key pair, kept in the data folder and readable by its owner only.
pub struct DeviceKey(SigningKey);

/// A device's Ed25519 public key, which verifies its signatures. Its text form is base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// The reason why a device's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file could not be read, written or replaced.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Group or others can access the key file; `mode` holds its permission bits.
    #[error("{}: others may read it (mode {mode:o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed { path: PathBuf, mode: u32 },
}

/// A text that is not an Ed25519 public key in base64.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an Ed25519 public key in base64; `bridgeclip queue key` prints a device's own")]
pub struct NotAKey(String);

impl DeviceKey {
    /// Returns the key in the data folder `dir`.
    ///
    /// A missing key is made. A damaged key file is set aside and replaced by a new key, and an error is logged.
    pub fn open(dir: &Path) -> Result<Self, KeyError> {
        let path = dir.join(FILE_NAME);
        let failed = |source| KeyError::File { path: path.clone(), source };
        if !path.exists() {
            make(&path).map_err(failed)?;
        }
        let mode = fs::metadata(&path).map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path, mode });
        }
        let key = read(&path).map_err(failed)?;
        key.map_or_else(|reason| replace(&path, &reason).map_err(failed), Ok).map(DeviceKey)
    }

    /// Returns the public half of the key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message` and returns the signature in base64.
    pub fn sign(&self, message: &[u8]) -> String {
        Base64::encode_string(&self.0.sign(message).to_bytes())
    }
}

/// Returns the key in a file, or the reason why the file does not contain one.
fn read(path: &Path) -> io::Result<Result<SigningKey, String>> {
    let pem = fs::read(path)?;
    let key = std::str::from_utf8(&pem).map_err(|error| error.to_string());
    Ok(key.and_then(|pem| SigningKey::from_pkcs8_pem(pem).map_err(|error| error.to_string())))
}

/// Sets a damaged key file aside and makes a new key in its place.
fn replace(path: &Path, reason: &str) -> io::Result<SigningKey> {
    let aside = durable::set_aside(path)?;
    error!(
        "{}: not an Ed25519 key in PEM (PKCS #8): {reason}; it is {} now, and this device has a new key: whoever imports its \
         bundles must trust what `bridgeclip queue key` prints",
        path.display(),
        aside.display()
    );
    make(path)?;
    read(path)?.map_err(io::Error::other)
}

/// Makes a key file. If another process makes one at the same time, the first one wins.
fn make(path: &Path) -> io::Result<()> {
    let seed = secret()?;
    let pem = SigningKey::from_bytes(&seed).to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
    // No other user can read the file, not even before it has its final name.
    let mut draft = Draft::create(path, PRIVATE)?;
    draft.file().write_all(pem.as_bytes())?;
    match draft.publish_new() {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

impl PublicKey {
    /// Reports whether the key's owner signed `message`. `signature` is in base64; an invalid text counts as unsigned.
    pub fn has_signed(&self, message: &[u8], signature: &str) -> bool {
        let mut bytes = [0; Signature::BYTE_SIZE];
        let decoded = Base64::decode(signature, &mut bytes).is_ok_and(|decoded| decoded.len() == Signature::BYTE_SIZE);
        decoded && self.0.verify_strict(message, &Signature::from_bytes(&bytes)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64::encode_string(self.0.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let mut bytes = [0; 32];
        let decoded = Base64::decode(text.trim(), &mut bytes).ok().filter(|decoded| decoded.len() == 32);
        let key = decoded.and_then(|decoded| VerifyingKey::from_bytes(decoded.try_into().ok()?).ok());
        key.map(PublicKey).ok_or_else(|| NotAKey(text.to_owned()))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_by_its_owner_only() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let key = DeviceKey::open(dir.path()).expect("made").public();
        assert_eq!(DeviceKey::open(dir.path()).expect("read").public(), key);
        assert_eq!(key.to_string().parse(), Ok(key));
        let path = dir.path().join(FILE_NAME);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
        let error = DeviceKey::open(dir.path()).err().expect("exposed").to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        for wrong in [&b""[..], b"no key", &[0xff; 40]] {
            fs::write(&path, wrong).expect("write");
            let new = DeviceKey::open(dir.path()).expect("a new one").public();
            assert_ne!(new, key);
            assert_eq!(DeviceKey::open(dir.path()).expect("read").public(), new);
            assert!(dir.path().join("device.key.damaged").exists());
        }
    }

    #[test]
    fn only_the_owner_can_have_signed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let key = DeviceKey::open(dir.path()).expect("made");
        let signature = key.sign(b"message");
        assert!(key.public().has_signed(b"message", &signature));
        assert!(!key.public().has_signed(b"massage", &signature));
        for wrong in ["", "AAAA", &signature[..80], "no base64"] {
            assert!(!key.public().has_signed(b"message", wrong), "{wrong}");
        }
        for wrong in ["", "AAAA", "no base64"] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(NotAKey(wrong.to_owned())));
        }
    }
}
