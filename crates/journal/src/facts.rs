//! Facts about a capture as columns of its row. Only this module names these columns.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{Camera, Capture, Drone, Exposure, Image, PhotoQuality, Position, Sha256, Tag, Time};

use super::error::JournalError;
use super::row::{Row, json, to_json, unreadable};

/// Returns the row with the facts in their columns.
pub fn to_row(row: Row, capture: &Capture) -> Row {
    // Every field is named, so that a new one cannot be forgotten.
    let Capture { taken, monotonic_ns, image, position, drone, tag, burst } = capture;
    let Image { sha256, path, bytes, pixels: [width, height], camera, exposure, quality } = image;
    let metadata = Metadata { exposure: exposure.clone(), drone: drone.clone() };
    let row = row
        .with("sha256", sha256.0.to_vec())
        .with("path", path.as_os_str().as_bytes().to_vec())
        .with("bytes", *bytes as i64)
        .with("width", *width)
        .with("height", *height)
        .with("camera", to_json(camera))
        .with("quality", quality.as_ref().map(to_json))
        .with("metadata", to_json(&metadata))
        .with("monotonic_ns", monotonic_ns.map(|ns| ns as i64))
        .with("burst", burst.as_ref().map(to_json));
    let row = with_taken(row, taken);
    let row = with_position(row, position.as_ref());
    tag.iter().fold(row, with_tag)
}

/// Reads the facts from the row of the capture with this id. What an older program did not store is `None` or empty.
pub fn from_row(id: i64, row: &Row) -> Result<Capture, JournalError> {
    let Metadata { exposure, drone } = json(row, "metadata")?.unwrap_or_default();
    Ok(Capture {
        taken: taken(id, row)?,
        monotonic_ns: monotonic_ns(row)?,
        image: Image {
            sha256: sha256(row)?,
            path: path(row)?,
            bytes: row.get::<i64>("bytes")? as u64,
            pixels: [row.get("width")?, row.get("height")?],
            camera: camera(row)?,
            exposure,
            quality: quality(row)?,
        },
        position: position(row)?,
        drone,
        tag: tag(row)?,
        burst: json(row, "burst")?,
    })
}

/// Content of the column `metadata`.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Metadata {
    exposure: Exposure,
    drone: Option<Drone>,
}

/// Returns the row with another time of exposure.
pub fn with_taken(row: Row, taken: &Time) -> Row {
    row.with("taken", to_json(taken))
}

/// Returns the row with another position; `None` if it is unknown.
pub fn with_position(row: Row, position: Option<&Position>) -> Row {
    row.with("position", position.map(to_json))
}

/// Returns the row with another tag.
pub fn with_tag(row: Row, tag: &Tag) -> Row {
    row.with("tag", to_json(tag))
}

/// Reads the hash of the photo.
pub fn sha256(row: &Row) -> Result<Sha256, JournalError> {
    Ok(Sha256(row.get("sha256")?))
}

/// Reads the path of the photo.
pub fn path(row: &Row) -> Result<PathBuf, JournalError> {
    Ok(PathBuf::from(OsString::from_vec(row.get("path")?)))
}

/// Reads the camera.
pub fn camera(row: &Row) -> Result<Camera, JournalError> {
    Ok(json(row, "camera")?.unwrap_or_default())
}

/// Reads the time of exposure of the capture with this id.
pub fn taken(id: i64, row: &Row) -> Result<Time, JournalError> {
    json(row, "taken")?.ok_or_else(|| unreadable("the time", id))
}

/// Reads the nanoseconds from the machine's start to the exposure.
pub fn monotonic_ns(row: &Row) -> Result<Option<u64>, JournalError> {
    Ok(row.get::<Option<i64>>("monotonic_ns")?.map(|ns| ns as u64))
}

/// Reads the position.
pub fn position(row: &Row) -> Result<Option<Position>, JournalError> {
    json(row, "position")
}

/// Reads the quality of the photo.
pub fn quality(row: &Row) -> Result<Option<PhotoQuality>, JournalError> {
    json(row, "quality")
}

/// Reads the tag.
pub fn tag(row: &Row) -> Result<Option<Tag>, JournalError> {
    json(row, "tag")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use bridgeclip_domain::{Attitude, Burst, TimeQuality, testing};

    use super::*;

    fn bare() -> Capture {
        let capture = testing::bare_capture(Sha256::of(b"photo"));
        let path = OsStr::from_bytes(b"/media/DJI_\xFF1.JPG").into();
        Capture {
            taken: Time::new("2026-05-09T01:02:03.12Z".parse().expect("a time"), TimeQuality::Gps),
            image: Image { path, bytes: 4_321_000, ..capture.image },
            ..capture
        }
    }

    fn full() -> Capture {
        let gimbal = Attitude { roll_deg: None, pitch_deg: Some(-89.9), yaw_deg: Some(12.5) };
        let Capture { image, .. } = bare();
        Capture {
            monotonic_ns: Some(5_000_000_001),
            image: Image {
                camera: Camera { make: Some("DJI".to_owned()), ..Camera::default() },
                exposure: Exposure { time_s: Some(0.002), ..Exposure::default() },
                quality: Some(testing::quality()),
                ..image
            },
            position: Some(testing::position()),
            drone: Some(Drone { relative_altitude_m: Some(21.4), gimbal, ..Drone::default() }),
            tag: "bridgeclip:bridge=B-12;member=G2".parse().ok(),
            burst: Some(Burst { representative: Sha256::of(b"first"), frame: 2 }),
            ..bare()
        }
    }

    #[test]
    fn facts_are_read_as_they_were_written() {
        for capture in [bare(), full()] {
            assert_eq!(from_row(1, &to_row(Row::new("capture", 1), &capture)).ok(), Some(capture));
        }
    }
}
