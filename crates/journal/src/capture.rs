//! Results: a capture with its verdict, and the events that tell of it.

use std::os::unix::ffi::OsStrExt;

use jiff::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use bridgeclip_domain::{
    Capture, Change, Embedding, EventContext, FileStamp, History, Inspection, Sha256, Statement, Tag, Verdict,
    capture_result, capture_summary, correction,
};

use super::error::JournalError;
use super::event_class::EventClass;
use super::names::RESULT_TOPIC;
use super::outbox::{Content, NewEvent, detach, put};
use super::packing::{pack, unpack};
use super::params::DeviceIdentity;
use super::row::{Row, damaged, json, to_json, unreadable};
use super::tables::Tables;
use super::tag::insert_tag;
use super::{judgement, thumbnail};

/// One classified photo.
#[derive(Clone, Debug)]
pub struct NewResult {
    pub capture: Capture,
    pub stamp: FileStamp,
    pub embedding: Embedding,
    pub verdict: Verdict,
    /// A tag that the photo itself shows; it holds for those that follow.
    pub new_tag: Option<Tag>,
    /// Whether an engineer should see it first: its event overtakes the queue.
    pub urgent: bool,
    /// A small JPEG of it, at most 48 KiB.
    pub thumbnail: Option<Vec<u8>>,
    /// Whether the link was down, so that the event will have to wait.
    pub queued: bool,
    /// The device's clock.
    pub stored_at: Timestamp,
}

/// What `record` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    New {
        capture: i64,
        /// Of the first event that tells of it.
        sequence: i64,
    },
    /// The same photo was there already, under this or another name.
    Known,
}

/// Name, version and hash of a model package, as events name them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPackage {
    pub name: String,
    pub hash: String,
}

/// What `supersede` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superseded {
    pub capture: i64,
    /// Of the event that takes the place of the earlier one.
    pub sequence: i64,
    pub event_id: String,
}

/// Stores a result with its events. On a metered link a short event goes ahead of the whole.
pub fn store(
    tables: &mut Tables,
    identity: &DeviceIdentity,
    result: &NewResult,
    metered: bool,
) -> Result<Recorded, JournalError> {
    if let Some(tag) = &result.new_tag {
        insert_tag(tables, tag, &identity.boot_id, result.stored_at)?;
    }
    tables.counters.capture += 1;
    tables.counters.captures += 1;
    let first = tables.counters.sequence + 1;
    let event_id = new_event_id();
    let mut class = if result.urgent { EventClass::Urgent } else { EventClass::Result };
    if metered {
        put_summary(tables, identity, result, class, &event_id)?;
        class = EventClass::Detail;
    }
    let capture = put_whole(tables, identity, result, class, &event_id)?;
    if let Some(thumbnail) = &result.thumbnail {
        thumbnail::store(tables, capture, &event_id, thumbnail, result.stored_at)?;
    }
    if !judgement::history(tables.connection, &result.capture.sha256)?.is_empty() {
        // The photo was judged before its capture was lost to damage.
        supersede(tables, identity, capture, &Change::Inspected, Expect::Any, result.queued, result.stored_at)?;
    }
    Ok(Recorded::New { capture, sequence: first })
}

/// Whether a photo with this content was classified before, on this device and in this or an earlier database.
pub fn is_known(connection: &Connection, sha256: &Sha256) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM capture WHERE sha256 = ?1)
                   OR EXISTS (SELECT 1 FROM forgotten WHERE sha256 = ?1)";
    connection.prepare_cached(sql)?.query_row([sha256.0], |row| row.get(0))
}

fn new_event_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn context<'a>(
    tables: &mut Tables,
    identity: &'a DeviceIdentity,
    id: &'a str,
    queued: bool,
    stored_at: Timestamp,
) -> EventContext<'a> {
    tables.counters.sequence += 1;
    EventContext {
        id,
        source: &identity.source,
        sequence: tables.counters.sequence,
        boot_id: &identity.boot_id,
        queued,
        package: &identity.package,
        package_hash: &identity.package_hash,
        stored_at,
    }
}

fn put_summary(
    tables: &mut Tables,
    identity: &DeviceIdentity,
    result: &NewResult,
    class: EventClass,
    detail_id: &str,
) -> Result<(), JournalError> {
    let event_id = new_event_id();
    let context = context(tables, identity, &event_id, result.queued, result.stored_at);
    let payload = capture_summary(&context, &result.capture, &result.verdict, result.urgent, detail_id);
    let content = Content::Own(payload);
    let event = NewEvent { class, event_id, topic: RESULT_TOPIC.to_owned(), content, stored_at: result.stored_at };
    put(tables, event).map(drop)
}

/// The capture's row holds the event too; the outbox points to it. It stays there after the delivery.
fn put_whole(
    tables: &mut Tables,
    identity: &DeviceIdentity,
    result: &NewResult,
    class: EventClass,
    event_id: &str,
) -> Result<i64, JournalError> {
    let id = tables.counters.capture;
    let context = context(tables, identity, event_id, result.queued, result.stored_at);
    let payload = capture_result(&context, &result.capture, &result.verdict);
    let event = NewEvent {
        class,
        event_id: event_id.to_owned(),
        topic: RESULT_TOPIC.to_owned(),
        content: Content::OfCapture(id),
        stored_at: result.stored_at,
    };
    let outbox_id = put(tables, event)?;
    capture_row(id, identity, result)
        .with("sequence", context.sequence)
        .with("event_id", event_id.to_owned())
        .with("event", pack(&payload))
        .with("outbox_id", outbox_id)
        .store(tables.connection)?;
    Ok(id)
}

fn capture_row(id: i64, identity: &DeviceIdentity, result: &NewResult) -> Row {
    let capture = &result.capture;
    Row::new("capture", id)
        .with("sha256", capture.sha256.0.to_vec())
        .with("path", capture.path.as_os_str().as_bytes().to_vec())
        .with("bytes", capture.bytes as i64)
        .with("width", capture.pixels[0])
        .with("height", capture.pixels[1])
        .with("taken", to_json(&capture.taken))
        .with("position", capture.position.as_ref().map(to_json))
        .with("camera", to_json(&capture.camera))
        .with("stored_at", result.stored_at.to_string())
        .with("boot_id", identity.boot_id.clone())
        .with("embedding", result.embedding.to_bytes())
        .with("embedding_space", identity.embedding_space.0.to_vec())
        .with("verdict", short_verdict(&result.verdict))
        .with("quality", to_json(&capture.quality))
        .with("metadata", to_json(&serde_json::json!({ "exposure": capture.exposure, "drone": capture.drone })))
        .with("monotonic_ns", capture.monotonic_ns.map(|ns| ns as i64))
        .with("tag", capture.tag.as_ref().map(to_json))
        .with("burst", capture.burst.as_ref().map(to_json))
}

/// Without the neighbours: these are in the event.
fn short_verdict(verdict: &Verdict) -> String {
    let mut short = verdict.clone();
    short.evidence.clear();
    to_json(&short)
}

/// What must hold in the transaction that changes a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Any,
    /// The verdict that is shown is the one that the event with this number told.
    VerdictOf(i64),
    /// No inspector's judgement stands.
    NotInspected,
}

impl Expect {
    fn check(self, capture: i64, row: &Row) -> Result<(), JournalError> {
        match self {
            Expect::Any => Ok(()),
            Expect::NotInspected if row.get::<Option<String>>("inspection")?.is_some() => {
                Err(JournalError::Inspected(capture))
            }
            Expect::NotInspected => Ok(()),
            Expect::VerdictOf(told) => {
                let last = row.get::<Option<i64>>("sequence")?.unwrap_or(0);
                // Events after the one that told it have changed time, place or tag alone.
                let first = row.get::<Option<i64>>("judged_sequence")?.unwrap_or(0);
                let holds = (first..=last).contains(&told);
                if holds { Ok(()) } else { Err(JournalError::Changed { capture, sequence: last }) }
            }
        }
    }
}

/// Takes in what an inspector says, and queues the event that tells of it.
pub fn judge(
    tables: &mut Tables,
    identity: &DeviceIdentity,
    capture: i64,
    statement: Statement,
    expect: Expect,
    queued: bool,
) -> Result<Superseded, JournalError> {
    let row = load(tables.connection, capture)?;
    expect.check(capture, &row)?;
    let stored_at = statement.at;
    judgement::add(tables, &Sha256(row.get("sha256")?), statement, &device_verdict(&row, capture)?.labels())?;
    supersede_row(tables, identity, row, capture, &Change::Inspected, queued, stored_at)
}

/// Changes a capture and queues the event that takes the place of what was said of it.
pub fn supersede(
    tables: &mut Tables,
    identity: &DeviceIdentity,
    capture: i64,
    change: &Change,
    expect: Expect,
    queued: bool,
    stored_at: Timestamp,
) -> Result<Superseded, JournalError> {
    let row = load(tables.connection, capture)?;
    expect.check(capture, &row)?;
    supersede_row(tables, identity, row, capture, change, queued, stored_at)
}

/// Compares a capture with the history of its photo: after damage one of them may be older than the other. Tells whether
/// they agreed.
pub fn reconcile(tables: &mut Tables, capture: i64, stored_at: Timestamp) -> Result<bool, JournalError> {
    let row = load(tables.connection, capture)?;
    let sha256 = Sha256(row.get("sha256")?);
    let kept: Option<Inspection> = json(&row, "inspection")?;
    let history = judgement::history(tables.connection, &sha256)?;
    let standing = Inspection::standing(&history, &device_verdict(&row, capture)?.labels());
    match kept {
        kept if kept == standing => return Ok(true),
        Some(kept) if history.is_empty() => judgement::adopt(tables, &sha256, kept)?,
        _ => {
            let identity = identity_of(&row, capture)?;
            supersede_row(tables, &identity, row, capture, &Change::Inspected, true, stored_at)?;
        }
    }
    Ok(false)
}

/// Who made the event of a capture, as the event itself says.
fn identity_of(row: &Row, capture: i64) -> Result<DeviceIdentity, JournalError> {
    #[derive(Deserialize)]
    struct Event {
        source: String,
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        boot_id: String,
        package: StoredPackage,
    }
    let stored = row.get::<Option<Vec<u8>>>("event")?.ok_or(JournalError::NoEvent(capture))?;
    let event = unpack(&stored).and_then(|event| serde_json::from_slice::<Event>(&event).ok());
    let Event { source, data } = event.ok_or_else(|| damaged("capture", capture))?;
    Ok(DeviceIdentity {
        source,
        boot_id: data.boot_id,
        package: data.package.name,
        package_hash: data.package.hash,
        embedding_space: row.get::<Option<[u8; 32]>>("embedding_space")?.map_or(Sha256([0; 32]), Sha256),
    })
}

fn load(connection: &Connection, capture: i64) -> Result<Row, JournalError> {
    Row::load(connection, "capture", capture)?.ok_or(JournalError::UnknownCapture(capture))
}

/// The device's own answer, without neighbours.
fn device_verdict(row: &Row, capture: i64) -> Result<Verdict, JournalError> {
    json(row, "verdict")?.ok_or_else(|| unreadable("the verdict", capture))
}

fn supersede_row(
    tables: &mut Tables,
    identity: &DeviceIdentity,
    row: Row,
    capture: i64,
    change: &Change,
    queued: bool,
    stored_at: Timestamp,
) -> Result<Superseded, JournalError> {
    let stored = row.get::<Option<Vec<u8>>>("event")?.ok_or(JournalError::NoEvent(capture))?;
    let present = unpack(&stored).ok_or_else(|| damaged("capture", capture))?;
    if let Some(waiting) = row.get::<Option<i64>>("outbox_id")? {
        detach(tables, waiting, &stored)?;
    }
    let result_id: String = match row.get("result_id")? {
        Some(first) => first,
        None => row.get("event_id")?,
    };
    let history = judgement::history(tables.connection, &Sha256(row.get("sha256")?))?;
    let event_id = new_event_id();
    let context = context(tables, identity, &event_id, queued, stored_at);
    let payload = correction(&context, &present, &result_id, change, &history);
    let payload = payload.map_err(|_| damaged("capture", capture))?;
    let event = NewEvent {
        class: EventClass::Correction,
        event_id: event_id.clone(),
        topic: RESULT_TOPIC.to_owned(),
        content: Content::OfCapture(capture),
        stored_at,
    };
    let outbox_id = put(tables, event)?;
    let row = row
        .with("sequence", context.sequence)
        .with("event_id", event_id.clone())
        .with("event", pack(&payload))
        .with("result_id", result_id)
        .with("outbox_id", outbox_id);
    changed(row, capture, change, &history, context.sequence)?.store(tables.connection)?;
    tables.changed.push(capture);
    Ok(Superseded { capture, sequence: context.sequence, event_id })
}

/// The columns of the capture's row that a change touches.
fn changed(row: Row, capture: i64, change: &Change, history: &History, sequence: i64) -> Result<Row, JournalError> {
    Ok(match change {
        Change::Verdict(verdict) => {
            let standing = Inspection::standing(history, &verdict.labels());
            row.with("verdict", short_verdict(verdict))
                .with("inspection", standing.as_ref().map(to_json))
                .with("judged_sequence", sequence)
        }
        Change::Located { taken, position } => {
            let row = taken.iter().fold(row, |row, taken| row.with("taken", to_json(taken)));
            position.iter().fold(row, |row, position| row.with("position", to_json(position)))
        }
        Change::Tag(tag) => row.with("tag", to_json(tag)),
        Change::Inspected => {
            let standing = Inspection::standing(history, &device_verdict(&row, capture)?.labels());
            row.with("inspection", standing.as_ref().map(to_json)).with("judged_sequence", sequence)
        }
    })
}
