//! How the device is, as it tells the central system while there is a link.

use jiff::Timestamp;
use serde::Serialize;

use super::Position;

/// One report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// The device's clock.
    pub time: Timestamp,
    pub boot_id: String,
    pub queue: QueueHealth,
    #[serde(flatten)]
    pub device: DeviceHealth,
}

/// The events that are not delivered yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueHealth {
    /// Events that wait.
    pub depth: u64,
    pub urgent: u64,
    /// Age of the oldest of them by the device's clock, which may have been set meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_age_s: Option<u64>,
    /// Events that the broker refused for good.
    pub set_aside: u64,
}

/// The device itself. What it cannot tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeviceHealth {
    /// Free for us on the disk that holds `device.db`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// Of the hottest sensor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<f32>,
    /// Where the device's own receiver says that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    pub drops: Drops,
}

/// What was lost or turned away, each for a reason that was logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drops {
    /// Files that gave no result.
    pub files_failed: u64,
    /// Messages on the topics of commands that were not carried out, since the daemon's start.
    pub commands_refused: u64,
}
