//! The outbox: events that the broker has not acknowledged yet.

use jiff::Timestamp;

use super::error::JournalError;
use super::event_class::EventClass;
use super::names::RESULT_TOPIC;
use super::packing::pack;
use super::row::Row;
use super::tables::Tables;

/// Event on its way into the outbox.
pub struct NewEvent {
    pub class: EventClass,
    pub event_id: String,
    /// Topic below the device's prefix, or a full topic if it starts with `/`.
    pub topic: String,
    pub content: Content,
    pub stored_at: Timestamp,
}

/// Place of an outbox row's payload.
pub enum Content {
    /// The event or the thumbnail of the capture with this id, which is in the table [`EventClass::home`] anyway.
    OfCapture(i64),
    /// A payload in the outbox row itself.
    Own(Vec<u8>),
}

/// Outcome of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The event will be sent again.
    StaysInQueue,
    /// The event was refused too often. It is kept, but not sent any more.
    SetAside,
}

/// Puts an event at the end of its class. Returns its id.
pub fn put(tables: &mut Tables, event: NewEvent) -> Result<i64, JournalError> {
    let id = next_id(tables, event.class);
    let row = Row::new("outbox", id)
        .with("event_id", event.event_id)
        .with("topic", event.topic)
        .with("stored_at", event.stored_at.as_microsecond())
        .with("tries", 0);
    let row = match event.content {
        Content::OfCapture(capture) => row.with("capture", capture),
        Content::Own(payload) => row.with("payload", pack(&payload)),
    };
    row.store(tables.connection)?;
    tables.counters.waiting[event.class as usize] += 1;
    Ok(id)
}

fn next_id(tables: &mut Tables, class: EventClass) -> i64 {
    let number = &mut tables.counters.numbers[class as usize];
    *number += 1;
    class.floor() + *number
}

/// Removes events that the broker has acknowledged. Ids that no longer exist are no error.
pub fn delivered(tables: &mut Tables, ids: &[i64]) -> Result<(), JournalError> {
    ids.iter().try_for_each(|&id| remove(tables, id).map(drop))
}

/// Removes an event from the outbox. Reports whether it was there.
pub fn remove(tables: &mut Tables, id: i64) -> Result<bool, JournalError> {
    let Some(class) = EventClass::of(id) else { return Ok(false) };
    let mut statement = tables.connection.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
    let gone = statement.execute([id])? > 0;
    if gone {
        let waiting = &mut tables.counters.waiting[class as usize];
        *waiting = waiting.saturating_sub(1);
    }
    Ok(gone)
}

/// Adds `tries` refusals to an event, and sets the event aside when it has `tries_max` of them.
pub fn refuse(tables: &mut Tables, id: i64, reason: &str, tries: u32, tries_max: u32) -> Result<Refused, JournalError> {
    let Some(mut row) = EventClass::of(id).map_or(Ok(None), |_| Row::load(tables.connection, "outbox", id))? else {
        return Ok(Refused::StaysInQueue);
    };
    let tries = row.get::<u32>("tries")?.saturating_add(tries);
    row.set("tries", tries);
    if tries < tries_max {
        row.store(tables.connection)?;
        return Ok(Refused::StaysInQueue);
    }
    remove(tables, id)?;
    row.moved_to("set_aside", id).with("reason", reason.to_owned()).store(tables.connection)?;
    tables.counters.set_aside += 1;
    tables.counters.losses.events_set_aside += 1;
    Ok(Refused::SetAside)
}

/// Puts events that were set aside back into the outbox, at the end of their class: all of them, or those with these
/// ids. Returns how many there were.
pub fn retry(tables: &mut Tables, ids: Option<&[i64]>) -> Result<u64, JournalError> {
    let ids = match ids {
        Some(ids) => ids.to_vec(),
        None => set_aside_ids(tables)?,
    };
    ids.iter().try_fold(0, |count, &id| Ok(count + u64::from(retry_one(tables, id)?)))
}

fn set_aside_ids(tables: &Tables) -> Result<Vec<i64>, JournalError> {
    let mut statement = tables.connection.prepare_cached("SELECT id FROM set_aside ORDER BY id")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn retry_one(tables: &mut Tables, id: i64) -> Result<bool, JournalError> {
    let row = Row::load(tables.connection, "set_aside", id)?;
    let (Some(row), Some(class)) = (row, EventClass::of(id)) else { return Ok(false) };
    tables.connection.prepare_cached("DELETE FROM set_aside WHERE id = ?1")?.execute([id])?;
    let new_id = next_id(tables, class);
    if let Some(capture) = row.get::<Option<i64>>("capture")? {
        waits_under(tables, class.home(), capture, new_id)?;
    }
    row.moved_to("outbox", new_id).without("reason").with("tries", 0).store(tables.connection)?;
    tables.counters.set_aside = tables.counters.set_aside.saturating_sub(1);
    tables.counters.waiting[class as usize] += 1;
    Ok(true)
}

/// Notes which outbox row points to a payload, in the row that holds the payload.
fn waits_under(tables: &Tables, home: &'static str, capture: i64, outbox_id: i64) -> Result<(), JournalError> {
    if let Some(row) = Row::load(tables.connection, home, capture)? {
        row.with("outbox_id", outbox_id).store(tables.connection)?;
    }
    Ok(())
}

/// Queues the events of captures again, under their own ids and with their own bytes. Leaves out events that still wait
/// and captures without an event. Returns how many were queued.
pub fn resend(tables: &mut Tables, captures: &[i64], stored_at: Timestamp) -> Result<u64, JournalError> {
    captures.iter().try_fold(0, |count, &id| Ok(count + u64::from(resend_one(tables, id, stored_at)?)))
}

fn resend_one(tables: &mut Tables, capture: i64, stored_at: Timestamp) -> Result<bool, JournalError> {
    let Some(row) = Row::load(tables.connection, "capture", capture)? else { return Ok(false) };
    let Some(event_id) = row.get::<Option<String>>("event_id")? else { return Ok(false) };
    let old = row.get::<Option<i64>>("outbox_id")?;
    if old.map_or(Ok(false), |id| is_undelivered(tables, id))? {
        return Ok(false);
    }
    let event = NewEvent {
        class: old.and_then(EventClass::of).unwrap_or(EventClass::Result),
        event_id,
        topic: RESULT_TOPIC.to_owned(),
        content: Content::OfCapture(capture),
        stored_at,
    };
    let id = put(tables, event)?;
    row.with("outbox_id", id).store(tables.connection)?;
    Ok(true)
}

fn is_undelivered(tables: &Tables, id: i64) -> Result<bool, JournalError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM outbox WHERE id = ?1) OR EXISTS (SELECT 1 FROM set_aside WHERE id = ?1)";
    Ok(tables.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))?)
}

/// Drops an event, whether it waits or was set aside. Reports whether it was there.
pub fn drop_event(tables: &mut Tables, id: i64) -> Result<bool, JournalError> {
    if remove(tables, id)? {
        return Ok(true);
    }
    let gone = tables.connection.prepare_cached("DELETE FROM set_aside WHERE id = ?1")?.execute([id])? > 0;
    tables.counters.set_aside = tables.counters.set_aside.saturating_sub(gone.into());
    Ok(gone)
}

/// Gives an outbox row that points to its capture a payload of its own, before the capture's event changes.
pub fn detach(tables: &Tables, outbox_id: i64, stored_event: &[u8]) -> Result<(), JournalError> {
    for table in ["outbox", "set_aside"] {
        let row = Row::load(tables.connection, table, outbox_id)?;
        if let Some(row) = row {
            row.without("capture").with("payload", stored_event.to_vec()).store(tables.connection)?;
        }
    }
    Ok(())
}
