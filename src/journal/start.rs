//! Opening `device.db`, whatever state it is in.
//!
//! A damaged file is moved into `quarantine/` and what is whole in it goes into a new one. Each step can be interrupted:
//! the next start goes on with it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use jiff::Timestamp;
use log::{info, warn};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::counters::Counters;
use super::error::Fault;
use super::queue::EventClass;
use super::salvage::salvage;
use super::sequence::SequenceFile;
use super::space::Space;
use super::{FILE_NAME, JournalError, Params, schema};

/// A file of this size is checked in a tenth of a second, on a slow card in less than one. A larger one is checked
/// while the daemon works already.
const CHECKED_FIRST_BYTES: u64 = 16 << 20;

const QUARANTINE: &str = "quarantine";
/// Damaged files that are kept for whoever wants to look at them.
const QUARANTINED_MAX: usize = 3;
/// The end of the name of a file whose salvage is done.
const SALVAGED: &str = ".salvaged.db";

pub struct Opened {
    pub connection: Connection,
    pub space: Space,
    pub sequence: SequenceFile,
    pub check: Option<mpsc::Receiver<JournalError>>,
}

/// Opens or creates the database of a data folder, checks it, and replaces it if it is damaged.
pub fn open(dir: &Path, params: &Params) -> Result<Opened, JournalError> {
    fs::create_dir_all(dir).map_err(|error| JournalError::file(dir, error))?;
    let mut space = Space::new(dir, params);
    let sequence = SequenceFile::open(dir);
    let open = || open_checked(dir, sequence.last());
    let (connection, check) = match open() {
        Err(error) if error.fault() == Some(Fault::Full) && space.release_reserve(&error) => open()?,
        opened => opened?,
    };
    catch_up(&connection, sequence.last())?;
    Ok(Opened { connection, space, sequence, check })
}

type Check = Option<mpsc::Receiver<JournalError>>;

fn open_checked(dir: &Path, sequence: i64) -> Result<(Connection, Check), JournalError> {
    finish_salvage(dir, sequence)?;
    match connect(dir).and_then(|connection| check(dir, &connection).map(|check| (connection, check))) {
        Err(error) if is_damage(&error) => {
            log::error!("{error}");
            Ok((replace(dir, sequence)?, None))
        }
        opened => opened,
    }
}

/// Opens the database again after a fault.
pub fn reopen(dir: &Path, sequence: i64) -> Result<Connection, JournalError> {
    finish_salvage(dir, sequence)?;
    connect(dir).map_err(|error| match error {
        error if is_damage(&error) => JournalError::Damaged(error.to_string()),
        error => error,
    })
}

/// Opens the database for a process beside the daemon, which alone replaces a damaged file.
pub fn join(dir: &Path, params: &Params) -> Result<Opened, JournalError> {
    let connection = connect(dir)?;
    // The daemon may put another file in its place meanwhile, whose WAL must not be taken away at the end.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let (space, sequence) = (Space::new(dir, params), SequenceFile::open(dir));
    Ok(Opened { connection, space, sequence, check: None })
}

fn connect(dir: &Path) -> Result<Connection, JournalError> {
    let path = dir.join(FILE_NAME);
    let is_new = !path.exists();
    let mut connection =
        Connection::open(&path).map_err(|source| JournalError::Open { path: path.clone(), source: source.into() })?;
    schema::prepare(&mut connection, &path)?;
    compare(&connection, &Counters::load(&connection)?)?;
    if is_new {
        sync_dir(dir)?;
    }
    Ok(connection)
}

/// Pages of different commits side by side, as a damaged WAL leaves them, can look whole. The counters then tell of
/// other rows than there are.
fn compare(connection: &Connection, counters: &Counters) -> Result<(), JournalError> {
    let last = "SELECT max((SELECT coalesce(max(id), 0) FROM capture), (SELECT coalesce(max(id), 0) FROM forgotten))";
    let mut agrees = connection.query_row(last, [], |row| row.get::<_, i64>(0))? == counters.capture;
    for class in EventClass::ALL {
        let last = "SELECT coalesce(max(id), 0) FROM outbox WHERE id > ?1 AND id < ?2";
        let last: i64 = connection.query_row(last, [class.floor(), class.ceiling()], |row| row.get(0))?;
        agrees &= last <= class.floor() + counters.numbers[class as usize];
    }
    let disagreement = || JournalError::Damaged("its rows and its counters are of different commits".to_owned());
    agrees.then_some(()).ok_or_else(disagreement)
}

/// A statement that does not fit a file which says that it is ours comes from damage too.
fn is_damage(error: &JournalError) -> bool {
    error.fault() == Some(Fault::Damage) || error.is_misfit()
}

fn check(dir: &Path, connection: &Connection) -> Result<Check, JournalError> {
    let path = dir.join(FILE_NAME);
    let bytes = fs::metadata(&path).map_err(|error| JournalError::file(&path, error))?.len();
    if bytes > CHECKED_FIRST_BYTES {
        return Ok(Some(check_beside(path)));
    }
    quick_check(connection)?;
    Ok(None)
}

fn quick_check(connection: &Connection) -> Result<(), JournalError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(JournalError::Damaged(found)) }
}

/// Checks the file on a thread of its own, which ends with the process.
fn check_beside(path: PathBuf) -> mpsc::Receiver<JournalError> {
    let (sender, receiver) = mpsc::channel();
    let work = move || {
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        match connection.map_err(JournalError::from).and_then(|connection| quick_check(&connection)) {
            // The journal is gone: the program is stopping.
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

/// A database that knows less than the file beside it has lost its last commits. Their numbers are not given again.
fn catch_up(connection: &Connection, sequence: i64) -> Result<(), JournalError> {
    let mut counters = Counters::load(connection)?;
    let skipped = sequence - counters.sequence;
    if skipped <= 0 {
        return Ok(());
    }
    warn!("device.db lost its last {skipped} events; their photos are looked at again if they are still there");
    counters.sequence = sequence;
    counters.losses.sequences_skipped += skipped as u64;
    Ok(counters.store(connection)?)
}

/// Sets the damaged database aside and opens a new one with what is whole in it.
pub fn replace(dir: &Path, sequence: i64) -> Result<Connection, JournalError> {
    set_aside(dir)?;
    finish_salvage(dir, sequence)?;
    connect(dir)
}

/// Moves the database, then its WAL: without the one the other is not found, so no commit of the WAL is passed over.
fn set_aside(dir: &Path) -> Result<(), JournalError> {
    let quarantine = dir.join(QUARANTINE);
    fs::create_dir_all(&quarantine).map_err(|error| JournalError::file(&quarantine, error))?;
    let target = unused_name(&quarantine);
    warn!("moving device.db to {}", target.display());
    rename(&dir.join(FILE_NAME), &target)?;
    move_wal(dir, &target)
}

/// By the time, for people; a clock that stands still gives a number.
fn unused_name(quarantine: &Path) -> PathBuf {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = |number: u32| quarantine.join(format!("device-{time}-{number}.db"));
    let is_free = |path: &PathBuf| !path.exists() && !finished_name(path).exists();
    (0..).map(name).find(is_free).unwrap_or_else(|| name(u32::MAX))
}

fn move_wal(dir: &Path, target: &Path) -> Result<(), JournalError> {
    let beside = |end: &str| dir.join(format!("{FILE_NAME}{end}"));
    if beside("-wal").exists() {
        rename(&beside("-wal"), &with_end(target, "-wal"))?;
    }
    // Made anew from the WAL whenever it is opened.
    let _ = fs::remove_file(beside("-shm"));
    sync_dir(dir)
}

/// Goes on with a salvage that was begun: a file lies in quarantine, and there is no new one in its place yet.
fn finish_salvage(dir: &Path, sequence: i64) -> Result<(), JournalError> {
    let path = dir.join(FILE_NAME);
    for damaged in unfinished(&dir.join(QUARANTINE)) {
        if !path.exists() {
            move_wal(dir, &damaged)?;
            let new = dir.join(format!("{FILE_NAME}.new"));
            remove_if_there(&new)?;
            let found = salvage(&damaged, &new, sequence)?;
            info!("salvaged {found}");
            sync(&new)?;
            rename(&new, &path)?;
            sync_dir(dir)?;
        }
        finish(&damaged)?;
    }
    Ok(())
}

fn unfinished(quarantine: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(quarantine) else { return Vec::new() };
    let is_unfinished = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".db") && !name.ends_with(SALVAGED)
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_unfinished).collect();
    paths.sort();
    paths
}

/// Marks a damaged file as done with, and lets the oldest of them go.
fn finish(damaged: &Path) -> Result<(), JournalError> {
    let target = finished_name(damaged);
    let wal = with_end(damaged, "-wal");
    if wal.exists() {
        rename(&wal, &with_end(&target, "-wal"))?;
    }
    rename(damaged, &target)?;
    let quarantine = damaged.parent().unwrap_or(Path::new("."));
    let mut kept: Vec<PathBuf> = fs::read_dir(quarantine)
        .map_err(|error| JournalError::file(quarantine, error))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(SALVAGED))
        .collect();
    kept.sort();
    for oldest in kept.iter().rev().skip(QUARANTINED_MAX) {
        warn!("{}: removed, {QUARANTINED_MAX} newer ones are kept", oldest.display());
        remove_if_there(oldest)?;
        remove_if_there(&with_end(oldest, "-wal"))?;
    }
    Ok(())
}

fn finished_name(damaged: &Path) -> PathBuf {
    damaged.with_extension(SALVAGED.trim_start_matches('.'))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn rename(from: &Path, to: &Path) -> Result<(), JournalError> {
    fs::rename(from, to).map_err(|error| JournalError::file(from, error))
}

fn remove_if_there(path: &Path) -> Result<(), JournalError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(JournalError::file(path, error)),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), JournalError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| JournalError::file(path, error))
}

/// Makes names in a folder durable.
fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    sync(dir)
}
