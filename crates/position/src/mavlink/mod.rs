//! Decodes MAVLink 1 and 2: one flight controller's estimate of its position, and its camera's reports of pictures.
//!
//! `frame` cuts frames out of the bytes and verifies those that `kinds` lists, `message` reads the few that matter
//! here, and `systems` chooses the flight controller that is followed. `vehicle` combines its messages into fixes,
//! `captures` places its pictures in time, and `clocks` relates its clocks to the device's. `report` explains the line.

mod captures;
mod clocks;
mod frame;
mod kinds;
mod message;
mod report;
mod systems;
mod vehicle;

use clocks::Years;
use frame::{Frame, Framer};
use kinds::KINDS;
use message::Message;
use systems::{Role, Systems};
use vehicle::Vehicle;

use super::Arrival;

pub use report::{MavlinkReport, MessageCount, Missing, SystemReport};
pub use systems::SystemKind;

/// Parameters of a decoder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params {
    /// System id of the flight controller to follow. `None` follows the first one that is heard, and another one after
    /// that has been silent for 10 seconds.
    pub system: Option<u8>,
}

/// Decoder that turns the bytes of one line into fixes and pictures of one flight controller. It uses a fixed amount of
/// memory and accepts any bytes.
#[derive(Debug)]
pub struct Decoder {
    framer: Framer,
    /// Number of messages of each kind.
    counts: [u32; KINDS.len()],
    systems: Systems,
    vehicle: Vehicle,
    /// Arrival of the newest bytes, in monotonic nanoseconds.
    now_ns: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new(Params::default())
    }
}

impl Decoder {
    /// Creates a decoder that has heard nothing yet.
    pub fn new(params: Params) -> Self {
        Decoder {
            framer: Framer::default(),
            counts: [0; KINDS.len()],
            systems: Systems::new(params.system),
            vehicle: Vehicle::default(),
            now_ns: 0,
        }
    }

    /// Creates a decoder for a recording, which may be of any year since 2012. The calendar time of a live controller is
    /// believed from 2025 on.
    pub fn of_recording() -> Self {
        Decoder { vehicle: Vehicle::new(0, Years::Recorded), ..Decoder::default() }
    }

    /// Decodes bytes as they arrive, split anywhere. `received_ns` is the monotonic time of their arrival.
    pub fn push(&mut self, bytes: &[u8], received_ns: u64, mut arrival: impl FnMut(Arrival)) {
        let Decoder { framer, counts, systems, vehicle, now_ns } = self;
        *now_ns = received_ns;
        framer.push(bytes, |frame| {
            counts[frame.kind] = counts[frame.kind].saturating_add(1);
            arrival(Arrival::Valid);
            if let Some(told) = hear(systems, vehicle, &frame, received_ns) {
                arrival(told);
            }
        });
    }
}

/// Takes a frame as its sender deserves, and returns the fix or picture that it completes.
fn hear(systems: &mut Systems, vehicle: &mut Vehicle, frame: &Frame, received_ns: u64) -> Option<Arrival> {
    let message = Message::read(&KINDS[frame.kind], frame.payload);
    let role = systems.hear(frame.sender, message.as_ref(), received_ns);
    let message = message?;
    let is_controller = role != Role::Companion;
    match role {
        Role::Stranger => return None,
        Role::Chosen => *vehicle = Vehicle::new(received_ns, vehicle.years),
        Role::Followed | Role::Companion => (),
    }
    let image = vehicle.image(&message, is_controller, received_ns).map(Arrival::Image);
    let fix = if is_controller { vehicle.hear(&message, received_ns) } else { None };
    image.or(fix.map(Arrival::Fix))
}

#[cfg(test)]
mod tests;
