//! The messages that are not events: status and health.

use bytes::Bytes;
use serde::Serialize;

use bridgeclip_domain::{Health, SOFTWARE};

use super::connection::Message;
use super::{Params, Settings};

const JSON: &str = "application/json";

/// What the device says of itself when it comes and goes.
#[derive(Serialize)]
struct Status<'a> {
    state: &'static str,
    boot_id: &'a str,
    software: &'static str,
    package: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_depth: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metered: Option<bool>,
}

/// The retained message that a consumer finds when it subscribes.
pub fn online(params: &Params, settings: Settings, queue_depth: Option<u64>) -> Message {
    status(params, &Status { queue_depth, metered: Some(settings.metered), ..Status::of(params, "online") })
}

/// Takes its place when the device goes; what it says of the queue is known only if it goes in order.
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

/// How the device is. Never kept: the next one is more true.
pub fn health(params: &Params, health: &Health) -> Message {
    message(params, "health", health)
}

/// What became of a command.
pub fn reply(params: &Params, topic: &str, payload: Vec<u8>) -> Message {
    let topic = format!("{}/{topic}", params.prefix);
    Message { topic, payload: Bytes::from(payload), retain: false, content_type: JSON }
}

fn message(params: &Params, topic: &str, value: &impl Serialize) -> Message {
    let payload = serde_json::to_vec(value).expect("string keys and finite numbers");
    reply(params, topic, payload)
}
