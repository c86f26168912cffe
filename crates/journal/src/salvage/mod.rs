//! Recovery of the intact rows of a damaged database.
//!
//! SQLite is not used to read: with one flipped bit in the first page it reads nothing at all. Instead, every page is
//! examined. A row is accepted as what its checksum proves it to be, wherever it is.

mod cells;
mod pages;

use std::fmt;
use std::path::Path;

use log::warn;
use rusqlite::Connection;
use rusqlite::types::Value;

use bridgeclip_storage::durable;

use self::pages::Pages;
use crate::counters::{COUNTERS_ID, CommandDoubt, Counters};
use crate::error::JournalError;
use crate::event_class::EventClass;
use crate::numbers::Numbers;
use crate::row::{CHECK_SUM, Row};
use crate::tables::Tables;
use crate::tag::keep_tag;
use crate::{capture, outbox, schema};
use jiff::Timestamp;

/// Tables whose rows are kept. `file` is not among them: every photo is looked at again, and known photos are noted
/// again.
const TABLES: [&str; 14] = [
    "capture",
    "outbox",
    "set_aside",
    "forgotten",
    "thumbnail",
    "judgement",
    "tag",
    "imported",
    "track",
    "camera",
    "member",
    "bridge",
    "photo_number",
    "last_cycle",
];

/// Gap left in the numbers of a class whose last number is not known, so that the id of a delivered event is not given
/// again.
const NUMBERS_SKIPPED: i64 = 1 << 20;

/// Result of a salvage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Number of captures that were recovered.
    pub captures: u64,
    /// Number of waiting events that were recovered.
    pub events: u64,
    /// Number of rows that the counters include and that were not intact.
    pub missing: u64,
    /// Number of events that may or may not have been delivered, and are sent again under their own ids.
    pub sent_again: u64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { captures, events, missing, sent_again } = self;
        write!(f, "{captures} captures and {events} waiting events; {missing} rows were not whole, ")?;
        write!(f, "{sent_again} events are sent again")
    }
}

/// Makes a new database at `into` with the intact rows of the database at `damaged`. `numbers` are the last numbers
/// known from elsewhere.
pub fn salvage(damaged: &Path, into: &Path, numbers: Numbers) -> Result<Found, JournalError> {
    let open = |source: rusqlite::Error| JournalError::Open { path: into.to_owned(), source: source.into() };
    durable::claim_private(into).map_err(|error| JournalError::file(into, error))?;
    let mut connection = Connection::open(into).map_err(open)?;
    schema::create_unsynced(&mut connection)?;
    let pages = Pages::open(damaged).map_err(|error| JournalError::file(damaged, error))?;
    let transaction = connection.transaction()?;
    let counted = copy_rows(&pages, &transaction)?;
    let orphans = drop_orphans(&transaction)?;
    let found = settle(&transaction, counted.as_ref(), orphans, numbers)?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| open(error))?;
    Ok(found)
}

/// Copies every intact row. Returns the intact counters of the latest commit.
fn copy_rows(pages: &Pages, connection: &Connection) -> Result<Option<Counters>, JournalError> {
    let tables = TABLES.map(|name| columns(connection, name).map(|columns| (name, columns)));
    let tables = tables.into_iter().collect::<rusqlite::Result<Vec<_>>>()?;
    let mut counted: Option<Counters> = None;
    for number in pages.numbers() {
        for (rowid, values) in cells::of_page(pages, number) {
            let Some(row) = tables.iter().find_map(|(name, columns)| whole_row(name, columns, rowid, &values)) else {
                continue;
            };
            if row.table() == "outbox" && rowid == COUNTERS_ID {
                counted = counted.into_iter().chain(Counters::from_row(&row).ok()).max_by_key(Counters::age);
            } else {
                row.store_if_new(connection)?;
            }
        }
    }
    Ok(counted)
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
    Ok(statement.column_names().map(str::to_owned).collect())
}

/// Returns the cell as a row of the table if its checksum proves that. A row has fewer values than its table has
/// columns if columns were added later.
fn whole_row(table: &'static str, columns: &[String], rowid: i64, values: &[Value]) -> Option<Row> {
    let check_sum = columns.iter().position(|column| column == CHECK_SUM)?;
    if values.len() <= check_sum || values.len() > columns.len() || values.first() != Some(&Value::Null) {
        return None;
    }
    let id = [Value::Integer(rowid)];
    Row::whole(table, columns.iter().cloned().zip(id.iter().chain(&values[1..]).cloned()).collect())
}

/// Drops rows whose payload is lost: events of a capture that was not intact, and lost thumbnails. The photos of the
/// former are looked at again. Returns how many events of captures were dropped.
fn drop_orphans(connection: &Connection) -> Result<u64, JournalError> {
    let drop_in = |table, home, range: &str| {
        let sql = format!(
            "DELETE FROM {table} WHERE capture IS NOT NULL AND id {range} AND NOT EXISTS
                 (SELECT 1 FROM {home} WHERE id = {table}.capture AND event_id = {table}.event_id)"
        );
        connection.execute(&sql, []).map(|count| count as u64)
    };
    connection.execute("DELETE FROM thumbnail WHERE id NOT IN (SELECT id FROM capture)", [])?;
    let floor = EventClass::Thumbnail.floor();
    let (mut captures, [results, thumbnails]) = (0, ["<", ">"].map(|side| format!("{side} {floor}")));
    for table in ["outbox", "set_aside"] {
        captures += drop_in(table, EventClass::Result.home(), &results)?;
        drop_in(table, EventClass::Thumbnail.home(), &thumbnails)?;
    }
    Ok(captures)
}

/// Corrects the counters for the rows that there are, and sends again what may be missing.
fn settle(
    connection: &Connection,
    counted: Option<&Counters>,
    orphans: u64,
    numbers: Numbers,
) -> Result<Found, JournalError> {
    let expected = counted.cloned().unwrap_or_default();
    let schema = Counters::load(connection)?.schema;
    let mut counters = Counters { schema, ..expected.clone() };
    count_rows(connection, &mut counters)?;
    // Counters of an earlier commit than the rows, as a damaged WAL leaves them, do not show what is missing.
    let is_told = counted.is_some() && counters.capture <= expected.capture;
    // A command must not be carried out twice, and the notes of the last ones may be gone.
    counters.command_doubt = CommandDoubt::Open;
    skip_numbers(connection, &mut counters, is_told)?;
    counters.sequence = counters.sequence.max(number(connection, "SELECT coalesce(max(sequence), 0) FROM capture")?);
    let last = counters.catch_up(numbers);
    let missing = expected.captures.saturating_sub(counters.captures)
        + expected.judgements.saturating_sub(counters.judgements)
        + missing_events(&expected, &counters, true);
    counters.losses.files_quarantined += 1;
    counters.losses.rows_damaged += missing;
    let is_unclear = !is_told || missing_events(&expected, &counters, false) > orphans;
    let mut tables = Tables::new(connection, counters);
    keep_tag(&mut tables, last.tag.max(expected.tag))?;
    keep_judgements(&mut tables)?;
    let sent_again = if is_unclear { send_again(&mut tables)? } else { 0 };
    tables.counters.store(connection)?;
    let Counters { captures, waiting, .. } = tables.counters;
    Ok(Found { captures, events: waiting.iter().sum(), missing, sent_again })
}

fn count_rows(connection: &Connection, counters: &mut Counters) -> rusqlite::Result<()> {
    let last_capture = "SELECT max((SELECT coalesce(max(id), 0) FROM capture),
                                   (SELECT coalesce(max(id), 0) FROM forgotten))";
    counters.capture = number(connection, last_capture)?;
    counters.captures = number(connection, "SELECT count(*) FROM capture")? as u64;
    counters.set_aside = number(connection, "SELECT count(*) FROM set_aside")? as u64;
    counters.judgements = number(connection, "SELECT count(*) FROM judgement")? as u64;
    counters.judgement = counters.judgement.max(number(connection, "SELECT coalesce(max(id), 0) FROM judgement")?);
    counters.tag = number(connection, "SELECT coalesce(max(id), 0) FROM tag")?;
    for class in EventClass::ALL {
        let sql = format!("SELECT count(*) FROM outbox WHERE id > {} AND id < {}", class.floor(), class.ceiling());
        counters.waiting[class as usize] = number(connection, &sql)? as u64;
    }
    Ok(())
}

/// Makes captures and events agree with what inspectors said.
fn keep_judgements(tables: &mut Tables) -> Result<(), JournalError> {
    let sql = "SELECT id FROM capture WHERE event IS NOT NULL
                 AND (inspection IS NOT NULL OR sha256 IN (SELECT sha256 FROM judgement)) ORDER BY id";
    let mut ids = tables.connection.prepare(sql)?;
    let ids: Vec<i64> = ids.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for id in ids {
        if !capture::reconcile(tables, id, Timestamp::now())? {
            warn!("capture {id} and what inspectors said of it were of different commits; what they said holds");
        }
    }
    Ok(())
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}

/// Advances the last number of each class, so that no id is given twice.
fn skip_numbers(connection: &Connection, counters: &mut Counters, is_told: bool) -> rusqlite::Result<()> {
    for class in EventClass::ALL {
        let (floor, ceiling) = (class.floor(), class.ceiling());
        let sql = format!("SELECT coalesce(max(id), {floor}) FROM outbox WHERE id > {floor} AND id < {ceiling}");
        let greatest = number(connection, &sql)? - floor;
        let last = &mut counters.numbers[class as usize];
        *last = greatest.max(*last) + if is_told { 0 } else { NUMBERS_SKIPPED };
    }
    Ok(())
}

fn missing_events(expected: &Counters, found: &Counters, with_thumbnails: bool) -> u64 {
    let classes = EventClass::ALL.iter().filter(|&&class| with_thumbnails || class != EventClass::Thumbnail);
    let missing = |&class: &EventClass| {
        let index = class as usize;
        expected.waiting[index].saturating_sub(found.waiting[index])
    };
    classes.map(missing).sum::<u64>() + expected.set_aside.saturating_sub(found.set_aside)
}

/// Queues all events that can be sent: it is not known which of the missing ones had been delivered. Consumers ignore
/// an id that they know.
fn send_again(tables: &mut Tables) -> Result<u64, JournalError> {
    let mut ids = tables.connection.prepare("SELECT id FROM capture WHERE event IS NOT NULL ORDER BY id")?;
    let ids: Vec<i64> = ids.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    warn!("waiting events were lost; all captures whose events do not wait are sent again");
    outbox::resend(tables, &ids, Timestamp::now())
}
