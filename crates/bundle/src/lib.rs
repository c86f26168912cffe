//! A bundle: waiting events in a signed file, which a USB stick carries where no link reaches.
//!
//! A bundle consists of JSON lines: a head, one line for each event, and an end. The end holds the number of events,
//! the SHA-256 of all lines before it, and the device's Ed25519 signature of that hash. Events keep their ids, topics
//! and bytes, so a receiver recognises an event that also arrives by the link.
//!
//! A signature proves who brings events, not whose they are: a key speaks only for the devices that [`Trust`] names for
//! it.

mod format;
mod key;
mod read;
mod trust;
mod write;

pub use format::BundleHead;
pub use key::{DeviceKey, KeyError, NotAKey, PublicKey};
pub use read::{BundleError, Contents, Verified, read, verify};
pub use trust::{Authority, DEVICE_ROOT, Denial, Device, Devices, NotDevices, Trust, Trusted};
pub use write::write;

#[cfg(test)]
mod tests {
    use std::io;

    use jiff::Timestamp;

    use bridgeclip_journal::{EventClass, ForeignEvent};

    use super::*;
    use crate::format::LINE_BYTES_MAX;

    fn events() -> Vec<ForeignEvent> {
        let event = |class, name: &str, payload: &[u8]| ForeignEvent {
            class,
            event_id: name.to_owned(),
            topic: format!("bridge/v1/site/unit/capture/{name}"),
            payload: payload.to_vec(),
        };
        vec![
            event(EventClass::Urgent, "result", "{\"ひび割れ\": \"Ⅲ\"}".as_bytes()),
            event(EventClass::Thumbnail, "thumb", b"\xff\xd8\xff\xd9"),
        ]
    }

    fn written(key: &DeviceKey, events: Vec<ForeignEvent>) -> Vec<u8> {
        let mut out = Vec::new();
        let count = events.len() as u64;
        let events = events.into_iter().map(Ok::<_, io::Error>);
        let written = write(&mut out, "bridge/v1/site/unit", Timestamp::UNIX_EPOCH, key, events);
        assert_eq!(written.expect("written"), count);
        out
    }

    /// Returns the trust of an importer that accepts the events of one device from this key.
    fn trusting(key: &DeviceKey, device: &str) -> Trust {
        let trusted = vec![Trusted { key: key.public(), devices: vec![device.parse().expect("a device")] }];
        Trust { trusted, own: "bridge/v1/site/office".to_owned() }
    }

    fn new_key() -> DeviceKey {
        DeviceKey::open(tempfile::tempdir().expect("a temporary folder").path()).expect("a key")
    }

    #[test]
    fn events_arrive_as_they_left() {
        let key = new_key();
        let bundle = written(&key, events());
        let verified = verify(&bundle[..], &trusting(&key, "site/unit")).expect("whole");
        let contents = &verified.contents;
        assert_eq!((contents.head.device.as_str(), contents.events), ("bridge/v1/site/unit", 2));
        let read: Result<Vec<_>, _> = read(&bundle[..], &verified).collect();
        assert_eq!(read.expect("whole"), events());
    }

    #[test]
    fn what_is_not_exactly_what_the_device_signed_is_refused() {
        let key = new_key();
        let text = String::from_utf8(written(&key, events())).expect("text");
        let end = text.lines().last().expect("an end");
        let without_end = &text[..text.len() - end.len() - 1];
        let other = String::from_utf8(written(&new_key(), events())).expect("text");
        let end_of_other = other.lines().last().expect("an end");
        let signature = end.split("\"signature\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("one");
        let cases = [
            (text.replace("Ⅲ", "Ⅱ"), "changed after it was made"),
            (text.replace(end, end_of_other), "changed after it was made"),
            (text.replace(signature, &signature.chars().rev().collect::<String>()), "changed after it was made"),
            (without_end.to_owned(), "is not complete"),
            (text[..text.find("thumb").expect("the second event")].to_owned(), "line 3"),
            (text.replace("\"events\":2", "\"events\":3"), "2 events"),
            (text.replace("bundle.v1", "bundle.v2"), "bridgeclip.bundle.v2"),
            (format!("{text}more"), "after its end"),
            (text.lines().skip(1).collect::<Vec<_>>().join("\n"), "head"),
            ("[]\n".to_owned(), "line 1"),
            (String::new(), "is not complete"),
            ("x".repeat(LINE_BYTES_MAX + 2), "longer than"),
        ];
        for (text, expected) in cases {
            let error = verify(text.as_bytes(), &trusting(&key, "site/unit")).expect_err(expected).to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        let error = verify(text.as_bytes(), &trusting(&new_key(), "site/unit")).expect_err("another key").to_string();
        assert!(error.contains(&key.public().to_string()), "{error}");
    }

    #[test]
    fn a_file_that_is_another_one_when_it_is_read_again_brings_nothing_unverified() {
        let key = new_key();
        let text = String::from_utf8(written(&key, events())).expect("text");
        let verified = verify(text.as_bytes(), &trusting(&key, "site/unit")).expect("whole");
        let lines: Vec<&str> = text.lines().collect();
        let other = String::from_utf8(written(&new_key(), events())).expect("text");
        let cases = [
            (text.replace("Ⅲ", "Ⅱ"), "changed", 0),
            (text.replace("\"id\":\"thumb\"", "\"id\":\"crumb\""), "changed", 1),
            ([lines[0], lines[1], lines[1], lines[2], lines[3], ""].join("\n"), "changed", 1),
            ([lines[0], lines[2], lines[1], lines[3], ""].join("\n"), "changed", 0),
            ([lines[0], lines[1], lines[3], ""].join("\n"), "changed", 1),
            (text[..lines[0].len() + 1 + lines[1].len() + 1].to_owned(), "not complete", 1),
            (other, "changed", 0),
            (String::new(), "not complete", 0),
        ];
        for (text, expected, good) in cases {
            let read: Vec<_> = read(text.as_bytes(), &verified).collect();
            let brought: Vec<_> = read.iter().flatten().cloned().collect();
            assert_eq!(brought, events()[..good], "{text}");
            let error = read.last().and_then(|last| last.as_ref().err()).expect("an error").to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn a_key_carries_only_the_events_of_its_devices() {
        let key = new_key();
        let mut mixed = events();
        mixed[1].topic = "bridge/v1/site/third/capture/thumb".to_owned();
        let refused =
            |bundle: &[u8], device: &str| verify(bundle, &trusting(&key, device)).expect_err(device).to_string();
        let error = refused(&written(&key, mixed.clone()), "site/unit");
        assert!(error.contains("bridge/v1/site/third") && error.contains("for site/unit alone"), "{error}");
        assert!(verify(&written(&key, mixed)[..], &trusting(&key, "site/*")).is_ok());
        let error = refused(&written(&key, events()), "site/third");
        assert!(error.contains("bridge/v1/site/unit"), "{error}");
        let mut stolen = events();
        stolen[0].topic = "bridge/v1/site/office/capture/result".to_owned();
        let error = refused(&written(&key, stolen), "site/*");
        assert!(error.contains("this device"), "{error}");
    }

    #[test]
    fn only_events_of_captures_may_be_brought() {
        let topics = [
            "bridge/v1/site/unit/cmd/ping/1",
            "bridge/v1/site/unit/capture",
            "bridge/v1/site/unit/capture/",
            "bridge/v1/site/+/capture/result",
            "bridge/v1/site/unit/capture/#",
            "bridge/v2/site/unit/capture/result",
            "/bridge/v1/site/unit/capture/result",
            "capture/result",
        ];
        for topic in topics {
            let event = ForeignEvent { topic: topic.to_owned(), ..events()[0].clone() };
            let key = new_key();
            let bundle = written(&key, vec![event]);
            let error = verify(&bundle[..], &trusting(&key, "site/unit")).expect_err(topic);
            assert!(error.to_string().contains("topic"), "{topic}");
        }
    }
}
