//! Where and when a photo was taken.
//!
//! `line` reads a serial receiver; `nmea` and `mavlink` make fixes of its bytes; `track` keeps the last ones and says
//! where the device was at a moment. `clock` knows how far the device's time can be trusted, `exposure` when a photo
//! was taken. `locator` brings all of it together for a capture, `trust` chooses between what disagrees, and `later`
//! finds what a stored capture can learn afterwards. All but `line` and the reading of clocks is pure: moments come in
//! as arguments.

pub mod nmea;

pub mod mavlink;

mod line;

mod track;

mod clock;
mod ntp;

mod exposure;

mod trust;

mod locator;

mod later;

pub use clock::{GpsTime, Reading, WallClock, boot_id, monotonic_ns, time_at};
pub use exposure::{Exposure, Sighting, exposure};
pub use later::{Correction, Stored, corrections};
pub use line::{BAUD_RATES, Line, LineEvent, Params, Protocol};
pub use locator::{Located, Locator};
pub use track::{Track, When};
pub use trust::most_trusted;

use jiff::Timestamp;

use crate::domain::Position;

/// Where a receiver was at one moment. The position's age is left open: it depends on who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    pub position: Position,
    /// The moment of the fix by the satellites.
    pub utc: Option<Timestamp>,
    /// When its first byte arrived, by the clock of [`monotonic_ns`].
    pub received_ns: u64,
    pub speed_mps: Option<f64>,
    /// Direction of movement, degrees clockwise from true north.
    pub course_deg: Option<f64>,
    /// Satellites that were used.
    pub satellites: Option<u8>,
}

/// A camera told the flight controller that it took a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct TakenImage {
    /// The name of the file that the camera made, without folders.
    pub file_name: String,
    pub fix: Fix,
}

/// What the bytes of a line turn out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// A sentence or frame with a right checksum. What it tells, if anything, follows.
    Valid,
    /// The fix of the current moment, more complete than the one before if that was of the same moment.
    Fix(Fix),
    Image(TakenImage),
}
