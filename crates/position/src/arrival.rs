//! Values that the decoders make from a serial line's bytes.

use jiff::Timestamp;

use bridgeclip_domain::Position;

/// Position of a receiver at one moment. The age of the position is left open, because it depends on when it is asked
/// for.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// Position, with an `age_s` of `None`.
    pub position: Position,
    /// Moment of the fix by satellite time.
    pub utc: Option<Timestamp>,
    /// Arrival of the fix's first byte, by the clock of [`monotonic_ns`](crate::monotonic_ns).
    pub received_ns: u64,
    /// Speed over ground in metres per second.
    pub speed_mps: Option<f64>,
    /// Direction of movement, in degrees clockwise from true north.
    pub course_deg: Option<f64>,
    /// Number of satellites used.
    pub satellites: Option<u8>,
}

/// A camera's report to the flight controller that it took a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct TakenImage {
    /// Name of the file that the camera made, without folders.
    pub file_name: String,
    /// Position of the flight controller when the picture was taken.
    pub fix: Fix,
}

/// One result of decoding the bytes of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// A sentence or frame with a correct checksum. Its content, if it has a use, follows as another arrival.
    Valid,
    /// The current fix. It is more complete than the previous one if both belong to the same moment.
    Fix(Fix),
    /// A camera took a picture.
    Image(TakenImage),
}
