//! Events that other devices made and that this device delivers for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use serde::Serialize;

use super::error::JournalError;
use super::event_class::EventClass;
use super::outbox::{Content, NewEvent, drop_event, put};
use super::row::Row;
use super::tables::Tables;
use super::topics::{Topics, Which};

/// Event that another device made and that this device delivers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignEvent {
    pub class: EventClass,
    pub event_id: String,
    /// Full topic, with the prefix of the device that made the event.
    pub topic: String,
    pub payload: Vec<u8>,
}

/// Numbers of events that this device holds for another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    pub waiting: u64,
    pub set_aside: u64,
}

/// Takes in events of other devices, and skips those that were imported before. Returns how many were new.
pub fn import(tables: &mut Tables, events: &[ForeignEvent], stored_at: Timestamp) -> Result<u64, JournalError> {
    let mut new = 0;
    for event in events {
        let is_known = is_imported(tables.connection, &event.event_id, event.class as i64)?;
        let id = imported_id(&event.topic, &event.event_id);
        if is_known || !note_imported(tables.connection, &id, event.class as i64)? {
            continue;
        }
        let own = NewEvent {
            class: event.class,
            event_id: event.event_id.clone(),
            topic: format!("/{}", event.topic),
            content: Content::Own(event.payload.clone()),
            stored_at,
        };
        put(tables, own)?;
        new += 1;
    }
    Ok(new)
}

/// Returns the id under which an event is noted: the prefix of its device and its own id. With the prefix, nobody can
/// use up the ids of one device by bringing them under the name of another. Older programs noted the event's own id
/// alone.
fn imported_id(topic: &str, event_id: &str) -> String {
    format!("{}/{event_id}", device(topic))
}

/// Returns the device's prefix of a full topic, `bridge/v1/{site}/{device}`.
fn device(topic: &str) -> &str {
    topic.match_indices('/').nth(3).map_or(topic, |(end, _)| &topic[..end])
}

fn is_imported(connection: &Connection, id: &str, class: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM imported WHERE event_id = ?1 AND class = ?2)";
    connection.prepare_cached(sql)?.query_row(params![id, class], |row| row.get(0))
}

/// Notes that an event of another device was taken in. Returns `false` if that was noted before.
pub fn note_imported(connection: &Connection, id: &str, class: i64) -> rusqlite::Result<bool> {
    if is_imported(connection, id, class)? {
        return Ok(false);
    }
    let mut last = connection.prepare_cached("SELECT coalesce(max(id), 0) FROM imported")?;
    let number: i64 = last.query_row([], |row| row.get(0))?;
    Row::new("imported", number + 1).with("event_id", id.to_owned()).with("class", class).store(connection)?;
    Ok(true)
}

/// Drops events of other devices on these topics: all of them, or those with these ids if any are given, at most
/// `limit`. The notes of their arrival go too, so that they can be imported again. Returns how many were dropped.
pub fn drop_imported(tables: &mut Tables, topics: &Topics, ids: &[i64], limit: usize) -> Result<u64, JournalError> {
    let mut dropped = 0;
    for (id, event_id, topic) in some(tables.connection, topics, ids, limit)? {
        let Some(class) = EventClass::of(id) else { continue };
        let sql = "DELETE FROM imported WHERE event_id IN (?1, ?2) AND class = ?3";
        let noted = imported_id(topic.trim_start_matches('/'), &event_id);
        tables.connection.prepare_cached(sql)?.execute(params![event_id, noted, class as i64])?;
        dropped += u64::from(drop_event(tables, id)?);
    }
    tables.counters.losses.imports_dropped += dropped;
    Ok(dropped)
}

/// Returns ids, event ids and topics of matching events, waiting or set aside.
fn some(
    connection: &Connection,
    topics: &Topics,
    ids: &[i64],
    limit: usize,
) -> rusqlite::Result<Vec<(i64, String, String)>> {
    let (mut condition, mut values) = Which::Only(topics).condition();
    if !ids.is_empty() {
        condition += &format!(" AND id IN ({})", vec!["?"; ids.len()].join(", "));
        values.extend(ids.iter().map(|id| Value::from(*id)));
    }
    let select = |table: &str| format!("SELECT id, event_id, topic FROM {table} AS outbox WHERE id > 0{condition}");
    let sql = format!("{} UNION ALL {} LIMIT ?", select("outbox"), select("set_aside"));
    let limit = Value::from(i64::try_from(limit).unwrap_or(i64::MAX));
    let values: Vec<Value> = values.iter().chain(&values).cloned().chain([limit]).collect();
    let mut statement = connection.prepare(&sql)?;
    statement.query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Counts the events of each other device, by the device's prefix.
pub fn imported(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Imported>> {
    let mut devices: BTreeMap<String, Imported> = BTreeMap::new();
    for table in ["outbox", "set_aside"] {
        let (condition, values) = Which::Only(&Topics::foreign()).condition();
        let sql = format!("SELECT topic FROM {table} AS outbox WHERE id > 0{condition}");
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let topic: String = row.get(0)?;
            let counts = devices.entry(device(topic.trim_start_matches('/')).to_owned()).or_default();
            let count = if table == "outbox" { &mut counts.waiting } else { &mut counts.set_aside };
            *count += 1;
        }
    }
    Ok(devices)
}
