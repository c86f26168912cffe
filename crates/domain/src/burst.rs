//! Near-identical frames that were taken within moments.

use serde::{Deserialize, Serialize};

use super::Sha256;

/// A capture's place in a burst. The representative itself, frame 1, has none: it came before there was a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// The first frame, whose result stands for all.
    pub representative: Sha256,
    /// Counts from 1; that of the last frame is the size of the burst.
    pub frame: u32,
}
