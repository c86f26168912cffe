//! A journal and an uplink without a camera or a model, for tests of delivery alone.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bridgeclip::domain::DeviceHealth;
use bridgeclip::journal::{EventClass, FILE_NAME, ForeignEvent, Journal, OutboxDepth, Reader, Report};
use bridgeclip::uplink::{Desk, DeviceSide, Endpoint, Link, LinkEvent, Params, Settings, UplinkThread};
use jiff::Timestamp;
use tempfile::TempDir;

use super::eventually;
use super::results::journal_params;

/// Prefix of all topics of a station.
pub const PREFIX: &str = "bridge/v1/test/station";

/// A journal with an uplink, which is stopped when this is dropped.
pub struct Station {
    dir: TempDir,
    pub link: Link,
    pub journal: Journal,
    uplink: Option<UplinkThread>,
    events: Arc<Mutex<Vec<(Instant, LinkEvent)>>>,
}

impl Station {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let link = Link::new(Settings::default());
        let wake = link.clone();
        let report = move |report| match report {
            Report::OutboxChanged => wake.wake(),
            Report::Changed(_) | Report::Salvaged => (),
        };
        let (journal, _) = Journal::open(dir.path(), journal_params(), report).expect("a journal");
        Station { dir, link, journal, uplink: None, events: Arc::default() }
    }

    /// Returns settings for quick tests.
    pub fn params(port: u16) -> Params {
        Params {
            endpoint: Endpoint {
                host: "127.0.0.1".to_owned(),
                port,
                #[cfg(feature = "websocket")]
                websocket_path: None,
                tls: None,
                login: None,
                client_id: "station".to_owned(),
                keep_alive: Duration::from_secs(5),
            },
            prefix: PREFIX.to_owned(),
            boot_id: "boot".to_owned(),
            package: "package".to_owned(),
            in_flight: 16,
            stall: Duration::from_secs(1),
            retry_max: Duration::from_millis(50),
            refused_pause: Duration::from_millis(300),
            hold_without_subscriber: true,
            health: Duration::from_secs(3_600),
        }
    }

    pub fn start(&mut self, params: Params) {
        self.start_with(params, None);
    }

    pub fn start_with(&mut self, params: Params, desk: Option<Desk>) {
        let events = Arc::clone(&self.events);
        let device_side = DeviceSide {
            link: self.link.clone(),
            reader: self.reader(),
            journal: self.journal.clone(),
            desk,
            health: Box::new(DeviceHealth::default),
            report: Box::new(move |event| events.lock().expect("no panic").push((Instant::now(), event))),
        };
        self.uplink = Some(UplinkThread::start(params, device_side).expect("the uplink starts"));
    }

    pub fn stop(&mut self) {
        if let Some(uplink) = self.uplink.take() {
            uplink.stop();
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join(FILE_NAME)
    }

    pub fn reader(&self) -> Reader {
        Reader::open(&self.path()).expect("a reader")
    }

    pub fn depth(&self) -> OutboxDepth {
        self.reader().outbox_depth().expect("a depth")
    }

    /// Queues `count` events `{"id": "{name}-{n}"}`, padded to `bytes`.
    pub fn queue(&self, class: EventClass, name: &str, count: usize, bytes: usize) {
        self.queue_on(&format!("{PREFIX}/capture/result"), class, name, count, bytes);
    }

    /// Queues events like [`Station::queue`], on a complete topic of its own.
    pub fn queue_on(&self, topic: &str, class: EventClass, name: &str, count: usize, bytes: usize) {
        let event = |index: usize| {
            let event_id = format!("{name}-{index}");
            let head = format!("{{\"id\": \"{event_id}\", \"pad\": \"");
            let payload = format!("{head}{}\"}}", "x".repeat(bytes.saturating_sub(head.len() + 2))).into_bytes();
            ForeignEvent { class, event_id, topic: topic.to_owned(), payload }
        };
        let events: Vec<ForeignEvent> = (0..count).map(event).collect();
        self.journal.import(events, Timestamp::now()).expect("queued");
    }

    /// Queues one event after the other until one is set aside. The others show that the event itself is at fault.
    pub fn queue_until_one_is_set_aside(&self) {
        let mut count = 0;
        eventually("an event set aside", || {
            self.queue(EventClass::Result, &format!("later-{count}"), 1, 300);
            count += 1;
            self.depth().set_aside > 0
        });
    }

    /// Waits until the queue is empty, except for what was set aside.
    pub fn wait_until_delivered(&self) {
        let reader = self.reader();
        eventually("an empty queue", || reader.outbox_depth().expect("a depth").total() == 0);
    }

    /// Returns what the uplink has reported so far, with the time.
    pub fn reports(&self) -> Vec<(Instant, LinkEvent)> {
        self.events.lock().expect("no panic").clone()
    }

    /// Waits for a report that `find` accepts.
    pub fn wait_for<T>(&self, what: &str, find: impl Fn(&LinkEvent) -> Option<T>) -> (Instant, T) {
        let mut found = None;
        eventually(what, || {
            found = self.reports().into_iter().find_map(|(at, event)| Some((at, find(&event)?)));
            found.is_some()
        });
        found.expect("just found")
    }

    /// Waits for the reason why the link was lost or not made.
    pub fn wait_for_offline(&self) -> (Instant, String) {
        self.wait_for("a lost link", |event| match event {
            LinkEvent::Offline(reason) => Some(reason.clone()),
            _ => None,
        })
    }

    /// Waits for the reason why the link was refused.
    pub fn wait_for_refusal(&self) -> String {
        let refusal = self.wait_for("a refused link", |event| match event {
            LinkEvent::Refused(reason) => Some(reason.clone()),
            _ => None,
        });
        refusal.1
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.stop();
    }
}
