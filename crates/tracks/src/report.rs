//! What a track file gives: fixes, images, and what was left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use bridgeclip_domain::Position;

/// Contents of a track file.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackFile {
    pub format: TrackFormat,
    /// Fixes in order of time, at most one for each moment; never empty.
    pub fixes: Vec<TrackFix>,
    /// Pictures that the flight controller knows of, in order of time.
    pub images: Vec<TrackImage>,
    /// Number of records that were left out, by reason.
    pub skipped: BTreeMap<Skip, u64>,
    /// Facts about the file that a person should know.
    pub notes: BTreeSet<Note>,
}

impl TrackFile {
    /// Returns the moments of the first and the last fix.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.fixes.first()?.utc, self.fixes.last()?.utc))
    }

    /// Returns the number of interruptions: places where no path leads from one fix to the next.
    pub fn gaps(&self) -> usize {
        self.fixes.iter().skip(1).filter(|fix| fix.gap_before).count()
    }
}

/// A position at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackFix {
    /// Moment of the position.
    pub utc: Timestamp,
    /// Position, with an `age_s` of `None`.
    pub position: Position,
    /// Speed over ground in metres per second.
    pub speed_mps: Option<f64>,
    /// Whether no path leads from the previous fix to this one: another segment, a restart, or more than ten seconds
    /// without a fix in a log that has one every second.
    pub gap_before: bool,
}

/// A picture, as the flight controller recorded it.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackImage {
    /// Moment of the picture.
    pub utc: Timestamp,
    /// Number that the controller gave to the picture. It counts triggers or reports, not files on the card.
    pub number: Option<u32>,
    /// Name of the picture's file, without folders.
    pub file_name: Option<String>,
    /// Position of the vehicle at that moment.
    pub position: Position,
}

/// Format of a track file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrackFormat {
    /// GPS Exchange Format 1.0 or 1.1.
    Gpx,
    /// Sentences of NMEA 0183, with or without other text between them.
    Nmea,
    /// Telemetry log of a ground station: MAVLink frames, each after its time of arrival.
    Tlog,
    /// Log of an ArduPilot flight controller (`.bin`).
    DataFlash,
    /// The same log as text (`.log`).
    DataFlashText,
    /// Log of a PX4 flight controller (`.ulg`).
    Ulog,
}

impl fmt::Display for TrackFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrackFormat::Gpx => "GPX",
            TrackFormat::Nmea => "NMEA",
            TrackFormat::Tlog => "MAVLink telemetry log",
            TrackFormat::DataFlash => "ArduPilot DataFlash log",
            TrackFormat::DataFlashText => "ArduPilot DataFlash log as text",
            TrackFormat::Ulog => "PX4 ULog",
        })
    }
}

/// Reason why a record of a track file was left out. As text, it follows a number: "3 fixes without a time".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// The point has no time, or one that is not valid.
    NoTime,
    /// The sentence has a time of day, and no date was known yet.
    NoDate,
    /// No satellite time ties the controller's clock to UTC.
    NoUtc,
    /// The time lies before 2000 or in the future.
    TimeOutOfRange,
    /// The receiver had no fix.
    NoFix,
    /// The place is missing, out of range, or 0, 0.
    NoPlace,
    /// Another fix covers the same moment, as in tracks that overlap.
    Repeated,
    /// The camera reported that it took no picture.
    FailedImage,
    /// No place is known for the moment of the picture.
    ImageWithoutPlace,
    /// The file has more pictures than are kept.
    ImagesTooMany,
    /// A stretch of bytes is no record, or a sentence has a wrong checksum.
    Unreadable,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Skip::NoTime => "fixes without a time",
            Skip::NoDate => "fixes before the first date",
            Skip::NoUtc => "records of a clock that no satellite time ties to UTC",
            Skip::TimeOutOfRange => "fixes before 2000 or in the future: a clock that was not set",
            Skip::NoFix => "records of a receiver without a fix",
            Skip::NoPlace => "fixes without a valid place",
            Skip::Repeated => "fixes of moments that other fixes cover",
            Skip::FailedImage => "pictures that the camera did not take",
            Skip::ImageWithoutPlace => "pictures without a place",
            Skip::ImagesTooMany => "pictures beyond the limit",
            Skip::Unreadable => "unreadable stretches",
        })
    }
}

/// Fact about a track file that a person should know. As text, it is a sentence without its final point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// The file has waypoints, which have no path.
    WaypointsIgnored,
    /// The file has routes, which are plans.
    RoutesIgnored,
    /// Times have no zone; GPX defines them as UTC.
    TimesWithoutZone,
    /// No satellite time: the moments are those of the ground station's clock.
    GroundStationClock,
    /// The file ends in the middle of a record.
    EndsEarly,
    /// The file is damaged after this many bytes, and the rest was not read.
    Damaged(u64),
    /// Fixes were thinned to this spacing in milliseconds.
    Thinned(i64),
    /// The log has no reports of the camera, only of its trigger.
    TriggersOnly,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::WaypointsIgnored => f.write_str("waypoints are not read; only tracks are"),
            Note::RoutesIgnored => f.write_str("routes are plans and not read; only tracks are"),
            Note::TimesWithoutZone => f.write_str("times without a zone are taken as UTC, as GPX defines them"),
            Note::GroundStationClock => {
                f.write_str("no satellite time in the log: moments are those of the ground station's clock")
            }
            Note::EndsEarly => f.write_str("the file ends in the middle of a record; what is before it was read"),
            Note::Damaged(position) => write!(f, "the file is damaged after {position} bytes; the rest was not read"),
            Note::Thinned(spacing_ms) => {
                write!(f, "too many fixes: kept one each {:.1} seconds", *spacing_ms as f64 / 1e3)
            }
            Note::TriggersOnly => {
                f.write_str("no reports of the camera: pictures are those that the controller triggered")
            }
        }
    }
}
