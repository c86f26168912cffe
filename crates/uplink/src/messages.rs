//! The messages other than events: status, health, and replies to commands.

use bytes::Bytes;
use serde::Serialize;

use bridgeclip_domain::{Health, SOFTWARE};

use crate::connection::Message;
use crate::link::Settings;
use crate::params::Params;

const JSON: &str = "application/json";

/// The device's status, published when the device connects and when it leaves.
#[derive(Serialize)]
struct Status<'a> {
    state: &'static str,
    boot_id: &'a str,
    software: &'static str,
    package: &'a str,
    /// Number of waiting events; absent if it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_depth: Option<u64>,
    /// Whether the link costs money; absent in the message of a device that leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    metered: Option<bool>,
}

/// Returns the retained message that a consumer finds while the device is online.
pub fn online(params: &Params, settings: Settings, queue_depth: Option<u64>) -> Message {
    status(params, &Status { queue_depth, metered: Some(settings.metered), ..Status::of(params, "online") })
}

/// Returns the retained message that replaces the online status when the device leaves.
///
/// `queue_depth` is known only if the device leaves in order; the will lacks it.
pub fn offline(params: &Params, queue_depth: Option<u64>) -> Message {
    status(params, &Status { queue_depth, ..Status::of(params, "offline") })
}

impl<'a> Status<'a> {
    fn of(params: &'a Params, state: &'static str) -> Self {
        Status {
            state,
            boot_id: &params.boot_id,
            software: SOFTWARE,
            package: &params.package,
            queue_depth: None,
            metered: None,
        }
    }
}

fn status(params: &Params, status: &Status) -> Message {
    Message { retain: true, ..message(params, "status", status) }
}

/// Returns a report of the device's health. It is not retained, because the next report supersedes it.
pub fn health(params: &Params, health: &Health) -> Message {
    message(params, "health", health)
}

/// Returns the reply to a command. `topic` is the part below the device's prefix.
pub fn reply(params: &Params, topic: &str, payload: Vec<u8>) -> Message {
    let topic = format!("{}/{topic}", params.prefix);
    Message { topic, payload: Bytes::from(payload), retain: false, content_type: JSON }
}

fn message(params: &Params, topic: &str, value: &impl Serialize) -> Message {
    let payload = serde_json::to_vec(value).expect("string keys and finite numbers");
    reply(params, topic, payload)
}
