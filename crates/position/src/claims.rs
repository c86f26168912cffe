//! Evidence for the moment and the place of one photo, as it was observed.
//!
//! It is stored with the capture, so that both can be weighed again when a clock, a fix or a report becomes known.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use bridgeclip_domain::Position;

use super::clock::Reading;

/// How a photo came to the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It appeared in a watched folder.
    #[default]
    Watched,
    /// A visitor sent it through the field page. Another device took it, at any time before.
    Uploaded,
    /// A person imported it, from a card for instance.
    Imported,
}

/// The moment of exposure as the camera's clock showed it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraReading {
    /// Date and time on the camera's display.
    pub civil: DateTime,
    /// Offset from UTC that the file states.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "offset_seconds")]
    pub offset: Option<Offset>,
    /// Step of the clock in seconds: 1 without a fraction, else 0.01.
    pub step_s: f64,
}

/// Everything that was observed about one photo's moment and place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    pub origin: Origin,
    /// Last write to the file by the monotonic clock of the boot in which it was seen; `None` if the device did not see
    /// the file being written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_ns: Option<u64>,
    /// First sight of the file in its present state, by the monotonic clock of that boot.
    pub seen_ns: u64,
    /// The same moment in UTC as far as it was known when the photo was stored, for other boots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// Time of the last write by the clock of whatever wrote the file.
    pub modified: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<CameraReading>,
    /// Satellite time that the camera stored with its position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gps: Option<Timestamp>,
    /// Moment of exposure in UTC, as a drone states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc: Option<Timestamp>,
    /// Speed over ground that the camera stored, in metres per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_mps: Option<f64>,
    /// Whether the photo is a drone's, whose position is that of the exposure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_drone: bool,
    /// Positions that the photo itself contains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Position>,
}

/// Difference in nanoseconds up to which a file system may round a time up (FAT: two seconds).
const ROUNDING_NS: u64 = 2_000_000_000;

/// Time in nanoseconds within which the device sees a file that is written while it watches. Changes are announced at
/// once, and folders without announcements are scanned every ten seconds by default.
const LIVE_NS: u64 = 15_000_000_000;

/// Returns when a file was written, by the monotonic clock, from its modification time and from the readings of both
/// clocks when it was first seen. `None` if it was not written while the device watched.
///
/// Both clocks are those of the sighting: the wall clock may be set while the photo waits.
pub fn written_ns(modified: Timestamp, seen_ns: u64, seen_wall: Timestamp) -> Option<u64> {
    let seen = Reading { monotonic_ns: seen_ns, wall: seen_wall, ntp: false };
    let written_ns = seen.monotonic_at(modified)?;
    let is_live = seen_ns.saturating_sub(written_ns) <= LIVE_NS && written_ns.saturating_sub(seen_ns) <= ROUNDING_NS;
    is_live.then_some(written_ns.min(seen_ns))
}

impl Claims {
    /// Makes the claims of a file of which nothing is known but its time, and when the device first saw it.
    pub fn of_file(origin: Origin, seen_ns: u64, modified: Timestamp) -> Self {
        Claims {
            origin,
            written_ns: None,
            seen_ns,
            seen: None,
            modified,
            camera: None,
            gps: None,
            utc: None,
            speed_mps: None,
            is_drone: false,
            places: Vec::new(),
        }
    }

    /// Reports whether the device saw the photo being written.
    pub fn is_live(&self) -> bool {
        self.written_ns.is_some() && self.origin == Origin::Watched
    }

    /// Latest possible moment of the exposure, by the monotonic clock.
    pub fn latest_ns(&self) -> u64 {
        self.written_ns.map_or(self.seen_ns, |written| written.min(self.seen_ns))
    }
}

/// An offset from UTC as seconds.
mod offset_seconds {
    use super::*;

    pub fn serialize<S: Serializer>(offset: &Option<Offset>, serializer: S) -> Result<S::Ok, S::Error> {
        offset.map(Offset::seconds).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Offset>, D::Error> {
        let seconds = Option::<i32>::deserialize(deserializer)?;
        seconds.map(|seconds| Offset::from_seconds(seconds).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn utc(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    #[test]
    fn a_file_that_was_written_while_the_device_watched_has_a_moment() {
        let seen = |modified| written_ns(utc(modified), 1_000 * S, utc("2026-11-25T12:00:00Z")).map(|ns| ns / S);
        assert_eq!(seen("2026-11-25T11:59:58Z"), Some(998));
        assert_eq!(seen("2026-11-25T12:00:02Z"), Some(1_000), "a FAT rounds up");
        assert_eq!(seen("2026-11-25T11:59:44Z"), None, "it was there before");
        assert_eq!(seen("2026-11-25T12:00:03Z"), None, "another clock");
        assert_eq!(seen("2026-11-25T11:43:00Z"), None, "before the start of the machine");
        assert_eq!(written_ns(Timestamp::MIN, 5, Timestamp::MAX), None);
    }

    #[test]
    fn claims_survive_storage() {
        let claims = Claims {
            origin: Origin::Imported,
            written_ns: Some(5),
            seen_ns: 7,
            seen: Some(utc("2026-11-25T12:00:00Z")),
            modified: utc("2026-11-25T12:00:00Z"),
            camera: Some(CameraReading {
                civil: "2026-11-25T21:00:00.25".parse().expect("a time"),
                offset: Some(jiff::tz::offset(9)),
                step_s: 0.01,
            }),
            gps: None,
            utc: None,
            speed_mps: Some(2.5),
            is_drone: true,
            places: vec![bridgeclip_domain::testing::position()],
        };
        let text = serde_json::to_string(&claims).expect("JSON");
        assert_eq!(serde_json::from_str::<Claims>(&text).expect("the same"), claims, "{text}");
        let bare = r#"{"origin":"watched","seen_ns":7,"modified":"2026-11-25T12:00:00Z"}"#;
        let claims: Claims = serde_json::from_str(bare).expect("few claims");
        assert_eq!((claims.latest_ns(), serde_json::to_string(&claims).expect("JSON")), (7, bare.to_owned()));
    }
}
