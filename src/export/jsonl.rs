//! Output for programs: one JSON object per line, with the names that the events' `data` uses (`deploy/asyncapi.yaml`).

use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::{ExportError, Record};
use crate::domain::{Answer, Capture, Inspection};
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

/// Line of an export: the data of the event, with the capture's ids and the facility as a register names it.
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
    #[serde(flatten)]
    facts: &'a Capture,
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<&'a StoredPackage>,
    verdict: Answer<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inspection: Option<&'a Inspection>,
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
            facts: &capture.facts,
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

    // Line breaks and indentation are not part of the lines.
    const FULL_LINE: &str = r#"
        {"capture":1,"event_id":"3f0e","facility_id":"B-12","taken_local":"2026-05-09T10:02:03.120+09:00",
        "stored_at":"2026-05-09T01:02:05Z","sequence":41,"boot_id":"boot",
        "taken":{"at":"2026-05-09T01:02:03.12Z","quality":"gps"},"monotonic_ms":5000,
        "image":{"sha256":"7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8","file":"DJI_0001.JPG",
        "bytes":4321000,"pixels":[4000,3000],"camera":{"make":"DJI","model":"M30T"},"exposure":{"iso":100},
        "quality":{"sharpness":123.4,"brightness":0.42,"black_share":0.001,"white_share":0.002,
        "millimetres_per_pixel":0.83}},
        "position":{"latitude_deg":35.5,"longitude_deg":139.25,"altitude_m":12.5,"altitude_above":"sea",
        "source":"serial_gps","hdop":0.8,"std_m":1.5,"quality":"differential","age_s":0.25,"error_m":3.7},"tag":{"bridge":"B-12","span":"3","member":"G2"},
        "burst":{"representative":"a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e","frame":2},
        "package":{"name":"bridgeclip-demo 1","hash":"ab12"},
        "verdict":{"soundness":[{"label":"III","confidence":0.6}],"measure":[{"label":"C1","confidence":0.4}],
        "damage_type":[{"label":"cracking","confidence":0.7},{"label":"corrosion","confidence":0.3}],
        "damage_location":[{"label":"pier","confidence":0.9}],"method":"knn","confidence_calibrated":false,
        "review_urgent":true,"urgency":{"score":0.2,"signs":["soundness_iv"]},
        "second_look":["near_tie","blurred"],
        "not_excluded":{"coverage":0.95,"soundness":["III","IV"],"measure":["C1"]},
        "draft":{"en":"Cracking is observed in the pier. The soundness rating is Ⅲ.",
        "ja":"橋脚においてひびわれが見られます、健全度判定はⅢです。",
        "clauses":[{"says":{"damage_type":["cracking"],"damage_location":["pier"]},"references":[7,12]},
        {"says":{"soundness":["III"]},"references":[7]}]}}}"#;
    const BARE_LINE: &str = r#"
        {"capture":2,"event_id":null,"facility_id":null,"taken_local":"2026-05-09T10:02:03.120+09:00",
        "stored_at":null,"sequence":null,"boot_id":"boot","taken":{"at":"2026-05-09T01:02:03.12Z","quality":"gps"},
        "image":{"sha256":"d86e8112f3c4c4442126f8e9f44f16867da487f29052bf91b810457db34209a4","file":"DJI_0001.JPG",
        "bytes":4321000,"pixels":[4000,3000],"camera":{}},
        "verdict":{"soundness":[],"measure":[],"damage_type":[],"damage_location":[],"method":"knn",
        "confidence_calibrated":false,"review_urgent":false,"urgency":{"score":0.0,"signs":[]},"second_look":[]}}"#;

    #[test]
    fn the_bytes_of_a_line_stay_as_they_are() {
        let line = |record: &Record| serde_json::to_string(&ExportLine::of(record)).expect("JSON");
        let joined = |text: &str| text.lines().map(str::trim_start).collect::<String>();
        assert_eq!(line(&example(1)), joined(FULL_LINE));
        assert_eq!(line(&bare_example(2)), joined(BARE_LINE));
    }

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
