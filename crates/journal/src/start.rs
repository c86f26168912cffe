//! Opens `device.db` in any state.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use log::{info, warn};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use bridgeclip_storage::durable;

use super::counters::Counters;
use super::error::{Fault, JournalError};
use super::event_class::EventClass;
use super::names::FILE_NAME;
use super::numbers::{Numbers, NumbersFile};
use super::params::Params;
use super::quarantine::{finish_salvage, has_unfinished, set_aside, sync};
use super::retention;
use super::schema;
use super::space::Space;
use super::tables::Tables;
use super::tag::keep_tag;

/// Size of the largest file that is checked, indexes included, before the daemon works. That takes a tenth of a second,
/// or up to a second on a slow card. A larger file is checked while the daemon works, without its indexes: a wrong
/// index costs a second look at a photo.
const CHECKED_FIRST_BYTES: u64 = 16 << 20;

/// Database that was opened for writing.
pub struct Opened {
    pub connection: Connection,
    pub space: Space,
    pub numbers: NumbersFile,
    /// Receives the damage that a background check finds; `None` if no such check runs.
    pub check: Option<mpsc::Receiver<JournalError>>,
}

/// Opens or creates the database in a data folder, checks it, and replaces it if it is damaged.
pub fn open(dir: &Path, params: &Params) -> Result<Opened, JournalError> {
    durable::create_folders(dir).map_err(|error| JournalError::file(dir, error))?;
    let mut space = Space::new(dir, params);
    let made = retention::free_drive(dir, space.wanted_on_drive()).map_err(|error| error.to_string());
    if let Err(reason) = made.and_then(|_| space.ensure_reserve()) {
        warn!("{reason}");
    }
    let numbers = NumbersFile::open(dir);
    let open = || open_checked(dir, numbers.last());
    let (connection, check) = match open() {
        Err(error) if error.fault() == Some(Fault::Full) && space.release_reserve(&error) => open()?,
        opened => opened?,
    };
    catch_up(&connection, numbers.last())?;
    Ok(Opened { connection, space, numbers, check })
}

type Check = Option<mpsc::Receiver<JournalError>>;

fn open_checked(dir: &Path, numbers: Numbers) -> Result<(Connection, Check), JournalError> {
    finish_salvage(dir, numbers)?;
    match connect(dir).and_then(|connection| check(dir, &connection).map(|check| (connection, check))) {
        Err(error) if is_damage(&error) => {
            log::error!("{error}");
            Ok((replace(dir, numbers)?, None))
        }
        opened => opened,
    }
}

/// Opens the database again after a fault. The caller replaces a damaged one.
pub fn reopen(dir: &Path, numbers: Numbers) -> Result<Connection, JournalError> {
    finish_salvage(dir, numbers)?;
    connect(dir).map_err(|error| match error {
        error if is_damage(&error) => JournalError::Damaged(error.to_string()),
        error => error,
    })
}

/// Opens the database for a process that runs alongside the daemon. Only the daemon replaces a damaged file.
pub fn join(dir: &Path, params: &Params) -> Result<Opened, JournalError> {
    if has_unfinished(dir) {
        return Err(JournalError::Damaged("its salvage is not finished".to_owned()));
    }
    let connection = connect(dir)?;
    // The daemon may put another file in its place meanwhile. Closing must not delete that file's WAL.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(Opened { connection, space: Space::beside(dir, params), numbers: NumbersFile::none(), check: None })
}

fn connect(dir: &Path) -> Result<Connection, JournalError> {
    let path = dir.join(FILE_NAME);
    let is_new = !path.exists();
    close_to_others(&path)?;
    let mut connection =
        Connection::open(&path).map_err(|source| JournalError::Open { path: path.clone(), source: source.into() })?;
    schema::prepare(&mut connection, &path)?;
    schema::check_names(&connection)?;
    compare(&connection)?;
    if is_new {
        sync(dir)?;
    }
    Ok(connection)
}

/// Closes the database and the files beside it to other users. SQLite gives these files the mode of the database; those
/// of older programs were open to all.
fn close_to_others(path: &Path) -> Result<(), JournalError> {
    durable::claim_private(path).map_err(|error| JournalError::file(path, error))?;
    for beside in ["-wal", "-shm"].map(|end| durable::with_end(path, end)) {
        if beside.exists() {
            durable::claim_private(&beside).map_err(|error| JournalError::file(&beside, error))?;
        }
    }
    Ok(())
}

/// Compares the rows with the counters. A damaged WAL can leave pages of different commits side by side, which look
/// intact. The counters then disagree with the rows.
fn compare(connection: &Connection) -> Result<(), JournalError> {
    // All rows are read in one transaction: another process may be writing.
    let view = connection.unchecked_transaction()?;
    let counters = Counters::load(&view)?;
    let last = "SELECT max((SELECT coalesce(max(id), 0) FROM capture), (SELECT coalesce(max(id), 0) FROM forgotten))";
    let mut agrees = view.query_row(last, [], |row| row.get::<_, i64>(0))? == counters.capture;
    agrees &= view.query_row("SELECT coalesce(max(id), 0) FROM tag", [], |row| row.get::<_, i64>(0))? == counters.tag;
    let last = "SELECT coalesce(max(id), 0) FROM judgement";
    agrees &= view.query_row(last, [], |row| row.get::<_, i64>(0))? <= counters.judgement;
    for class in EventClass::ALL {
        let last = "SELECT coalesce(max(id), 0) FROM outbox WHERE id > ?1 AND id < ?2";
        let last: i64 = view.query_row(last, [class.floor(), class.ceiling()], |row| row.get(0))?;
        agrees &= last <= class.floor() + counters.numbers[class as usize];
    }
    let disagreement = || JournalError::Damaged("its rows and its counters are of different commits".to_owned());
    agrees.then_some(()).ok_or_else(disagreement)
}

/// Reports whether an error comes from damage. A statement that does not fit a file with this program's mark comes from
/// damage too.
fn is_damage(error: &JournalError) -> bool {
    error.fault() == Some(Fault::Damage) || error.is_misfit()
}

fn check(dir: &Path, connection: &Connection) -> Result<Check, JournalError> {
    let path = dir.join(FILE_NAME);
    let bytes = fs::metadata(&path).map_err(|error| JournalError::file(&path, error))?.len();
    if bytes > CHECKED_FIRST_BYTES {
        return Ok(Some(check_beside(path)));
    }
    run_check(connection, "PRAGMA integrity_check(1)")?;
    Ok(None)
}

fn run_check(connection: &Connection, check: &str) -> Result<(), JournalError> {
    let found: String = connection.query_row(check, [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(JournalError::Damaged(found)) }
}

/// Checks the file on a separate thread, which ends with the process.
fn check_beside(path: PathBuf) -> mpsc::Receiver<JournalError> {
    let (sender, receiver) = mpsc::channel();
    let work = move || {
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        match connection
            .map_err(JournalError::from)
            .and_then(|connection| run_check(&connection, "PRAGMA quick_check(1)"))
        {
            // Sending fails once the journal is gone, because the program is stopping.
            Err(error) if is_damage(&error) => drop(sender.send(error)),
            Err(error) => warn!("the check of device.db failed: {error}"),
            Ok(()) => info!("device.db is whole"),
        }
    };
    if let Err(error) = thread::Builder::new().name("journal-check".into()).spawn(work) {
        warn!("device.db is not checked: {error}");
    }
    receiver
}

/// Advances the numbers of a database that lost its last commits, as the file beside it shows, so that none is given
/// twice.
fn catch_up(connection: &Connection, numbers: Numbers) -> Result<(), JournalError> {
    let change = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let mut tables = Tables::new(&change, Counters::load(&change)?);
    let before = tables.counters.clone();
    let expected = tables.counters.catch_up(numbers);
    let skipped = tables.counters.losses.sequences_skipped - before.losses.sequences_skipped;
    if skipped > 0 {
        warn!("device.db lost its last {skipped} events; their photos are looked at again if they are still there");
    }
    keep_tag(&mut tables, expected.tag)?;
    if tables.counters == before {
        return Ok(());
    }
    tables.counters.store(&change)?;
    drop(tables);
    Ok(change.commit()?)
}

/// Sets the damaged database aside, and opens a new one with the intact rows of the old one.
pub fn replace(dir: &Path, numbers: Numbers) -> Result<Connection, JournalError> {
    set_aside(dir)?;
    finish_salvage(dir, numbers)?;
    connect(dir)
}
