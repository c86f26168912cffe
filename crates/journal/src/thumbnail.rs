//! Small pictures of captures, delivered last and dropped first.

use jiff::Timestamp;
use rusqlite::OptionalExtension;

use bridgeclip_domain::THUMBNAIL_BYTES_MAX;

use super::error::JournalError;
use super::event_class::EventClass;
use super::names::THUMBNAIL_TOPIC;
use super::outbox::{Content, NewEvent, drop_event, put, remove};
use super::packing::pack;
use super::row::Row;
use super::tables::Tables;

/// Stores and queues the thumbnail of a capture. One that is too large is dropped and counted.
pub fn store(
    tables: &mut Tables,
    capture: i64,
    event_id: &str,
    jpeg: &[u8],
    stored_at: Timestamp,
) -> Result<(), JournalError> {
    if jpeg.len() > THUMBNAIL_BYTES_MAX {
        tables.counters.losses.thumbnails_dropped += 1;
        return Ok(());
    }
    let event = NewEvent {
        class: EventClass::Thumbnail,
        event_id: event_id.to_owned(),
        topic: format!("{THUMBNAIL_TOPIC}/{event_id}"),
        content: Content::OfCapture(capture),
        stored_at,
    };
    let outbox_id = put(tables, event)?;
    Row::new("thumbnail", capture)
        .with("event_id", event_id.to_owned())
        .with("event", pack(jpeg))
        .with("outbox_id", outbox_id)
        .store(tables.connection)?;
    Ok(())
}

/// Drops up to `limit` thumbnails, the oldest first. Returns how many. Those that were not delivered are counted.
pub fn drop_oldest(tables: &mut Tables, limit: u32) -> Result<usize, JournalError> {
    let own = ids(tables, "SELECT id FROM thumbnail ORDER BY id LIMIT ?1", (limit,))?;
    own.iter().try_for_each(|&capture| drop_of(tables, capture))?;
    if !own.is_empty() {
        return Ok(own.len());
    }
    // The remaining thumbnails are payloads in the outbox itself.
    let class = EventClass::Thumbnail;
    let sql = "SELECT id FROM outbox WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3";
    let others = ids(tables, sql, (class.floor(), class.ceiling(), limit))?;
    others.iter().try_for_each(|&id| remove(tables, id).map(drop))?;
    tables.counters.losses.thumbnails_dropped += others.len() as u64;
    Ok(others.len())
}

/// Drops the thumbnail of a capture, and its event if that was not delivered.
pub fn drop_of(tables: &mut Tables, capture: i64) -> Result<(), JournalError> {
    let sql = "DELETE FROM thumbnail WHERE id = ?1 RETURNING outbox_id";
    let waiting = tables.connection.prepare_cached(sql)?.query_row([capture], |row| row.get(0)).optional()?;
    if let Some(waiting) = waiting {
        tables.counters.losses.thumbnails_dropped += u64::from(drop_event(tables, waiting)?);
    }
    Ok(())
}

fn ids(tables: &Tables, sql: &str, params: impl rusqlite::Params) -> Result<Vec<i64>, JournalError> {
    let mut statement = tables.connection.prepare_cached(sql)?;
    let ids = statement.query_map(params, |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}
