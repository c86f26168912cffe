//! Decodes NMEA 0183: turns a receiver's bytes into fixes.
//!
//! `frame` cuts sentences out of the bytes, `sentence` reads them by their `fields`, `talker` says who speaks, `epoch`
//! joins the sentences of one moment, `dates` finds its date and `datum` its datum. `heard` counts what is said. Written
//! from the public description of the standard (<https://gpsd.gitlab.io/gpsd/NMEA.html>).

mod dates;
mod datum;
mod epoch;
mod fields;
mod frame;
mod heard;
mod sentence;
mod talker;

use epoch::Epochs;
use frame::Framer;
use sentence::Sentence;
use talker::Talker;

pub(crate) use dates::DateState;
pub(crate) use datum::Datum;
pub(crate) use heard::{Antenna, Heard, Kind};

use super::Arrival;

/// Decoder that turns the bytes of one line into fixes. It uses a fixed amount of memory and accepts any bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    framer: Framer,
    epochs: Epochs,
    heard: Heard,
}

impl Decoder {
    /// Creates a decoder for a recording. Its dates are believed as they are, because it may be of any year; a live
    /// receiver's dates are judged by `calendar`.
    pub fn of_recording() -> Self {
        Decoder { epochs: Epochs::of_recording(), ..Decoder::default() }
    }

    /// Decodes bytes as they arrive, split anywhere. `received_ns` is the monotonic time of their arrival.
    pub fn push(&mut self, bytes: &[u8], received_ns: u64, mut arrival: impl FnMut(Arrival)) {
        let (epochs, heard) = (&mut self.epochs, &mut self.heard);
        self.framer.push(bytes, |text| {
            arrival(Arrival::Valid);
            heard.note(text.bytes, received_ns);
            let sentence = text.is_whole.then(|| Sentence::parse(text.bytes)).flatten();
            let fix = sentence.and_then(|sentence| epochs.add(Talker::of(text.bytes)?, &sentence, received_ns));
            if let Some(fix) = fix {
                arrival(Arrival::Fix(fix));
            }
        });
    }

    /// Returns what was heard.
    pub(crate) fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Returns what is known about the date.
    pub(crate) fn date_state(&self) -> DateState {
        self.epochs.date_state()
    }

    /// Returns the datum of the positions, which are converted to WGS 84 if it is known.
    pub(crate) fn datum(&self) -> Datum {
        self.epochs.datum()
    }

    /// Returns the number of sentences that were begun and dropped: wrong checksum, too long, or bytes that are not
    /// text.
    pub fn broken(&self) -> u64 {
        self.framer.broken()
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod habits;
