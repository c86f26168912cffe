//! MAVLink 1 and 2: a flight controller's estimate of where it is, and its camera's reports of pictures.
//!
//! `frame` cuts frames out of the bytes, `message` reads the few that matter here, `vehicle` joins them. Numbers of
//! messages, layouts and checksum seeds are those of `common.xml` and what it includes (`standard.xml`,
//! `minimal.xml`) in <https://github.com/mavlink/mavlink>.

mod frame;
mod message;
mod vehicle;

use frame::Framer;
use message::Message;
use vehicle::Vehicle;

use super::Arrival;

/// Turns the bytes of one line into fixes and pictures. Its memory is fixed; any bytes are fine.
#[derive(Debug, Default)]
pub struct Decoder {
    framer: Framer,
    vehicle: Vehicle,
}

impl Decoder {
    /// Takes bytes as they come, cut anywhere. `received_ns` is when they came.
    pub fn push(&mut self, bytes: &[u8], received_ns: u64, mut arrival: impl FnMut(Arrival)) {
        let vehicle = &mut self.vehicle;
        self.framer.push(bytes, |id, payload| {
            arrival(Arrival::Valid);
            if let Some(told) = Message::read(id, payload).and_then(|message| vehicle.hear(message, received_ns)) {
                arrival(told);
            }
        });
    }
}

#[cfg(test)]
mod tests;
