//! State and settings that the uplink shares with the rest of the program.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Notify;

use bridgeclip_domain::{HeldBack, HeldPart};
use bridgeclip_journal::EventClass;

use crate::scope::Scope;

/// Maximum number of parts that a report names; the rest is only counted.
const PARTS_MAX: usize = 32;

/// State of the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Not connected; waiting for the next attempt.
    #[default]
    Offline,
    /// A connection is being made.
    Connecting,
    /// Connected, and events wait.
    Draining,
    /// Connected, and everything that the link may carry is delivered.
    Live,
    /// Connected, and only those events wait that the broker currently refuses: see [`Held`].
    Held,
    /// Not connected, and waiting for somebody to change something.
    Refused,
}

/// A part of the events that the broker currently refuses, while the rest goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Events concerned.
    pub scope: Scope,
    /// Number of refused events, if they are single events of the scope; `None` if the whole scope is held.
    pub events: Option<u64>,
    /// Reason for the refusal.
    pub reason: String,
    /// Start of the hold.
    pub since: Instant,
    /// Time of the next try.
    pub next_try: Instant,
}

impl Held {
    /// Returns the part for a report; `prefix` is that of the device's topics.
    fn part(&self, prefix: &str, now: Instant) -> HeldPart {
        // Rounds up: 0 s would mean that the try is under way.
        let seconds = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
        HeldPart {
            what: self.scope.words(prefix),
            events: self.events,
            reason: self.reason.clone(),
            for_s: now.saturating_duration_since(self.since).as_secs(),
            next_try_s: seconds(self.next_try.saturating_duration_since(now)),
        }
    }
}

/// An event of the link, for the rest of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// A connection was established.
    Online,
    /// The connection ended or could not be established, for the given reason.
    Offline(String),
    /// The link stays down until somebody changes something; the text is the reason.
    Refused(String),
    /// The broker refuses a part of the events, while the rest goes on; or the reason for that has changed.
    Held {
        /// The refused part: a topic filter, or a description.
        what: String,
        /// The broker's reason.
        reason: String,
    },
    /// The broker takes this part of the events again.
    Lifted(String),
    /// This number of events was acknowledged and has left the queue.
    Delivered(usize),
    /// The event with this outbox id is no longer sent, for the given reason.
    SetAside(i64, String),
}

/// Settings that can be changed while the uplink runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether the link costs money: details and thumbnails then wait.
    pub metered: bool,
    /// Maximum rate for events in bytes per second; `None` means no limit.
    pub bytes_per_s_max: Option<u32>,
}

impl Settings {
    /// Returns the least urgent class that is sent.
    pub fn last_class(self) -> EventClass {
        if self.metered { EventClass::Correction } else { EventClass::Thumbnail }
    }
}

/// A handle to the state and settings of the link, shared by the uplink and the rest of the program. Clones share them.
#[derive(Clone, Default)]
pub struct Link {
    shared: Arc<Mutex<StatusAndSettings>>,
    wake: Arc<Notify>,
}

/// The shared contents of a [`Link`].
#[derive(Default)]
struct StatusAndSettings {
    state: LinkState,
    trouble: Option<String>,
    held: Vec<Held>,
    settings: Settings,
}

impl Link {
    /// Creates the state of a link that is offline.
    pub fn new(settings: Settings) -> Self {
        Link {
            shared: Arc::new(Mutex::new(StatusAndSettings { settings, ..StatusAndSettings::default() })),
            wake: Arc::default(),
        }
    }

    /// Returns the current state.
    pub fn state(&self) -> LinkState {
        self.shared().state
    }

    /// Reports whether a connection to the broker is established.
    pub fn is_online(&self) -> bool {
        matches!(self.state(), LinkState::Draining | LinkState::Live | LinkState::Held)
    }

    /// Returns the parts of the events that the broker currently refuses.
    pub fn held(&self) -> Vec<Held> {
        self.shared().held.clone()
    }

    /// Returns the refused parts for a report; `prefix` is that of the device's topics.
    pub fn held_back(&self, prefix: &str) -> HeldBack {
        let (shared, now) = (self.shared(), Instant::now());
        let parts = shared.held.iter().take(PARTS_MAX).map(|held| held.part(prefix, now)).collect();
        HeldBack { parts, more: shared.held.len().saturating_sub(PARTS_MAX) as u64 }
    }

    /// Returns the reason why there is no connection, if there is none and the reason is known.
    pub fn trouble(&self) -> Option<String> {
        self.shared().trouble.clone()
    }

    /// Returns the current settings.
    pub fn settings(&self) -> Settings {
        self.shared().settings
    }

    /// Changes the settings, from the next event on.
    pub fn set(&self, settings: Settings) {
        self.shared().settings = settings;
        self.wake();
    }

    /// Notifies the uplink that there may be something to send.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for [`Link::wake`].
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Sets what observers of the link see.
    pub(crate) fn show(&self, state: LinkState, trouble: Option<String>, held: Vec<Held>) {
        let mut shared = self.shared();
        (shared.state, shared.trouble, shared.held) = (state, trouble, held);
    }

    fn shared(&self) -> MutexGuard<'_, StatusAndSettings> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_journal::Topics;

    use super::*;

    #[test]
    fn what_is_held_is_told_in_words_and_not_without_end() {
        let (link, now) = (Link::default(), Instant::now());
        let held = |number: usize| Held {
            scope: Scope::On(Topics::like(&format!("/bridge/v1/kita/d{number:02}/capture/thumb/7"))),
            events: (number == 0).then_some(2),
            reason: "no".to_owned(),
            since: now.checked_sub(Duration::from_secs(90)).unwrap_or(now),
            next_try: now + Duration::from_secs(300),
        };
        link.show(LinkState::Held, None, (0..PARTS_MAX + 8).map(held).collect());
        let HeldBack { parts, more } = link.held_back("bridge/v1/kita/own");
        assert_eq!((parts.len(), more), (PARTS_MAX, 8));
        let HeldPart { what, events, reason, for_s, next_try_s } = &parts[0];
        assert_eq!((what.as_str(), events, reason.as_str()), ("bridge/v1/kita/d00/capture/thumb/#", &Some(2), "no"));
        assert!((90..95).contains(for_s) && (290..=300).contains(next_try_s), "{for_s} {next_try_s}");
        let told = serde_json::to_value(link.held_back("")).expect("JSON");
        assert!(told["held"][1]["events"].is_null() && told["held_more"] == 8, "{told}");
        link.show(LinkState::Live, None, Vec::new());
        assert_eq!(serde_json::to_value(link.held_back("")).expect("JSON"), serde_json::json!({}));
    }
}
