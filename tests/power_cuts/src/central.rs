//! The central side: a broker that notes every event before it acknowledges it, and sends commands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::promises::Mark;
use crate::recorder::Recorder;
use crate::support::{Act, FaultyBroker, Heard, politely, soon};

/// Reason code of MQTT 5, section 2.4.
const PAYLOAD_FORMAT_INVALID: u8 = 0x99;

/// A broker; it notes what it receives into the recording of the drive that is in use.
pub struct Central {
    broker: FaultyBroker,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Default)]
struct Desk {
    recorder: Option<Recorder>,
    /// Turns every client away.
    is_closed: bool,
    /// Results that come from now on are refused, so many of them.
    to_refuse: usize,
    /// The events that are refused whenever they come.
    refused: BTreeSet<String>,
    /// Commands to be sent to whoever has subscribed: topic and payload.
    outbox: VecDeque<(String, Vec<u8>)>,
    /// The connection that has subscribed to commands.
    subscriber: Option<usize>,
    /// What devices said of their commands, by topic.
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

    /// Notes into this recording from now on; forgets what came before.
    pub fn record_into(&self, recorder: &Recorder) {
        *lock(&self.desk) = Desk { recorder: Some(recorder.clone()), ..Desk::default() };
    }

    /// Lets nobody in, or everybody.
    pub fn close(&self, is_closed: bool) {
        lock(&self.desk).is_closed = is_closed;
    }

    /// Refuses the next so many results that are neither urgent nor corrections, whenever they come, as not being of the right form, and takes all others. With none
    /// it takes those too.
    pub fn refuse(&self, results: usize) {
        let mut desk = lock(&self.desk);
        desk.to_refuse = results;
        if results == 0 {
            desk.refused.clear();
        }
    }

    /// Sends a command once somebody listens; the answer is the last state within the time, or none.
    pub fn command(&self, topic: &str, payload: &[u8]) -> Option<Value> {
        lock(&self.desk).outbox.push_back((topic.to_owned(), payload.to_vec()));
        let of = format!("{topic}/state");
        let last = || lock(&self.desk).states.get(&of).and_then(|states| states.last().cloned());
        soon(|| last().is_some_and(|state| state["state"] != "accepted"));
        last()
    }

    /// Waits until nothing has come for this long.
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

/// Neither urgent nor a correction: of the most usual class.
fn is_plain(event: &[u8]) -> bool {
    let event: Value = serde_json::from_slice(event).unwrap_or_default();
    let data = &event["data"];
    data["supersedes"].is_null() && data["verdict"]["review_urgent"] == false
}

fn id(event: &[u8]) -> String {
    let event: Value = serde_json::from_slice(event).unwrap_or_default();
    event["id"].as_str().unwrap_or_default().to_owned()
}

/// PUBLISH with QoS 0 (MQTT 5, section 3.3).
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
