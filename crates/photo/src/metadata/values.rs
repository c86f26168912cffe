//! Facts that metadata give.

use jiff::Timestamp;

use bridgeclip_domain::{Camera, Drone, Exposure, Position};

use crate::Orientation;

/// Facts from a file's metadata that the product uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Moment of exposure by the camera's clock.
    pub taken: Option<Timestamp>,
    /// Moment of the position by the satellites' clock.
    pub gps_time: Option<Timestamp>,
    /// Positions of the camera and of its subject.
    pub positions: Positions,
    /// Direction that the camera faced, in degrees clockwise from true north.
    pub heading_deg: Option<f64>,
    /// Orientation of the stored pixels.
    pub orientation: Orientation,
    pub camera: Camera,
    pub exposure: Exposure,
    pub drone: Option<Drone>,
}

/// Positions that a file gives for the camera and for what the photo shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Positions {
    /// Point that the drone's laser hit.
    pub laser_target: Option<Position>,
    /// Drone's position with RTK corrections.
    pub rtk: Option<Position>,
    /// Position in the EXIF block.
    pub exif: Option<Position>,
}
