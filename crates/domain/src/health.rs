//! How the device is, as it tells the central system while there is a link.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Position;

/// One report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// The device's clock.
    pub time: Timestamp,
    pub boot_id: String,
    pub queue: QueueHealth,
    pub losses: Losses,
    /// Why the device refuses photos, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    #[serde(flatten)]
    pub held: HeldBack,
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

/// What the broker does not take for now, while everything else goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldBack {
    #[serde(rename = "held", skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<HeldPart>,
    /// Parts beyond those that are named.
    #[serde(rename = "held_more", skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// One part of what is sent, which waits because the broker refused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldPart {
    /// Topics, as a filter, or the part in words.
    pub what: String,
    /// Single events of it, of which the others go on. Absent if all of them wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// Why, as the broker gave it.
    pub reason: String,
    /// Seconds since it was first refused.
    pub for_s: u64,
    /// Seconds until it is tried again.
    pub next_try_s: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
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
    /// Files that cannot be read at the moment and are tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Unreadable>,
    /// Doors of the field page that cannot be opened at the moment and are tried again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub closed_doors: Vec<ClosedDoor>,
    pub drops: Drops,
}

/// Files that the drive, not their content, keeps from being classified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    pub files: u64,
    /// Why the last one that was tried cannot be read.
    pub reason: String,
}

/// A door of the field page that cannot be opened, because another program has its port, say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClosedDoor {
    pub listen: SocketAddr,
    pub reason: String,
}

/// What was lost or turned away, each for a reason that was logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drops {
    /// Files that gave no result.
    pub files_failed: u64,
    /// Messages on the topics of commands that were not carried out, since the daemon's start.
    pub commands_refused: u64,
}

/// What was dropped, refused or set aside since this device was first started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Losses {
    /// Thumbnails that gave way when the quota was reached, or were larger than allowed.
    pub thumbnails_dropped: u64,
    /// Delivered captures that gave way when the quota was reached.
    pub captures_forgotten: u64,
    /// Events that the broker refused for good.
    pub events_set_aside: u64,
    /// Events of other devices that were dropped by hand.
    pub imports_dropped: u64,
    /// How often the device was full and refused photos.
    pub times_full: u64,
    /// Damaged databases that were set aside.
    pub files_quarantined: u64,
    /// Rows of them that could not be salvaged; their photos were queued again.
    pub rows_damaged: u64,
    /// Sequence numbers that were given before damage and are missing since.
    pub sequences_skipped: u64,
}
