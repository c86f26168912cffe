//! NMEA 0183: bytes of a receiver to fixes.
//!
//! `frame` cuts sentences out of the bytes, `sentence` reads their fields, `epoch` joins those of one moment. Written
//! after the standard's public description (<https://gpsd.gitlab.io/gpsd/NMEA.html>).

mod epoch;
mod frame;
mod sentence;

use epoch::Epochs;
use frame::Framer;
use sentence::Sentence;

use super::Arrival;

/// Turns the bytes of one line into fixes. Its memory is fixed; any bytes are fine.
#[derive(Debug, Default)]
pub struct Decoder {
    framer: Framer,
    epochs: Epochs,
}

impl Decoder {
    /// Takes bytes as they come, cut anywhere. `received_ns` is when they came.
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

    /// Sentences that were begun and then given up: wrong checksum, too long, or bytes that are no text.
    pub fn broken(&self) -> u64 {
        self.framer.broken()
    }
}

#[cfg(test)]
mod tests;
