//! A moment and how far it can be trusted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment in UTC and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    pub at: Timestamp,
    pub quality: TimeQuality,
}

/// The origin of a time, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeQuality {
    /// A satellite receiver.
    Gps,
    /// The device's clock while it is kept by NTP.
    Ntp,
    /// The camera's clock.
    Exif,
    /// The device's clock, which nothing has set since it started.
    Unsynced,
}
