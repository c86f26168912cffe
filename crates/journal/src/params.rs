//! Who makes the events, and how the journal works.

use std::time::Duration;

use bridgeclip_domain::Sha256;

/// Who makes the events, the same for a whole run of the daemon.
#[derive(Clone, Debug)]
pub struct DeviceIdentity {
    /// `bridge/v1/{site}/{device}`.
    pub source: String,
    pub boot_id: String,
    pub package: String,
    pub package_hash: String,
    /// Of the package's encoders.
    pub embedding_space: Sha256,
}

/// How the journal works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// How long deletions and the like wait for others that share their commit. A result never waits.
    pub group_window: Duration,
    /// Refusals of one event after which it is set aside.
    pub tries_max: u32,
    /// What the rows may use; then thumbnails and delivered captures give way.
    pub quota_bytes: u64,
    /// What the drive keeps for others.
    pub keep_free_bytes: u64,
    /// Set aside for the moment at which the drive is full.
    pub reserve_bytes: u64,
    /// Whether every byte of the link costs: then a short event goes ahead of each result.
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
