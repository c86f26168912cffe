//! What a line brings.

use jiff::Timestamp;

use bridgeclip_domain::Position;

/// Where a receiver was at one moment. The position's age is left open: it depends on who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    pub position: Position,
    /// The moment of the fix by the satellites.
    pub utc: Option<Timestamp>,
    /// When its first byte arrived, by the clock of [`super::monotonic_ns`].
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
