//! Damaged databases: they are moved aside, and their intact rows go into a new one.
//!
//! Each step can be interrupted; the next start continues it. Each is on the drive before the next begins:
//!
//! 1. The damaged file and its write-ahead log get a second name in the quarantine.
//! 2. The first name of the file is removed.
//! 3. The first name of the log is removed.
//! 4. The new file is made under another name.
//! 5. The new file gets the name of the database.
//! 6. The damaged file is marked as done.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use log::{info, warn};

use bridgeclip_storage::durable::{self, is_same_file, with_end};

use super::error::JournalError;
use super::names::FILE_NAME;
use super::numbers::Numbers;
use super::salvage::salvage;

/// Name of the quarantine in the data folder.
const FOLDER: &str = "quarantine";
/// Number of salvaged files that are kept for people to examine.
const KEPT_MAX: usize = 3;
/// End of the name of a damaged file whose salvage is done.
const SALVAGED: &str = ".salvaged.db";

/// Moves the database into the quarantine, then its WAL. SQLite looks for a WAL only beside its database, so no commit
/// of the WAL is passed over.
pub fn set_aside(dir: &Path) -> Result<(), JournalError> {
    let quarantine = dir.join(FOLDER);
    durable::claim_folder(&quarantine).map_err(|error| JournalError::file(&quarantine, error))?;
    let target = unused_name(&quarantine);
    warn!("moving device.db to {}", target.display());
    let wal = wal_of(dir);
    if wal.exists() {
        // The WAL is linked first: the file is never in the quarantine alone while a power cut could still take its log
        // away.
        let linked = fs::hard_link(&wal, with_end(&target, "-wal")).and_then(|()| durable::sync(&quarantine));
        if let Err(error) = linked {
            warn!("{}: {error}; it is moved after the file", wal.display());
        }
    }
    move_file(&dir.join(FILE_NAME), &target)?;
    move_wal(dir, &target)
}

fn wal_of(dir: &Path) -> PathBuf {
    dir.join(format!("{FILE_NAME}-wal"))
}

/// Returns a free name in the quarantine. The name shows people the time; a number keeps names apart if the clock is
/// stopped.
fn unused_name(quarantine: &Path) -> PathBuf {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = |number: u32| quarantine.join(format!("device-{time}-{number}.db"));
    let is_free = |path: &PathBuf| !path.exists() && !finished_name(path).exists();
    (0..).map(name).find(is_free).unwrap_or_else(|| name(u32::MAX))
}

fn move_wal(dir: &Path, target: &Path) -> Result<(), JournalError> {
    let wal = wal_of(dir);
    if wal.exists() {
        move_file(&wal, &with_end(target, "-wal"))?;
    }
    // SQLite makes it again from the WAL when the database is opened.
    let _ = fs::remove_file(dir.join(format!("{FILE_NAME}-shm")));
    sync(dir)
}

/// Continues a salvage that was begun: a damaged file is in quarantine, and no new one is in its place yet.
pub fn finish_salvage(dir: &Path, numbers: Numbers) -> Result<(), JournalError> {
    let path = dir.join(FILE_NAME);
    for damaged in files(&dir.join(FOLDER), is_unfinished) {
        if is_same_file(&path, &damaged) {
            // The power failed while the file had both names. It is checked again in its place.
            undo_set_aside(dir, &damaged)?;
            continue;
        }
        if !path.exists() {
            move_wal(dir, &damaged)?;
            let new = dir.join(format!("{FILE_NAME}.new"));
            remove_if_there(&new)?;
            let found = salvage(&damaged, &new, numbers)?;
            info!("salvaged {found}");
            sync(&new)?;
            rename(&new, &path)?;
            sync(dir)?;
        }
        finish(&damaged)?;
    }
    Ok(())
}

fn undo_set_aside(dir: &Path, damaged: &Path) -> Result<(), JournalError> {
    let (wal, moved) = (wal_of(dir), with_end(damaged, "-wal"));
    match moved.exists() && !wal.exists() {
        true => move_file(&moved, &wal)?,
        false => remove_if_there(&moved)?,
    }
    remove_if_there(damaged)?;
    sync(durable::folder(damaged))
}

/// Reports whether a salvage was begun and not finished. Until it is, no new database may be made in the old one's
/// place.
pub fn has_unfinished(dir: &Path) -> bool {
    !files(&dir.join(FOLDER), is_unfinished).is_empty()
}

/// Marks a damaged file as done, and removes the oldest of the done ones beyond [`KEPT_MAX`].
fn finish(damaged: &Path) -> Result<(), JournalError> {
    let target = finished_name(damaged);
    let wal = with_end(damaged, "-wal");
    if wal.exists() {
        rename(&wal, &with_end(&target, "-wal"))?;
    }
    rename(damaged, &target)?;
    let quarantine = durable::folder(damaged);
    sync(quarantine)?;
    while files(quarantine, is_finished).len() > KEPT_MAX {
        remove_oldest(quarantine)?;
    }
    Ok(())
}

/// Removes the oldest damaged file whose salvage is done, to make room. Returns `false` if there is none.
pub fn make_room(dir: &Path) -> Result<bool, JournalError> {
    remove_oldest(&dir.join(FOLDER))
}

fn remove_oldest(quarantine: &Path) -> Result<bool, JournalError> {
    let Some(oldest) = files(quarantine, is_finished).into_iter().next() else { return Ok(false) };
    warn!("{}: removed; what was whole in it is in device.db", oldest.display());
    remove_if_there(&with_end(&oldest, "-wal"))?;
    remove_if_there(&oldest)?;
    Ok(true)
}

fn is_finished(name: &str) -> bool {
    name.ends_with(SALVAGED)
}

fn is_unfinished(name: &str) -> bool {
    name.ends_with(".db") && !is_finished(name)
}

/// Lists the files of the quarantine that are meant, the oldest first.
fn files(quarantine: &Path, is_meant: fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(quarantine) else { return Vec::new() };
    let is_meant = |path: &PathBuf| is_meant(&path.file_name().unwrap_or_default().to_string_lossy());
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_meant).collect();
    paths.sort();
    paths
}

fn finished_name(damaged: &Path) -> PathBuf {
    damaged.with_extension(SALVAGED.trim_start_matches('.'))
}

fn move_file(from: &Path, to: &Path) -> Result<(), JournalError> {
    durable::move_between_folders(from, to).map_err(|error| JournalError::file(from, error))
}

/// Renames a file. A power cut in the middle can leave both names on a drive whose renames are two steps. Renaming one
/// of two names of a file to the other does nothing (POSIX), so the old name is removed.
fn rename(from: &Path, to: &Path) -> Result<(), JournalError> {
    fs::rename(from, to).map_err(|error| JournalError::file(from, error))?;
    if is_same_file(from, to) { remove_if_there(from) } else { Ok(()) }
}

fn remove_if_there(path: &Path) -> Result<(), JournalError> {
    durable::remove(path).map(drop).map_err(|error| JournalError::file(path, error))
}

/// Makes the content of a file, or the names in a folder, durable.
pub fn sync(path: &Path) -> Result<(), JournalError> {
    durable::sync(path).map_err(|error| JournalError::file(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_a_power_cut_left_under_both_names_is_finished() {
        let dir = tempfile::tempdir().expect("a folder");
        let quarantine = dir.path().join(FOLDER);
        fs::create_dir(&quarantine).expect("a folder");
        let damaged = quarantine.join("device-20261129T175720Z-0.db");
        fs::write(&damaged, b"damaged").expect("written");
        fs::hard_link(&damaged, finished_name(&damaged)).expect("a second name");
        fs::write(dir.path().join(FILE_NAME), b"new").expect("written");
        assert!(has_unfinished(dir.path()));
        finish_salvage(dir.path(), Numbers::default()).expect("finished");
        assert!(!has_unfinished(dir.path()));
        assert_eq!(files(&quarantine, is_finished), [finished_name(&damaged)]);
    }
}
