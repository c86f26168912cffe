//! Identity under which events are made, and parameters of the journal.

use std::time::Duration;

use bridgeclip_domain::Sha256;

/// Identity under which events are made. It stays the same for a whole run of the daemon.
#[derive(Clone, Debug)]
pub struct DeviceIdentity {
    /// Topic prefix of the device, `bridge/v1/{site}/{device}`.
    pub source: String,
    /// Id of the machine's start.
    pub boot_id: String,
    /// Name and version of the model package, separated by a space.
    pub package: String,
    /// SHA-256 of the package's manifest, as 64 hexadecimal digits.
    pub package_hash: String,
    /// Embedding space of the package's encoders.
    pub embedding_space: Sha256,
}

/// Parameters of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Longest time that deletions and refusals wait for other requests to share their commit. A result never waits.
    pub group_window: Duration,
    /// Number of refusals after which an event is set aside.
    pub tries_max: u32,
    /// Bytes that the rows may use. Beyond them thumbnails and delivered captures are dropped.
    pub quota_bytes: u64,
    /// Bytes of the drive that are left free for other programs.
    pub keep_free_bytes: u64,
    /// Size of the reserve, a file that gives up its room when the drive is full. 0 for none.
    pub reserve_bytes: u64,
    /// Whether every byte of the link costs money. A short event then goes ahead of each result.
    pub metered: bool,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            group_window: Duration::from_millis(100),
            tries_max: 5,
            quota_bytes: 8_000_000_000,
            keep_free_bytes: 200_000_000,
            reserve_bytes: 16_000_000,
            metered: false,
        }
    }
}
