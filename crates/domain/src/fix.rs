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

/// Mean radius of the Earth in metres (IUGG).
const EARTH_M: f64 = 6_371_008.8;

impl Position {
    /// Returns the distance to another position along the ground in metres. It is computed on a sphere and accurate to
    /// half a percent for points that are near each other.
    pub fn distance_m(&self, other: &Position) -> f64 {
        let north = (other.latitude_deg - self.latitude_deg).to_radians();
        // Over the 180th meridian the short way counts.
        let east = ((other.longitude_deg - self.longitude_deg + 540.0).rem_euclid(360.0) - 180.0).to_radians();
        EARTH_M * north.hypot(east * self.latitude_deg.to_radians().cos())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude_deg: f64, longitude_deg: f64) -> Position {
        let (altitude_m, hdop, std_m, quality, age_s) = (None, None, None, None, None);
        let source = PositionSource::Exif;
        Position { latitude_deg, longitude_deg, altitude_m, source, hdop, std_m, quality, age_s }
    }

    #[test]
    fn distances_hold_at_the_date_line_too() {
        let cases = [
            (at(35.0, 139.0), at(35.0, 139.0), 0.0),
            (at(35.0, 139.0), at(35.001, 139.0), 111.195),
            (at(35.0, 139.0), at(35.0, 139.001), 91.086),
            (at(0.0, 179.9995), at(0.0, -179.9995), 111.195),
        ];
        for (a, b, expected) in cases {
            assert!((a.distance_m(&b) - expected).abs() < 0.01, "{a:?} {b:?} {}", a.distance_m(&b));
        }
    }
}
