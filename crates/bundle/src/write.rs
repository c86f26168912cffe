//! Writes bundles.

use std::io::{self, Write};

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use sha2::Digest;

use bridgeclip_domain::Sha256;
use bridgeclip_journal::ForeignEvent;

use super::{DeviceKey, End, Event, FORMAT, Head, Line, signed_bytes};

/// Writes a bundle with the events in the given order, and returns their number.
///
/// `device` is the topic prefix of the exporting device. The first error of `out` or of `events` ends the writing.
pub fn write<E: From<io::Error>>(
    out: impl Write,
    device: &str,
    exported_at: Timestamp,
    key: &DeviceKey,
    events: impl Iterator<Item = Result<ForeignEvent, E>>,
) -> Result<u64, E> {
    let mut lines = Lines { out, hasher: sha2::Sha256::new() };
    let head = Head { format: FORMAT.to_owned(), device: device.to_owned(), exported_at, key: key.public() };
    lines.write(&Line::Head(head))?;
    let mut count = 0;
    for event in events {
        lines.write(&Line::Event(line_of(event?)))?;
        count += 1;
    }
    let sha256 = Sha256(lines.hasher.clone().finalize().into());
    let signature = key.sign(&signed_bytes(&sha256));
    lines.write(&Line::End(End { events: count, sha256, signature }))?;
    lines.out.flush()?;
    Ok(count)
}

/// Writer of a bundle's lines, which hashes them.
struct Lines<W> {
    out: W,
    hasher: sha2::Sha256,
}

impl<W: Write> Lines<W> {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.hasher.update(&bytes);
        self.out.write_all(&bytes)
    }
}

fn line_of(event: ForeignEvent) -> Event {
    let (payload, payload_base64) = match String::from_utf8(event.payload) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(Base64::encode_string(error.as_bytes()))),
    };
    Event { class: event.class.name().to_owned(), id: event.event_id, topic: event.topic, payload, payload_base64 }
}
