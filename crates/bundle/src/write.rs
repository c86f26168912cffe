//! Writes bundles.

use std::io::{self, Write};

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use sha2::Digest;

use bridgeclip_domain::Sha256;
use bridgeclip_journal::ForeignEvent;

use crate::format::{BundleEnd, BundleEvent, BundleHead, BundleLine, FORMAT, signed_bytes};
use crate::key::DeviceKey;

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
    let mut lines = LineWriter { out, hasher: sha2::Sha256::new() };
    let head = BundleHead { format: FORMAT.to_owned(), device: device.to_owned(), exported_at, key: key.public() };
    lines.write(&BundleLine::Head(head))?;
    let mut count = 0;
    for event in events {
        lines.write(&BundleLine::Event(line_of(event?)))?;
        count += 1;
    }
    let sha256 = Sha256(lines.hasher.clone().finalize().into());
    let signature = key.sign(&signed_bytes(&sha256));
    lines.write(&BundleLine::End(BundleEnd { events: count, sha256, signature }))?;
    lines.out.flush()?;
    Ok(count)
}

/// Writer of a bundle's lines, which hashes them.
struct LineWriter<W> {
    out: W,
    hasher: sha2::Sha256,
}

impl<W: Write> LineWriter<W> {
    fn write(&mut self, line: &BundleLine) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.hasher.update(&bytes);
        self.out.write_all(&bytes)
    }
}

fn line_of(event: ForeignEvent) -> BundleEvent {
    let (payload, payload_base64) = match String::from_utf8(event.payload) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(Base64::encode_string(error.as_bytes()))),
    };
    BundleEvent {
        class: event.class.name().to_owned(),
        id: event.event_id,
        topic: event.topic,
        payload,
        payload_base64,
    }
}
