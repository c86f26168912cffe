//! The messages of devices, checked before anything is stored: a device speaks for itself alone, in the form that
//! `deploy/asyncapi.yaml` describes.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use sha2::Digest;

use bridgeclip_domain::THUMBNAIL_BYTES_MAX;
use bridgeclip_domain::{Sha256, is_name};

use crate::form;

/// Maximum size of an accepted payload in bytes. A device's largest events have some 10 KB; its thumbnails have at most
/// 48 KiB.
const PAYLOAD_BYTES_MAX: usize = 256 << 10;
/// Maximum length of an id in bytes. Devices use UUIDs; the ids of other senders may be longer.
const ID_BYTES_MAX: usize = 128;
/// Greatest integer that every JSON reader represents exactly. Devices count from 1.
const SEQUENCE_MAX: i64 = (1 << 53) - 1;
/// 0001-01-01T00:00:00Z in seconds since 1970. RFC 3339 begins a year earlier, but PostgreSQL has no year 0.
const FIRST_SECOND: i64 = -62_135_596_800;
/// Start of the types of all device events. The version number at their end may go up.
const KINDS: [&str; 2] = ["bridgeclip.capture.", "bridgeclip.member."];

/// A message in the form in which it is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A device's event.
    Event(Event),
    /// A device's thumbnail.
    Thumbnail(Thumbnail),
    /// A message that is set aside.
    Refused(Refused),
}

/// A CloudEvent of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Topic prefix of the device, `bridge/v1/{site}/{device}`.
    pub source: String,
    /// Id of the event, unique for ever.
    pub id: String,
    /// `type` of the CloudEvent.
    pub kind: String,
    /// Number of the event; the device counts its events from 1 without gaps. Below 2^53.
    pub sequence: i64,
    /// SHA-256 of the photo, or the key of the member.
    pub subject: String,
    /// The device's clock when it stored the result, between the years 1 and 9999.
    pub time: Timestamp,
    /// Id of the photo's first event, if this event corrects it; of the member's last event, if there was one.
    pub supersedes: Option<String>,
    /// The complete event as received.
    pub body: String,
}

/// A small JPEG of a photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Topic prefix of the device, `bridge/v1/{site}/{device}`.
    pub source: String,
    /// Id of the photo's event.
    pub event_id: String,
    /// JPEG file, at most 48 KiB.
    pub jpeg: Vec<u8>,
}

/// A message that is set aside, kept with the reason for somebody to examine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Topic, with control characters replaced, and shortened to 400 characters.
    pub topic: String,
    /// Reason for the refusal, with control characters replaced, and shortened to 400 characters.
    pub reason: String,
    /// SQLSTATE of the refusal, if PostgreSQL refused the message.
    pub sqlstate: Option<String>,
    /// Payload: complete if it has the form of an event or a thumbnail, otherwise its first 16 KiB.
    pub payload: Vec<u8>,
    /// Length of the complete payload in bytes.
    pub bytes: u64,
    /// SHA-256 of topic, NUL and complete payload. It identifies a message that arrives again.
    pub sha256: Sha256,
}

/// Number of bytes kept of a malformed payload; more than a device's largest event has.
const REFUSED_BYTES_MAX: usize = 16 << 10;
/// Number of characters kept of a refused message's topic and of the reason.
const WORDS_MAX: usize = 400;

impl Message {
    /// Reads a message; a malformed one becomes [`Message::Refused`]. `prefix` is the start of all devices' topics,
    /// `bridge/v1`.
    pub fn read(prefix: &str, topic: &[u8], payload: &[u8]) -> Self {
        let text = std::str::from_utf8(topic).map_err(|_| "its topic is not UTF-8".to_owned());
        text.and_then(|topic| read(prefix, topic, payload)).unwrap_or_else(|reason| {
            Message::Refused(Refused::new(&String::from_utf8_lossy(topic), payload, REFUSED_BYTES_MAX, &reason))
        })
    }

    /// Returns the event, if the message is one.
    pub fn as_event(&self) -> Option<&Event> {
        match self {
            Message::Event(event) => Some(event),
            _ => None,
        }
    }

    /// Returns the thumbnail, if the message is one.
    pub fn as_thumbnail(&self) -> Option<&Thumbnail> {
        match self {
            Message::Thumbnail(thumbnail) => Some(thumbnail),
            _ => None,
        }
    }

    /// Returns the refusal, if the message is one.
    pub fn as_refused(&self) -> Option<&Refused> {
        match self {
            Message::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    /// Returns the message as set aside, with its complete payload, the reason and the database's SQLSTATE.
    pub fn refused(&self, reason: &str, sqlstate: Option<&str>) -> Refused {
        let refused = match self {
            Message::Event(event) => event.refused(reason),
            Message::Thumbnail(thumbnail) => thumbnail.refused(reason),
            Message::Refused(refused) => Refused { reason: in_short(reason), ..refused.clone() },
        };
        Refused { sqlstate: sqlstate.map(in_short), ..refused }
    }
}

impl Event {
    /// Returns the event as set aside for the given reason.
    pub fn refused(&self, reason: &str) -> Refused {
        let topic = match self.kind.starts_with(KINDS[0]) {
            true => format!("{}/{RESULT}", self.source),
            false => format!("{}/{MEMBER}{}", self.source, self.subject),
        };
        Refused::new(&topic, self.body.as_bytes(), PAYLOAD_BYTES_MAX, reason)
    }
}

impl Thumbnail {
    /// Returns the thumbnail as set aside for the given reason.
    pub fn refused(&self, reason: &str) -> Refused {
        let topic = format!("{}/{THUMBNAIL}{}", self.source, self.event_id);
        Refused::new(&topic, &self.jpeg, PAYLOAD_BYTES_MAX, reason)
    }
}

impl Refused {
    fn new(topic: &str, payload: &[u8], kept_max: usize, reason: &str) -> Self {
        let mut hash = sha2::Sha256::new();
        for part in [topic.as_bytes(), b"\0", payload] {
            hash.update(part);
        }
        Refused {
            topic: in_short(topic),
            reason: in_short(reason),
            sqlstate: None,
            payload: payload[..payload.len().min(kept_max)].to_vec(),
            bytes: payload.len() as u64,
            sha256: Sha256(hash.finalize().into()),
        }
    }

    /// Returns a version that every database can store: hash, size and reason in ASCII, without the payload.
    pub fn reduced(&self) -> Self {
        let ascii = |text: &str| text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
        Refused {
            topic: ascii(&self.topic),
            reason: ascii(&format!("{}; its payload could not be stored", self.reason)),
            payload: Vec::new(),
            ..self.clone()
        }
    }
}

/// Returns the first [`WORDS_MAX`] characters of a text, with control characters replaced: a terminal, a log or a
/// database could stumble over them.
fn in_short(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(WORDS_MAX).map(plain).collect();
    if text.chars().nth(WORDS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// The parts of a CloudEvent that a collector checks or stores in columns.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    time: Timestamp,
    #[serde(borrow)]
    data: EventData<'a>,
}

/// The checked parts of an event's `data`.
#[derive(Deserialize)]
struct EventData<'a> {
    sequence: i64,
    #[serde(borrow)]
    supersedes: Option<Cow<'a, str>>,
    position: Option<CapturePosition>,
}

/// Position of a capture, in degrees.
#[derive(Deserialize)]
struct CapturePosition {
    latitude_deg: f64,
    longitude_deg: f64,
}

/// End of the topic of results, after the device's prefix.
const RESULT: &str = "capture/result";
/// Middle of the topic of thumbnails, between the device's prefix and the event's id.
const THUMBNAIL: &str = "capture/thumb/";

/// Middle of the topic of answers about members, between the device's prefix and the member's key.
const MEMBER: &str = "member/result/";

fn read(prefix: &str, topic: &str, payload: &[u8]) -> Result<Message, String> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(format!("{} bytes; at most {PAYLOAD_BYTES_MAX} are taken", payload.len()));
    }
    let (source, below) = split(prefix, topic)?;
    match (below, below.strip_prefix(THUMBNAIL)) {
        (RESULT, _) => event(source, KINDS[0], payload).map(Message::Event),
        (_, Some(event_id)) if is_id(event_id) => thumbnail(source, event_id, payload).map(Message::Thumbnail),
        _ if below.strip_prefix(MEMBER).is_some_and(is_id) => event(source, KINDS[1], payload).map(Message::Event),
        _ => Err("not a topic of results, thumbnails or members".to_owned()),
    }
}

/// Splits a topic into the device's prefix and the rest below it.
fn split<'a>(prefix: &str, topic: &'a str) -> Result<(&'a str, &'a str), String> {
    let levels = || {
        let (site, rest) = topic.strip_prefix(prefix)?.strip_prefix('/')?.split_once('/')?;
        let (device, below) = rest.split_once('/')?;
        Some((site, device, below))
    };
    let (site, device, below) = levels().ok_or("no topic of a device")?;
    match is_name(site) && is_name(device) {
        true => Ok((&topic[..topic.len() - below.len() - 1], below)),
        false => Err("no topic of a device: site and device are 1 to 64 letters, digits, '.', '_' or '-'".to_owned()),
    }
}

fn thumbnail(source: &str, event_id: &str, jpeg: &[u8]) -> Result<Thumbnail, String> {
    if !jpeg.starts_with(&[0xff, 0xd8]) {
        return Err("no JPEG".to_owned());
    }
    match jpeg.len() > THUMBNAIL_BYTES_MAX {
        true => Err(format!("a thumbnail of {} bytes; at most {THUMBNAIL_BYTES_MAX} are taken", jpeg.len())),
        false => Ok(Thumbnail { source: source.to_owned(), event_id: event_id.to_owned(), jpeg: jpeg.to_vec() }),
    }
}

/// Reads an event whose type starts with `kinds`.
fn event(source: &str, kinds: &str, payload: &[u8]) -> Result<Event, String> {
    let body = std::str::from_utf8(payload).map_err(|error| format!("not UTF-8: {error}"))?;
    let not_ours = |error: serde_json::Error| format!("no event of ours: {error}");
    form::check(body).map_err(not_ours)?;
    let envelope: Envelope = serde_json::from_str(body).map_err(not_ours)?;
    check(&envelope, source, kinds)?;
    Ok(Event {
        source: source.to_owned(),
        id: envelope.id.into_owned(),
        kind: envelope.kind.into_owned(),
        sequence: envelope.data.sequence,
        subject: envelope.subject.into_owned(),
        time: envelope.time,
        supersedes: envelope.data.supersedes.map(Cow::into_owned),
        body: body.to_owned(),
    })
}

fn check(envelope: &Envelope, source: &str, kinds: &str) -> Result<(), String> {
    let Envelope { specversion, id, kind, subject, data, .. } = envelope;
    if envelope.source != source {
        return Err(format!("it says that it comes from {}", envelope.source));
    }
    if specversion != "1.0" || !kind.starts_with(kinds) || !is_id(kind) {
        return Err(format!("a CloudEvent {specversion} of type {kind}; only {kinds}… is taken on this topic"));
    }
    if let Some(wrong) = [Some(id), Some(subject), data.supersedes.as_ref()].into_iter().flatten().find(|id| !is_id(id))
    {
        return Err(format!(
            "an id has 1 to {ID_BYTES_MAX} ASCII characters without space and '/', this is none: `{wrong}`"
        ));
    }
    if !(1..=SEQUENCE_MAX).contains(&data.sequence) {
        return Err(format!("sequence {} is not from 1 to {SEQUENCE_MAX}", data.sequence));
    }
    if envelope.time.as_second() < FIRST_SECOND {
        return Err(format!("time {} is before the year 1", envelope.time));
    }
    match &data.position {
        Some(CapturePosition { latitude_deg: north, longitude_deg: east })
            if north.abs() > 90.0 || east.abs() > 180.0 =>
        {
            Err(format!("latitude {north}, longitude {east} is no position"))
        }
        _ => Ok(()),
    }
}

/// Reports whether the text is an id: 1 to [`ID_BYTES_MAX`] printable ASCII characters without space and `/`.
fn is_id(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TOPIC: &str = "bridge/v1/site/unit/capture/result";

    fn body() -> Value {
        json!({
            "specversion": "1.0", "id": "e-1", "source": "bridge/v1/site/unit", "type": "bridgeclip.capture.result.v1",
            "subject": "ab12", "time": "2026-05-01T00:00:00Z",
            "data": { "sequence": 7, "supersedes": "e-0", "verdict": {} },
        })
    }

    fn refused(topic: &str, payload: &[u8]) -> Refused {
        match Message::read("bridge/v1", topic.as_bytes(), payload) {
            Message::Refused(refused) => refused,
            message => panic!("{message:?}"),
        }
    }

    fn reason(topic: &str, payload: &[u8]) -> String {
        refused(topic, payload).reason
    }

    #[test]
    fn events_and_thumbnails_are_read() {
        let text = body().to_string();
        let read = |topic: &str, payload| Message::read("bridge/v1", topic.as_bytes(), payload);
        let Message::Event(event) = read(TOPIC, text.as_bytes()) else { panic!("an event") };
        assert_eq!((event.source.as_str(), event.id.as_str(), event.sequence), ("bridge/v1/site/unit", "e-1", 7));
        assert_eq!((event.supersedes.as_deref(), &event.body), (Some("e-0"), &text));
        let thumbnail = read("bridge/v1/site/unit/capture/thumb/e-1", b"\xff\xd8\xff");
        let Message::Thumbnail(thumbnail) = thumbnail else { panic!("a thumbnail") };
        assert_eq!((thumbnail.source.as_str(), thumbnail.event_id.as_str()), ("bridge/v1/site/unit", "e-1"));
    }

    #[test]
    fn a_device_speaks_for_itself_alone_and_in_our_form() {
        let changed = |name: &str, value: Value| {
            let mut body = body();
            body[name] = value;
            reason(TOPIC, body.to_string().as_bytes())
        };
        let cases = [
            ("source", json!("bridge/v1/site/other"), "comes from"),
            ("id", json!(""), "this is none"),
            ("id", json!("a\u{0}b"), "NUL"),
            ("id", json!("x".repeat(10_000)), "this is none"),
            ("id", json!(["e-1"]), "invalid type"),
            ("subject", json!("a b"), "this is none"),
            ("type", json!("org.example.other"), "of type org.example.other"),
            ("specversion", json!("0.3"), "CloudEvent 0.3"),
            ("time", json!("yesterday"), "no event of ours"),
            ("time", json!("0000-12-31T23:59:59Z"), "before the year 1"),
            ("time", json!("+300000-01-01T00:00:00Z"), "no event of ours"),
            ("data", json!({ "sequence": 0 }), "sequence 0"),
            ("data", json!({ "sequence": -3 }), "sequence -3"),
            ("data", json!({ "sequence": 1_u64 << 53 }), "sequence 9007199254740992"),
            ("data", json!({ "sequence": 1e40 }), "no event of ours"),
            ("data", json!({ "sequence": "7" }), "no event of ours"),
            ("data", json!({ "sequence": 7, "supersedes": "" }), "this is none"),
            ("data", json!({ "sequence": 7, "position": { "latitude_deg": 91, "longitude_deg": 0 } }), "no position"),
            ("data", json!({ "sequence": 7, "position": { "latitude_deg": 0, "longitude_deg": -181 } }), "no position"),
            ("data", json!({ "sequence": 7, "position": "here" }), "no event of ours"),
            ("extra", json!("a\u{0}b"), "NUL"),
        ];
        for (name, value, expected) in cases {
            let reason = changed(name, value);
            assert!(reason.contains(expected), "{name}: {reason}");
        }
        assert!(reason(TOPIC, b"{").contains("no event of ours"));
        assert!(reason(TOPIC, b"\xff").contains("UTF-8"));
        assert!(reason(TOPIC, &vec![b' '; PAYLOAD_BYTES_MAX + 1]).contains("at most"));
        let twice = body().to_string().replacen("\"id\"", "\"id\":\"e-2\",\"id\"", 1);
        assert!(reason(TOPIC, twice.as_bytes()).contains("duplicate field"));
        let text = body().to_string();
        for topic in ["bridge/v1/capture/result", "bridge/v2/site/unit/capture/result", "bridge/v1/site/unit/status"] {
            assert!(reason(topic, text.as_bytes()).contains("topic"), "{topic}");
        }
        let site = format!("bridge/v1/{}/unit/capture/result", "x".repeat(3_000));
        for topic in [&*site, "bridge/v1//unit/capture/result", "bridge/v1/a b/unit/capture/result"] {
            assert!(reason(topic, text.as_bytes()).contains("1 to 64 letters"), "{topic}");
        }
        assert_eq!(reason("bridge/v1/site/unit/capture/thumb/e-1", b"GIF"), "no JPEG");
        let large = [vec![0xff, 0xd8], vec![0; THUMBNAIL_BYTES_MAX]].concat();
        assert!(reason("bridge/v1/site/unit/capture/thumb/e-1", &large).contains("at most 49152"));
        assert!(reason("bridge/v1/site/unit/capture/thumb/a/b", b"\xff\xd8").contains("topic"));
        let Message::Refused(refused) = Message::read("bridge/v1", b"bridge/v1/\xff/unit/capture/result", b"") else {
            panic!("refused")
        };
        assert_eq!(refused.reason, "its topic is not UTF-8");
    }

    #[test]
    fn every_time_that_databases_have_is_taken() {
        for time in ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-30T00:00:00Z"] {
            let mut body = body();
            body["time"] = json!(time);
            let message = Message::read("bridge/v1", TOPIC.as_bytes(), body.to_string().as_bytes());
            assert!(message.as_event().is_some(), "{message:?}");
        }
    }

    #[test]
    fn what_is_set_aside_is_short_and_plain_but_for_its_payload() {
        let long = refused("bridge/v1/\u{1b}[31m/unit/capture/result", &vec![b'x'; PAYLOAD_BYTES_MAX + 1]);
        assert!(!long.topic.contains('\u{1b}') && long.topic.contains('\u{fffd}'), "{}", long.topic);
        assert_eq!((long.payload.len(), long.bytes), (REFUSED_BYTES_MAX, PAYLOAD_BYTES_MAX as u64 + 1));
        let mut wrong = body();
        wrong["id"] = json!("橋".repeat(5_000));
        let wordy = refused(TOPIC, wrong.to_string().as_bytes());
        assert_eq!(wordy.reason.chars().count(), WORDS_MAX + 1);
        assert!(wordy.reduced().reason.is_ascii() && wordy.reduced().payload.is_empty());
        assert_ne!(long.sha256, wordy.sha256);
        assert_eq!(wordy.reduced().sha256, wordy.sha256);
        let event = Message::read("bridge/v1", TOPIC.as_bytes(), body().to_string().as_bytes());
        let refused = event.refused("the reason", Some("54001"));
        assert_eq!((refused.topic.as_str(), refused.sqlstate.as_deref()), (TOPIC, Some("54001")));
        assert_eq!(refused.payload, body().to_string().into_bytes());
    }
}
