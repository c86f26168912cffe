//! Tables of `device.db`, and the migration of older files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use bridgeclip_domain::{Inspection, Sha256, Verdict};
use bridgeclip_storage::sqlite::use_write_ahead_log;

use super::counters::Counters;
use super::error::JournalError;
use super::event_class::EventClass;
use super::imports::note_imported;
use super::judgement;
use super::packing::pack;
use super::row::{Row, json, to_json};
use super::tables::Tables;

/// Time limit for waiting for other processes that write, such as `bridgeclip tag`.
const PATIENCE: Duration = Duration::from_secs(5);

/// Mark of the program's own files in `PRAGMA application_id`: the characters "BrCL".
const APPLICATION_ID: i64 = 0x4272_434C;

/// Size of a page, equal to the sectors of cards and disks: a torn write then cannot harm the page beside the one that
/// it writes.
pub const PAGE_BYTES: usize = 4096;

/// Migrations. Step n brings a file from schema version n to n + 1.
const MIGRATIONS: [&str; 13] = [
    CAPTURES,
    METADATA,
    TAGS,
    QUEUE,
    EMBEDDING_SPACE,
    INTAKE,
    THUMBNAILS,
    INSPECTIONS,
    INSPECTED,
    HISTORY,
    PLACES,
    MEMBERS,
    BRIDGES,
];

const CAPTURES: &str = "
    CREATE TABLE capture (
        id INTEGER PRIMARY KEY,
        sha256 BLOB NOT NULL UNIQUE,
        path BLOB NOT NULL,
        bytes INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        taken TEXT NOT NULL,       -- JSON, see domain::Time
        position TEXT,             -- JSON, see domain::Position
        camera TEXT NOT NULL,      -- JSON, see domain::Camera
        stored_at TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        embedding BLOB NOT NULL,   -- little-endian f32, unit length
        verdict TEXT NOT NULL      -- JSON, see domain::Verdict; since step 2 without the neighbours
    ) STRICT;

    -- What became of every file that was looked at; `reason` says why it gave no result.
    CREATE TABLE file (
        path BLOB PRIMARY KEY,
        bytes INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        reason TEXT
    ) STRICT, WITHOUT ROWID;

    -- Events that the broker has not acknowledged yet. Id and payload never change.
    CREATE TABLE outbox (
        sequence INTEGER PRIMARY KEY,
        event_id TEXT NOT NULL UNIQUE,
        topic TEXT NOT NULL,       -- below the device's prefix
        payload BLOB NOT NULL
    ) STRICT;

    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO counter VALUES ('sequence', 0);
";

const METADATA: &str = "
    ALTER TABLE capture ADD COLUMN quality TEXT;    -- JSON, see domain::PhotoQuality
    ALTER TABLE capture ADD COLUMN metadata TEXT;   -- JSON: domain::Exposure and domain::Drone
";

const TAGS: &str = "
    -- Nanoseconds since the start of the machine whose boot_id is beside it; see domain::Capture.
    ALTER TABLE capture ADD COLUMN monotonic_ns INTEGER;
    ALTER TABLE capture ADD COLUMN tag TEXT;   -- JSON, see domain::Tag

    -- What people said that the photos from then on show. The last row holds; an empty one takes it back.
    CREATE TABLE tag (
        id INTEGER PRIMARY KEY,
        set_at TEXT NOT NULL,      -- the device's clock
        boot_id TEXT NOT NULL,
        bridge TEXT,
        span TEXT,
        member TEXT
    ) STRICT;
";

const QUEUE: &str = "
    ALTER TABLE outbox RENAME TO old_outbox;

    -- Of the photo. A note that a file is done counts only while the photo is known.
    ALTER TABLE file ADD COLUMN sha256 BLOB;

    -- The event that last told of the capture: what it was stored with, or the last correction.
    ALTER TABLE capture ADD COLUMN sequence INTEGER;
    ALTER TABLE capture ADD COLUMN event_id TEXT;
    ALTER TABLE capture ADD COLUMN event BLOB;         -- see packing.rs
    ALTER TABLE capture ADD COLUMN result_id TEXT;     -- the first event, if a correction came after it
    ALTER TABLE capture ADD COLUMN outbox_id INTEGER;  -- where the event waits or waited
    ALTER TABLE capture ADD COLUMN check_sum INTEGER;  -- see row.rs

    -- Events that the broker has not acknowledged yet. Event id and payload never change. The payload of a capture's
    -- event is in the capture's row: that keeps these rows short, some forty on a page.
    -- Row 0 holds the counters: while the queue is short they share its only page, and a commit writes one page less.
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY,    -- class and number, see queue.rs
        event_id TEXT NOT NULL,
        topic TEXT NOT NULL,       -- below the device's prefix; a whole topic if it starts with '/'
        capture INTEGER,           -- whose event or thumbnail this is
        payload BLOB,              -- if it is none; see packing.rs
        stored_at INTEGER NOT NULL,    -- microseconds since 1970, by the device's clock then
        tries INTEGER NOT NULL,    -- refusals so far
        check_sum INTEGER NOT NULL
    ) STRICT;

    -- Events that the broker has refused for good.
    CREATE TABLE set_aside (
        id INTEGER PRIMARY KEY,    -- as it was in the outbox
        event_id TEXT NOT NULL,
        topic TEXT NOT NULL,
        capture INTEGER,
        payload BLOB,
        stored_at INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        reason TEXT NOT NULL,
        check_sum INTEGER NOT NULL
    ) STRICT;

    -- Delivered captures that gave way to the quota. Their photos are still known.
    CREATE TABLE forgotten (
        id INTEGER PRIMARY KEY,    -- of the capture
        sha256 BLOB NOT NULL UNIQUE,
        check_sum INTEGER NOT NULL
    ) STRICT;

    -- Events that came from other devices.
    CREATE TABLE imported (
        event_id TEXT NOT NULL,
        class INTEGER NOT NULL,
        PRIMARY KEY (event_id, class)
    ) STRICT, WITHOUT ROWID;
";

/// Column with the embedding space of a capture's embedding, as an inference package names it. Embeddings of equal
/// spaces can be compared.
const EMBEDDING_SPACE: &str = "ALTER TABLE capture ADD COLUMN embedding_space BLOB;";

const INTAKE: &str = "
    ALTER TABLE capture ADD COLUMN burst TEXT;     -- JSON, see domain::Burst
    -- When it was noted that the file gave no result, by the device's clock.
    ALTER TABLE file ADD COLUMN noted_at TEXT;
";

const THUMBNAILS: &str = "
    -- Small pictures of captures. They stay after their delivery, until the quota wants their room. Those that were stored
    -- by an older program, and those of other devices, are payloads in the outbox.
    CREATE TABLE thumbnail (
        id INTEGER PRIMARY KEY,    -- of the capture
        event_id TEXT NOT NULL,    -- of the event that it belongs to
        event BLOB NOT NULL,       -- a JPEG; see packing.rs
        outbox_id INTEGER NOT NULL,    -- where it waits or waited
        check_sum INTEGER NOT NULL
    ) STRICT;
";

/// Column with the inspector's judgement that applies, in JSON; see `domain::Inspection`.
const INSPECTIONS: &str = "ALTER TABLE capture ADD COLUMN inspection TEXT;";

/// Index that finds the few captures that an inspector has judged, without reading all captures.
const INSPECTED: &str = "CREATE INDEX inspected ON capture (id) WHERE inspection IS NOT NULL;";

/// Tables of what people say, which outlives damage: rows with checksums, so that salvage can prove them intact.
const HISTORY: &str = "
    -- What inspectors said, in the order of the ids. Rows are added and never changed. They name the photo, not the
    -- capture: a photo that is classified again after damage keeps its history.
    CREATE TABLE judgement (
        id INTEGER PRIMARY KEY,
        sha256 BLOB NOT NULL,
        entry TEXT NOT NULL,       -- JSON, see domain::Judgement
        check_sum INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX judgement_of ON judgement (sha256);

    -- Number of the event with which the verdict that is shown was first told; NULL if no event has changed it since the
    -- first one.
    ALTER TABLE capture ADD COLUMN judged_sequence INTEGER;

    ALTER TABLE tag ADD COLUMN check_sum INTEGER;

    ALTER TABLE imported RENAME TO old_imported;
    CREATE TABLE imported (
        id INTEGER PRIMARY KEY,
        event_id TEXT NOT NULL,
        class INTEGER NOT NULL,
        check_sum INTEGER NOT NULL,
        UNIQUE (event_id, class)
    ) STRICT;
";

/// Evidence for the moments and places of captures, the device's track, and the clocks of cameras.
const PLACES: &str = "
    ALTER TABLE capture ADD COLUMN claims BLOB;    -- JSON, see position::Claims and packing.rs

    CREATE TABLE track (
        id INTEGER PRIMARY KEY,
        first_ms INTEGER NOT NULL,     -- first and last fix, since 1970
        last_ms INTEGER NOT NULL,
        source TEXT NOT NULL,
        fixes BLOB NOT NULL,           -- see position/stored.rs
        check_sum INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX track_until ON track (last_ms);

    CREATE TABLE camera (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        clock TEXT NOT NULL,           -- JSON, see position::CameraClock
        check_sum INTEGER NOT NULL
    ) STRICT;
";

/// Answers about members, and the index that finds the captures of a member and the last event about one of them.
/// Captures without a tag are not in the index, so that storing them writes no page more.
const MEMBERS: &str = "
    CREATE INDEX tagged ON capture (tag, sequence) WHERE tag IS NOT NULL;

    CREATE TABLE member (
        id INTEGER PRIMARY KEY,
        tag TEXT NOT NULL UNIQUE,  -- JSON, as in the table of captures
        captures INTEGER NOT NULL, -- with that tag when the answer was stored
        last_sequence INTEGER NOT NULL,    -- of the last event about one of them
        told TEXT,                 -- id of the event that told the answer
        answer TEXT NOT NULL,      -- JSON, see domain::MemberAnswer
        check_sum INTEGER NOT NULL
    ) STRICT;
";

/// What forms need: numbers of photos that stay, facts about bridges, and the inspection before this one.
const BRIDGES: &str = "
    CREATE TABLE bridge (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,     -- in the tags
        facts TEXT,                    -- JSON, see forms
        last_number INTEGER NOT NULL,  -- of a photo
        check_sum INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE photo_number (
        id INTEGER PRIMARY KEY,
        bridge TEXT NOT NULL,
        sha256 BLOB NOT NULL,
        number INTEGER NOT NULL,
        check_sum INTEGER NOT NULL,
        UNIQUE (bridge, sha256),
        UNIQUE (bridge, number)
    ) STRICT;
    CREATE INDEX photo_number_of ON photo_number (sha256);

    -- Members and photos of the inspection before this one.
    CREATE TABLE last_cycle (
        id INTEGER PRIMARY KEY,
        bridge TEXT NOT NULL,
        entry TEXT NOT NULL,           -- JSON, see forms
        picture BLOB,                  -- JPEG or PNG
        check_sum INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX last_cycle_of ON last_cycle (bridge);
";

/// Prepares a connection for writing, and migrates the file at `path`.
///
/// # Errors
/// [`JournalError::Foreign`] if another program made the file, [`JournalError::NewerSchema`] if a newer version of this
/// one did, [`JournalError::Damaged`] if header and counters disagree.
pub fn prepare(connection: &mut Connection, path: &Path) -> Result<(), JournalError> {
    let failed = |source| JournalError::Open { path: path.to_owned(), source: Arc::new(source) };
    // The version is read in one transaction: another process may be making the file.
    let view = connection.transaction().map_err(failed)?;
    let found = version(&view, path)?;
    view.commit().map_err(failed)?;
    // The log is set up after the version is known: a file of another program stays as it is.
    set_up(connection).map_err(failed)?;
    if found < MIGRATIONS.len() { bring_up_to_date(connection, path) } else { Ok(()) }
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", 4096)?;
    use_write_ahead_log(connection, PATIENCE)?;
    connection.execute_batch(SETTINGS)
}

/// Migrates the file, unless another process has done so meanwhile.
fn bring_up_to_date(connection: &mut Connection, path: &Path) -> Result<(), JournalError> {
    let failed = |source| JournalError::Open { path: path.to_owned(), source };
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let change = change.map_err(|source| failed(source.into()))?;
    let done = match version(&change, path)? {
        found if found < MIGRATIONS.len() => migrate(&change, found),
        _ => Ok(()),
    };
    let done = done.and_then(|()| Ok(change.commit()?));
    done.map_err(|error| match error {
        JournalError::Write(source) => failed(source),
        other => other,
    })
}

/// Settings of a writing connection. The WAL grows to 1,000 pages before they are written into the file. A page that
/// changes with every commit is then written there once for some 150 photos, and a start after a power cut reads 4 MB.
/// The size limit releases what a long transaction left.
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 8388608;
";

/// Checks that the schema is text, by reading it. The client library panics when a column's name is not.
pub fn check_text(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT sql FROM sqlite_schema")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        row.get::<_, Option<String>>(0)?;
    }
    Ok(())
}

/// Compares tables and columns with those of a new file: a flipped bit can change a name.
///
/// # Errors
/// [`JournalError::Damaged`] if one is missing.
pub fn check_names(connection: &Connection) -> Result<(), JournalError> {
    let mut new = Connection::open_in_memory()?;
    create_unsynced(&mut new)?;
    let expected = names(&new)?;
    let found = names(connection)?;
    match expected.iter().find(|name| !found.contains(name)) {
        Some((table, column)) => Err(JournalError::Damaged(format!("its table {table} has no column {column}"))),
        None => Ok(()),
    }
}

/// Returns every column as a pair of table and column name.
fn names(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'";
    connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Returns the schema version of a file that is this program's, or of an empty one.
fn version(connection: &Connection, path: &Path) -> Result<usize, JournalError> {
    let failed = |source| JournalError::Open { path: path.to_owned(), source: Arc::new(source) };
    check_text(connection).map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let is_ours = pragma(connection, "application_id").map_err(failed)? == APPLICATION_ID;
    let found = pragma(connection, "user_version").map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    let counted = Counters::load(connection).map(|counters| counters.schema);
    match counted {
        Ok(counted) if counted != found || !is_ours => {
            Err(JournalError::Damaged(format!("its header says version {found}, its counters say {counted}")))
        }
        _ if tables > 0 && !is_ours => Err(JournalError::Foreign { path: path.to_owned() }),
        _ if found > known => Err(JournalError::NewerSchema { path: path.to_owned(), found, known }),
        _ => Ok(found as usize),
    }
}

/// Runs the migrations after `version` in one transaction, so that a file is never half-way between two versions.
fn migrate(transaction: &Transaction, version: usize) -> Result<(), JournalError> {
    for step in &MIGRATIONS[version..] {
        transaction.execute_batch(step)?;
    }
    let is_new = |step: &str| MIGRATIONS[version..].contains(&step);
    let counters = if is_new(QUEUE) { adopt(transaction)? } else { Counters::load(transaction)? };
    let mut tables = Tables::new(transaction, counters);
    if is_new(HISTORY) {
        adopt_imported(transaction)?;
        adopt_tags(&mut tables)?;
        adopt_inspections(&mut tables)?;
    }
    Counters { schema: MIGRATIONS.len() as i64, ..tables.counters }.store(transaction)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?)
}

/// Takes over rows that were stored before there were classes and checksums.
fn adopt(connection: &Connection) -> Result<Counters, JournalError> {
    let mut counters = Counters::default();
    let sequence = "SELECT value FROM counter WHERE name = 'sequence'";
    counters.sequence = connection.query_row(sequence, [], |row| row.get(0))?;
    adopt_events(connection, &mut counters)?;
    adopt_captures(connection, &mut counters)?;
    connection.execute_batch("DROP TABLE old_outbox; DROP TABLE counter;")?;
    Ok(counters)
}

fn adopt_events(connection: &Connection, counters: &mut Counters) -> Result<(), JournalError> {
    let class = EventClass::Result;
    let now = Timestamp::now().as_microsecond();
    let mut events = connection.prepare("SELECT event_id, topic, payload FROM old_outbox ORDER BY sequence")?;
    let mut events = events.query([])?;
    while let Some(event) = events.next()? {
        let number = &mut counters.numbers[class as usize];
        *number += 1;
        counters.waiting[class as usize] += 1;
        Row::new("outbox", class.floor() + *number)
            .with("event_id", event.get::<_, String>(0)?)
            .with("topic", event.get::<_, String>(1)?)
            .with("payload", pack(&event.get::<_, Vec<u8>>(2)?))
            .with("stored_at", now)
            .with("tries", 0)
            .store(connection)?;
    }
    Ok(())
}

fn adopt_captures(connection: &Connection, counters: &mut Counters) -> Result<(), JournalError> {
    for id in ids(connection, "capture")? {
        if let Some(row) = Row::load_unchecked(connection, "capture", id)? {
            row.store(connection)?;
        }
        counters.captures += 1;
        counters.capture = id;
    }
    Ok(())
}

fn adopt_imported(connection: &Connection) -> Result<(), JournalError> {
    let mut events = connection.prepare("SELECT event_id, class FROM old_imported")?;
    let mut events = events.query([])?;
    while let Some(event) = events.next()? {
        note_imported(connection, &event.get::<_, String>(0)?, event.get(1)?)?;
    }
    drop(events);
    Ok(connection.execute_batch("DROP TABLE old_imported")?)
}

/// Gives tags the checksums that an older program did not store.
fn adopt_tags(tables: &mut Tables) -> Result<(), JournalError> {
    for id in ids(tables.connection, "tag")? {
        if let Some(row) = Row::load_unchecked(tables.connection, "tag", id)? {
            row.store(tables.connection)?;
        }
        tables.counters.tag = id;
    }
    Ok(())
}

/// Starts histories with the judgements in captures' rows. An older program kept only the last judgement, and only
/// there.
fn adopt_inspections(tables: &mut Tables) -> Result<(), JournalError> {
    for id in ids(tables.connection, "capture WHERE inspection IS NOT NULL")? {
        // A damaged row is found when it is next read.
        let Ok(Some(row)) = Row::load(tables.connection, "capture", id) else { continue };
        let Some(inspection) = json::<Inspection>(&row, "inspection")? else { continue };
        // That program overwrote the device's answer with the judgement. Only the labels of the answer are known.
        let device = json::<Verdict>(&row, "verdict")?.unwrap_or_default().inspected(&inspection.device);
        let row = row.with("verdict", to_json(&device)).with("inspection", to_json(&inspection));
        row.store(tables.connection)?;
        judgement::adopt(tables, &Sha256(row.get("sha256")?), inspection)?;
    }
    Ok(())
}

fn ids(connection: &Connection, of: &str) -> rusqlite::Result<Vec<i64>> {
    connection.prepare(&format!("SELECT id FROM {of} ORDER BY id"))?.query_map([], |row| row.get(0))?.collect()
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Makes the tables in a new file that nothing else has open, without syncing at every step.
pub fn create_unsynced(connection: &mut Connection) -> Result<(), JournalError> {
    connection.execute_batch("PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    let change = connection.transaction()?;
    migrate(&change, 0)?;
    Ok(change.commit()?)
}

#[cfg(test)]
mod tests {
    use bridgeclip_storage::testing::open_at_once;

    use super::*;
    use crate::counters::COUNTERS_ID;
    use crate::packing::unpack;

    fn old_file() -> Connection {
        let connection = Connection::open_in_memory().expect("a database");
        connection.execute_batch(CAPTURES).expect("the first schema");
        let rows = "
            INSERT INTO capture VALUES (5, x'01', x'612e6a7067', 1, 2, 3, '{}', NULL, '{}', '', '', x'', '{}');
            INSERT INTO outbox VALUES (8, 'first', 'capture/result', x'6f6e65'), (9, 'second', 'capture/result', x'74776f');
            UPDATE counter SET value = 9;
            PRAGMA user_version = 1;";
        connection.execute_batch(rows).expect("rows");
        connection.pragma_update(None, "application_id", APPLICATION_ID).expect("marked");
        connection
    }

    #[test]
    fn an_older_file_keeps_its_captures_and_events() {
        let mut connection = old_file();
        prepare(&mut connection, Path::new("device.db")).expect("brought up to date");
        let counters = Counters::load(&connection).expect("counters");
        assert_eq!((counters.sequence, counters.capture, counters.captures), (9, 5, 1));
        assert_eq!(counters.waiting, [0, 2, 0, 0, 0]);
        let id = EventClass::Result.floor() + 2;
        let row = Row::load(&connection, "outbox", id).expect("intact").expect("there");
        assert_eq!(row.get::<String>("event_id").ok().as_deref(), Some("second"));
        assert_eq!(unpack(&row.get::<Vec<u8>>("payload").expect("bytes")).as_deref(), Some(&b"two"[..]));
        assert!(Row::load(&connection, "capture", 5).expect("intact").is_some());
        prepare(&mut connection, Path::new("device.db")).expect("a second time");
        assert_eq!(Counters::load(&connection).expect("counters"), counters);
    }

    #[test]
    fn what_is_not_ours_is_refused_and_a_flipped_version_is_damage() {
        let path = Path::new("device.db");
        let mut foreign = Connection::open_in_memory().expect("a database");
        foreign.execute_batch("CREATE TABLE other (id INTEGER)").expect("a table");
        assert!(matches!(prepare(&mut foreign, path), Err(JournalError::Foreign { .. })));
        let mut newer = old_file();
        newer.pragma_update(None, "user_version", 99).expect("a version");
        assert!(matches!(prepare(&mut newer, path), Err(JournalError::NewerSchema { found: 99, .. })));
        for (pragma, value) in [("user_version", 34), ("application_id", 1)] {
            let mut flipped = old_file();
            prepare(&mut flipped, path).expect("brought up to date");
            flipped.pragma_update(None, pragma, value).expect("a flip");
            assert!(matches!(prepare(&mut flipped, path), Err(JournalError::Damaged(_))), "{pragma}");
        }
        let mut counters = old_file();
        prepare(&mut counters, path).expect("brought up to date");
        counters.execute("UPDATE outbox SET tries = 1 WHERE id = ?1", [COUNTERS_ID]).expect("a flip");
        assert!(Counters::load(&counters).is_err());
    }

    #[test]
    fn a_new_file_can_be_prepared_by_several_at_once() {
        open_at_once(|path| prepare(&mut Connection::open(path).expect("a connection"), path));
    }
}
