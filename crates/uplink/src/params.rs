//! Settings of the uplink.

use std::time::Duration;

use crate::endpoint::Endpoint;

/// Settings of the uplink.
#[derive(Clone, Debug)]
pub struct Params {
    /// Address of the broker and the device's login.
    pub endpoint: Endpoint,
    /// Prefix of all topics of this device, `bridge/v1/{site}/{device}`.
    pub prefix: String,
    /// Id of the current boot, for status messages.
    pub boot_id: String,
    /// Name of the model package in use, for status messages.
    pub package: String,
    /// Maximum number of events that were sent but are still in the outbox; at most this many can arrive twice.
    pub in_flight: u16,
    /// Time without acknowledgements after which the link is given up while events are on their way.
    pub stall: Duration,
    /// Longest pause between two attempts.
    pub retry_max: Duration,
    /// Pause before a new attempt when somebody must change something first.
    pub refused_pause: Duration,
    /// Whether to keep events that the broker would drop because nobody has subscribed.
    pub hold_without_subscriber: bool,
    /// Interval between two reports of the device's health.
    pub health: Duration,
}
