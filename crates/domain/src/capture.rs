//! A photo as this device stored it.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Burst, Drone, PhotoQuality, Position, Sha256, Tag, Time};

/// Identity and circumstances of a photo. The same bytes are the same capture, whatever the name of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Hash of the complete file.
    pub sha256: Sha256,
    /// Path at which the file was found.
    pub path: PathBuf,
    /// File size in bytes.
    pub bytes: u64,
    /// Width and height of the stored pixels, before any EXIF rotation.
    pub pixels: [u32; 2],
    /// Calendar time of the exposure.
    pub taken: Time,
    /// Exposure in nanoseconds since the start of the machine, if the device observed it. It orders the captures of one
    /// boot, whatever the calendar says.
    pub monotonic_ns: Option<u64>,
    /// Position of the camera or of the subject.
    pub position: Option<Position>,
    pub camera: Camera,
    pub exposure: Exposure,
    pub drone: Option<Drone>,
    /// Figures for how well the photo shows its subject.
    pub quality: PhotoQuality,
    /// Bridge, span and member that a person named for this photo and those that follow.
    pub tag: Option<Tag>,
    /// Place in a burst; `None` for single photos and for a burst's first frame.
    pub burst: Option<Burst>,
}

/// Camera, as the metadata names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Camera {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Serial number of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lens: Option<String>,
}

/// Exposure settings, as the camera states them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// Exposure time in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f_number: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso: Option<u32>,
    /// Focal length in millimetres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_length_mm: Option<f64>,
    /// Focal length in millimetres of the lens with the same view on 35 mm film.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_length_35mm_mm: Option<f64>,
}

impl Exposure {
    /// Reports whether the camera stated nothing.
    pub fn is_unknown(&self) -> bool {
        *self == Exposure::default()
    }
}

/// State of a file on disk, by which an unchanged file is recognised without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// File size in bytes.
    pub bytes: u64,
    /// Time of the last change in nanoseconds since 1970; negative before.
    pub modified_ns: i64,
}

/// A file that gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Path at which the file was found.
    pub path: PathBuf,
    /// State of the file when it failed.
    pub stamp: FileStamp,
    /// Reason in words.
    pub reason: String,
    /// Time of the failure by the device's clock; `None` if an older program noted it.
    pub noted_at: Option<Timestamp>,
}
