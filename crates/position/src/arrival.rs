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
    /// Moment of the measurement by the same clock, no later than the arrival, and equal to it if the line does not
    /// tell. This is the moment at which the device was there: over a telemetry radio, half of the positions arrive
    /// more than 0.3 s after it.
    pub measured_ns: u64,
    /// Speed over ground in metres per second.
    pub speed_mps: Option<f64>,
    /// Direction of movement, in degrees clockwise from true north.
    pub course_deg: Option<f64>,
    /// Number of satellites used.
    pub satellites: Option<u8>,
}

impl Fix {
    /// Makes a fix of which only the place, the time and the arrival are known. Its measurement counts as its arrival.
    pub fn new(position: Position, utc: Option<Timestamp>, received_ns: u64) -> Self {
        Fix {
            position,
            utc,
            received_ns,
            measured_ns: received_ns,
            speed_mps: None,
            course_deg: None,
            satellites: None,
        }
    }
}

/// Message by which a flight controller or its camera tells of a picture. The same picture may be reported by several,
/// in any order, and more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageReport {
    /// The controller has triggered the camera (`CAMERA_TRIGGER`).
    Trigger,
    /// The controller has seen the camera take a picture, or has triggered it (`CAMERA_FEEDBACK`).
    Feedback,
    /// The camera, or the controller in its place, has taken a picture (`CAMERA_IMAGE_CAPTURED`).
    Captured,
}

/// Report of a picture by a flight controller or its camera.
#[derive(Clone, Debug, PartialEq)]
pub struct TakenImage {
    pub kind: ImageReport,
    /// Number of the picture by the counter of the sender. Reports of one kind have it in common if they tell of the
    /// same picture; different kinds may count from different starts.
    pub number: Option<u32>,
    /// Name of the file that the camera made, without folders.
    pub file_name: Option<String>,
    /// Exposure, by the clock of [`monotonic_ns`](crate::monotonic_ns).
    pub exposed_ns: u64,
    /// Half-width in seconds of the 95 % interval of the exposure.
    pub error_s: f64,
    /// Exposure by satellite time.
    pub utc: Option<Timestamp>,
    /// Position of the vehicle at the exposure, with an `age_s` of `None`.
    pub position: Option<Position>,
}

/// One result of decoding the bytes of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// A sentence or frame with a correct checksum. Its content, if it has a use, follows as another arrival.
    Valid,
    /// The current fix. It is more complete than the previous one if both belong to the same moment.
    Fix(Fix),
    /// A camera took a picture, or was triggered.
    Image(TakenImage),
}
