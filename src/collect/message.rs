//! What devices send, checked before anything is stored: a device speaks for itself alone, in the form that
//! `deploy/asyncapi.yaml` describes.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

/// Larger payloads are no events of ours. The largest that devices make have some 10 KB; thumbnails have 48 KiB.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 10;
/// An id is a UUID; others may be longer.
const ID_BYTES_MAX: usize = 128;

/// A message, as it goes into the database.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Event(Event),
    Thumbnail(Thumbnail),
    Refused(Refused),
}

/// A CloudEvent.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The device, `bridge/v1/{site}/{device}`.
    pub source: String,
    /// Unique for ever.
    pub id: String,
    /// `type` of the CloudEvent.
    pub kind: String,
    /// Counts the device's events from 1 without gaps.
    pub sequence: i64,
    /// SHA-256 of the photo.
    pub subject: String,
    /// The device's clock when the result was stored.
    pub time: Timestamp,
    /// The event that told of the photo first, if this one corrects it.
    pub supersedes: Option<String>,
    /// The whole event as it came.
    pub body: String,
}

/// A small JPEG of a photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    pub source: String,
    /// Of the event that told of the photo.
    pub event_id: String,
    pub jpeg: Vec<u8>,
}

/// What no device of ours would send, kept with the reason so that somebody can look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub topic: String,
    pub reason: String,
    /// The first bytes of the payload.
    pub payload: Vec<u8>,
}

/// Kept of a payload that is refused.
const REFUSED_BYTES_MAX: usize = 4096;

impl Message {
    /// Reads a message. `prefix` is what the topics of all devices begin with, `bridge/v1`.
    pub fn read(prefix: &str, topic: &str, payload: &[u8]) -> Self {
        read(prefix, topic, payload).unwrap_or_else(|reason| Self::refused(topic, payload, reason))
    }

    pub fn as_event(&self) -> Option<&Event> {
        match self {
            Message::Event(event) => Some(event),
            _ => None,
        }
    }

    pub fn as_thumbnail(&self) -> Option<&Thumbnail> {
        match self {
            Message::Thumbnail(thumbnail) => Some(thumbnail),
            _ => None,
        }
    }

    pub fn as_refused(&self) -> Option<&Refused> {
        match self {
            Message::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    pub fn refused(topic: &str, payload: &[u8], reason: String) -> Self {
        let payload = payload[..payload.len().min(REFUSED_BYTES_MAX)].to_vec();
        Message::Refused(Refused { topic: topic.to_owned(), reason, payload })
    }
}

/// Only what is needed here.
#[derive(Deserialize)]
struct Envelope<'a> {
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
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    sequence: i64,
    #[serde(borrow)]
    supersedes: Option<Cow<'a, str>>,
}

fn read(prefix: &str, topic: &str, payload: &[u8]) -> Result<Message, String> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(format!("{} bytes; at most {PAYLOAD_BYTES_MAX} are taken", payload.len()));
    }
    let (source, below) = split(prefix, topic).ok_or("no topic of a device")?;
    match below {
        "capture/result" => event(source, payload).map(Message::Event),
        _ => match below.strip_prefix("capture/thumb/") {
            Some(event_id) if is_id(event_id) => {
                if !payload.starts_with(&[0xff, 0xd8]) {
                    return Err("no JPEG".to_owned());
                }
                let (source, event_id) = (source.to_owned(), event_id.to_owned());
                Ok(Message::Thumbnail(Thumbnail { source, event_id, jpeg: payload.to_vec() }))
            }
            _ => Err("not a topic of results or thumbnails".to_owned()),
        },
    }
}

/// The device and what is below it.
fn split<'a>(prefix: &str, topic: &'a str) -> Option<(&'a str, &'a str)> {
    let levels = topic.strip_prefix(prefix)?.strip_prefix('/')?;
    let (site, rest) = levels.split_once('/')?;
    let (device, below) = rest.split_once('/')?;
    let source = &topic[..topic.len() - below.len() - 1];
    (!site.is_empty() && !device.is_empty()).then_some((source, below))
}

fn event(source: &str, payload: &[u8]) -> Result<Event, String> {
    let body = std::str::from_utf8(payload).map_err(|_| "not UTF-8")?;
    let envelope: Envelope = serde_json::from_str(body).map_err(|error| format!("no event of ours: {error}"))?;
    if envelope.source != source {
        return Err(format!("it says that it comes from {}", envelope.source));
    }
    let ids = [Some(&envelope.id), Some(&envelope.subject), envelope.data.supersedes.as_ref()];
    if !ids.into_iter().flatten().all(|id| is_id(id)) || envelope.data.sequence < 1 {
        return Err("its id, subject or sequence is not of the form that events have".to_owned());
    }
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
            "specversion": "1.0", "id": "e-1", "source": "bridge/v1/site/unit", "type": "kind", "subject": "ab12",
            "time": "2026-05-01T00:00:00Z", "data": { "sequence": 7, "supersedes": "e-0", "verdict": {} },
        })
    }

    fn reason(topic: &str, payload: &[u8]) -> String {
        match Message::read("bridge/v1", topic, payload) {
            Message::Refused(refused) => refused.reason,
            message => panic!("{message:?}"),
        }
    }

    #[test]
    fn events_and_thumbnails_are_read() {
        let text = body().to_string();
        let Message::Event(event) = Message::read("bridge/v1", TOPIC, text.as_bytes()) else { panic!("an event") };
        assert_eq!((event.source.as_str(), event.id.as_str(), event.sequence), ("bridge/v1/site/unit", "e-1", 7));
        assert_eq!((event.supersedes.as_deref(), event.body), (Some("e-0"), text));
        let thumbnail = Message::read("bridge/v1", "bridge/v1/site/unit/capture/thumb/e-1", b"\xff\xd8\xff");
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
        assert!(changed("source", json!("bridge/v1/site/other")).contains("comes from"));
        assert!(changed("id", json!("")).contains("its id"));
        assert!(changed("id", json!("a\u{0}b")).contains("its id"));
        assert!(changed("data", json!({ "sequence": 0 })).contains("sequence"));
        assert!(changed("time", json!("yesterday")).contains("no event of ours"));
        assert!(reason(TOPIC, b"{").contains("no event of ours"));
        assert!(reason(TOPIC, b"\xff").contains("UTF-8"));
        assert!(reason(TOPIC, &vec![b' '; PAYLOAD_BYTES_MAX + 1]).contains("at most"));
        let text = body().to_string();
        for topic in ["bridge/v1/capture/result", "bridge/v2/site/unit/capture/result", "bridge/v1/site/unit/status"] {
            assert!(reason(topic, text.as_bytes()).contains("topic"), "{topic}");
        }
        assert_eq!(reason("bridge/v1/site/unit/capture/thumb/e-1", b"GIF"), "no JPEG");
        assert!(reason("bridge/v1/site/unit/capture/thumb/a/b", b"\xff\xd8").contains("topic"));
    }
}
