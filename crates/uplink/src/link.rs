//! What the uplink and the program around it share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Notify;

use bridgeclip_domain::{HeldBack, HeldPart};
use bridgeclip_journal::EventClass;

use super::scope::Scope;

/// Parts that are named in a report; of more only the number is told.
const PARTS_MAX: usize = 32;

/// Where the link stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Waiting for the next attempt.
    #[default]
    Offline,
    Connecting,
    /// Connected, and events wait.
    Draining,
    /// Connected, and everything is delivered that the link may carry.
    Live,
    /// Connected, and what waits is what the broker does not take for now: see [`Held`].
    Held,
    /// Waiting for somebody to change something.
    Refused,
}

/// A part of the events that the broker does not take for now, while the others go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub scope: Scope,
    /// Single events of the scope, of which the others go on; `None` if all of them are held.
    pub events: Option<u64>,
    pub reason: String,
    pub since: Instant,
    pub next_try: Instant,
}

impl Held {
    fn part(&self, prefix: &str, now: Instant) -> HeldPart {
        // A part of a second is a second: what is tried again in 0 s is being tried.
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

/// What may be changed while the uplink runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The link costs money: details and thumbnails wait until this is off.
    pub metered: bool,
    /// For events; nothing keeps the rate down if not given.
    pub bytes_per_s_max: Option<u32>,
}

impl Settings {
    /// The last class that is sent.
    pub fn last_class(self) -> EventClass {
        if self.metered { EventClass::Correction } else { EventClass::Thumbnail }
    }
}

/// Shared by the uplink and the program around it.
#[derive(Clone, Default)]
pub struct Link {
    shared: Arc<Mutex<Shared>>,
    wake: Arc<Notify>,
}

#[derive(Default)]
struct Shared {
    state: LinkState,
    trouble: Option<String>,
    held: Vec<Held>,
    settings: Settings,
}

impl Link {
    pub fn new(settings: Settings) -> Self {
        Link { shared: Arc::new(Mutex::new(Shared { settings, ..Shared::default() })), wake: Arc::default() }
    }

    pub fn state(&self) -> LinkState {
        self.shared().state
    }

    /// Whether a connection to the broker stands.
    pub fn is_online(&self) -> bool {
        matches!(self.state(), LinkState::Draining | LinkState::Live | LinkState::Held)
    }

    /// What the broker does not take for now.
    pub fn held(&self) -> Vec<Held> {
        self.shared().held.clone()
    }

    /// The same for a report, of a device whose topics begin with `prefix`.
    pub fn held_back(&self, prefix: &str) -> HeldBack {
        let (shared, now) = (self.shared(), Instant::now());
        let parts = shared.held.iter().take(PARTS_MAX).map(|held| held.part(prefix, now)).collect();
        HeldBack { parts, more: shared.held.len().saturating_sub(PARTS_MAX) as u64 }
    }

    /// Why there is no connection, if there is none and that is known.
    pub fn trouble(&self) -> Option<String> {
        self.shared().trouble.clone()
    }

    pub fn settings(&self) -> Settings {
        self.shared().settings
    }

    /// Changes the settings from the next event on.
    pub fn set(&self, settings: Settings) {
        self.shared().settings = settings;
        self.wake();
    }

    /// Tells the uplink that there may be something to send.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for `wake`.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(super) fn show(&self, state: LinkState, trouble: Option<String>, held: Vec<Held>) {
        let mut shared = self.shared();
        (shared.state, shared.trouble, shared.held) = (state, trouble, held);
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
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
