//! One photo as this device took it in.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Burst, Drone, PhotoQuality, Position, Sha256, Tag, Time};

/// A photo's identity and circumstances. The same bytes are the same capture, whatever the file is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Hash of the whole file.
    pub sha256: Sha256,
    /// Where the file was found.
    pub path: PathBuf,
    /// File size.
    pub bytes: u64,
    /// Width and height of the stored pixels, before any EXIF rotation.
    pub pixels: [u32; 2],
    pub taken: Time,
    /// The same moment by the clock that counts from the start of the machine, if it was seen on this device. It puts
    /// the captures of one boot in order, whatever the calendar says.
    pub monotonic_ns: Option<u64>,
    pub position: Option<Position>,
    pub camera: Camera,
    pub exposure: Exposure,
    pub drone: Option<Drone>,
    pub quality: PhotoQuality,
    /// What a person said that the photos from here on show.
    pub tag: Option<Tag>,
    pub burst: Option<Burst>,
}

/// The camera as its own file names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Camera {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lens: Option<String>,
}

/// How the photo was exposed, as the camera states it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f_number: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_length_mm: Option<f64>,
    /// Of the lens that would show as much on 35 mm film.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_length_35mm_mm: Option<f64>,
}

impl Exposure {
    pub fn is_unknown(&self) -> bool {
        *self == Exposure::default()
    }
}

/// A file's state on disk, by which an unchanged file is recognised without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp {
    pub bytes: u64,
    /// Nanoseconds since 1970, negative before.
    pub modified_ns: i64,
}

/// A file that gave no result, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub path: PathBuf,
    pub stamp: FileStamp,
    pub reason: String,
    /// The device's clock; `None` if an older program noted it.
    pub noted_at: Option<Timestamp>,
}
