//! Moments, and how far they can be trusted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment in UTC with its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Time {
    pub at: Timestamp,
    pub quality: TimeQuality,
    /// Evidence that gave the moment; `None` if an older program stored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<TimeBasis>,
    /// Seconds before and after `at` within which the moment lies with 95 % probability; `None` if nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_s: Option<f64>,
    /// Strongest evidence that contradicts the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<TimeConflict>,
}

impl Time {
    /// Creates a moment of which only the clock is known.
    pub fn new(at: Timestamp, quality: TimeQuality) -> Self {
        Time { at, quality, basis: None, error_s: None, conflict: None }
    }
}

/// Origin of a time, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeQuality {
    /// A satellite receiver.
    Gps,
    /// The device's clock while NTP keeps it.
    Ntp,
    /// The camera's clock.
    Exif,
    /// The device's clock when nothing has set it since the start.
    Unsynced,
}

/// Evidence for the moment of an exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeBasis {
    /// The flight controller's report that it triggered the camera, or that the camera took a picture.
    Trigger,
    /// The moment of exposure by the camera's clock, corrected by that clock's known error.
    Camera,
    /// The satellite time that the camera stored with its position.
    CameraGps,
    /// The end of writing a file that the device saw being written.
    Written,
    /// The arrival of an upload. The photo is older.
    Arrival,
    /// The file's modification time, by the clock of an unknown device.
    File,
}

/// Evidence that contradicts a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeConflict {
    pub basis: TimeBasis,
    /// Moment that this evidence gives, minus the moment that was chosen, in seconds.
    pub difference_s: f64,
    /// Explanation of the difference.
    pub reason: TimeConflictReason,
}

/// Explanation of contradicting moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeConflictReason {
    /// The camera's clock shows a time after the photo's arrival, so it is fast.
    Future,
    /// The camera's clock shows a time before this kind of camera existed, as after a reset.
    Reset,
    /// The camera's clock differs by a time zone or by summer time.
    Zone,
    /// The photo was taken earlier and copied, or the camera's clock is slow. The evidence does not say which.
    CopyOrClock,
    /// The camera's clock and the satellite time that it stored differ by more than a time zone explains.
    Satellites,
}
