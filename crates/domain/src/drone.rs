//! Facts that a drone wrote into its photo.

use serde::{Deserialize, Serialize};

/// State of the aircraft at the moment of exposure. Every value is as its maker states it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drone {
    /// Altitude in metres above sea level or the ellipsoid. Makers differ, and change the datum when RTK is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute_altitude_m: Option<f64>,
    /// Altitude in metres above the point of take-off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_altitude_m: Option<f64>,
    /// Direction of the camera.
    #[serde(default, skip_serializing_if = "Attitude::is_unknown")]
    pub gimbal: Attitude,
    /// Attitude of the aircraft.
    #[serde(default, skip_serializing_if = "Attitude::is_unknown")]
    pub flight: Attitude,
    /// Distance in metres from the camera to the point that the laser range finder hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub laser_distance_m: Option<f64>,
}

/// Orientation in degrees in the frame north, east, down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attitude {
    /// Roll about the forward axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll_deg: Option<f64>,
    /// Pitch, with 0 at the horizon and -90 straight down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pitch_deg: Option<f64>,
    /// Yaw from north, clockwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yaw_deg: Option<f64>,
}

impl Attitude {
    /// Reports whether no angle is known.
    pub fn is_unknown(&self) -> bool {
        *self == Attitude::default()
    }
}
