//! Where something is, and how far that can be trusted.

use serde::{Deserialize, Serialize};

/// A position on the ellipsoid (WGS 84) with its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Degrees, north positive, within [-90, 90].
    pub latitude_deg: f64,
    /// Degrees, east positive, within [-180, 180].
    pub longitude_deg: f64,
    /// Metres above the datum that the source uses (EXIF, NMEA and MAVLink: mean sea level).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altitude_m: Option<f64>,
    pub source: PositionSource,
    /// Horizontal dilution of precision, dimensionless; smaller is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hdop: Option<f64>,
    /// Standard deviation of the horizontal position in metres, as the source states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<FixQuality>,
    /// Seconds between the fix and the exposure; 0 for a fix of the same moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<f64>,
}

/// What measured a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionSource {
    /// The point that a drone's laser rangefinder met: the defect itself, not the aircraft.
    LaserTarget,
    /// A receiver whose carrier phase was resolved with corrections: centimetres.
    Rtk,
    /// The camera's own GPS block in the EXIF data. On a drone this is the aircraft, not the defect.
    Exif,
    /// The device's own receiver on a serial line.
    SerialGps,
    /// The flight controller's estimate.
    Mavlink,
}

/// How a receiver came to a position, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FixQuality {
    /// By dead reckoning, or typed in by hand.
    Estimated,
    /// By satellites alone.
    Autonomous,
    /// With corrections to the ranges (SBAS, DGPS).
    Differential,
    /// Carrier phase, its whole cycles not resolved yet: decimetres.
    RtkFloat,
    /// Carrier phase, resolved: centimetres.
    RtkFixed,
}
