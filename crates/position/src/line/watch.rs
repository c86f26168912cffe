//! What the thread of a line has seen.

use serde::{Deserialize, Serialize};

use bridgeclip_domain::FixQuality;

use super::params::Protocol;
use crate::Fix;
use crate::mavlink::MavlinkReport;
use crate::nmea::{DateState, Datum, Decoder, Heard};

/// State of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineState {
    /// The source is opened, and a valid message is waited for.
    #[default]
    Searching,
    /// Valid messages arrive.
    Following,
    /// The source is gone or says nothing sensible. It is tried again.
    Lost,
}

/// What the thread of a line has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub state: LineState,
    pub reason: Option<String>,
    pub protocol: Option<Protocol>,
    pub baud: Option<u32>,
    pub bytes: u64,
    pub valid: u64,
    pub broken: u64,
    /// Monotonic arrival of the last valid message.
    pub last_valid_ns: Option<u64>,
    pub last_fix: Option<LastFix>,
    /// What an NMEA receiver says; `None` for another protocol.
    pub nmea: Option<Nmea>,
    /// What is heard from flight controllers; `None` for another protocol.
    pub mavlink: Option<MavlinkReport>,
}

/// What an NMEA receiver says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nmea {
    pub heard: Heard,
    pub date: DateState,
    pub datum: Datum,
}

/// The parts of a fix that are reported.
#[derive(Clone, Copy, Debug)]
pub struct LastFix {
    pub received_ns: u64,
    pub has_utc: bool,
    pub quality: Option<FixQuality>,
    pub satellites: Option<u8>,
    pub hdop: Option<f64>,
}

/// Time in nanoseconds after which a fix is no longer recent.
const RECENT_NS: u64 = 15_000_000_000;

impl Nmea {
    pub fn of(decoder: &Decoder) -> Self {
        Nmea { heard: *decoder.heard(), date: decoder.date_state(), datum: decoder.datum() }
    }
}

impl LastFix {
    pub fn of(fix: &Fix) -> Self {
        LastFix {
            received_ns: fix.received_ns,
            has_utc: fix.utc.is_some(),
            quality: fix.position.quality,
            satellites: fix.satellites,
            hdop: fix.position.hdop,
        }
    }
}

impl Watch {
    /// Begins to count anew. The last fix stays known.
    pub fn restart(&mut self, baud: Option<u32>) {
        *self =
            Watch { state: self.state, reason: self.reason.take(), baud, last_fix: self.last_fix, ..Watch::default() };
    }

    /// Reports whether a fix has arrived recently.
    pub fn has_fix(&self, now_ns: u64) -> bool {
        self.last_fix.is_some_and(|fix| now_ns.saturating_sub(fix.received_ns) <= RECENT_NS)
    }
}
