//! Condition of the device, as it is reported to the central system while there is a link.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{PassedOver, Position};

/// One report of the device's condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// Time by the device's clock.
    pub time: Timestamp,
    /// Id of the boot during which the report was made.
    pub boot_id: String,
    pub queue: QueueHealth,
    pub losses: Losses,
    /// Reason why the device refuses photos, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    /// Parts of the traffic that the broker refuses for now.
    #[serde(flatten)]
    pub held: HeldBack,
    #[serde(flatten)]
    pub device: DeviceHealth,
}

/// Events that are not delivered yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueHealth {
    /// Number of waiting events.
    pub depth: u64,
    /// Number of waiting events that are urgent.
    pub urgent: u64,
    /// Age of the oldest waiting event by the device's clock, which may have been set in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_age_s: Option<u64>,
    /// Number of events that the broker refused for good.
    pub set_aside: u64,
}

/// Traffic that the broker refuses for now, while everything else goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldBack {
    /// Refused parts that are listed.
    #[serde(rename = "held", skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<HeldPart>,
    /// Number of refused parts beyond those that are listed.
    #[serde(rename = "held_more", skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// One part of the traffic, which waits because the broker refused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldPart {
    /// Topics as a filter, or the part in words.
    pub what: String,
    /// Number of single waiting events, if the rest of the part goes on. Absent if all of the part waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// Reason, as given by the broker.
    pub reason: String,
    /// Seconds since the first refusal.
    pub for_s: u64,
    /// Seconds until the next attempt.
    pub next_try_s: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Condition of the device itself. Values that it cannot determine are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeviceHealth {
    /// Bytes that the program may still use on the disk with `device.db`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// Temperature of the hottest sensor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<f32>,
    /// Position by the device's own receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Line of the device's own receiver or flight controller; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<ReceiverHealth>,
    /// Files that cannot be read at the moment and are tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Unreadable>,
    /// Files beside photos that the last rescan, and notifications since then, have passed over.
    #[serde(skip_serializing_if = "PassedOver::is_empty")]
    pub passed_over: PassedOver,
    /// Listening addresses of the field page that cannot be opened at the moment and are tried again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub closed_doors: Vec<ClosedDoor>,
    pub drops: Drops,
}

/// Condition of the line to a receiver or flight controller.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReceiverHealth {
    /// Serial device or address, as the settings name it.
    pub source: String,
    /// `searching`, `following` or `lost`.
    pub state: String,
    /// `nmea` or `mavlink`, once it is recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Seconds since the last fix arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fix_s: Option<f64>,
    /// Number of satellites that the last fix used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub satellites: Option<u8>,
    /// What is missing, in words, with what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Files that cannot be classified because of the drive, not because of their content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Number of files.
    pub files: u64,
    /// Reason for the last file that was tried.
    pub reason: String,
}

/// An address of the field page that cannot be opened, for example because another program uses its port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClosedDoor {
    /// Address and port of the listener.
    pub listen: SocketAddr,
    /// Reason in words.
    pub reason: String,
}

/// Counts of what was lost or turned away, each time for a reason that was logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drops {
    /// Number of files that gave no result.
    pub files_failed: u64,
    /// Number of messages on command topics that were not carried out, since the daemon's start.
    pub commands_refused: u64,
}

/// Counts of what was dropped, refused or set aside since this device was first started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Losses {
    /// Thumbnails that were removed when the quota was reached, or that were larger than allowed.
    pub thumbnails_dropped: u64,
    /// Delivered captures that were removed when the quota was reached.
    pub captures_forgotten: u64,
    /// Events that the broker refused for good.
    pub events_set_aside: u64,
    /// Events of other devices that were dropped by hand.
    pub imports_dropped: u64,
    /// Number of times that the device was full and refused photos.
    pub times_full: u64,
    /// Damaged databases that were set aside.
    pub files_quarantined: u64,
    /// Rows of damaged databases that could not be salvaged; their photos were queued again.
    pub rows_damaged: u64,
    /// Sequence numbers that were assigned before damage and are missing since.
    pub sequences_skipped: u64,
}
