//! Events that leave the device: CloudEvents 1.0 in JSON. The bytes of an event are made once, with the result, and
//! never change.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Answer, Capture, Category, History, Inspection, MemberAnswer, Position, Sha256, Tag, Time, Verdict};

/// CloudEvents `type` of a result event. Its number increases when a consumer of the old form would misread the new
/// one.
pub const EVENT_FORMAT: &str = "bridgeclip.capture.result.v1";

/// CloudEvents `type` of a summary, which is sent before the result where every byte costs.
pub const SUMMARY_FORMAT: &str = "bridgeclip.capture.summary.v1";

/// CloudEvents `type` of an answer about a member.
pub const MEMBER_FORMAT: &str = "bridgeclip.member.result.v1";

/// Maximum size of a thumbnail in bytes, which a slow link transfers in a few seconds.
pub const THUMBNAIL_BYTES_MAX: usize = 48 * 1024;

/// Facts in an event beside the capture and the verdict.
#[derive(Clone, Debug)]
pub struct EventContext<'a> {
    /// Globally unique id. Consumers ignore events with an id that they know.
    pub id: &'a str,
    /// Origin of the event: `bridge/v1/{site}/{device}`.
    pub source: &'a str,
    /// Number of the event. The device counts its events from 1 without gaps.
    pub sequence: i64,
    /// Id of the boot during which the event was made.
    pub boot_id: &'a str,
    /// Whether the link was down when the result was stored, so that the event had to wait.
    pub queued: bool,
    /// Name and version of the model package.
    pub package: &'a str,
    /// Hash of the model package.
    pub package_hash: &'a str,
    /// Time by the device's clock when the result was stored.
    pub stored_at: Timestamp,
}

/// A fact that is now known to differ from an earlier result.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Another model, another reference or a person has judged the photo again.
    Verdict(Verdict),
    /// The clock was wrong when the photo was taken, or its position is now known better. A field that is `None` stays
    /// as it was; a position of `Some(None)` was wrong, and no other is known.
    Located { taken: Option<Time>, position: Option<Option<Position>> },
    /// A person said where the photo was taken.
    Tag(Tag),
    /// An inspector has accepted or corrected the verdict, or withdrawn such a judgement: the history has grown.
    Inspected,
}

/// Number of history entries in an event. Earlier entries are in the events before it.
const HISTORY_TOLD: usize = 20;

/// Makes the bytes of a result event.
pub fn capture_result(context: &EventContext, capture: &Capture, verdict: &Verdict) -> Vec<u8> {
    let data = ResultData {
        sequence: context.sequence,
        boot_id: context.boot_id,
        queued: context.queued,
        capture,
        package: Package { name: context.package, hash: context.package_hash },
        verdict,
    };
    bytes(&cloud_event(context, EVENT_FORMAT, capture.image.sha256, data))
}

/// Makes the bytes of a summary: what the photo shows, in a few hundred bytes. The event `detail_id` will carry the
/// rest.
pub fn capture_summary(
    context: &EventContext,
    capture: &Capture,
    verdict: &Verdict,
    urgent: bool,
    detail_id: &str,
) -> Vec<u8> {
    let names = |category: Category| (category.id(), verdict.get(category).names(category).collect());
    let data = SummaryData {
        sequence: context.sequence,
        queued: context.queued,
        taken: &capture.taken,
        urgent,
        labels: Category::ALL.into_iter().map(names).collect(),
        detail: detail_id,
    };
    bytes(&cloud_event(context, SUMMARY_FORMAT, capture.image.sha256, data))
}

/// Answer about a member, for its event.
#[derive(Clone, Copy, Debug)]
pub struct MemberResult<'a> {
    /// Tag that all captures of the member carry.
    pub tag: &'a Tag,
    /// Number of captures with the tag.
    pub captures: u64,
    /// Number of those captures that the answer leaves out, because another encoder made their embeddings.
    pub of_other_encoders: u64,
    /// Id of the last event about the member.
    pub supersedes: Option<&'a str>,
    pub answer: &'a MemberAnswer,
}

/// Makes the bytes of the event that tells the answer about a member. Its subject is the [`Tag::key`].
pub fn member_result(context: &EventContext, member: &MemberResult) -> Vec<u8> {
    let &MemberResult { tag, captures, of_other_encoders, supersedes, answer } = member;
    let data = MemberData {
        sequence: context.sequence,
        boot_id: context.boot_id,
        queued: context.queued,
        supersedes,
        tag,
        captures,
        of_other_encoders,
        package: Package { name: context.package, hash: context.package_hash },
        answer,
    };
    bytes(&cloud_event(context, MEMBER_FORMAT, tag.key(), data))
}

/// Makes the bytes of the event that supersedes `event`, which is a complete result or an earlier correction.
/// Everything that does not change is copied from it. `result_id` is the id of the photo's first event, and `history`
/// is everything that inspectors have said about the photo.
///
/// # Errors
/// If `event` is not valid.
pub fn correction(
    context: &EventContext,
    event: &[u8],
    result_id: &str,
    change: &Change,
    history: &History,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut event: Map<String, Value> = serde_json::from_slice(event)?;
    let mut data: Map<String, Value> = serde_json::from_value(event.remove("data").unwrap_or_default())?;
    data.insert("sequence".to_owned(), context.sequence.into());
    data.insert("boot_id".to_owned(), context.boot_id.into());
    data.insert("queued".to_owned(), context.queued.into());
    data.insert("supersedes".to_owned(), result_id.into());
    match change {
        Change::Verdict(verdict) => {
            let package = Package { name: context.package, hash: context.package_hash };
            data.insert("package".to_owned(), json!(package));
            put_verdict(&mut data, verdict.clone(), history)?;
        }
        Change::Located { taken, position } => {
            data.extend(taken.iter().map(|taken| ("taken".to_owned(), json!(taken))));
            match position {
                None => (),
                Some(Some(position)) => drop(data.insert("position".to_owned(), json!(position))),
                Some(None) => drop(data.remove("position")),
            }
        }
        Change::Tag(tag) => drop(data.insert("tag".to_owned(), json!(tag))),
        Change::Inspected => {
            let device = device_verdict(&mut data)?;
            put_verdict(&mut data, device, history)?;
        }
    }
    event.insert("id".to_owned(), context.id.into());
    event.insert("source".to_owned(), context.source.into());
    event.insert("time".to_owned(), json!(context.stored_at));
    event.insert("sequence".to_owned(), context.sequence.to_string().into());
    event.insert("data".to_owned(), data.into());
    Ok(bytes(&event))
}

/// Removes and returns the device's own answer with its neighbours. An inspector's judgement may hide it.
fn device_verdict(data: &mut Map<String, Value>) -> Result<Verdict, serde_json::Error> {
    let mut shown: Verdict = serde_json::from_value(data.remove("verdict").unwrap_or_default())?;
    match (data.remove("device_verdict"), data.get("inspection")) {
        (Some(own), _) => {
            let own: Verdict = serde_json::from_value(own)?;
            Ok(Verdict { evidence: std::mem::take(&mut shown.evidence), ..own })
        }
        // Older programs kept only the labels of the device's answer.
        (None, Some(inspection)) => Ok(shown.inspected(&Inspection::deserialize(inspection)?.device)),
        (None, None) => Ok(shown),
    }
}

/// Stores the verdict that applies: the device's answer, or an inspector's judgement with the device's answer beside
/// it.
fn put_verdict(data: &mut Map<String, Value>, device: Verdict, history: &History) -> Result<(), serde_json::Error> {
    for stale in ["device_verdict", "inspection", "history"] {
        data.remove(stale);
    }
    let shown = match Inspection::standing(history, &device.labels()) {
        None => device,
        Some(inspection) => {
            data.insert("device_verdict".to_owned(), serde_json::from_slice(&bytes(&Answer(&device)))?);
            data.insert("inspection".to_owned(), json!(inspection));
            device.inspected(&inspection.labels)
        }
    };
    if !history.is_empty() {
        data.insert("history".to_owned(), json!(history.last(HISTORY_TOLD)));
    }
    data.insert("verdict".to_owned(), serde_json::from_slice(&bytes(&shown))?);
    Ok(())
}

fn cloud_event<'a, D>(context: &EventContext<'a>, format: &'static str, subject: Sha256, data: D) -> CloudEvent<'a, D> {
    CloudEvent {
        specversion: "1.0",
        id: context.id,
        source: context.source,
        r#type: format,
        subject,
        time: context.stored_at,
        datacontenttype: "application/json",
        sequence: context.sequence.to_string(),
        data,
    }
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("an event has string keys and finite numbers")
}

#[derive(Serialize)]
struct CloudEvent<'a, D> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'static str,
    subject: Sha256,
    time: Timestamp,
    datacontenttype: &'static str,
    /// Number of the event; the CloudEvents extension `sequence` is a string.
    sequence: String,
    data: D,
}

#[derive(Serialize)]
struct ResultData<'a> {
    sequence: i64,
    boot_id: &'a str,
    queued: bool,
    /// Facts about the capture. `monotonic_ms` counts from the machine's start `boot_id`.
    #[serde(flatten)]
    capture: &'a Capture,
    package: Package<'a>,
    verdict: &'a Verdict,
}

#[derive(Serialize)]
struct SummaryData<'a> {
    sequence: i64,
    queued: bool,
    taken: &'a Time,
    /// Whether an engineer should see the photo first.
    urgent: bool,
    labels: BTreeMap<&'static str, Vec<&'static str>>,
    /// Id of the event with the complete result.
    detail: &'a str,
}

#[derive(Serialize)]
struct MemberData<'a> {
    sequence: i64,
    boot_id: &'a str,
    queued: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    supersedes: Option<&'a str>,
    tag: &'a Tag,
    captures: u64,
    of_other_encoders: u64,
    package: Package<'a>,
    answer: &'a MemberAnswer,
}

#[derive(Serialize)]
struct Package<'a> {
    name: &'a str,
    hash: &'a str,
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::testing::bare_capture;
    use crate::{
        Attitude, Burst, Camera, CategoryVerdict, Draft, Drone, Exposure, Image, Method, PhotoQuality, PositionSource,
        Rule, Saying, ScoredClass, Statement, TimeQuality, Urgency,
    };

    const CONTEXT: EventContext = EventContext {
        id: "second",
        source: "bridge/v1/site/unit",
        sequence: 7,
        boot_id: "boot",
        queued: false,
        package: "model 2",
        package_hash: "hash",
        stored_at: Timestamp::UNIX_EPOCH,
    };

    // Line breaks and indentation are not part of the events.
    const FULL_EVENT: &str = r#"
        {"specversion":"1.0","id":"second","source":"bridge/v1/site/unit","type":"bridgeclip.capture.result.v1",
        "subject":"55c64d0fcd6f9d5f7c828093857e3fdfda68478bb4e9bd24d481ef391c7804e8","time":"1970-01-01T00:00:00Z",
        "datacontenttype":"application/json","sequence":"7",
        "data":{"sequence":7,"boot_id":"boot","queued":false,
        "taken":{"at":"1970-01-01T00:00:00Z","quality":"unsynced"},"monotonic_ms":5999,
        "image":{"sha256":"55c64d0fcd6f9d5f7c828093857e3fdfda68478bb4e9bd24d481ef391c7804e8","file":"DJI_�1.JPG",
        "bytes":5,"pixels":[4000,3000],"camera":{"make":"DJI","serial":"1"},"exposure":{"time_s":0.002,"iso":100},
        "quality":{"sharpness":100.0,"brightness":0.42,"black_share":0.0,"white_share":0.0,
        "millimetres_per_pixel":0.83}},
        "position":{"latitude_deg":35.5,"longitude_deg":139.25,"source":"serial_gps","age_s":2.5},
        "drone":{"relative_altitude_m":21.4,"gimbal":{"pitch_deg":-89.9,"yaw_deg":12.5}},
        "tag":{"bridge":"B-12","member":"G2"},
        "burst":{"representative":"a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e","frame":2},
        "package":{"name":"model 2","hash":"hash"},
        "verdict":{"soundness":[{"label":"II","confidence":0.7}],"measure":[{"label":"B","confidence":0.7}],
        "damage_type":[{"label":"spalling / rebar exposure","confidence":0.7}],
        "damage_location":[{"label":"cross girder","confidence":0.7}],"method":"knn","rule":"published",
        "confidence_calibrated":false,"review_urgent":false,"urgency":{"score":0.0,"signs":[]},"second_look":[],
        "neighbours":[]}}}"#;
    const BARE_EVENT: &str = r#"
        {"specversion":"1.0","id":"second","source":"bridge/v1/site/unit","type":"bridgeclip.capture.result.v1",
        "subject":"55c64d0fcd6f9d5f7c828093857e3fdfda68478bb4e9bd24d481ef391c7804e8","time":"1970-01-01T00:00:00Z",
        "datacontenttype":"application/json","sequence":"7",
        "data":{"sequence":7,"boot_id":"boot","queued":false,
        "taken":{"at":"1970-01-01T00:00:00Z","quality":"unsynced"},
        "image":{"sha256":"55c64d0fcd6f9d5f7c828093857e3fdfda68478bb4e9bd24d481ef391c7804e8",
        "bytes":5,"pixels":[4000,3000],"camera":{},
        "quality":{"sharpness":100.0,"brightness":0.5,"black_share":0.0,"white_share":0.0}},
        "package":{"name":"model 2","hash":"hash"},
        "verdict":{"soundness":[{"label":"II","confidence":0.7}],"measure":[{"label":"B","confidence":0.7}],
        "damage_type":[{"label":"spalling / rebar exposure","confidence":0.7}],
        "damage_location":[{"label":"cross girder","confidence":0.7}],"method":"knn","rule":"published",
        "confidence_calibrated":false,"review_urgent":false,"urgency":{"score":0.0,"signs":[]},"second_look":[],
        "neighbours":[]}}}"#;

    fn capture() -> Capture {
        let quality = PhotoQuality {
            sharpness: 100.0,
            brightness: 0.5,
            black_share: 0.0,
            white_share: 0.0,
            millimetres_per_pixel: None,
        };
        let capture = bare_capture(Sha256::of(b"photo"));
        Capture { image: Image { quality: Some(quality), ..capture.image }, ..capture }
    }

    fn verdict(index: u8) -> Verdict {
        let category = CategoryVerdict { classes: vec![ScoredClass { index, confidence: 0.7 }] };
        Verdict {
            categories: [(); 4].map(|()| category.clone()),
            method: Method::Knn,
            rule: Some(Rule::Published),
            by_inspector: false,
            confidence_calibrated: false,
            urgency: Urgency::default(),
            second_look: Vec::new(),
            not_excluded: None,
            draft: Draft::default(),
            evidence: Vec::new(),
        }
    }

    fn position() -> Position {
        Position { age_s: Some(2.5), ..Position::at(35.5, 139.25, PositionSource::SerialGps) }
    }

    #[test]
    fn the_event_of_a_member_names_the_event_that_it_supersedes() {
        let tag = Tag { member: "G2".parse().ok(), ..Tag::default() };
        let answer = MemberAnswer::default();
        let member =
            MemberResult { tag: &tag, captures: 3, of_other_encoders: 1, supersedes: Some("first"), answer: &answer };
        let event = parsed(&member_result(&CONTEXT, &member));
        assert_eq!((&event["type"], &event["sequence"]), (&json!(MEMBER_FORMAT), &json!("7")));
        assert_eq!(event["subject"], json!(tag.key()));
        assert_eq!(event["data"]["supersedes"], "first");
        assert_eq!((&event["data"]["tag"], &event["data"]["captures"]), (&json!({"member": "G2"}), &json!(3)));
        assert_eq!(event["data"]["answer"], json!(answer));
        let first = parsed(&member_result(&CONTEXT, &MemberResult { supersedes: None, ..member }));
        assert!(first["data"].get("supersedes").is_none());
    }

    fn parsed(event: &[u8]) -> Value {
        serde_json::from_slice(event).expect("JSON")
    }

    /// Returns a capture in which everything that can be known is set.
    fn full_capture() -> Capture {
        let attitude = Attitude { roll_deg: None, pitch_deg: Some(-89.9), yaw_deg: Some(12.5) };
        let mut capture = Capture {
            monotonic_ns: Some(5_999_999_999),
            position: Some(position()),
            drone: Some(Drone { relative_altitude_m: Some(21.4), gimbal: attitude, ..Drone::default() }),
            tag: "bridgeclip:bridge=B-12;member=G2".parse().ok(),
            burst: Some(Burst { representative: Sha256::of(b"first"), frame: 2 }),
            ..capture()
        };
        let image = &mut capture.image;
        image.path = OsStr::from_bytes(b"/media/DJI_\xFF1.JPG").into();
        image.camera = Camera { make: Some("DJI".to_owned()), serial: Some("1".to_owned()), ..Camera::default() };
        image.exposure = Exposure { time_s: Some(0.002), iso: Some(100), ..Exposure::default() };
        image.quality = image.quality.map(|quality| PhotoQuality {
            brightness: 0.42,
            millimetres_per_pixel: Some(0.83),
            ..quality
        });
        capture
    }

    #[test]
    fn the_bytes_of_an_event_stay_as_they_are() {
        let mut nameless = capture();
        nameless.image.path = "/".into();
        let full = capture_result(&CONTEXT, &full_capture(), &verdict(1));
        let bare = capture_result(&CONTEXT, &nameless, &verdict(1));
        let joined = |text: &str| text.lines().map(str::trim_start).collect::<String>();
        assert_eq!(String::from_utf8_lossy(&full), joined(FULL_EVENT));
        assert_eq!(String::from_utf8_lossy(&bare), joined(BARE_EVENT));
    }

    #[test]
    fn a_summary_is_short_and_names_its_detail() {
        let event = capture_summary(&CONTEXT, &capture(), &verdict(1), true, "whole");
        assert!(event.len() < 700, "{} bytes", event.len());
        let event = parsed(&event);
        assert_eq!(event["type"], SUMMARY_FORMAT);
        assert_eq!(event["data"]["labels"]["soundness"], json!(["II"]));
        assert_eq!((&event["data"]["urgent"], &event["data"]["detail"]), (&json!(true), &json!("whole")));
    }

    #[test]
    fn a_correction_changes_what_it_must_and_keeps_the_rest() {
        let first = EventContext { id: "first", sequence: 3, package: "model 1", ..CONTEXT };
        let event = capture_result(&first, &capture(), &verdict(1));
        let taken = Time::new(Timestamp::from_second(1_000_000).expect("a time"), TimeQuality::Gps);
        let located = |taken, position| Change::Located { taken, position };
        let changes = [
            Change::Verdict(verdict(2)),
            located(Some(taken.clone()), None),
            located(None, Some(Some(position()))),
            located(Some(taken), Some(Some(position()))),
            located(None, Some(None)),
            Change::Tag(Tag::default()),
        ];
        for change in changes {
            let corrected = correction(&CONTEXT, &event, "first", &change, &History::default());
            let corrected = parsed(&corrected.expect("an event of ours"));
            let mut expected = parsed(&event);
            expected["id"] = json!("second");
            expected["sequence"] = json!("7");
            expected["data"]["sequence"] = json!(7);
            expected["data"]["supersedes"] = json!("first");
            match change {
                Change::Verdict(_) => {
                    expected["data"]["package"]["name"] = json!("model 2");
                    let whole = parsed(&capture_result(&CONTEXT, &capture(), &verdict(2)));
                    expected["data"]["verdict"] = whole["data"]["verdict"].clone();
                }
                Change::Located { taken, position } => {
                    taken.iter().for_each(|taken| expected["data"]["taken"] = json!(taken));
                    position.iter().flatten().for_each(|position| expected["data"]["position"] = json!(position));
                    if position == Some(None) {
                        expected["data"].as_object_mut().expect("an object").remove("position");
                    }
                }
                Change::Tag(tag) => expected["data"]["tag"] = json!(tag),
                Change::Inspected => unreachable!("it has a test of its own"),
            }
            assert_eq!(corrected, expected);
        }
        assert!(correction(&CONTEXT, b"[]", "first", &Change::Verdict(verdict(2)), &History::default()).is_err());
    }

    /// Returns the data of the event after each of these statements.
    fn after_each(sayings: Vec<Saying>) -> Vec<Value> {
        let (mut history, device) = (History::default(), verdict(1).labels());
        let mut event = capture_result(&CONTEXT, &capture(), &verdict(1));
        let mut say = |saying| {
            let by = "A. Sato".parse().expect("a name");
            history.add(Statement { by, at: Timestamp::UNIX_EPOCH, saying }, &device).expect("it joins");
            event = correction(&CONTEXT, &event, "first", &Change::Inspected, &history).expect("an event of ours");
            parsed(&event)["data"].take()
        };
        sayings.into_iter().map(&mut say).collect()
    }

    #[test]
    fn an_inspected_result_tells_what_stands_what_the_device_said_and_who_said_what() {
        let own = parsed(&capture_result(&CONTEXT, &capture(), &verdict(1)))["data"]["verdict"].take();
        let data = after_each(vec![Saying::Correct(verdict(3).labels()), Saying::Accept, Saying::Undo, Saying::Undo]);
        for data in &data[..3] {
            assert_eq!(data["verdict"]["soundness"], json!([{ "label": "IV" }]), "a person gives no confidence");
            assert_eq!((&data["verdict"]["by_inspector"], &data["verdict"]["neighbours"]), (&json!(true), &json!([])));
            assert_eq!(data["device_verdict"]["soundness"], own["soundness"]);
            assert_eq!(data["inspection"]["device"]["soundness"], json!(["II"]));
            assert_eq!(data["inspection"]["labels"]["soundness"], json!(["IV"]));
        }
        let acts = |data: &Value| -> Vec<Value> {
            data["history"].as_array().expect("a history").iter().map(|entry| entry["act"].clone()).collect()
        };
        assert_eq!(acts(&data[2]), ["corrected", "accepted", "undone"]);
        assert_eq!(acts(&data[3]), ["corrected", "accepted", "undone", "undone"]);
        assert_eq!((&data[3]["verdict"], data[3].get("device_verdict"), data[3].get("inspection")), (&own, None, None));
    }

    #[test]
    fn a_new_answer_of_the_device_stays_beside_the_judgement_that_stands() {
        let (mut history, device) = (History::default(), verdict(1).labels());
        let by = "A. Sato".parse().expect("a name");
        let saying = Saying::Correct(verdict(3).labels());
        history.add(Statement { by, at: Timestamp::UNIX_EPOCH, saying }, &device).expect("it joins");
        let event = capture_result(&CONTEXT, &capture(), &verdict(1));
        let rejudged = correction(&CONTEXT, &event, "first", &Change::Verdict(verdict(2)), &history);
        let data = parsed(&rejudged.expect("an event of ours"))["data"].take();
        assert_eq!(data["verdict"]["soundness"], json!([{ "label": "IV" }]));
        assert_eq!(data["device_verdict"]["soundness"][0]["label"], "III");
    }

    #[test]
    fn an_event_stays_short_however_long_a_dispute_is() {
        let data = after_each(vec![Saying::Accept; 400]);
        assert_eq!(data[399]["history"].as_array().map(Vec::len), Some(HISTORY_TOLD));
    }
}
