//! Positions, and how far they can be trusted.

use serde::{Deserialize, Serialize};

/// A position on the ellipsoid (WGS 84) with its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Latitude in degrees, positive to the north, in [-90, 90].
    pub latitude_deg: f64,
    /// Longitude in degrees, positive to the east, in [-180, 180].
    pub longitude_deg: f64,
    /// Altitude in metres above the surface that `altitude_above` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altitude_m: Option<f64>,
    /// Surface from which the altitude counts; `None` if the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub altitude_above: Option<AltitudeAbove>,
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
    /// Seconds between the fix and the exposure, no smaller than the doubt about the moment of the exposure; 0 for a fix
    /// of the same moment, `None` if the moment of the fix is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<f64>,
    /// Radius in metres within which the true position lies with 95 % probability, from everything that it rests on:
    /// the fix, its age, and the moment of the exposure. `None` if an older program stored the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_m: Option<f64>,
    /// Strongest evidence that contradicts the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<PlaceConflict>,
}

/// Mean radius of the Earth in metres (IUGG).
const EARTH_M: f64 = 6_371_008.8;

impl Position {
    /// Creates a position of which only the coordinates, in degrees, and the source are known.
    pub fn at(latitude_deg: f64, longitude_deg: f64, source: PositionSource) -> Self {
        Position {
            latitude_deg,
            longitude_deg,
            altitude_m: None,
            altitude_above: None,
            source,
            hdop: None,
            std_m: None,
            quality: None,
            age_s: None,
            error_m: None,
            conflict: None,
        }
    }

    /// Returns the distance to another position along the ground in metres. It is computed on a sphere and accurate to
    /// half a percent for points that are near each other.
    pub fn distance_m(&self, other: &Position) -> f64 {
        let north = (other.latitude_deg - self.latitude_deg).to_radians();
        let east = wrap_longitude(other.longitude_deg - self.longitude_deg).to_radians();
        EARTH_M * north.hypot(east * self.latitude_deg.to_radians().cos())
    }
}

/// Wraps a longitude, or a difference of two, into -180 to 180 degrees: over the 180th meridian the short way counts.
pub fn wrap_longitude(degrees: f64) -> f64 {
    (degrees + 540.0).rem_euclid(360.0) - 180.0
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
    /// Position that a drone wrote into the photo's XMP data. This is the aircraft, not the defect.
    Xmp,
    /// The device's own receiver on a serial line.
    SerialGps,
    /// Estimate of a flight controller.
    Mavlink,
}

/// Surface from which an altitude counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AltitudeAbove {
    /// Mean sea level, by the source's own model of it.
    Sea,
    /// The ellipsoid WGS 84. In Japan it lies 20 to 45 m below sea level.
    Ellipsoid,
}

/// Evidence that contradicts a position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaceConflict {
    pub source: PositionSource,
    pub latitude_deg: f64,
    pub longitude_deg: f64,
    /// Distance to the position that was chosen, in metres.
    pub distance_m: f64,
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
        Position::at(latitude_deg, longitude_deg, PositionSource::Exif)
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
