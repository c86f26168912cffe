//! Results: captures with their verdicts, and the events that report them.

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
use super::{facts, judgement, thumbnail};

/// Classified photo that is about to be stored.
#[derive(Clone, Debug)]
pub struct NewResult {
    pub capture: Capture,
    pub stamp: FileStamp,
    pub embedding: Embedding,
    pub verdict: Verdict,
    /// Tag that a code in the photo shows. It applies to this photo and to those that follow.
    pub new_tag: Option<Tag>,
    /// Whether an engineer should see the photo first. Its event then overtakes the queue.
    pub urgent: bool,
    /// Small JPEG of the photo, at most 48 KiB. A larger one is dropped and counted.
    pub thumbnail: Option<Vec<u8>>,
    /// Evidence for the moment and the place of the photo, as JSON.
    pub claims: Option<String>,
    /// Whether the link was down, so that the event has to wait.
    pub queued: bool,
    /// Time of storing, by the device's clock.
    pub stored_at: Timestamp,
}

/// Outcome of storing a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The photo is new, and its result is stored.
    New {
        capture: i64,
        /// Sequence number of the first event that reports the capture.
        sequence: i64,
    },
    /// The same photo was stored before, under this or another name.
    Known,
}

/// Model package as events name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPackage {
    /// Name and version, separated by a space.
    pub name: String,
    /// SHA-256 of the manifest, as 64 hexadecimal digits.
    pub hash: String,
}

/// Event that replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superseded {
    /// Id of the capture.
    pub capture: i64,
    /// Sequence number of the new event.
    pub sequence: i64,
    pub event_id: String,
}

/// Stores a result with its events. On a metered link a short event goes ahead of the full one.
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
    if !judgement::history(tables.connection, &result.capture.image.sha256)?.is_empty() {
        // An inspector judged the photo before its capture was lost to damage.
        supersede(tables, identity, capture, &Change::Inspected, Expect::Any, result.queued, result.stored_at)?;
    }
    Ok(Recorded::New { capture, sequence: first })
}

/// Reports whether a photo with this content was classified before, on this device and in this or an earlier database.
pub fn is_known(connection: &Connection, sha256: &Sha256) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM capture WHERE sha256 = ?1)
                   OR EXISTS (SELECT 1 FROM forgotten WHERE sha256 = ?1)";
    connection.prepare_cached(sql)?.query_row([sha256.0], |row| row.get(0))
}

/// Returns a new id for an event.
pub fn new_event_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Numbers the next event, and returns the facts that it needs.
pub fn next_event<'a>(
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
    let context = next_event(tables, identity, &event_id, result.queued, result.stored_at);
    let payload = capture_summary(&context, &result.capture, &result.verdict, result.urgent, detail_id);
    let content = Content::Own(payload);
    let event = NewEvent { class, event_id, topic: RESULT_TOPIC.to_owned(), content, stored_at: result.stored_at };
    put(tables, event).map(drop)
}

/// Stores the capture's row and queues the full event. The row holds the event, and the outbox points to it. The event
/// stays in the row after its delivery.
fn put_whole(
    tables: &mut Tables,
    identity: &DeviceIdentity,
    result: &NewResult,
    class: EventClass,
    event_id: &str,
) -> Result<i64, JournalError> {
    let id = tables.counters.capture;
    let context = next_event(tables, identity, event_id, result.queued, result.stored_at);
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
    facts::to_row(Row::new("capture", id), &result.capture)
        .with("stored_at", result.stored_at.to_string())
        .with("boot_id", identity.boot_id.clone())
        .with("embedding", result.embedding.to_bytes())
        .with("embedding_space", identity.embedding_space.0.to_vec())
        .with("verdict", short_verdict(&result.verdict))
        .with("claims", result.claims.as_ref().map(|claims| pack(claims.as_bytes())))
}

/// Returns the verdict as JSON without its neighbours, which are in the event.
fn short_verdict(verdict: &Verdict) -> String {
    let mut short = verdict.clone();
    short.evidence.clear();
    to_json(&short)
}

/// Condition on a capture, checked in the transaction that changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No condition.
    Any,
    /// The shown verdict is still the one that the event with this sequence number reported.
    VerdictOf(i64),
    /// No judgement by an inspector applies to the capture.
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
                // Events after the one that reported the verdict have changed only time, place or tag.
                let first = row.get::<Option<i64>>("judged_sequence")?.unwrap_or(0);
                let holds = (first..=last).contains(&told);
                if holds { Ok(()) } else { Err(JournalError::Changed { capture, sequence: last }) }
            }
        }
    }
}

/// Stores an inspector's statement about a capture, and queues the event that reports it.
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
    judgement::add(tables, &facts::sha256(&row)?, statement, &device_verdict(&row, capture)?.labels())?;
    supersede_row(tables, identity, row, capture, &Change::Inspected, queued, stored_at)
}

/// Changes a capture and queues the event that replaces its last one.
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

/// Compares a capture with the history of its photo, and updates the older one: after damage the two may come from
/// different commits. Reports whether they agreed.
pub fn reconcile(tables: &mut Tables, capture: i64, stored_at: Timestamp) -> Result<bool, JournalError> {
    let row = load(tables.connection, capture)?;
    let sha256 = facts::sha256(&row)?;
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

/// Reads from a capture's event which device, boot and package made it.
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

/// Returns the device's own answer without its neighbours.
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
    let history = judgement::history(tables.connection, &facts::sha256(&row)?)?;
    let event_id = new_event_id();
    let context = next_event(tables, identity, &event_id, queued, stored_at);
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

/// Sets the columns of a capture's row that a change affects.
fn changed(row: Row, capture: i64, change: &Change, history: &History, sequence: i64) -> Result<Row, JournalError> {
    Ok(match change {
        Change::Verdict(verdict) => {
            let standing = Inspection::standing(history, &verdict.labels());
            row.with("verdict", short_verdict(verdict))
                .with("inspection", standing.as_ref().map(to_json))
                .with("judged_sequence", sequence)
        }
        Change::Located { taken, position } => {
            let row = taken.iter().fold(row, facts::with_taken);
            position.iter().fold(row, |row, position| facts::with_position(row, position.as_ref()))
        }
        Change::Tag(tag) => facts::with_tag(row, tag),
        Change::Inspected => {
            let standing = Inspection::standing(history, &device_verdict(&row, capture)?.labels());
            row.with("inspection", standing.as_ref().map(to_json)).with("judged_sequence", sequence)
        }
    })
}
