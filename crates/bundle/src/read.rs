//! Verifies and reads bundles from untrusted sources.

use std::io::{self, BufRead, Read};

use base64ct::{Base64, Encoding};
use sha2::Digest;

use bridgeclip_domain::Sha256;
use bridgeclip_journal::{EventClass, ForeignEvent};

use crate::format::{BundleEnd, BundleEvent, BundleHead, BundleLine, FORMAT, LINE_BYTES_MAX, signed_bytes};
use crate::key::PublicKey;
use crate::trust::{Authority, DEVICE_ROOT, Denial, Trust};

/// The reason why a bundle is refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file could not be read.
    #[error("cannot read the bundle: {0}")]
    Read(#[from] io::Error),
    /// A line exceeds the maximum length.
    #[error("line {line} of the bundle is longer than {LINE_BYTES_MAX} bytes")]
    TooLong { line: u64 },
    /// A line is not valid JSON, is out of place, or carries an invalid event.
    #[error("line {line} of the bundle cannot be read: {reason}")]
    Broken { line: u64, reason: String },
    /// A newer program made the bundle; the field names its format.
    #[error("the bundle has the form {0}, this program knows {FORMAT}; update the program")]
    Format(String),
    /// The file stops before the bundle's end.
    #[error("the bundle is not complete; copy it again, and eject the stick before pulling it out")]
    Incomplete,
    /// Bytes follow the bundle's end.
    #[error("there are bytes in the bundle after its end")]
    Trailing,
    /// The number of events differs from the number in the bundle's end.
    #[error("the bundle holds {found} events, its end says {said}")]
    Count { found: u64, said: u64 },
    /// The hash or the signature does not match the content.
    #[error("the bundle was changed after it was made")]
    Changed,
    /// The key that signed the bundle is not trusted.
    #[error(
        "the bundle of {device} is signed with the key {key}, which is not trusted; if it is what `bridgeclip queue key` \
         prints on that device, name it in [[bundle.trusted]] of the settings, with the devices for which it speaks, or \
         give --key {key} and --device"
    )]
    UnknownKey { device: String, key: String },
    /// The bundle carries events of a device for which its key does not speak.
    #[error(
        "the bundle carries events of {device}, and its key {key} speaks for {devices} alone; if it may carry them, name the \
         device in its `devices` in [[bundle.trusted]], or with --device"
    )]
    NotItsDevice { device: String, key: String, devices: String },
    /// The bundle carries events of the importing device itself.
    #[error("the bundle carries events of {device}, which is this device; nobody else speaks for it")]
    Own { device: String },
}

/// A bundle's head and number of events, as signed by the exporting device.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// First line of the bundle.
    pub head: BundleHead,
    /// Number of events in the bundle.
    pub events: u64,
}

/// A bundle whose signature, content and authority were verified.
#[derive(Debug)]
pub struct Verified {
    /// Head and number of events.
    pub contents: Contents,
    /// Devices for which the bundle's key speaks.
    authority: Authority,
    /// For each line before the end, the hash of the bundle up to it.
    prefixes: Vec<Prefix>,
}

/// First half of the SHA-256 of a bundle's lines up to one of them. Finding other lines with the same 128 bits is
/// infeasible, and a million events take 16 MB.
type Prefix = [u8; 16];

/// Reads a complete bundle, and checks that a trusted key signed exactly this content and speaks for every device in
/// it.
pub fn verify(input: impl BufRead, trust: &Trust) -> Result<Verified, BundleError> {
    let mut lines = LineReader::new(input);
    let head = lines.head()?;
    let mut prefixes = vec![lines.prefix()];
    let Some(authority) = trust.authority(head.key) else {
        return Err(BundleError::UnknownKey { device: head.device, key: head.key.to_string() });
    };
    allow(&authority, &head.device)?;
    let mut events = 0;
    let end = loop {
        match lines.next()? {
            Some(BundleLine::Event(event)) => {
                lines.checked(event, &authority)?;
                prefixes.push(lines.prefix());
                events += 1;
            }
            Some(BundleLine::End(end)) => break check_end(end, lines.before, &head.key)?,
            Some(BundleLine::Head(_)) => return Err(lines.broken("a second head")),
            None => return Err(BundleError::Incomplete),
        }
    };
    if !lines.input.fill_buf()?.is_empty() {
        return Err(BundleError::Trailing);
    }
    if end.events != events {
        return Err(BundleError::Count { found: events, said: end.events });
    }
    Ok(Verified { contents: Contents { head, events }, authority, prefixes })
}

fn allow(authority: &Authority, device: &str) -> Result<(), BundleError> {
    let named = || device.chars().filter(|c| !c.is_control()).take(200).collect();
    authority.check(device).map_err(|denial| match denial {
        Denial::Own => BundleError::Own { device: named() },
        Denial::Unnamed => {
            BundleError::NotItsDevice { device: named(), key: authority.key.to_string(), devices: authority.words() }
        }
    })
}

fn check_end(end: BundleEnd, before: Sha256, key: &PublicKey) -> Result<BundleEnd, BundleError> {
    let is_signed = end.sha256 == before && key.has_signed(&signed_bytes(&before), &end.signature);
    if is_signed { Ok(end) } else { Err(BundleError::Changed) }
}

/// Returns the events of a verified bundle. `input` is the same file, from its start.
///
/// A stick may return different data when it is read a second time. Each line is therefore compared with what was
/// verified before its event is returned, and a file that ends early is an error. The iterator ends after the first
/// error.
pub fn read(input: impl BufRead, verified: &Verified) -> impl Iterator<Item = Result<ForeignEvent, BundleError>> {
    let mut lines = LineReader::new(input);
    let mut ended = false;
    let mut left = verified.prefixes.iter();
    std::iter::from_fn(move || {
        while !ended && let Some(prefix) = left.next() {
            let event = lines.next().and_then(|line| {
                let line = line.ok_or(BundleError::Incomplete)?;
                if lines.prefix() != *prefix {
                    return Err(BundleError::Changed);
                }
                match line {
                    BundleLine::Event(event) => lines.checked(event, &verified.authority).map(Some),
                    BundleLine::Head(_) | BundleLine::End(_) => Ok(None),
                }
            });
            ended = event.is_err();
            if let Some(event) = event.transpose() {
                return Some(event);
            }
        }
        None
    })
}

fn checked(event: BundleEvent) -> Result<ForeignEvent, String> {
    let class = EventClass::from_name(&event.class).ok_or_else(|| format!("unknown class `{}`", event.class))?;
    if event.id.is_empty() || event.id.len() > 128 || !event.id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("`{}` cannot be an event's id", event.id));
    }
    if device_of(&event.topic).is_none() {
        return Err(format!("the topic `{}` is none of a capture or a member", event.topic));
    }
    let payload = match (event.payload, event.payload_base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(base64)) => Base64::decode_vec(&base64).map_err(|error| error.to_string())?,
        _ => return Err("an event needs one payload".to_owned()),
    };
    Ok(ForeignEvent { class, event_id: event.id, topic: event.topic, payload })
}

/// Returns the device prefix `bridge/v1/{site}/{device}` of a topic `bridge/v1/{site}/{device}/capture/…` or `…/member/…`.
///
/// Returns `None` for any other topic: a bundle may carry results, but never commands.
fn device_of(topic: &str) -> Option<&str> {
    let levels: Vec<&str> = topic.split('/').collect();
    let is_name = |level: &&str| !level.is_empty() && !level.contains(['+', '#', '\0']);
    let is_one = topic.len() <= 512
        && levels.len() >= 6
        && topic.starts_with(DEVICE_ROOT)
        && ["capture", "member"].contains(&levels[4])
        && levels.iter().all(is_name);
    let end = topic.match_indices('/').nth(3)?.0;
    is_one.then(|| &topic[..end])
}

/// Reader of a bundle's lines, which counts and hashes them.
struct LineReader<R> {
    input: R,
    /// Number of the line read last, from 1; 0 before the first.
    number: u64,
    /// Hasher of all lines read so far.
    hasher: sha2::Sha256,
    /// Hash of the lines before the one read last.
    before: Sha256,
    /// Hash of all lines read so far.
    hash: Sha256,
}

impl<R: BufRead> LineReader<R> {
    fn new(input: R) -> Self {
        let nothing = Sha256::of(b"");
        LineReader { input, number: 0, hasher: sha2::Sha256::new(), before: nothing, hash: nothing }
    }

    /// Returns the first half of the hash of all lines read so far.
    fn prefix(&self) -> Prefix {
        *self.hash.0.first_chunk().expect("16 of 32 bytes")
    }

    fn head(&mut self) -> Result<BundleHead, BundleError> {
        match self.next()? {
            Some(BundleLine::Head(head)) if head.format == FORMAT => Ok(head),
            Some(BundleLine::Head(head)) => Err(BundleError::Format(head.format)),
            Some(_) => Err(self.broken("a bundle begins with a head")),
            None => Err(BundleError::Incomplete),
        }
    }

    /// Returns the next line; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<BundleLine>, BundleError> {
        self.number += 1;
        let mut bytes = Vec::new();
        (&mut self.input).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.len() > LINE_BYTES_MAX {
            return Err(BundleError::TooLong { line: self.number });
        }
        let line = serde_json::from_slice(&bytes).map_err(|error| self.broken(&error.to_string()))?;
        self.hasher.update(&bytes);
        self.before = std::mem::replace(&mut self.hash, Sha256(self.hasher.clone().finalize().into()));
        Ok(Some(line))
    }

    /// Checks the event of the line read last, and that `authority` allows its device.
    fn checked(&self, event: BundleEvent, authority: &Authority) -> Result<ForeignEvent, BundleError> {
        let event = checked(event).map_err(|reason| self.broken(&reason))?;
        allow(authority, device_of(&event.topic).unwrap_or_default())?;
        Ok(event)
    }

    fn broken(&self, reason: &str) -> BundleError {
        BundleError::Broken { line: self.number, reason: reason.to_owned() }
    }
}
