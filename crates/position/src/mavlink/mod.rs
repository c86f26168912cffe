//! Decodes MAVLink 1 and 2: a flight controller's estimate of its position, and its camera's reports of pictures.
//!
//! `frame` cuts frames out of the bytes, `message` reads the few that matter here, and `vehicle` combines them. Message
//! numbers, layouts and checksum seeds are those of `common.xml` and the files it includes (`standard.xml`,
//! `minimal.xml`) in <https://github.com/mavlink/mavlink>.

mod frame;
mod message;
mod vehicle;

use frame::Framer;
use message::Message;
use vehicle::Vehicle;

use super::Arrival;

/// Decoder that turns the bytes of one line into fixes and pictures. It uses a fixed amount of memory and accepts any
/// bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    framer: Framer,
    vehicle: Vehicle,
}

impl Decoder {
    /// Decodes bytes as they arrive, split anywhere. `received_ns` is the monotonic time of their arrival.
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
