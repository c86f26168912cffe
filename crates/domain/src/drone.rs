//! What a drone wrote into its photo about itself.

use serde::{Deserialize, Serialize};

/// The aircraft at the moment of exposure. Every value is as its maker states it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drone {
    /// Metres above sea level or above the ellipsoid: makers differ, and change it when RTK is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute_altitude_m: Option<f64>,
    /// Metres above the point of take-off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_altitude_m: Option<f64>,
    /// Where the camera looked.
    #[serde(default, skip_serializing_if = "Attitude::is_unknown")]
    pub gimbal: Attitude,
    #[serde(default, skip_serializing_if = "Attitude::is_unknown")]
    pub flight: Attitude,
    /// Metres from the camera to the point that the laser range finder hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub laser_distance_m: Option<f64>,
}

/// Angles in degrees in the frame north, east, down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attitude {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll_deg: Option<f64>,
    /// 0 is the horizon, -90 straight down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pitch_deg: Option<f64>,
    /// From north, clockwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yaw_deg: Option<f64>,
}

impl Attitude {
    pub fn is_unknown(&self) -> bool {
        *self == Attitude::default()
    }
}
