//! Damaged databases. They are moved aside, and what is whole in them goes into a new one.
//!
//! Each step can be interrupted: the next start goes on with it. The steps, each on the drive before the next begins: the
//! damaged file and its write-ahead log get a second name in the quarantine; the first name of the file goes; that of the
//! log goes; the new file is made under another name; it gets the name of the database; the damaged file is marked as done.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use log::{info, warn};

use bridgeclip_storage::durable::{self, is_same_file, with_end};

use super::error::JournalError;
use super::names::FILE_NAME;
use super::numbers::Numbers;
use super::salvage::salvage;

/// Inside the data folder.
const FOLDER: &str = "quarantine";
/// Damaged files that are kept for whoever wants to look at them.
const KEPT_MAX: usize = 3;
/// The end of the name of a file whose salvage is done.
const SALVAGED: &str = ".salvaged.db";

/// Moves the database, then its WAL: without the one the other is not found, so no commit of the WAL is passed over.
pub fn set_aside(dir: &Path) -> Result<(), JournalError> {
    let quarantine = dir.join(FOLDER);
    durable::claim_folder(&quarantine).map_err(|error| JournalError::file(&quarantine, error))?;
    let target = unused_name(&quarantine);
    warn!("moving device.db to {}", target.display());
    let wal = wal_of(dir);
    if wal.exists() {
        // Linked first: the file is never in the quarantine alone while a power cut could still take its log away.
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

/// By the time, for people; a clock that stands still gives a number.
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
    // Made anew from the WAL whenever it is opened.
    let _ = fs::remove_file(dir.join(format!("{FILE_NAME}-shm")));
    sync(dir)
}

/// Goes on with a salvage that was begun: a file lies in quarantine, and there is no new one in its place yet.
pub fn finish_salvage(dir: &Path, numbers: Numbers) -> Result<(), JournalError> {
    let path = dir.join(FILE_NAME);
    for damaged in files(&dir.join(FOLDER), is_unfinished) {
        if is_same_file(&path, &damaged) {
            // The power went between the two names. The file is looked at anew, in its place.
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

/// Whether a salvage was begun and not finished. No new database may be made in its place then.
pub fn has_unfinished(dir: &Path) -> bool {
    !files(&dir.join(FOLDER), is_unfinished).is_empty()
}

/// Marks a damaged file as done with, and lets the oldest of them go.
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

/// Lets the oldest damaged file go whose salvage is done, for the room that it takes. `false` if there is none.
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

/// The oldest first.
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

/// A power cut in the middle can leave both names on a drive whose renames are two steps. A rename of two names of one file then
/// does nothing (POSIX), so the old one is removed.
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
