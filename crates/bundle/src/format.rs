//! The format of a bundle: its lines, and what their signature covers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use bridgeclip_domain::Sha256;

use crate::key::PublicKey;

/// Format of a bundle. The number goes up when an older program would misread a newer bundle.
pub const FORMAT: &str = "bridgeclip.bundle.v1";

/// Maximum length of a line in bytes, newline included; far more than any event needs.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// One JSON line of a bundle.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BundleLine {
    /// The first line.
    Head(BundleHead),
    /// A line with an event.
    Event(BundleEvent),
    /// The last line.
    End(BundleEnd),
}

/// First line of a bundle: who made it, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BundleHead {
    /// Format of the bundle; this version accepts only `bridgeclip.bundle.v1`.
    pub format: String,
    /// Topic prefix of the exporting device, `bridge/v1/{site}/{device}`.
    pub device: String,
    /// Time of the export, by the exporting device's clock.
    pub exported_at: Timestamp,
    /// Public key that verifies the signature in the bundle's end.
    pub key: PublicKey,
}

/// Line of a bundle that carries one event; exactly one of the two payload fields is set.
#[derive(Debug, Serialize, Deserialize)]
pub struct BundleEvent {
    /// Name of the event's class.
    pub class: String,
    /// Id of the event, 1 to 128 printable ASCII characters without space.
    pub id: String,
    /// Complete topic of the event, at most 512 bytes.
    pub topic: String,
    /// Payload that is UTF-8 text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Payload that is not UTF-8 text, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
}

/// Last line of a bundle.
#[derive(Debug, Serialize, Deserialize)]
pub struct BundleEnd {
    /// Number of events in the bundle.
    pub events: u64,
    /// SHA-256 of all lines before this one.
    pub sha256: Sha256,
    /// Ed25519 signature of [`signed_bytes`], in base64.
    pub signature: String,
}

/// Returns the bytes that a bundle's signature covers: the format, a newline, and the SHA-256 of all lines before the
/// end.
pub fn signed_bytes(sha256: &Sha256) -> Vec<u8> {
    [FORMAT.as_bytes(), b"\n", &sha256.0].concat()
}
