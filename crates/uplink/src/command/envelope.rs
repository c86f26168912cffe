//! The form in which a command travels, and the keys.
//!
//! The payload is JSON: `{"envelope": BASE64, "signature": BASE64}`. The envelope's bytes are JSON too, an [`Order`].
//! The Ed25519 signature covers `bridgeclip.command.v1`, a line feed, and the envelope's bytes as they are, so no
//! canonical form of JSON is necessary. The leading words keep a signature from being valid for any other purpose.

use base64ct::{Base64, Encoding};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer};
pub use ed25519_dalek::{SigningKey, VerifyingKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes that are signed before the envelope's bytes.
const SIGNED_PREFIX: &[u8] = b"bridgeclip.command.v1\n";

/// The content of an envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Topic prefix of the device for which the order is meant, `bridge/v1/{site}/{device}`.
    pub device: String,
    /// Name of the operation, the same as in the topic.
    pub op: String,
    /// Id of the order, chosen by the sender and the same as in the topic.
    pub id: String,
    /// Counter, greater than that of any earlier order.
    pub counter: u64,
    /// Time of issue, by the sender's clock.
    pub issued_at: Timestamp,
    /// End of the order's validity, at most 24 hours after its issue.
    pub expires_at: Timestamp,
    /// Arguments of the operation.
    #[serde(default)]
    pub args: Map<String, Value>,
}

/// The payload of a command.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    /// Envelope's bytes in base64.
    envelope: String,
    /// Ed25519 signature in base64.
    signature: String,
}

/// The reason why a payload cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The payload does not have the form of a command.
    Form,
    /// The signature is not that of the expected key.
    Signature,
}

/// Returns the payload of an order, signed with `key`.
pub fn sign(order: &Order, key: &SigningKey) -> Vec<u8> {
    let envelope = serde_json::to_vec(order).expect("an order has string keys");
    let signature = key.sign(&signed(&envelope));
    let payload =
        Payload { envelope: Base64::encode_string(&envelope), signature: Base64::encode_string(&signature.to_bytes()) };
    serde_json::to_vec(&payload).expect("two strings")
}

/// Checks the signature and returns the envelope's bytes, which are not parsed before that.
pub fn open(payload: &[u8], key: &VerifyingKey) -> Result<Vec<u8>, Broken> {
    let payload: Payload = serde_json::from_slice(payload).map_err(|_| Broken::Form)?;
    let envelope = Base64::decode_vec(&payload.envelope).map_err(|_| Broken::Form)?;
    let signature = Base64::decode_vec(&payload.signature).map_err(|_| Broken::Form)?;
    let signature = Signature::from_slice(&signature).map_err(|_| Broken::Form)?;
    // A strict check: nobody can make a second signature from a known one.
    key.verify_strict(&signed(&envelope), &signature).map_err(|_| Broken::Signature)?;
    Ok(envelope)
}

/// Returns the bytes that the signature covers.
fn signed(envelope: &[u8]) -> Vec<u8> {
    [SIGNED_PREFIX, envelope].concat()
}

/// The reason why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not a public key.
    #[error("not an Ed25519 public key; it is PEM, or 44 base64 digits as `bridgeclip command keygen` prints them")]
    Public,
    /// The text is not a private key.
    #[error("not an Ed25519 private key in PEM form, as `bridgeclip command keygen` writes it")]
    Private,
}

/// Reads a public key: PEM, as openssl writes it, or the base64 form of its 32 bytes.
pub fn public_key(text: &str) -> Result<VerifyingKey, KeyError> {
    if text.trim_start().starts_with("-----") {
        return VerifyingKey::from_public_key_pem(text.trim()).map_err(|_| KeyError::Public);
    }
    let mut bytes = [0; 32];
    match Base64::decode(text.trim(), &mut bytes) {
        Ok(decoded) if decoded.len() == 32 => VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Public),
        _ => Err(KeyError::Public),
    }
}

/// Reads a private key: PKCS #8 in PEM, as openssl writes it.
pub fn private_key(pem: &str) -> Result<SigningKey, KeyError> {
    SigningKey::from_pkcs8_pem(pem.trim()).map_err(|_| KeyError::Private)
}

/// Makes a key pair from 32 random bytes, and returns the private key in PEM and the public key in base64.
pub fn new_private_key(seed: &[u8; 32]) -> (String, String) {
    let key = SigningKey::from_bytes(seed);
    let pem = key.to_pkcs8_pem(LineEnding::LF).expect("a key can be written");
    (pem.to_string(), Base64::encode_string(key.verifying_key().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back() {
        let (pem, public) = new_private_key(&[7; 32]);
        let key = private_key(&pem).expect("a key");
        assert_eq!(public_key(&public), Ok(key.verifying_key()));
        assert_eq!(private_key("-----BEGIN PRIVATE KEY-----\n"), Err(KeyError::Private));
        for wrong in ["", "AAAA", "not base64 at all", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"] {
            assert_eq!(public_key(wrong), Err(KeyError::Public), "{wrong}");
        }
    }

    /// The key was made with `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`.
    #[test]
    fn keys_that_openssl_made_are_read() {
        let private = "-----BEGIN PRIVATE KEY-----\n\
                       MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                       -----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\n\
                      MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
                      -----END PUBLIC KEY-----\n";
        assert_eq!(private_key(private).map(|key| key.verifying_key()), public_key(public));
    }

    /// The public key is that of RFC 8032, 7.1, test 1; it belongs to the private key above.
    #[test]
    fn the_public_key_is_that_of_the_standard() {
        assert_eq!(
            public_key("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").expect("a key").as_bytes()[..4],
            [0xd7, 0x5a, 0x98, 0x01]
        );
    }
}
