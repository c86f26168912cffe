//! Output for programs: one JSON object per line, with the names that the events' `data` uses (`deploy/asyncapi.yaml`).

use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::{ExportError, Record};
use crate::domain::{Answer, Burst, Camera, Drone, Exposure, Inspection, PhotoQuality, Position, Sha256, Tag, Time};
use crate::journal::StoredPackage;

pub fn write(
    mut out: impl Write,
    records: impl Iterator<Item = Result<Record, ExportError>>,
) -> Result<(), ExportError> {
    for record in records {
        serde_json::to_writer(&mut out, &ExportLine::of(&record?))?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// ExportLine of the export: the data of the event, with the capture's ids and the facility that a register knows.
#[derive(Serialize)]
pub struct ExportLine<'a> {
    capture: i64,
    event_id: Option<&'a str>,
    facility_id: Option<&'a str>,
    taken_local: String,
    stored_at: Option<Timestamp>,
    sequence: Option<i64>,
    boot_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    supersedes: Option<&'a str>,
    taken: &'a Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    monotonic_ms: Option<u64>,
    image: Image<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<&'a Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drone: Option<&'a Drone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<Burst>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<&'a StoredPackage>,
    verdict: Answer<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inspection: Option<&'a Inspection>,
}

#[derive(Serialize)]
struct Image<'a> {
    sha256: Sha256,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    bytes: u64,
    pixels: [u32; 2],
    camera: &'a Camera,
    #[serde(skip_serializing_if = "Exposure::is_unknown")]
    exposure: &'a Exposure,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<PhotoQuality>,
}

impl<'a> ExportLine<'a> {
    pub fn of(record: &'a Record) -> Self {
        let capture = &record.capture;
        ExportLine {
            capture: capture.id,
            event_id: capture.event_id.as_deref(),
            facility_id: record.facility_id(),
            taken_local: record.taken_local(),
            stored_at: capture.stored_at,
            sequence: capture.sequence,
            boot_id: &capture.boot_id,
            supersedes: capture.result_id.as_deref(),
            taken: &capture.taken,
            monotonic_ms: capture.monotonic_ns.map(|ns| ns / 1_000_000),
            image: Image {
                sha256: capture.sha256,
                file: record.file(),
                bytes: capture.bytes,
                pixels: capture.pixels,
                camera: &capture.camera,
                exposure: &capture.exposure,
                quality: capture.quality,
            },
            position: capture.position.as_ref(),
            drone: capture.drone.as_ref(),
            tag: capture.tag.as_ref(),
            burst: capture.burst,
            package: capture.package.as_ref(),
            verdict: Answer(&capture.verdict),
            inspection: capture.inspection.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::export::record::{bare_example, example};

    #[test]
    fn a_line_for_each_photo() {
        let mut out = Vec::new();
        write(&mut out, [example(1), bare_example(2)].map(Ok).into_iter()).expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["capture"], &lines[0]["facility_id"]), (&1.into(), &"B-12".into()));
        assert_eq!(lines[0]["verdict"]["damage_type"][1]["label"], "corrosion");
        assert_eq!(lines[0]["image"]["quality"]["brightness"].to_string(), "0.42");
        assert!(lines[0]["verdict"].get("neighbours").is_none() && lines[0]["position"]["source"] == "serial_gps");
        assert!(lines[1]["event_id"].is_null() && lines[1].get("position").is_none());
    }
}
