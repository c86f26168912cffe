//! What the uplink and the program around it share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::Notify;

use super::scope::Scope;
use crate::journal::EventClass;

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

    pub(super) fn show(&self, state: LinkState, held: Vec<Held>) {
        let mut shared = self.shared();
        (shared.state, shared.held) = (state, held);
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
