//! A photo as this device stored it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::{Burst, Drone, PhotoQuality, Position, Sha256, Tag, Time};

/// Identity and circumstances of a photo. Files with the same bytes are one capture, whatever their names.
///
/// Events, stored rows, exports and answers of the API share this record. Serialised, it is the part of their JSON that
/// describes the capture. Other programs rely on its names and their order.
///
/// To add a fact:
///
/// 1. Add a field here or in [`Image`], with the serde attributes for its JSON. Events, JSON lines and the API then
///    have it. The compiler names the places of steps 2 and 3.
/// 2. Store it: a column in a new migration of `crates/journal/src/schema.rs`, and `to_row` and `from_row` in
///    `crates/journal/src/facts.rs`.
/// 3. Determine it in `Worker::capture` of `src/daemon/worker.rs`.
/// 4. Describe it in `deploy/asyncapi.yaml` and `deploy/openapi.json`: `tests/asyncapi.rs` and `tests/web.rs` fail if
///    output has a fact that is not described. Extend `FULL_EVENT` in `event.rs` and `FULL_LINE` in
///    `src/export/jsonl.rs`, which pin the JSON.
/// 5. For CSV, GeoJSON and GeoPackage, add a column to `src/export/fields.rs`.
/// 6. If the fact can become known later, extend [`Change`](super::Change) and the code that applies it:
///    `event::correction`, and `changed` in `crates/journal/src/capture.rs`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capture {
    /// Calendar time of the exposure.
    pub taken: Time,
    /// Nanoseconds from the machine's start to the exposure, if the photo was taken while this device watched. These
    /// values order the captures of one start of the machine, whatever the calendar says. JSON has milliseconds.
    #[serde(rename = "monotonic_ms", serialize_with = "milliseconds", skip_serializing_if = "Option::is_none")]
    pub monotonic_ns: Option<u64>,
    pub image: Image,
    /// Position of the camera or of the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drone: Option<Drone>,
    /// Bridge, span and member that the photo shows. A person or a code in a photo names them, for that photo and for
    /// those that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// Place in a burst; `None` for single photos and for a burst's first frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
}

/// The photo's file, and what its content says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Image {
    /// Hash of the complete file.
    pub sha256: Sha256,
    /// Path where the file was found. JSON has the file's name alone.
    #[serde(rename = "file", serialize_with = "file_name", skip_serializing_if = "has_no_name")]
    pub path: PathBuf,
    /// File size in bytes.
    pub bytes: u64,
    /// Width and height of the stored pixels, before any EXIF rotation.
    pub pixels: [u32; 2],
    pub camera: Camera,
    #[serde(skip_serializing_if = "Exposure::is_unknown")]
    pub exposure: Exposure,
    /// Figures for how well the photo shows its subject; `None` if an older program stored the capture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<PhotoQuality>,
}

impl Image {
    /// Returns the file's name, with replacements for bytes that are not UTF-8; `None` if the path has no name.
    pub fn file(&self) -> Option<String> {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned())
    }
}

fn milliseconds<S: Serializer>(ns: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    ns.map(|ns| ns / 1_000_000).serialize(serializer)
}

fn file_name<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    path.file_name().map(|name| name.to_string_lossy()).serialize(serializer)
}

fn has_no_name(path: &Path) -> bool {
    path.file_name().is_none()
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
    /// 35 mm equivalent of the focal length, in millimetres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_length_35mm_mm: Option<f64>,
}

impl Exposure {
    /// Reports whether the camera stated nothing.
    pub fn is_unknown(&self) -> bool {
        *self == Exposure::default()
    }
}

/// State of a file on disk, used to recognise an unchanged file without reading it.
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
    /// Path where the file was found.
    pub path: PathBuf,
    /// State of the file when it failed.
    pub stamp: FileStamp,
    /// Reason in words.
    pub reason: String,
    /// Time of the failure by the device's clock; `None` if an older program noted it.
    pub noted_at: Option<Timestamp>,
}
