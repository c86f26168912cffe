//! Results: a capture with its verdict, and the events that tell of it.

use std::os::unix::ffi::OsStrExt;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::commit::{FileNote, Transaction};
use super::packing::{pack, unpack};
use super::queue::{Content, EventClass, NewEvent, Tables, detach, put};
use super::row::{Row, damaged};
use super::tag::insert_tag;
use super::{DeviceIdentity, JournalError, RESULT_TOPIC, thumbnail};
use crate::domain::{
    Capture, Change, Embedding, EventContext, FileStamp, Sha256, Tag, Verdict, capture_result, capture_summary,
    correction,
};

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

/// What `supersede` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superseded {
    pub capture: i64,
    /// Of the event that takes the place of the earlier one.
    pub sequence: i64,
    pub event_id: String,
}

/// Stores a result with its events, unless the photo is known. On a metered link a short event goes ahead of the whole.
pub fn record(
    transaction: &mut Transaction,
    identity: &DeviceIdentity,
    result: &NewResult,
    metered: bool,
) -> Result<Recorded, JournalError> {
    let Capture { sha256, path, .. } = &result.capture;
    transaction.note(FileNote { path: path.clone(), stamp: result.stamp.clone(), sha256: *sha256 });
    if is_known(transaction.tables.connection, sha256)? {
        return Ok(Recorded::Known);
    }
    transaction.admit()?;
    if let Some(tag) = &result.new_tag {
        insert_tag(transaction.tables.connection, tag, &identity.boot_id, result.stored_at)?;
    }
    let tables = &mut transaction.tables;
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
        .with("taken", json(&capture.taken))
        .with("position", capture.position.as_ref().map(json))
        .with("camera", json(&capture.camera))
        .with("stored_at", result.stored_at.to_string())
        .with("boot_id", identity.boot_id.clone())
        .with("embedding", result.embedding.to_bytes())
        .with("embedding_space", identity.embedding_space.0.to_vec())
        .with("verdict", short_verdict(&result.verdict))
        .with("quality", json(&capture.quality))
        .with("metadata", json(&serde_json::json!({ "exposure": capture.exposure, "drone": capture.drone })))
        .with("monotonic_ns", capture.monotonic_ns.map(|ns| ns as i64))
        .with("tag", capture.tag.as_ref().map(json))
        .with("burst", capture.burst.as_ref().map(json))
}

/// Without the neighbours: these are in the event.
fn short_verdict(verdict: &Verdict) -> String {
    let mut short = verdict.clone();
    short.evidence.clear();
    json(&short)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("domain values have string keys and finite numbers")
}

/// Changes a capture and queues the event that takes the place of what was said of it.
pub fn supersede(
    tables: &mut Tables,
    identity: &DeviceIdentity,
    capture: i64,
    change: &Change,
    queued: bool,
    stored_at: Timestamp,
) -> Result<Superseded, JournalError> {
    let row = Row::load(tables.connection, "capture", capture)?.ok_or(JournalError::UnknownCapture(capture))?;
    let stored = row.get::<Option<Vec<u8>>>("event")?.ok_or(JournalError::NoEvent(capture))?;
    let present = unpack(&stored).ok_or_else(|| damaged("capture", capture))?;
    if let Some(waiting) = row.get::<Option<i64>>("outbox_id")? {
        detach(tables, waiting, &stored)?;
    }
    let result_id: String = match row.get("result_id")? {
        Some(first) => first,
        None => row.get("event_id")?,
    };
    let event_id = new_event_id();
    let context = context(tables, identity, &event_id, queued, stored_at);
    let payload = correction(&context, &present, &result_id, change).map_err(|_| damaged("capture", capture))?;
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
    let row = match change {
        Change::Verdict(verdict) => row.with("verdict", short_verdict(verdict)),
        Change::Located { taken, position } => {
            let row = taken.iter().fold(row, |row, taken| row.with("taken", json(taken)));
            position.iter().fold(row, |row, position| row.with("position", json(position)))
        }
        Change::Tag(tag) => row.with("tag", json(tag)),
        Change::Inspected(inspection) => {
            let verdict: Verdict = serde_json::from_str(&row.get::<String>("verdict")?)
                .map_err(|error| JournalError::Damaged(format!("the verdict of capture {capture}: {error}")))?;
            let verdict = short_verdict(&verdict.inspected(&inspection.labels));
            row.with("verdict", verdict).with("inspection", json(inspection))
        }
    };
    row.store(tables.connection)?;
    Ok(Superseded { capture, sequence: context.sequence, event_id })
}

/// The oldest captures whose events have all been delivered, among the oldest thousand: a longer search would hold up
/// the photo for which room is made.
pub fn oldest_delivered(tables: &Tables, limit: u32) -> Result<Vec<i64>, JournalError> {
    let sql = "SELECT id FROM (SELECT id, outbox_id FROM capture ORDER BY id LIMIT 1000) AS oldest
               WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE id = oldest.outbox_id)
                 AND NOT EXISTS (SELECT 1 FROM set_aside WHERE id = oldest.outbox_id)
               ORDER BY id LIMIT ?1";
    let mut statement = tables.connection.prepare_cached(sql)?;
    let ids = statement.query_map([limit], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// Drops a capture. Its hash stays, so that the photo is not taken for a new one.
pub fn forget(tables: &mut Tables, capture: i64) -> Result<(), JournalError> {
    thumbnail::drop_of(tables, capture)?;
    let sql = "DELETE FROM capture WHERE id = ?1 RETURNING sha256";
    let mut statement = tables.connection.prepare_cached(sql)?;
    let Some(sha256) = statement.query_row([capture], |row| row.get::<_, Vec<u8>>(0)).optional()? else {
        return Ok(());
    };
    let counters = &mut tables.counters;
    counters.captures = counters.captures.saturating_sub(1);
    counters.losses.captures_forgotten += 1;
    Row::new("forgotten", capture).with("sha256", sha256).store(tables.connection)?;
    Ok(())
}
