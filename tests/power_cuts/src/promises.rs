//! Promises that a device made before the power cut. A promise is recorded once somebody outside the device has seen it
//! kept: by an answer, an exit code or a message at the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened around a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Mark {
    /// A part of the workload begins.
    Chapter(String),
    /// A state may apply from now on.
    Begun(Standing),
    /// A state applies until another of its kind replaces it.
    Holds(Standing),
    /// A fact stays for ever.
    Kept(Lasting),
    /// The broker has received an event.
    Event { id: String, payload: Arc<[u8]> },
    /// Promises are withdrawn because their rows are damaged on purpose.
    Damaged(Damage),
}

/// State that applies until another of its kind replaces it. Values are JSON texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Standing {
    /// Tag of the photos that follow.
    Tag(String),
    /// Version of the package in use.
    Package(String),
    /// Setting made by a command.
    Settings(String),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lasting {
    /// The device has taken in the photo with this hash. If it has shown the result, `event` is the id of its event.
    Capture { sha256: String, event: Option<String> },
    /// An answer named this event, which must reach the broker.
    Announced(String),
    /// An inspector's judgement of the photo with this hash: `accepted`, `corrected` or `undone`.
    Judgement { sha256: String, by: String, act: String },
    /// The bridge of the photo with this hash, as it was tagged afterwards.
    Place { sha256: String, bridge: String },
    /// A photo that was uploaded, by its hash.
    Upload(String),
    /// The public half of the device's key.
    Key(String),
    /// A command that was carried out.
    Command { topic: String, payload: Vec<u8> },
    /// The ids of the events of a bundle that was imported.
    Bundle(Vec<String>),
    /// The hash of the token of a visitor who was admitted.
    Visitor(String),
    /// A count of losses, by name.
    Loss { name: String, count: u64 },
}

/// Damage that the workload does on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Damage {
    /// The row with the counters is damaged. The counts of losses are lost with it.
    Counters,
    /// The result of the photo with this hash is damaged, until the photo has been classified again from the card.
    Result { sha256: String, photo: usize },
}

/// All promises up to some moment.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Event of each photo's result, if it is known.
    pub captures: BTreeMap<String, Option<String>>,
    pub announced: BTreeSet<String>,
    /// Inspectors and their acts for each photo, in order.
    pub judgements: BTreeMap<String, Vec<(String, String)>>,
    /// Bridge of each photo.
    pub places: BTreeMap<String, String>,
    /// Numbers and hashes of photos that the device must see again.
    pub cards: BTreeMap<usize, String>,
    pub uploads: BTreeSet<String>,
    pub key: Option<String>,
    /// Topics and payloads, in the order in which the commands were carried out.
    pub commands: Vec<(String, Vec<u8>)>,
    pub bundles: Vec<Vec<String>>,
    pub visitors: BTreeSet<String>,
    pub losses: BTreeMap<String, u64>,
    /// All payloads of each event.
    pub events: BTreeMap<String, BTreeSet<Arc<[u8]>>>,
    pub tag: Register,
    pub package: Register,
    pub settings: Register,
}

/// Values that may apply: the last one promised, and those begun since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    promised: Option<String>,
    begun: BTreeSet<String>,
}

impl Register {
    /// Reports whether this value may be found. Before the first promise, every value may.
    pub fn allows(&self, found: &str) -> bool {
        self.promised.as_deref().is_none_or(|promised| promised == found) || self.begun.contains(found)
    }

    fn begin(&mut self, value: &str) {
        self.begun.insert(value.to_owned());
    }

    fn promise(&mut self, value: &str) {
        *self = Register { promised: Some(value.to_owned()), begun: BTreeSet::new() };
    }
}

impl std::fmt::Display for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let promised = self.promised.iter().chain(&self.begun);
        f.write_str(&promised.cloned().collect::<Vec<_>>().join(" or "))
    }
}

impl Ledger {
    pub fn of<'a>(marks: impl IntoIterator<Item = &'a Mark>) -> Self {
        let mut ledger = Ledger::default();
        marks.into_iter().for_each(|mark| ledger.add(mark));
        ledger
    }

    fn add(&mut self, mark: &Mark) {
        match mark {
            Mark::Chapter(_) => (),
            Mark::Begun(standing) => {
                let (register, value) = self.register(standing);
                register.begin(value);
            }
            Mark::Holds(standing) => {
                let (register, value) = self.register(standing);
                register.promise(value);
            }
            Mark::Kept(lasting) => self.keep(lasting),
            Mark::Event { id, payload } => drop(self.events.entry(id.clone()).or_default().insert(Arc::clone(payload))),
            Mark::Damaged(Damage::Counters) => self.losses.clear(),
            Mark::Damaged(Damage::Result { sha256, photo }) => {
                self.captures.remove(sha256);
                self.cards.insert(*photo, sha256.clone());
            }
        }
    }

    fn register<'a>(&mut self, standing: &'a Standing) -> (&mut Register, &'a str) {
        match standing {
            Standing::Tag(value) => (&mut self.tag, value),
            Standing::Package(value) => (&mut self.package, value),
            Standing::Settings(value) => (&mut self.settings, value),
        }
    }

    fn keep(&mut self, lasting: &Lasting) {
        match lasting.clone() {
            Lasting::Capture { sha256, event } => {
                let known = self.captures.entry(sha256).or_default();
                *known = known.take().or(event);
            }
            Lasting::Announced(id) => drop(self.announced.insert(id)),
            Lasting::Judgement { sha256, by, act } => self.judgements.entry(sha256).or_default().push((by, act)),
            Lasting::Place { sha256, bridge } => drop(self.places.insert(sha256, bridge)),
            Lasting::Upload(sha256) => drop(self.uploads.insert(sha256)),
            Lasting::Key(key) => self.key = Some(key),
            Lasting::Command { topic, payload } => self.commands.push((topic, payload)),
            Lasting::Bundle(ids) => self.bundles.push(ids),
            Lasting::Visitor(token) => drop(self.visitors.insert(token)),
            Lasting::Loss { name, count } => drop(self.losses.insert(name, count)),
        }
    }

    /// Describes events that arrived with different bytes, photos that arrived twice, and numbers that two events
    /// share.
    pub fn contradictions(&self) -> Vec<String> {
        let changed = self.events.iter().filter(|(_, payloads)| payloads.len() > 1);
        let mut found: Vec<_> = changed.map(|(id, _)| format!("event {id} came with other bytes")).collect();
        found.extend(self.told_twice());
        let mut numbers: BTreeMap<(String, i64), &str> = BTreeMap::new();
        for (id, payloads) in &self.events {
            for number in payloads.iter().filter_map(|payload| number(payload)) {
                let other = numbers.insert(number.clone(), id).filter(|other| other != id);
                found.extend(other.map(|other| format!("number {} was given to {other} and to {id}", number.1)));
            }
        }
        found
    }

    /// Describes photos that have two events, neither of which supersedes an earlier one.
    fn told_twice(&self) -> Vec<String> {
        let (mut first, mut found) = (BTreeMap::new(), Vec::new());
        for (id, event) in self.events.iter().filter_map(|(id, payloads)| Some((id, event(payloads.first()?)?))) {
            let data = &event["data"];
            let Some(sha256) = data["image"]["sha256"].as_str().map(str::to_owned) else { continue };
            if data["supersedes"].is_null() && !self.cards.values().any(|seen_again| *seen_again == sha256) {
                let other = first.insert(sha256.clone(), id);
                found.extend(other.map(|other| format!("the photo {sha256} came as {other} and as {id}")));
            }
        }
        found
    }

    /// Returns the hashes of the photos that have an event.
    pub fn told(&self) -> BTreeSet<String> {
        let sha256 = |payload: &Arc<[u8]>| Some(event(payload)?["data"]["image"]["sha256"].as_str()?.to_owned());
        self.events.values().flatten().filter_map(sha256).collect()
    }
}

/// Returns the source of an event, and its number.
fn number(payload: &[u8]) -> Option<(String, i64)> {
    let event = event(payload)?;
    Some((event["source"].as_str()?.to_owned(), event["data"]["sequence"].as_i64()?))
}

fn event(payload: &[u8]) -> Option<Value> {
    serde_json::from_slice(payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_after_the_last_promise_may_hold() {
        let tag = |text: &str| Standing::Tag(text.to_owned());
        let marks = [Mark::Begun(tag("a")), Mark::Holds(tag("a")), Mark::Begun(tag("b"))];
        let allowed = |count: usize| {
            let ledger = Ledger::of(&marks[..count]);
            ["", "a", "b"].map(|found| ledger.tag.allows(found))
        };
        assert_eq!(allowed(0), [true, true, true]);
        assert_eq!(allowed(2), [false, true, false]);
        assert_eq!(allowed(3), [false, true, true]);
    }

    #[test]
    fn other_bytes_and_numbers_given_twice_are_found() {
        let event = |id: &str, number: u32, more: &str| {
            let payload = format!("{{\"source\":\"d\",\"data\":{{\"sequence\":{number}}},\"x\":\"{more}\"}}");
            Mark::Event { id: id.to_owned(), payload: payload.into_bytes().into() }
        };
        let good = [event("a", 1, ""), event("a", 1, ""), event("b", 2, "")];
        assert_eq!(Ledger::of(&good).contradictions(), [""; 0]);
        assert_eq!(Ledger::of(&[event("a", 1, ""), event("a", 1, "y")]).contradictions().len(), 1);
        assert_eq!(Ledger::of(&[event("a", 1, ""), event("b", 1, "")]).contradictions().len(), 1);
    }

    #[test]
    fn a_photo_comes_once_unless_its_result_was_damaged() {
        let event = |number: u32, more: &str| {
            let photo = "\"image\":{\"sha256\":\"p\"}";
            let payload = format!("{{\"data\":{{\"sequence\":{number},{photo}{more}}}}}");
            Mark::Event { id: number.to_string(), payload: payload.into_bytes().into() }
        };
        let correction = event(2, ",\"supersedes\":\"1\"");
        let damaged = Mark::Damaged(Damage::Result { sha256: "p".to_owned(), photo: 1 });
        assert_eq!(Ledger::of(&[event(1, ""), correction]).contradictions(), [""; 0]);
        assert_eq!(Ledger::of(&[event(1, ""), event(2, "")]).contradictions().len(), 1);
        assert_eq!(Ledger::of(&[event(1, ""), damaged, event(2, "")]).contradictions(), [""; 0]);
    }
}
