//! Room on the drive: a quota, a part that is left to other programs, and a reserve for when nothing is left.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use log::{error, info, warn};
use rusqlite::Connection;
use rustix::fs::{FallocateFlags, fallocate};

use bridgeclip_storage::drive::Drive;
use bridgeclip_storage::durable;

use super::counters::Counters;
use super::error::JournalError;
use super::params::Params;
use super::schema::PAGE_BYTES;

/// Name of the reserve, the file that gives up its room when the drive is full.
const FILE_NAME: &str = "reserve";

/// Bytes that one photo may need with its thumbnail, its events and their copies in the WAL.
const PHOTO_BYTES: u64 = 256 << 10;
/// Maximum number of bytes that are freed for one photo. A quota that was lowered is reached photo by photo, and no
/// photo waits long.
const STEP_BYTES: u64 = 4 << 20;
/// Room on the drive and in the database, and whether photos are taken or refused.
#[derive(Debug)]
pub struct Space {
    dir: PathBuf,
    quota_bytes: u64,
    keep_free_bytes: u64,
    reserve_bytes: u64,
    /// Reason why photos are refused; `None` while they are taken.
    full: Option<String>,
    /// Whether `full` has been determined yet.
    is_decided: bool,
    /// Whether the reserve was just released: the requests that met the full drive are served from it.
    grace: bool,
    /// Number of times that the device became full since that was last stored.
    uncounted: u64,
}

impl Space {
    /// Starts without knowing whether the device is full.
    pub fn new(dir: &Path, params: &Params) -> Self {
        Space {
            dir: dir.to_owned(),
            quota_bytes: params.quota_bytes,
            keep_free_bytes: params.keep_free_bytes,
            reserve_bytes: params.reserve_bytes,
            full: None,
            is_decided: false,
            grace: false,
            uncounted: 0,
        }
    }

    /// Returns the data folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the state for a process that runs alongside the daemon. Only the daemon manages the reserve.
    pub fn beside(dir: &Path, params: &Params) -> Self {
        Space::new(dir, &Params { reserve_bytes: 0, ..params.clone() })
    }

    /// Returns the number of bytes that should be free on the drive: what it keeps for other programs, and the reserve
    /// while it does not exist.
    pub fn wanted_on_drive(&self) -> u64 {
        self.keep_free_bytes + if self.has_reserve() { 0 } else { self.reserve_bytes }
    }

    /// Returns how many bytes must be freed inside the database before another photo is taken in, while `free_on_drive`
    /// bytes are free on the drive.
    pub fn shortage(&self, connection: &Connection, free_on_drive: u64) -> Result<u64, JournalError> {
        let over = self.over_quota(connection)?;
        let lacking = PHOTO_BYTES.saturating_sub(free_bytes(connection)?);
        let is_low = free_on_drive < self.keep_free_bytes;
        let needed = if is_low { over.max(lacking) } else { over };
        Ok(needed.min(STEP_BYTES))
    }

    /// Decides whether a photo is taken in. `has_room` says whether the shortage inside the database has been freed.
    ///
    /// # Errors
    /// [`JournalError::Full`] with the reason if the photo is refused.
    pub fn decide(&mut self, connection: &Connection, has_room: bool) -> Result<(), JournalError> {
        if self.grace {
            return Ok(());
        }
        let refusal = match self.ensure_reserve() {
            Err(reason) => Some(reason),
            Ok(()) if has_room => None,
            Ok(()) if self.over_quota(connection)? > 0 => Some(format!(
                "results that are not delivered yet use the quota of {} MB; connect the device, or raise quota_megabytes",
                self.quota_bytes / 1_000_000
            )),
            Ok(()) => Some(format!(
                "less than {} MB are free on the drive; make room on it, or lower keep_free_megabytes",
                self.keep_free_bytes / 1_000_000
            )),
        };
        self.change_to(refusal)
    }

    fn change_to(&mut self, refusal: Option<String>) -> Result<(), JournalError> {
        match (&self.full, &refusal) {
            (None, Some(reason)) => {
                self.uncounted += 1;
                error!("device full, new photos are refused: {reason}");
            }
            (Some(_), None) => info!("there is room again; photos are taken in"),
            _ => (),
        }
        self.full = refusal;
        self.is_decided = true;
        self.full.clone().map_or(Ok(()), |reason| Err(JournalError::Full(reason)))
    }

    /// Releases the reserve's room to the requests that met a full drive, with the error `met`. Returns `false` if
    /// there is no reserve to release.
    pub fn release_reserve(&mut self, met: &JournalError) -> bool {
        let path = self.reserve_path();
        if self.reserve_bytes == 0 || !path.exists() {
            return false;
        }
        if let Err(error) = fs::remove_file(&path) {
            warn!("{}: {error}", path.display());
            return false;
        }
        let reason = format!("{met}; its reserve of {} MB is in use", self.reserve_bytes / 1_000_000);
        let _ = self.change_to(Some(reason));
        self.grace = true;
        true
    }

    /// Copies the present state into the counters.
    pub fn tell(&self, counters: &mut Counters) {
        counters.losses.times_full += self.uncounted;
        if self.is_decided {
            counters.full.clone_from(&self.full);
        }
    }

    /// Notes that a commit has stored the counters, and ends the grace of the reserve.
    pub fn told(&mut self) {
        self.uncounted = 0;
        self.grace = false;
    }

    fn reserve_path(&self) -> PathBuf {
        self.dir.join(FILE_NAME)
    }

    fn over_quota(&self, connection: &Connection) -> Result<u64, JournalError> {
        let used = pages(connection, "page_count")?.saturating_sub(free_bytes(connection)?);
        Ok((used + PHOTO_BYTES).saturating_sub(self.quota_bytes))
    }

    fn has_reserve(&self) -> bool {
        let is_complete = || fs::metadata(self.reserve_path()).is_ok_and(|file| file.len() == self.reserve_bytes);
        self.reserve_bytes == 0 || is_complete()
    }

    /// Makes the reserve if it does not exist. It comes before anything else when there is room again.
    ///
    /// # Errors
    /// The reason, in words, why it cannot be made.
    pub fn ensure_reserve(&self) -> Result<(), String> {
        if self.has_reserve() {
            return Ok(());
        }
        let path = self.reserve_path();
        if path.is_dir() {
            // Whatever made that folder, it must not keep photos out.
            let aside = durable::set_aside(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            warn!("{}: a folder; it is {} now", path.display(), aside.display());
        }
        let needed = self.reserve_bytes + self.keep_free_bytes;
        let free = Drive::of(&self.dir).map_err(|error| format!("{}: {error}", self.dir.display()))?.free_bytes;
        if free < needed {
            let [free, needed] = [free, needed].map(|bytes| bytes / 1_000_000);
            return Err(format!(
                "{free} MB are free on the drive, {needed} MB are needed with the reserve; make room on it"
            ));
        }
        make_reserve(&path, self.reserve_bytes).map_err(|error| {
            let _ = fs::remove_file(&path);
            format!("{}: {error}", path.display())
        })
    }
}

fn make_reserve(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => (),
        // Some file systems, such as FAT, have no such call.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(&mut file, bytes)?,
        Err(error) => return Err(error.into()),
    }
    file.sync_all()
}

fn fill(file: &mut File, bytes: u64) -> io::Result<()> {
    let block = [0; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(block.len() as u64);
        file.write_all(&block[..now as usize])?;
        left -= now;
    }
    Ok(())
}

/// Returns the number of bytes in free pages of the database.
pub fn free_bytes(connection: &Connection) -> Result<u64, JournalError> {
    pages(connection, "freelist_count")
}

fn pages(connection: &Connection, count: &str) -> Result<u64, JournalError> {
    let pages: u64 = connection.pragma_query_value(None, count, |row| row.get(0))?;
    Ok(pages * PAGE_BYTES as u64)
}
