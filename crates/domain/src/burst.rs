//! Bursts: near-identical frames taken within moments.

use serde::{Deserialize, Serialize};

use super::Sha256;

/// Place of a capture in a burst. The representative, frame 1, has no such entry, because it was stored before the
/// burst existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// Hash of the first frame, whose result represents the burst.
    pub representative: Sha256,
    /// Number of the frame, counting the representative as 1. The number of the last frame is the size of the burst.
    pub frame: u32,
}
