//! Positions, and how far they can be trusted.

use serde::{Deserialize, Serialize};

/// A position on the ellipsoid (WGS 84) with its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Latitude in degrees, positive to the north, in [-90, 90].
    pub latitude_deg: f64,
    /// Longitude in degrees, positive to the east, in [-180, 180].
    pub longitude_deg: f64,
    /// Altitude in metres above the datum that the source uses; EXIF, NMEA and MAVLink use mean sea level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altitude_m: Option<f64>,
    pub source: PositionSource,
    /// Horizontal dilution of precision, dimensionless; smaller is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hdop: Option<f64>,
    /// Standard deviation of the horizontal position in metres, as the source states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std_m: Option<f64>,
    /// Kind of fix, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<FixQuality>,
    /// Seconds between the fix and the exposure; 0 for a fix of the same moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<f64>,
}

/// Source that measured a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionSource {
    /// Point that a drone's laser range finder hit: the defect itself, not the aircraft.
    LaserTarget,
    /// A receiver that resolved the carrier phase with corrections, accurate to centimetres.
    Rtk,
    /// GPS block of the camera's EXIF data. On a drone this is the aircraft, not the defect.
    Exif,
    /// The device's own receiver on a serial line.
    SerialGps,
    /// Estimate of a flight controller.
    Mavlink,
}

/// Method by which a receiver found a position, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FixQuality {
    /// Dead reckoning, or a position typed in by hand.
    Estimated,
    /// Satellites alone.
    Autonomous,
    /// Satellites with corrections to the ranges (SBAS, DGPS).
    Differential,
    /// Carrier phase with unresolved whole cycles, accurate to decimetres.
    RtkFloat,
    /// Resolved carrier phase, accurate to centimetres.
    RtkFixed,
}
