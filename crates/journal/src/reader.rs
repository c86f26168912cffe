//! Reads `device.db` while the writer works: readers of a WAL never wait for it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use log::warn;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params, params_from_iter};
use serde::Serialize;

use bridgeclip_domain::{Failure, FileStamp, Losses, Sha256, Tag};

use super::capture::is_known;
use super::counters::{Counters, OutboxDepth};
use super::error::{Fault, JournalError};
use super::event_class::EventClass;
use super::imports::{self, Imported};
use super::names::MEMBER_TOPIC;
use super::packing::unpack;
use super::row::{damaged, is_intact};
use super::schema::check_text;
use super::tag::standing_tag;
use super::topics::{Topics, Which};

/// Number of events that [`Reader::waiting`] reads at a time.
const WAITING_PAGE: usize = 256;

/// Read-only view of the database. Each call sees the latest commit.
pub struct Reader {
    path: PathBuf,
    connection: RefCell<Connection>,
    /// Device and inode of the open file. They show when the writer has put another file in its place.
    opened: Cell<Option<(u64, u64)>>,
    /// Called to mend damage that a read finds.
    mend: Option<Mend>,
}

type Mend = Box<dyn Fn(JournalError) -> Result<(), JournalError> + Send>;

/// Event that still has to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Id in the outbox: class and number, see [`EventClass`].
    pub id: i64,
    pub class: EventClass,
    pub event_id: String,
    /// Topic below the device's prefix, or a full topic if it starts with `/`.
    pub topic: String,
    /// Payload, byte for byte as it is published.
    pub payload: Vec<u8>,
    /// Number of times that the broker refused this one event.
    pub tries: u32,
}

impl OutboxRow {
    /// Returns the event without its payload.
    pub fn outline(self) -> EventOutline {
        let OutboxRow { id, class, event_id, topic, payload, tries } = self;
        EventOutline { id, class: class.name(), event_id, topic, bytes: payload.len(), tries }
    }

    /// Reports whether the broker keeps the event for those who subscribe later.
    pub fn is_retained(&self) -> bool {
        Topics::below(MEMBER_TOPIC).contains(&self.topic)
    }

    /// Returns the full topic to publish to. `prefix` is this device's; events that came from another device keep
    /// theirs.
    pub fn whole_topic(&self, prefix: &str) -> String {
        match self.topic.strip_prefix('/') {
            Some(whole) => whole.to_owned(),
            None => format!("{prefix}/{}", self.topic),
        }
    }
}

/// Page of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub rows: Vec<OutboxRow>,
    /// Id up to which the page holds every event that was asked for.
    pub read_to: i64,
}

/// Event as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventOutline {
    pub id: i64,
    pub class: &'static str,
    pub event_id: String,
    pub topic: String,
    /// Size of the payload, unpacked.
    pub bytes: usize,
    pub tries: u32,
}

/// Event that the broker has refused for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetAsideRow {
    pub id: i64,
    pub event_id: String,
    pub topic: String,
    pub tries: u32,
    pub reason: String,
}

/// Note on a file that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// State of the file when it was looked at.
    pub stamp: FileStamp,
    /// Reason why the file gave no result; `None` if it gave one.
    pub reason: Option<String>,
}

/// Maximum number of payload bytes that one read of the outbox returns, unless one event alone is larger.
const LOOK_BYTES_MAX: usize = 1 << 20;

/// Outcome for a photo that the daemon has examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The photo could not be read.
    Failed,
    /// The photo was classified, and its event is still on this device.
    Waiting,
    /// The photo was classified, and the broker has its event.
    Delivered,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fate::Failed => "it could not be read",
            Fate::Waiting => "its result waits",
            Fate::Delivered => "its result is delivered",
        })
    }
}

/// Returns the fate of the photo with this hash, from its capture; `None` if there is no capture.
fn fate(connection: &Connection, sha256: &Sha256) -> rusqlite::Result<Option<Fate>> {
    let sql = "SELECT EXISTS (SELECT 1 FROM outbox o WHERE o.id = c.outbox_id) \
               OR EXISTS (SELECT 1 FROM set_aside s WHERE s.id = c.outbox_id) FROM capture c WHERE c.sha256 = ?1";
    let waits: Option<bool> = connection.prepare_cached(sql)?.query_row([sha256.0], |row| row.get(0)).optional()?;
    match waits {
        Some(true) => Ok(Some(Fate::Waiting)),
        Some(false) => Ok(Some(Fate::Delivered)),
        None => Ok(None),
    }
}

/// Returns [`Fate::Delivered`] if the photo's capture was dropped for the quota, which only happens to delivered
/// captures.
fn forgotten(connection: &Connection, start: &[u8], end: &[u8]) -> Result<Option<Fate>, JournalError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM forgotten WHERE sha256 BETWEEN ?1 AND ?2)";
    let is_there: bool = connection.prepare_cached(sql)?.query_row(params![start, end], |row| row.get(0))?;
    Ok(is_there.then_some(Fate::Delivered))
}

impl Reader {
    /// Opens the database, which the writer must have created.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Ok(Reader {
            path: path.to_owned(),
            connection: RefCell::new(connect(path)?),
            opened: Cell::new(inode(path)),
            mend: None,
        })
    }

    /// Sets the function that is called to mend damage found by a read. It returns once the damage is mended.
    pub(super) fn mended_by(self, mend: impl Fn(JournalError) -> Result<(), JournalError> + Send + 'static) -> Self {
        Reader { mend: Some(Box::new(mend)), ..self }
    }

    /// Returns the note on the file at `path`; `None` if there is none, or if the result that it refers to was lost.
    pub fn file(&self, path: &Path) -> Result<Option<FileState>, JournalError> {
        self.read(|connection| {
            let sql = "SELECT bytes, modified_ns, reason, sha256 FROM file WHERE path = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let noted = statement.query_row([path.as_os_str().as_bytes()], |row| {
                let stamp = FileStamp { bytes: row.get::<_, i64>(0)? as u64, modified_ns: row.get(1)? };
                Ok((FileState { stamp, reason: row.get(2)? }, row.get::<_, Option<[u8; 32]>>(3)?))
            });
            let Some((state, sha256)) = noted.optional()? else { return Ok(None) };
            // The photo of a lost result is classified again.
            let holds = sha256.map_or(Ok(true), |sha256| is_known(connection, &Sha256(sha256)))?;
            Ok(holds.then_some(state))
        })
    }

    /// Returns the fate of the photo in the file at `path`, whose hash begins with `start`; `None` while it is not
    /// known.
    pub fn fate(&self, path: &Path, start: &[u8]) -> Result<Option<Fate>, JournalError> {
        self.read(|connection| {
            let path = path.as_os_str().as_bytes();
            let mut noted = connection.prepare_cached("SELECT reason IS NOT NULL FROM file WHERE path = ?1")?;
            if noted.query_row([path], |row| row.get(0)).optional()? == Some(true) {
                return Ok(Some(Fate::Failed));
            }
            if start.is_empty() {
                return Ok(None);
            }
            // Notes on finished files are written late; the capture's own row is there at once.
            let next = [start, &[0xFF; 32]].concat();
            let sql = "SELECT sha256, path FROM capture WHERE sha256 BETWEEN ?1 AND ?2";
            let mut captures = connection.prepare_cached(sql)?;
            let mut found = captures.query(params![start, next])?;
            while let Some(row) = found.next()? {
                if row.get_ref(1)?.as_blob() == Ok(path) {
                    return Ok(fate(connection, &Sha256(row.get(0)?))?);
                }
            }
            forgotten(connection, start, &next)
        })
    }

    /// Reports whether a photo with this content was classified before.
    pub fn is_known(&self, sha256: &Sha256) -> Result<bool, JournalError> {
        self.read(|connection| Ok(is_known(connection, sha256)?))
    }

    /// Returns the tag that applies to the photos that follow.
    pub fn tag(&self) -> Result<Option<Tag>, JournalError> {
        self.read(standing_tag)
    }

    /// Returns the id of the capture of a photo with this content.
    pub fn capture_of(&self, sha256: &Sha256) -> Result<Option<i64>, JournalError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM capture WHERE sha256 = ?1")?;
            Ok(statement.query_row([sha256.0], |row| row.get(0)).optional()?)
        })
    }

    /// Returns the ids of captures whose last event has a sequence number from `first` to `last`, the oldest first.
    pub fn captures_between(&self, first: i64, last: i64) -> Result<Vec<i64>, JournalError> {
        self.read(|connection| {
            let sql = "SELECT id FROM capture WHERE sequence BETWEEN ?1 AND ?2 ORDER BY id";
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_map([first, last], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Reads up to `limit` undelivered events of a class with an id above `after`, oldest first, and not more than
    /// about 1 MiB. Leaves out events that were set aside and rows that do not match their checksum; the latter are
    /// mended.
    pub fn outbox(&self, class: EventClass, after: i64, limit: usize) -> Result<Vec<OutboxRow>, JournalError> {
        Ok(self.page(class, after, limit, Which::All)?.rows)
    }

    /// Reads undelivered events as [`Reader::outbox`] does, but only those that `which` selects. The other payloads are
    /// not read.
    pub fn page(&self, class: EventClass, after: i64, limit: usize, which: Which) -> Result<Page, JournalError> {
        let (page, damage) = self.read(|connection| look(connection, class, after, limit, which))?;
        if let Some(damage) = damage {
            self.found(damage);
        }
        Ok(page)
    }

    /// Iterates over all undelivered events in the order of delivery. They are read in pages: there may be a million.
    pub fn waiting(&self) -> impl Iterator<Item = Result<OutboxRow, JournalError>> {
        EventClass::ALL.into_iter().flat_map(move |class| self.waiting_of(class))
    }

    fn waiting_of(&self, class: EventClass) -> impl Iterator<Item = Result<OutboxRow, JournalError>> {
        let (mut after, mut rows, mut over) = (0, Vec::new().into_iter(), false);
        std::iter::from_fn(move || {
            if rows.len() == 0 && !over {
                match self.outbox(class, after, WAITING_PAGE) {
                    Ok(read) => rows = read.into_iter(),
                    Err(error) => {
                        over = true;
                        return Some(Err(error));
                    }
                }
            }
            let row = rows.next();
            match &row {
                Some(row) => after = row.id,
                None => over = true,
            }
            row.map(Ok)
        })
    }

    /// Returns how many events wait, since when, and how many were set aside.
    pub fn outbox_depth(&self) -> Result<OutboxDepth, JournalError> {
        self.read(|connection| {
            let counters = Counters::load(connection)?;
            let oldest = EventClass::ALL.into_iter().map(|class| oldest_stored_at(connection, class));
            let oldest = oldest.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().min();
            Ok(OutboxDepth {
                waiting: counters.waiting,
                oldest_stored_at: oldest.and_then(|at| Timestamp::from_microsecond(at).ok()),
                set_aside: counters.set_aside,
            })
        })
    }

    /// Returns how many events of each other device are here, by the prefix of the device's topics.
    pub fn imported(&self) -> Result<BTreeMap<String, Imported>, JournalError> {
        self.read(|connection| Ok(imports::imported(connection)?))
    }

    /// Reads up to `limit` events that the broker has refused for good, by ascending id.
    pub fn set_aside(&self, limit: usize) -> Result<Vec<SetAsideRow>, JournalError> {
        self.read(|connection| {
            let sql = "SELECT id, event_id, topic, tries, reason FROM set_aside ORDER BY id LIMIT ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([limit as i64], |row| {
                let (id, event_id, topic, tries, reason) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
                Ok(SetAsideRow { id, event_id, topic, tries, reason })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Returns the number of captures in the database.
    pub fn captures(&self) -> Result<u64, JournalError> {
        self.read(|connection| Ok(Counters::load(connection)?.captures))
    }

    /// Returns the counts of what was dropped, refused or set aside since the device was first started.
    pub fn losses(&self) -> Result<Losses, JournalError> {
        self.read(|connection| Ok(Counters::load(connection)?.losses))
    }

    /// Returns the reason why the device is full and refuses photos; `None` if it takes them.
    pub fn full(&self) -> Result<Option<String>, JournalError> {
        self.read(|connection| Ok(Counters::load(connection)?.full))
    }

    /// Returns the number of bytes that the database uses, without its free pages.
    pub fn used_bytes(&self) -> Result<u64, JournalError> {
        self.read(|connection| {
            let pages = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
            let used = pages("page_count")?.saturating_sub(pages("freelist_count")?);
            Ok(used * super::schema::PAGE_BYTES as u64)
        })
    }

    /// Reads the notes on all files that gave no result, sorted by path.
    pub fn failures(&self) -> Result<Vec<Failure>, JournalError> {
        self.read(|connection| {
            let sql =
                "SELECT path, bytes, modified_ns, reason, noted_at FROM file WHERE reason IS NOT NULL ORDER BY path";
            Ok(connection.prepare_cached(sql)?.query_map([], failure)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    pub(super) fn read<T>(&self, query: impl Fn(&Connection) -> Result<T, JournalError>) -> Result<T, JournalError> {
        self.follow_the_writer()?;
        let outcome = query(&self.connection.borrow()).map_err(|error| match error {
            JournalError::Write(source) => JournalError::Read(source),
            error => error,
        });
        match outcome {
            Err(error) if error.fault() == Some(Fault::Damage) && self.found(error.clone()) => {
                self.follow_the_writer()?;
                query(&self.connection.borrow())
            }
            outcome => outcome,
        }
    }

    /// Opens the file that is at the path now, if the writer has replaced the open one.
    fn follow_the_writer(&self) -> Result<(), JournalError> {
        let there = inode(&self.path);
        // There is no file for a moment while the writer replaces it.
        if there.is_some() && there != self.opened.get() {
            self.connection.replace(connect(&self.path)?);
            self.opened.set(there);
        }
        Ok(())
    }

    /// Has damage mended, or logs it if nothing can mend it. Reports whether it is mended.
    pub(super) fn found(&self, damage: JournalError) -> bool {
        match &self.mend {
            Some(mend) => mend(damage).is_ok(),
            None => {
                warn!("{damage}");
                false
            }
        }
    }
}

fn connect(path: &Path) -> Result<Connection, JournalError> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        check_text(&connection)?;
        Ok(connection)
    };
    open().map_err(|source| JournalError::Open { path: path.to_owned(), source: Arc::new(source) })
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Reads a page of the outbox. The second value is damage that was found in a row of the page.
fn look(
    connection: &Connection,
    class: EventClass,
    after: i64,
    limit: usize,
    which: Which,
) -> Result<(Page, Option<JournalError>), JournalError> {
    let after = after.max(class.floor());
    // Read before the rows: an event that is added meanwhile has a greater id.
    let last = last_id(connection, class)?.max(after);
    let home = class.home();
    let (condition, mut values) = which.condition();
    let sql = format!(
        "SELECT outbox.*, {home}.* FROM outbox LEFT JOIN {home} ON {home}.id = outbox.capture
         WHERE outbox.id > ? AND outbox.id < ?{condition} ORDER BY outbox.id LIMIT ?"
    );
    values.splice(0..0, [after.into(), class.ceiling().into()]);
    values.push((limit as i64).into());
    let mut statement = connection.prepare_cached(&sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let (mut found, mut damage, mut bytes) = (Vec::new(), None, 0);
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        match outbox_row(row, &names, class) {
            Ok(row) => {
                bytes += row.payload.len();
                if bytes > LOOK_BYTES_MAX && !found.is_empty() {
                    break;
                }
                found.push(row);
            }
            Err(error) => damage = Some(error),
        }
    }
    let read_to = found.last().map_or(last, |row: &OutboxRow| row.id);
    Ok((Page { rows: found, read_to }, damage))
}

/// Returns the id of the newest event of a class; 0 if none waits.
fn last_id(connection: &Connection, class: EventClass) -> rusqlite::Result<i64> {
    let sql = "SELECT id FROM outbox WHERE id > ?1 AND id < ?2 ORDER BY id DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([class.floor(), class.ceiling()], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Makes an event of a joined row: an outbox row, followed by the row that it points to.
fn outbox_row(row: &Row, names: &[String], class: EventClass) -> Result<OutboxRow, JournalError> {
    let id: i64 = row.get(0)?;
    let home = names.iter().skip(1).position(|name| name == "id").map_or(names.len(), |index| index + 1);
    let value = |index: usize| (names[index].as_str(), row.get_ref(index).unwrap_or(ValueRef::Null));
    let find = |range: std::ops::Range<usize>, name: &str| range.map(value).find(|column| column.0 == name);
    let own = |name| find(0..home, name).map_or(ValueRef::Null, |(_, value)| value);
    let pointed = |name| find(home..names.len(), name).map_or(ValueRef::Null, |(_, value)| value);
    let mut is_whole = is_intact("outbox", (0..home).map(value));
    let mut payload = own("payload");
    if own("capture") != ValueRef::Null {
        is_whole &= is_intact(class.home(), (home..names.len()).map(value));
        is_whole &= pointed("event_id") == own("event_id");
        payload = pointed("event");
    }
    let whole = || {
        Some(OutboxRow {
            id,
            class,
            event_id: own("event_id").as_str().ok()?.to_owned(),
            topic: own("topic").as_str().ok()?.to_owned(),
            payload: unpack(payload.as_blob().ok()?)?,
            tries: own("tries").as_i64().ok()?.try_into().ok()?,
        })
    };
    is_whole.then(whole).flatten().ok_or_else(|| damaged("outbox", id))
}

fn oldest_stored_at(connection: &Connection, class: EventClass) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT stored_at FROM outbox WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT 1";
    connection.prepare_cached(sql)?.query_row([class.floor(), class.ceiling()], |row| row.get(0)).optional()
}

fn failure(row: &Row) -> rusqlite::Result<Failure> {
    Ok(Failure {
        path: PathBuf::from(OsString::from_vec(row.get(0)?)),
        stamp: FileStamp { bytes: row.get::<_, i64>(1)? as u64, modified_ns: row.get(2)? },
        reason: row.get(3)?,
        noted_at: moment(row, 4)?,
    })
}

fn moment(row: &Row, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let text: Option<String> = row.get(column)?;
    let unreadable = |error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error));
    text.map(|text| text.parse()).transpose().map_err(unreadable)
}
