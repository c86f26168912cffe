//! The event that leaves the device: CloudEvents 1.0 in JSON. Its bytes are made once, with the result, and never change.

use jiff::Timestamp;
use serde::Serialize;

use super::{Burst, Camera, Capture, Drone, Exposure, PhotoQuality, Position, Sha256, Tag, Time, Verdict};

/// `type` of a result event; the number goes up when a consumer of the old form would misread the new one.
pub const EVENT_FORMAT: &str = "bridgeclip.capture.result.v1";

/// What an event says besides the capture and the verdict.
#[derive(Clone, Debug)]
pub struct EventContext<'a> {
    /// Unique for ever; consumers ignore an id that they know.
    pub id: &'a str,
    /// `bridge/v1/{site}/{device}`.
    pub source: &'a str,
    /// Counts this device's events from 1 without gaps.
    pub sequence: i64,
    /// The start of the machine during which the event was made.
    pub boot_id: &'a str,
    /// Whether the link was down when the result was stored, so that the event had to wait.
    pub queued: bool,
    /// Name, version and hash of the model package.
    pub package: &'a str,
    pub package_hash: &'a str,
    /// The device's clock when the result was stored.
    pub stored_at: Timestamp,
}

/// Makes the bytes of a result event.
pub fn capture_result(context: &EventContext, capture: &Capture, verdict: &Verdict) -> Vec<u8> {
    let event = CloudEvent {
        specversion: "1.0",
        id: context.id,
        source: context.source,
        r#type: EVENT_FORMAT,
        subject: capture.sha256,
        time: context.stored_at,
        datacontenttype: "application/json",
        sequence: context.sequence.to_string(),
        data: ResultData {
            sequence: context.sequence,
            boot_id: context.boot_id,
            queued: context.queued,
            taken: &capture.taken,
            monotonic_ms: capture.monotonic_ns.map(|ns| ns / 1_000_000),
            image: Image {
                sha256: capture.sha256,
                file: capture.path.file_name().map(|name| name.to_string_lossy().into_owned()),
                bytes: capture.bytes,
                pixels: capture.pixels,
                camera: &capture.camera,
                exposure: &capture.exposure,
                quality: capture.quality,
            },
            position: capture.position.as_ref(),
            drone: capture.drone.as_ref(),
            tag: capture.tag.as_ref(),
            burst: capture.burst,
            package: Package { name: context.package, hash: context.package_hash },
            verdict,
        },
    };
    serde_json::to_vec(&event).expect("an event has string keys and finite numbers")
}

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'static str,
    subject: Sha256,
    time: Timestamp,
    datacontenttype: &'static str,
    /// The CloudEvents `sequence` extension is a string.
    sequence: String,
    data: ResultData<'a>,
}

#[derive(Serialize)]
struct ResultData<'a> {
    sequence: i64,
    boot_id: &'a str,
    queued: bool,
    taken: &'a Time,
    /// `taken` by the clock that counts from the start of the machine; it belongs to `boot_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    monotonic_ms: Option<u64>,
    image: Image<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<&'a Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drone: Option<&'a Drone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<Burst>,
    package: Package<'a>,
    verdict: &'a Verdict,
}

#[derive(Serialize)]
struct Image<'a> {
    sha256: Sha256,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    bytes: u64,
    pixels: [u32; 2],
    camera: &'a Camera,
    #[serde(skip_serializing_if = "Exposure::is_unknown")]
    exposure: &'a Exposure,
    quality: PhotoQuality,
}

#[derive(Serialize)]
struct Package<'a> {
    name: &'a str,
    hash: &'a str,
}
