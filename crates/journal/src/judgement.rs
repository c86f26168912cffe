//! Statements of inspectors about photos. Rows are added and never changed. They name the photo by its hash, so that a
//! photo that is classified again after damage keeps its history.

use rusqlite::Connection;

use bridgeclip_domain::{Act, History, Inspection, Judgement, Labels, Sha256, Statement};

use super::error::JournalError;
use super::row::{Row, damaged, json, to_json};
use super::tables::Tables;

const TABLE: &str = "judgement";

/// Reads everything that inspectors have said about a photo, the oldest entry first.
pub fn history(connection: &Connection, sha256: &Sha256) -> Result<History, JournalError> {
    let mut ids = connection.prepare_cached("SELECT id FROM judgement WHERE sha256 = ?1 ORDER BY id")?;
    let ids: Vec<i64> = ids.query_map([sha256.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let entries = ids.into_iter().map(|id| entry(connection, id)).collect::<Result<_, _>>()?;
    Ok(History::of(entries))
}

fn entry(connection: &Connection, id: i64) -> Result<Judgement, JournalError> {
    let row = Row::load(connection, TABLE, id)?.ok_or_else(|| damaged(TABLE, id))?;
    json(&row, "entry")?.ok_or_else(|| damaged(TABLE, id))
}

/// Adds a statement about a photo to which the device itself gave the labels `device`. Returns the history with it.
///
/// # Errors
/// [`JournalError::Statement`] if the statement does not fit the history.
pub fn add(
    tables: &mut Tables,
    sha256: &Sha256,
    statement: Statement,
    device: &Labels,
) -> Result<History, JournalError> {
    let mut history = history(tables.connection, sha256)?;
    let entry = history.add(statement, device).map_err(JournalError::Statement)?;
    store(tables, sha256, entry)?;
    Ok(history)
}

fn store(tables: &mut Tables, sha256: &Sha256, entry: &Judgement) -> Result<(), JournalError> {
    let counters = &mut tables.counters;
    counters.judgement += 1;
    counters.judgements += 1;
    let row = Row::new(TABLE, counters.judgement).with("sha256", sha256.0.to_vec()).with("entry", to_json(entry));
    Ok(row.store(tables.connection)?)
}

/// Drops the history of a photo whose capture is deleted for room. The events that reported the history have been
/// delivered.
pub fn forget(tables: &mut Tables, sha256: &[u8]) -> rusqlite::Result<()> {
    let gone = tables.connection.prepare_cached("DELETE FROM judgement WHERE sha256 = ?1")?.execute([sha256])?;
    tables.counters.judgements = tables.counters.judgements.saturating_sub(gone as u64);
    Ok(())
}

/// Starts a history with the judgement that a capture's row holds.
pub fn adopt(tables: &mut Tables, sha256: &Sha256, inspection: Inspection) -> Result<(), JournalError> {
    let act = if inspection.is_acceptance() { Act::Accepted } else { Act::Corrected };
    let Inspection { by, at, device, labels } = inspection;
    store(tables, sha256, &Judgement { by, at, act, was: device, labels })
}
