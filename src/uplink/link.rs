//! What the uplink and the program around it share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;

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
    /// Connected, and everything is delivered.
    Live,
    /// Waiting for somebody to change something.
    Refused,
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
        matches!(self.state(), LinkState::Draining | LinkState::Live)
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

    pub(super) fn enter(&self, state: LinkState) {
        self.shared().state = state;
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
