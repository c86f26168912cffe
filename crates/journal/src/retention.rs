//! Deletes data when room is short: damaged databases that were set aside, thumbnails, delivered captures.

use std::path::Path;

use rusqlite::OptionalExtension;

use bridgeclip_storage::drive::Drive;

use super::error::JournalError;
use super::row::Row;
use super::space::free_bytes;
use super::tables::Tables;
use super::{bridges, judgement, quarantine, thumbnail};

/// Number of rows that are deleted at a time.
const STEP_ROWS: u32 = 16;

/// Removes damaged databases that were set aside, the oldest first, while fewer than `wanted` bytes are free on the
/// drive. Returns how many bytes are free there then.
pub fn free_drive(dir: &Path, wanted: u64) -> Result<u64, JournalError> {
    loop {
        let drive = Drive::of(dir).map_err(|error| JournalError::file(dir, error))?;
        if drive.free_bytes >= wanted || !quarantine::make_room(dir)? {
            return Ok(drive.free_bytes);
        }
    }
}

/// Frees pages of the database until `bytes` are free or nothing more may be deleted. Thumbnails go first, then
/// captures that have been delivered, the oldest first. What is not delivered stays. Returns how many bytes became
/// free.
pub fn make_room(tables: &mut Tables, bytes: u64) -> Result<u64, JournalError> {
    let before = free_bytes(tables.connection)?;
    loop {
        let freed = free_bytes(tables.connection)?.saturating_sub(before);
        if freed >= bytes || !give_way(tables)? {
            return Ok(freed);
        }
    }
}

/// Deletes the next few rows. Returns `false` if there is nothing more that may be deleted.
fn give_way(tables: &mut Tables) -> Result<bool, JournalError> {
    if thumbnail::drop_oldest(tables, STEP_ROWS)? > 0 {
        return Ok(true);
    }
    let captures = oldest_delivered(tables, STEP_ROWS)?;
    captures.iter().try_for_each(|&id| forget(tables, id))?;
    Ok(!captures.is_empty())
}

/// Returns the oldest captures whose events have all been delivered, among the oldest thousand. A longer search would
/// hold up the photo for which room is made.
fn oldest_delivered(tables: &Tables, limit: u32) -> Result<Vec<i64>, JournalError> {
    let sql = "SELECT id FROM (SELECT id, outbox_id FROM capture ORDER BY id LIMIT 1000) AS oldest
               WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE id = oldest.outbox_id)
                 AND NOT EXISTS (SELECT 1 FROM set_aside WHERE id = oldest.outbox_id)
               ORDER BY id LIMIT ?1";
    let mut statement = tables.connection.prepare_cached(sql)?;
    let ids = statement.query_map([limit], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// Deletes a capture. Its hash stays, so that the photo is not treated as a new one.
fn forget(tables: &mut Tables, capture: i64) -> Result<(), JournalError> {
    thumbnail::drop_of(tables, capture)?;
    let sql = "DELETE FROM capture WHERE id = ?1 RETURNING sha256";
    let mut statement = tables.connection.prepare_cached(sql)?;
    let Some(sha256) = statement.query_row([capture], |row| row.get::<_, Vec<u8>>(0)).optional()? else {
        return Ok(());
    };
    judgement::forget(tables, &sha256)?;
    bridges::forget(tables, &sha256)?;
    let counters = &mut tables.counters;
    counters.captures = counters.captures.saturating_sub(1);
    counters.losses.captures_forgotten += 1;
    Row::new("forgotten", capture).with("sha256", sha256).store(tables.connection)?;
    Ok(())
}
