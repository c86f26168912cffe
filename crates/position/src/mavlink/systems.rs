//! Knows who sends on the line and chooses the one flight controller that is followed.
//!
//! A flight controller forwards what its other ports receive, so ground stations, companion computers and even other
//! vehicles are heard on its line. Only a HEARTBEAT tells what a sender is. Its values are those of `MAV_TYPE`,
//! `MAV_AUTOPILOT` and `MAV_COMPONENT` in `minimal.xml`.

use serde::Serialize;

use super::frame::Sender;
use super::message::{Heartbeat, Message};

/// Component that the flight controller of a system is (`MAV_COMP_ID_AUTOPILOT1`).
const AUTOPILOT: u8 = 1;

/// Value of `MAV_AUTOPILOT` that devices without a flight controller send.
const NO_AUTOPILOT: u8 = 8;

const GROUND_STATION: u8 = 6;

/// Values of `MAV_TYPE` that stand for parts of a vehicle or for things that do not carry a camera to a bridge: antenna
/// tracker, ground station, onboard controller, gimbal, ADS-B, camera, charging station, FLARM, servo, remote
/// identification, battery, parachute, log, display, inertial sensors, receiver, winch, illuminator, gripper, radio.
const NO_VEHICLES: [u8; 20] =
    [5, GROUND_STATION, 18, 26, 27, 30, 31, 32, 33, 34, 36, 37, 38, 39, 40, 41, 42, 44, 48, 49];

/// Number of senders that are remembered.
pub const SENDERS_MAX: usize = 16;

/// Silence in nanoseconds of the flight controller that is followed, after which another one may be followed. A
/// heartbeat comes every second.
pub const SILENT_NS: u64 = 10_000_000_000;

/// Time in nanoseconds for which a single system must send positions before it is followed without a heartbeat, which
/// some routers filter out.
const UNNAMED_NS: u64 = 5_000_000_000;

/// What a sender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemKind {
    /// Flight controller of a vehicle.
    Autopilot,
    GroundStation,
    /// Any other device, or one that has not told what it is.
    Other,
}

/// One sender.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub sender: Sender,
    /// What the sender is, by its own word.
    pub kind: Option<SystemKind>,
    /// Number of verified messages.
    pub messages: u32,
    /// Arrival of the newest message, in monotonic nanoseconds.
    pub heard_ns: u64,
}

/// How a message is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The sender is the flight controller that is followed from this message on.
    Chosen,
    /// The sender is the flight controller that is followed.
    Followed,
    /// The sender is another device of the same system.
    Companion,
    /// The sender has nothing to say here.
    Stranger,
}

/// Flight controller that is followed.
#[derive(Clone, Copy, Debug)]
struct Choice {
    system: u8,
    /// Arrival of its newest message, in monotonic nanoseconds.
    heard_ns: u64,
    /// Whether the settings or a heartbeat have named it.
    is_named: bool,
}

/// Senders of a line.
#[derive(Debug)]
pub struct Systems {
    /// System that the settings name.
    wanted: Option<u8>,
    heard: [Option<Heard>; SENDERS_MAX],
    choice: Option<Choice>,
    /// System that sends positions without a heartbeat, and since when, in monotonic nanoseconds.
    unnamed: Option<(u8, u64)>,
}

impl Systems {
    /// Creates an empty list. `wanted` is the only system that may be followed, if there is one.
    pub fn new(wanted: Option<u8>) -> Self {
        Systems { wanted, heard: [None; SENDERS_MAX], choice: None, unnamed: None }
    }

    /// Adds a verified message, which is `None` if it is not read, and returns how to take it.
    pub fn hear(&mut self, sender: Sender, message: Option<&Message>, received_ns: u64) -> Role {
        let kind = self.note(sender, message, received_ns);
        let is_followed = self.choice.is_some_and(|choice| choice.system == sender.system);
        if sender.component != AUTOPILOT {
            let is_ground = kind == Some(SystemKind::GroundStation);
            return if is_followed && !is_ground { Role::Companion } else { Role::Stranger };
        }
        if is_followed {
            return self.follow_on(kind, received_ns);
        }
        let is_named = kind == Some(SystemKind::Autopilot) || self.wanted == Some(sender.system);
        if !self.may_choose(sender.system, kind, is_named, message, received_ns) {
            return Role::Stranger;
        }
        self.choice = Some(Choice { system: sender.system, heard_ns: received_ns, is_named });
        Role::Chosen
    }

    /// Notes a message of the flight controller that is followed. One that was chosen without a heartbeat, and then
    /// says that it is something else, is followed no longer.
    fn follow_on(&mut self, kind: Option<SystemKind>, received_ns: u64) -> Role {
        let is_autopilot = kind == Some(SystemKind::Autopilot);
        let Some(choice) = self.choice.as_mut().filter(|choice| choice.is_named || is_autopilot || kind.is_none())
        else {
            self.choice = None;
            return Role::Stranger;
        };
        choice.heard_ns = received_ns;
        choice.is_named |= is_autopilot;
        Role::Followed
    }

    /// Reports whether the flight controller of a system becomes the one that is followed.
    fn may_choose(
        &mut self,
        system: u8,
        kind: Option<SystemKind>,
        is_named: bool,
        message: Option<&Message>,
        now_ns: u64,
    ) -> bool {
        if self.wanted.is_some_and(|wanted| wanted != system) {
            return false;
        }
        let is_silent = self.choice.is_none_or(|choice| now_ns.saturating_sub(choice.heard_ns) >= SILENT_NS);
        if is_named {
            return is_silent || self.choice.is_some_and(|choice| !choice.is_named);
        }
        is_silent && kind.is_none() && self.is_alone(system, message, now_ns)
    }

    /// Reports whether this system alone has sent positions for some time.
    fn is_alone(&mut self, system: u8, message: Option<&Message>, now_ns: u64) -> bool {
        if !matches!(message, Some(Message::Position(_) | Message::GpsRaw(_))) {
            return false;
        }
        let since_ns = self.unnamed.filter(|(known, _)| *known == system).map_or(now_ns, |(_, since_ns)| since_ns);
        self.unnamed = Some((system, since_ns));
        now_ns.saturating_sub(since_ns) >= UNNAMED_NS
    }

    /// Counts a message of a sender and returns what the sender is.
    fn note(&mut self, sender: Sender, message: Option<&Message>, received_ns: u64) -> Option<SystemKind> {
        let place = self.place(sender);
        let heard = self.heard[place].get_or_insert(Heard { sender, kind: None, messages: 0, heard_ns: received_ns });
        heard.messages = heard.messages.saturating_add(1);
        heard.heard_ns = received_ns;
        if let Some(Message::Heartbeat(heartbeat)) = message {
            heard.kind = Some(kind(sender, *heartbeat));
        }
        heard.kind
    }

    /// Returns the sender's place, if necessary that of the sender that has been silent longest.
    fn place(&mut self, sender: Sender) -> usize {
        let known = self.heard.iter().position(|heard| heard.is_some_and(|heard| heard.sender == sender));
        known.unwrap_or_else(|| {
            let age = |place: &usize| self.heard[*place].map(|heard| heard.heard_ns);
            let oldest = (0..SENDERS_MAX).min_by_key(age).unwrap_or_default();
            self.heard[oldest] = None;
            oldest
        })
    }

    /// Returns the senders, each with whether it is the one that is followed.
    pub fn heard(&self) -> impl Iterator<Item = (&Heard, bool)> {
        let followed = self.choice.map(|choice| Sender { system: choice.system, component: AUTOPILOT });
        self.heard.iter().flatten().map(move |heard| (heard, followed == Some(heard.sender)))
    }

    /// Returns the arrival, in monotonic nanoseconds, of the newest message of the flight controller that is followed.
    pub fn followed_ns(&self) -> Option<u64> {
        self.choice.map(|choice| choice.heard_ns)
    }

    /// Returns the system that the settings name.
    pub fn wanted(&self) -> Option<u8> {
        self.wanted
    }
}

/// Returns what a sender is by its heartbeat.
fn kind(sender: Sender, told: Heartbeat) -> SystemKind {
    let is_vehicle = !NO_VEHICLES.contains(&told.kind) && told.autopilot != NO_AUTOPILOT;
    match told.kind {
        GROUND_STATION => SystemKind::GroundStation,
        _ if is_vehicle && sender.component == AUTOPILOT => SystemKind::Autopilot,
        _ => SystemKind::Other,
    }
}
