//! Explains a flight controller's line: who is heard, what is sent, and what is missing.

use std::fmt;

use serde::Serialize;

use super::Decoder;
use super::kinds::KINDS;
use super::systems::{SILENT_NS, SystemKind};

/// State of a flight controller's line, as of its newest bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MavlinkReport {
    /// Senders on the line; 16 at most, those that were heard last.
    pub systems: Vec<SystemReport>,
    /// Messages of all senders that were verified, by their numbers; 64 kinds at most.
    pub messages: Vec<MessageCount>,
    /// Number of frames, among the verified ones, whose message is unknown here. They cannot be verified.
    pub unknown: u32,
    /// Seconds since the start of the flight controller that is followed, if it tells them.
    pub boot_s: Option<u32>,
    /// Whether the flight controller that is followed tells satellite time.
    pub has_time: bool,
    /// What is missing, most important first; empty if the line gives everything.
    pub missing: Vec<Missing>,
}

/// A sender on a flight controller's line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SystemReport {
    /// Number of the vehicle or station.
    pub id: u8,
    /// Number of the device within the system; 1 is the flight controller.
    pub component: u8,
    pub kind: SystemKind,
    /// Number of verified messages.
    pub messages: u32,
    /// Whether times and positions are taken from this sender.
    pub is_followed: bool,
}

/// Number of messages of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MessageCount {
    /// Number of the message.
    pub id: u32,
    /// Name of the message, such as `GLOBAL_POSITION_INT`.
    pub name: &'static str,
    pub count: u32,
}

/// Something that a flight controller's line lacks. The text says what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Only ground stations are heard.
    OnlyGroundStations,
    /// The system that the settings name is not heard.
    NamedSystem,
    /// No sender says that it is a flight controller.
    FlightController,
    /// The flight controller that is followed has fallen silent.
    Silent,
    /// No position arrives.
    Position,
    /// No quality of positions arrives.
    Receiver,
    /// The receiver of the flight controller has no fix.
    Fix,
    /// No satellite time arrives.
    Time,
    /// Several flight controllers are heard, and the settings name none.
    Choice,
    /// Two flight controllers use the same system id.
    OwnSystem,
}

impl fmt::Display for SystemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SystemKind::Autopilot => "autopilot",
            SystemKind::GroundStation => "ground station",
            SystemKind::Other => "other",
        })
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::OnlyGroundStations => {
                "only ground stations are heard: connect the line to a telemetry port of the flight controller"
            }
            Missing::NamedSystem => {
                "the flight controller that the settings name is not heard: set [position] mavlink_system to the system id \
                 of one on the line"
            }
            Missing::FlightController => {
                "no flight controller: no HEARTBEAT of an autopilot (component 1) arrives; connect the line to a \
                 telemetry port of the flight controller"
            }
            Missing::Silent => "the flight controller is silent: check the line and its power",
            Missing::Position => {
                "no GLOBAL_POSITION_INT: set its message rate on the flight controller (ArduPilot: SR1_POSITION for \
                 telemetry port 1; others: MAV_CMD_SET_MESSAGE_INTERVAL)"
            }
            Missing::Receiver => {
                "no GPS_RAW_INT: the quality of positions is unknown; set its message rate on the flight controller \
                 (ArduPilot: SR1_EXT_STAT for telemetry port 1; others: MAV_CMD_SET_MESSAGE_INTERVAL)"
            }
            Missing::Fix => "no fix: the flight controller's receiver sees too few satellites",
            Missing::Time => {
                "no SYSTEM_TIME with satellite time: wait for a fix, or set its message rate on the flight controller \
                 (ArduPilot: SR1_EXTRA3 for telemetry port 1; others: MAV_CMD_SET_MESSAGE_INTERVAL)"
            }
            Missing::Choice => {
                "several flight controllers are heard: set [position] mavlink_system to the system id of the right one"
            }
            Missing::OwnSystem => {
                "two flight controllers use the same system id: give each one its own (ArduPilot: MAV_SYSID or \
                 SYSID_THISMAV; PX4: MAV_SYS_ID)"
            }
        })
    }
}

/// Time in nanoseconds for which messages count as arriving.
const RECENT_NS: u64 = 10_000_000_000;

impl Decoder {
    /// Returns what was heard on the line and what is missing, as of the newest bytes.
    pub fn report(&self) -> MavlinkReport {
        // A single message that is no heartbeat may be noise with a checksum that is right by chance.
        let systems = self.systems.heard().filter(|(heard, _)| heard.kind.is_some() || heard.messages > 1);
        let systems = systems.map(|(heard, is_followed)| SystemReport {
            id: heard.sender.system,
            component: heard.sender.component,
            kind: heard.kind.unwrap_or(SystemKind::Other),
            messages: heard.messages,
            is_followed,
        });
        let counts = KINDS.iter().zip(self.counts).filter(|(_, count)| *count > 0);
        MavlinkReport {
            systems: systems.collect(),
            messages: counts.map(|(kind, count)| MessageCount { id: kind.id, name: kind.name, count }).collect(),
            unknown: self.framer.unknown(),
            boot_s: self.vehicle.clock.uptime_s(),
            has_time: self.vehicle.utc.started_us().is_some(),
            missing: self.missing(),
        }
    }

    fn missing(&self) -> Vec<Missing> {
        let Some(followed_ns) = self.systems.followed_ns() else { return vec![self.nobody()] };
        let vehicle = &self.vehicle;
        let is_silent = self.now_ns.saturating_sub(followed_ns) >= SILENT_NS;
        let has_positions = vehicle.filter_ns().is_some_and(|ns| self.is_recent(ns));
        let has_fix = vehicle.has_fix(self.now_ns);
        let has_own_id = !vehicle.clock.refuted_ns().is_some_and(|ns| self.is_recent(ns));
        let lacks = [
            (Missing::Silent, is_silent),
            (Missing::Position, !has_positions && !is_silent),
            (Missing::Receiver, has_fix.is_none() && !is_silent),
            (Missing::Fix, has_fix == Some(false)),
            (Missing::Time, vehicle.utc.started_us().is_none()),
            (Missing::Choice, self.systems.wanted().is_none() && self.autopilots() > 1),
            (Missing::OwnSystem, !has_own_id),
        ];
        lacks.into_iter().filter_map(|(missing, is_so)| is_so.then_some(missing)).collect()
    }

    /// Returns why nobody is followed.
    fn nobody(&self) -> Missing {
        let kinds = || self.systems.heard().map(|(heard, _)| heard.kind);
        let is_ground = |kind| kind == Some(SystemKind::GroundStation);
        match self.systems.wanted() {
            Some(_) => Missing::NamedSystem,
            None if kinds().any(is_ground) && kinds().all(is_ground) => Missing::OnlyGroundStations,
            None => Missing::FlightController,
        }
    }

    /// Returns the number of flight controllers that are heard.
    fn autopilots(&self) -> usize {
        let is_autopilot = |kind| kind == Some(SystemKind::Autopilot);
        let heard = self.systems.heard().map(|(heard, _)| heard);
        heard.filter(|heard| is_autopilot(heard.kind) && self.is_recent(heard.heard_ns)).count()
    }

    fn is_recent(&self, ns: u64) -> bool {
        self.now_ns.saturating_sub(ns) <= RECENT_NS
    }
}
