//! A photo as this device stored it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Burst, Drone, PhotoQuality, Position, Tag, Time};

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

/// SHA-256 digest, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Sha256(sha2::Sha256::digest(bytes).into())
    }
}

/// Error for a text that is not 64 hexadecimal digits.
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
