//! The central side: a broker that records every event before it acknowledges it, and sends commands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::promises::Mark;
use crate::recorder::Recorder;
use crate::support::{Act, FaultyBroker, Heard, politely, soon};

/// Reason code of MQTT 5 (section 2.4).
const PAYLOAD_FORMAT_INVALID: u8 = 0x99;

/// Broker that records what it receives, in the recording of the drive in use.
pub struct Central {
    broker: FaultyBroker,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Default)]
struct Desk {
    recorder: Option<Recorder>,
    /// Whether every client is turned away.
    is_closed: bool,
    /// Number of results that are still to be refused.
    to_refuse: usize,
    /// Ids of events that are refused whenever they arrive.
    refused: BTreeSet<String>,
    /// Topics and payloads of commands that wait for a subscriber.
    outbox: VecDeque<(String, Vec<u8>)>,
    /// Connection that has subscribed to commands.
    subscriber: Option<usize>,
    /// States that devices reported of their commands, by topic.
    states: BTreeMap<String, Vec<Value>>,
    last_event: Option<Instant>,
}

impl Central {
    pub fn start() -> Self {
        let desk = Arc::<Mutex<Desk>>::default();
        let heard_by = Arc::clone(&desk);
        let broker = FaultyBroker::start(move |connection, heard| lock(&heard_by).react(connection, heard));
        Central { broker, desk }
    }

    pub fn port(&self) -> u16 {
        self.broker.port
    }

    /// Records into this recording from now on, and forgets everything before.
    pub fn record_into(&self, recorder: &Recorder) {
        *lock(&self.desk) = Desk { recorder: Some(recorder.clone()), ..Desk::default() };
    }

    /// Turns every client away, or admits all of them.
    pub fn close(&self, is_closed: bool) {
        lock(&self.desk).is_closed = is_closed;
    }

    /// Refuses the next `results` results that are neither urgent nor corrections, whenever they arrive, for the form
    /// of their payload. All other events are accepted. With 0, the refused ones are accepted too.
    pub fn refuse(&self, results: usize) {
        let mut desk = lock(&self.desk);
        desk.to_refuse = results;
        if results == 0 {
            desk.refused.clear();
        }
    }

    /// Sends a command once a device has subscribed. Returns the last state that it reports in time, if any.
    pub fn command(&self, topic: &str, payload: &[u8]) -> Option<Value> {
        lock(&self.desk).outbox.push_back((topic.to_owned(), payload.to_vec()));
        let of = format!("{topic}/state");
        let last = || lock(&self.desk).states.get(&of).and_then(|states| states.last().cloned());
        soon(|| last().is_some_and(|state| state["state"] != "accepted"));
        last()
    }

    /// Waits until no event has arrived for this long.
    pub fn wait_for_silence(&self, pause: Duration) {
        soon(|| lock(&self.desk).last_event.is_none_or(|last| last.elapsed() >= pause));
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn react(&mut self, connection: usize, heard: &Heard) -> Vec<Act> {
        if self.is_closed {
            return vec![Act::Close];
        }
        match heard {
            Heard::Publish(publish) if publish.topic.ends_with("/capture/result") => {
                let id = id(&publish.payload);
                if self.to_refuse > 0 && is_plain(&publish.payload) && self.refused.insert(id.clone()) {
                    self.to_refuse -= 1;
                }
                if self.refused.contains(&id) {
                    return vec![Act::Answer(publish.packet, PAYLOAD_FORMAT_INVALID)];
                }
                self.note(id, &publish.payload);
            }
            Heard::Publish(publish) if publish.topic.contains("/capture/thumb/") => {
                self.note(publish.topic.clone(), &publish.payload);
            }
            Heard::Publish(publish) if publish.topic.ends_with("/state") => {
                let state = serde_json::from_slice(&publish.payload).unwrap_or_default();
                self.states.entry(publish.topic.clone()).or_default().push(state);
            }
            Heard::Subscribe { .. } => self.subscriber = Some(connection),
            Heard::Connect { .. } => self.subscriber = None,
            _ => (),
        }
        let mut acts = politely(heard);
        if self.subscriber == Some(connection) {
            acts.extend(self.outbox.drain(..).map(|(topic, payload)| Act::Bytes(message(&topic, &payload))));
        }
        acts
    }

    fn note(&mut self, id: String, payload: &[u8]) {
        self.last_event = Some(Instant::now());
        if let Some(recorder) = &self.recorder {
            recorder.mark(Mark::Event { id, payload: payload.into() });
        }
    }
}

/// Reports whether an event is of the most usual class: neither urgent nor a correction.
fn is_plain(event: &[u8]) -> bool {
    let event: Value = serde_json::from_slice(event).unwrap_or_default();
    let data = &event["data"];
    data["supersedes"].is_null() && data["verdict"]["review_urgent"] == false
}

fn id(event: &[u8]) -> String {
    let event: Value = serde_json::from_slice(event).unwrap_or_default();
    event["id"].as_str().unwrap_or_default().to_owned()
}

/// Returns a PUBLISH packet with QoS 0 (MQTT 5, section 3.3).
fn message(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend(topic.as_bytes());
    body.push(0);
    body.extend(payload);
    let (mut packet, mut length) = (vec![0x30], body.len());
    loop {
        let (digit, rest) = ((length % 128) as u8, length / 128);
        packet.push(if rest > 0 { digit | 0x80 } else { digit });
        if rest == 0 {
            break;
        }
        length = rest;
    }
    packet.extend(body);
    packet
}
