//! Facts that metadata give.

use jiff::Timestamp;
use jiff::tz::Offset;

use bridgeclip_domain::{Camera, Drone, Exposure, Position};

use super::moments::Moments;
use crate::Orientation;

/// Facts from a file's metadata that the product uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Claims about the moment of exposure.
    pub moments: Moments,
    /// Positions of the camera and of its subject.
    pub positions: Positions,
    /// Speed of the camera over the ground in metres per second.
    pub speed_mps: Option<f64>,
    /// Direction that the camera faced, in degrees clockwise from true north.
    pub heading_deg: Option<f64>,
    /// Orientation of the stored pixels.
    pub orientation: Orientation,
    pub camera: Camera,
    pub exposure: Exposure,
    pub drone: Option<Drone>,
}

impl Metadata {
    /// Returns the most trusted moment of exposure. `local` is the UTC offset of a camera that neither states one nor
    /// shows it by the time of its position.
    pub fn taken(&self, local: Offset) -> Option<Timestamp> {
        self.moments.taken(local)
    }
}

/// Positions that a file gives for the camera and for what the photo shows. Sources of the same position are not
/// compared here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Positions {
    /// Point that the drone's laser hit.
    pub laser_target: Option<Position>,
    /// Drone's position with RTK corrections.
    pub rtk: Option<Position>,
    /// Position in the EXIF block.
    pub exif: Option<Position>,
    /// Position in the XMP packet, if it is not `rtk`.
    pub xmp: Option<Position>,
}

/// Returns an altitude in metres if it can be one. The lowest land is 430 m below the sea, no drone flies above 20 km,
/// and receivers without an altitude write values beyond both.
pub fn plausible_altitude(metres: f64) -> Option<f64> {
    (-600.0..=20_000.0).contains(&metres).then_some(metres)
}

/// Returns latitude and longitude in degrees unless both are zero: receivers and devices without a position write that
/// point.
pub fn plausible_place(latitude_deg: f64, longitude_deg: f64) -> Option<(f64, f64)> {
    ((latitude_deg, longitude_deg) != (0.0, 0.0)).then_some((latitude_deg, longitude_deg))
}

/// Returns a dilution of precision if it can be one. Receivers without a fix state 99.9, and zero means unknown.
pub fn plausible_dop(dop: f64) -> Option<f64> {
    (dop > 0.0 && dop < 99.0).then_some(dop)
}

/// Returns the error of a position in metres if it can be one. Zero means unknown.
pub fn plausible_error(metres: f64) -> Option<f64> {
    (metres > 0.0 && metres <= 1e6).then_some(metres)
}

/// Returns a speed in metres per second if it can be one of a camera, an aeroplane's included.
pub fn plausible_speed(metres_per_second: f64) -> Option<f64> {
    (0.0..=400.0).contains(&metres_per_second).then_some(metres_per_second)
}
