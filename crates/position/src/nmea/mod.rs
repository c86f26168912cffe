//! Decodes NMEA 0183: turns a receiver's bytes into fixes.
//!
//! `frame` cuts sentences out of the bytes, `sentence` reads their fields, and `epoch` joins those of one moment.
//! Written from the public description of the standard (<https://gpsd.gitlab.io/gpsd/NMEA.html>).

mod epoch;
mod frame;
mod sentence;

use epoch::Epochs;
use frame::Framer;
use sentence::Sentence;

use super::Arrival;

/// Decoder that turns the bytes of one line into fixes. It uses a fixed amount of memory and accepts any bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    framer: Framer,
    epochs: Epochs,
}

impl Decoder {
    /// Decodes bytes as they arrive, split anywhere. `received_ns` is the monotonic time of their arrival.
    pub fn push(&mut self, bytes: &[u8], received_ns: u64, mut arrival: impl FnMut(Arrival)) {
        let epochs = &mut self.epochs;
        self.framer.push(bytes, |text| {
            arrival(Arrival::Valid);
            let fix = Sentence::parse(text).and_then(|sentence| epochs.add(&sentence, received_ns));
            if let Some(fix) = fix {
                arrival(Arrival::Fix(fix));
            }
        });
    }

    /// Returns the number of sentences that were begun and dropped: wrong checksum, too long, or bytes that are not
    /// text.
    pub fn broken(&self) -> u64 {
        self.framer.broken()
    }
}

#[cfg(test)]
mod tests;
