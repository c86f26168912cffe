//! Moments, and how far they can be trusted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment in UTC with its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    pub at: Timestamp,
    pub quality: TimeQuality,
}

/// Origin of a time, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeQuality {
    /// A satellite receiver.
    Gps,
    /// The device's clock while NTP keeps it.
    Ntp,
    /// The camera's clock.
    Exif,
    /// The device's clock when nothing has set it since the start.
    Unsynced,
}
