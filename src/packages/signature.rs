//! minisign signatures over `package.toml`, which holds the hash of every other file.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use minisign_verify::{PublicKey, Signature};
use serde::Deserialize;

use super::InstallError;
use crate::durable::{self, SHARED};
use crate::package::{Package, files};

/// Name of the signature's file, next to the manifest.
pub const SIGNATURE: &str = "package.toml.minisig";

/// Maximum number of trusted keys: two, so that one can be replaced while the other is still in use.
const KEYS_MAX: usize = 2;

/// The keys whose packages are accepted. If there are none, unsigned packages are accepted too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct TrustedKeys(Vec<PublicKey>);

impl TryFrom<Vec<String>> for TrustedKeys {
    type Error = String;

    fn try_from(keys: Vec<String>) -> Result<Self, String> {
        if keys.len() > KEYS_MAX {
            return Err(format!("{} keys; give at most {KEYS_MAX}: the present one and the next one", keys.len()));
        }
        let parse = |key: &String| {
            let wrong = |_| format!("`{key}` is not a minisign public key; it is the line that begins with RW");
            PublicKey::from_base64(key).map_err(wrong)
        };
        keys.iter().map(parse).collect::<Result<_, _>>().map(TrustedKeys)
    }
}

impl TrustedKeys {
    /// Reports whether no key is trusted, so that packages need no signature.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that one of the keys signed this manifest. Errors name `origin`. Succeeds if no key is trusted.
    pub fn verify(&self, manifest: &[u8], signature: Option<&str>, origin: &Path) -> Result<(), InstallError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let text = signature.ok_or_else(|| InstallError::Unsigned { origin: origin.to_owned() })?;
        let wrong = |error: minisign_verify::Error| InstallError::Signature {
            origin: origin.to_owned(),
            reason: error.to_string(),
        };
        let signature = Signature::decode(text).map_err(wrong)?;
        let mut last = minisign_verify::Error::InvalidSignature;
        for key in &self.0 {
            match key.verify(manifest, &signature, false) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(wrong(last))
    }

    /// Checks that one of the keys signed the package in a folder. Succeeds if no key is trusted.
    pub fn verify_folder(&self, dir: &Path) -> Result<(), InstallError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let path = dir.join(files::MANIFEST);
        let manifest = fs::read(&path).map_err(InstallError::io(&path))?;
        let signature = fs::read_to_string(dir.join(SIGNATURE)).ok();
        self.verify(&manifest, signature.as_deref(), dir)
    }
}

/// Makes a key pair. Returns the text of the secret key's file, and the public key in the form of the settings.
pub fn new_key(password: Option<String>) -> Result<(String, String), minisign::PError> {
    let pair = match password {
        None => minisign::KeyPair::generate_unencrypted_keypair()?,
        Some(password) => minisign::KeyPair::generate_encrypted_keypair(Some(password))?,
    };
    Ok((pair.sk.to_box(Some("bridgeclip package key"))?.into_string(), pair.pk.to_base64()))
}

/// Signs a package with the secret key in `key`, the text of its file.
pub fn sign(package: &Package, key: &str, password: Option<String>) -> anyhow::Result<()> {
    let key = minisign::SecretKeyBox::from_string(key)?;
    let key = match password {
        None => key.into_unencrypted_secret_key()?,
        Some(password) => key.into_secret_key(Some(password))?,
    };
    let manifest = fs::read(package.path(files::MANIFEST))?;
    let comment = format!("{} {}", package.manifest().name, package.manifest().version);
    let signature = minisign::sign(None, &key, Cursor::new(manifest), Some(&comment), None)?;
    Ok(durable::write(&package.path(SIGNATURE), signature.into_string().as_bytes(), SHARED)?)
}
