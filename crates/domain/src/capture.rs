//! One photo as this device took it in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Burst, Drone, PhotoQuality, Position, Tag, Time};

/// Identity and circumstances of a photo. The same bytes are the same capture, whatever the name of the file.
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
/// 3. Determine it in `Worker::capture` of `src/daemon.rs`.
/// 4. Describe it in `deploy/asyncapi.yaml` and `deploy/openapi.json`: `tests/asyncapi.rs` and `tests/web.rs` fail if
///    output has a fact that is not described. Extend `FULL_EVENT` in `event.rs` and `FULL_LINE` in
///    `src/export/jsonl.rs`, which pin the JSON.
/// 5. For CSV, GeoJSON and GeoPackage, add a column to `src/export/fields.rs`.
/// 6. If it can become known later, extend [`Change`](super::Change) and what applies it: `event::correction`, and
///    `changed` in `crates/journal/src/capture.rs`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capture {
    /// Calendar time of the exposure.
    pub taken: Time,
    /// Nanoseconds from the machine's start to the exposure, if the photo was taken while this device watched. They put
    /// the captures of one start in order, whatever the calendar says. JSON has milliseconds.
    #[serde(rename = "monotonic_ms", serialize_with = "milliseconds", skip_serializing_if = "Option::is_none")]
    pub monotonic_ns: Option<u64>,
    pub image: Image,
    /// Position of the camera or of the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drone: Option<Drone>,
    /// Bridge, span and member that a person named for this photo and those that follow, or that a code in a photo
    /// named.
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
    /// Path at which the file was found. JSON has the file's name alone.
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

/// A SHA-256 digest, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Sha256(sha2::Sha256::digest(bytes).into())
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256: expected 64 hexadecimal digits")]
pub struct NotSha256(String);

impl FromStr for Sha256 {
    type Err = NotSha256;

    fn from_str(text: &str) -> Result<Self, NotSha256> {
        let wrong = || NotSha256(text.to_owned());
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (index, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..][..2], 16).map_err(|_| wrong())?;
        }
        Ok(Sha256(hash))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
