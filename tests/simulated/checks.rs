//! Checks at every moment, and at the end.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use bridgeclip::journal::EventClass;
use bridgeclip::uplink::{Fate, Group};
use serde_json::Value;

use super::broker::sequence;
use super::unit::source;

/// Checks of one device.
#[derive(Default)]
pub struct UnitChecks {
    /// SHA-256 of every photo that was accepted.
    photos: BTreeSet<String>,
    thumbnails: u64,
    pub corrections: u64,
    /// Number of times that events were set aside, and put back.
    pub set_aside: u64,
    pub retried: u64,
    /// Rows of events that the journal knows as delivered.
    gone: BTreeSet<i64>,
    /// Last row of each class that was sent over this connection, while the broker accepted everything.
    last_sent: BTreeMap<EventClass, i64>,
    has_refused: bool,
    /// An urgent event is stored, so no other event may be handed over before it.
    pub expects_urgent: bool,
    /// Newest urgent row that was handed over.
    pub last_urgent: i64,
}

impl UnitChecks {
    pub fn begins(&mut self) {
        self.expects_urgent = false;
    }

    pub fn connects(&mut self) {
        self.last_sent.clear();
        self.has_refused = false;
    }

    pub fn records(&mut self, sha256: String, has_thumbnail: bool) {
        assert!(self.photos.insert(sha256), "a new photo");
        self.thumbnails += u64::from(has_thumbnail);
    }

    /// Notes that the broker has refused something: what it refused is sent again out of its turn.
    pub fn refuses(&mut self) {
        self.has_refused = true;
    }

    /// Checks an event that is handed over.
    pub fn sends(&mut self, row: i64, is_holding: bool) {
        assert!(!self.gone.contains(&row), "event {row} is sent after its delivery was stored");
        let class = EventClass::of(row).expect("an event's row");
        if class == EventClass::Urgent {
            self.expects_urgent = false;
            self.last_urgent = self.last_urgent.max(row);
        }
        if is_holding || self.has_refused {
            return;
        }
        assert!(!self.expects_urgent, "{class:?} {row} overtakes an urgent event");
        let last = self.last_sent.insert(class, row).unwrap_or(0);
        assert!(last < row, "{class:?} {row} is sent after {last}");
    }

    /// Notes answers that are stored.
    pub fn settles(&mut self, group: &Group) {
        let delivered = group.answers.iter().filter(|answered| answered.fate == Fate::Delivered);
        self.gone.extend(delivered.map(|answered| answered.row));
    }
}

/// A subscriber to everything that ignores known ids.
#[derive(Default)]
pub struct Receiver {
    /// Hash of the bytes, by topic and id.
    known: BTreeMap<(String, String), u64>,
    /// Photos and sequence numbers, by source.
    photos: BTreeMap<String, BTreeSet<String>>,
    sequences: BTreeMap<String, BTreeSet<u64>>,
    thumbnails: BTreeMap<String, u64>,
    /// Number of messages that had arrived before.
    pub repeated: u64,
}

impl Receiver {
    /// Takes a message and returns the photo of a new result.
    pub fn take(&mut self, topic: &str, payload: &[u8]) -> Option<String> {
        let (source, below) = topic.split_once("/capture/")?;
        let sum = sum(payload);
        if below != "result" {
            if self.note(topic, below, sum) {
                *self.thumbnails.entry(source.to_owned()).or_default() += 1;
            }
            return None;
        }
        let event: Value = serde_json::from_slice(payload).expect("JSON");
        if !self.note(topic, event["id"].as_str().expect("an id"), sum) {
            return None;
        }
        assert_eq!(event["source"], source);
        let sha256 = event["subject"].as_str().expect("a photo").to_owned();
        let sequence = sequence(payload).expect("a sequence number");
        self.photos.entry(source.to_owned()).or_default().insert(sha256.clone());
        self.sequences.entry(source.to_owned()).or_default().insert(sequence);
        Some(sha256)
    }

    /// Notes a message. Returns false if the id was known, after a check that the bytes are the same.
    fn note(&mut self, topic: &str, id: &str, sum: u64) -> bool {
        match self.known.entry((topic.to_owned(), id.to_owned())) {
            Entry::Vacant(entry) => {
                entry.insert(sum);
                true
            }
            Entry::Occupied(known) => {
                assert_eq!(*known.get(), sum, "{topic} {id} has come with other bytes");
                self.repeated += 1;
                false
            }
        }
    }

    /// Checks that everything accepted has arrived, and that sequence numbers have no gap.
    pub fn expect_all(&self, number: usize, unit: &UnitChecks) {
        let source = source(number);
        let photos = self.photos.get(&source).cloned().unwrap_or_default();
        let lost: Vec<_> = unit.photos.difference(&photos).collect();
        assert!(lost.is_empty(), "{source}: {} of {} photos are lost: {lost:?}", lost.len(), unit.photos.len());
        assert_eq!(photos.len(), unit.photos.len(), "{source}: photos that nobody took");
        let sequences = self.sequences.get(&source).cloned().unwrap_or_default();
        let last = sequences.last().copied().unwrap_or(0);
        assert_eq!(sequences.len() as u64, last, "{source}: sequence numbers are missing below {last}");
        assert_eq!(self.thumbnails.get(&source).copied().unwrap_or(0), unit.thumbnails, "{source}: thumbnails");
    }

    pub fn events(&self) -> usize {
        self.known.len()
    }
}

fn sum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
