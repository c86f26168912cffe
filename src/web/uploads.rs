//! Bounds on the folder of uploaded photos, and removal of what a killed process left unfinished.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use log::{info, warn};

use crate::domain::Sha256;
use crate::drive::Drive;
use crate::journal::{Fate, Journal, JournalError, Reader};

/// Prefix of the names of photos that are still being received.
pub const UPLOAD_PREFIX: &str = ".upload-";
/// Prefix of the names of exports that are still being written.
pub const EXPORT_PREFIX: &str = ".export-";

/// Number of bytes of a photo's hash that are part of its file name.
const HASH_BYTES: usize = 6;

/// Bounds on the folder of uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub dir: PathBuf,
    /// Maximum size of all uploads together, in bytes.
    pub bytes_max: u64,
    /// Bytes of the drive that stay free for other uses.
    pub keep_free_bytes: u64,
}

/// Reason for refusing a photo.
#[derive(Debug, thiserror::Error)]
pub enum NoRoom {
    #[error(
        "uploaded photos take {used} MB, at most {max} MB are allowed ([storage] uploads_megabytes_max), and none of them may \
         go: their results are not delivered yet"
    )]
    Full { used: u64, max: u64 },
    #[error(
        "the drive has {free} MB left, {kept} MB are kept free ([storage] keep_free_megabytes); remove files from it"
    )]
    Drive { free: u64, kept: u64 },
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

struct Upload {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

impl Room {
    /// Removes what a killed process left unfinished.
    pub fn clear_leftovers(&self) {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let is_leftover = |name: &str| [UPLOAD_PREFIX, EXPORT_PREFIX].iter().any(|prefix| name.starts_with(prefix));
        for path in
            entries.filter(|entry| entry.file_name().to_str().is_some_and(is_leftover)).map(|entry| entry.path())
        {
            if let Err(error) = fs::remove_file(&path) {
                warn!("{}: {error}; it was left by an earlier run and stays", path.display());
            }
        }
    }

    /// Makes room for a photo of this many bytes. The photo is on the drive already, but not yet among the uploads.
    /// Photos that could not be read are removed first, then those whose results have been delivered, the oldest first.
    /// A photo whose result exists only on this device is never removed.
    pub fn make(&self, journal: &Journal, reader: &Reader, bytes: u64) -> Result<(), NoRoom> {
        let mut uploads = self.uploads()?;
        let used: u64 = uploads.iter().map(|upload| upload.bytes).sum();
        let wanted = (used + bytes).saturating_sub(self.bytes_max).max(self.short_on_drive()?);
        if wanted == 0 {
            return Ok(());
        }
        uploads.sort_by_key(|upload| upload.modified);
        let mut freed = 0;
        for fate in [Fate::Failed, Fate::Delivered] {
            for upload in &uploads {
                if freed >= wanted {
                    break;
                }
                if reader.fate(&upload.path, &hash_start(&upload.path))? == Some(fate) {
                    freed += remove(upload, fate, journal)?;
                }
            }
        }
        self.judge(used - freed, bytes)
    }

    fn judge(&self, used: u64, bytes: u64) -> Result<(), NoRoom> {
        if used + bytes > self.bytes_max {
            return Err(NoRoom::Full { used: used / 1_000_000, max: self.bytes_max / 1_000_000 });
        }
        match self.short_on_drive()? {
            0 => Ok(()),
            _ => Err(NoRoom::Drive { free: self.free()? / 1_000_000, kept: self.keep_free_bytes / 1_000_000 }),
        }
    }

    fn short_on_drive(&self) -> io::Result<u64> {
        Ok(self.keep_free_bytes.saturating_sub(self.free()?))
    }

    fn free(&self) -> io::Result<u64> {
        Ok(Drive::of(&self.dir)?.free_bytes)
    }

    /// Lists all finished uploads. Each day has a folder of its own.
    fn uploads(&self) -> io::Result<Vec<Upload>> {
        let mut uploads = Vec::new();
        for day in fs::read_dir(&self.dir)? {
            let day = day?;
            if day.file_type()?.is_dir() {
                for entry in fs::read_dir(day.path())? {
                    let entry = entry?;
                    // A file that another upload has removed meanwhile takes no room.
                    let file = entry.metadata().ok().filter(Metadata::is_file);
                    uploads.extend(file.and_then(|file| upload(entry.path(), &file)));
                }
            }
        }
        Ok(uploads)
    }
}

/// Returns the name of an upload's file: the start of the photo's hash, then the name it came with.
pub fn name_of(sha256: &Sha256, name: &str) -> String {
    format!("{}-{name}", &sha256.to_string()[..2 * HASH_BYTES])
}

fn hash_start(path: &Path) -> Vec<u8> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.get(..2 * HASH_BYTES).unwrap_or_default();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    // The bytes that this returns for any other file could match a photo's hash only by chance, and its path would
    // still differ.
    if digits.is_ascii() { (0..digits.len()).step_by(2).map_while(byte).collect() } else { Vec::new() }
}

fn upload(path: PathBuf, file: &Metadata) -> Option<Upload> {
    Some(Upload { path, bytes: file.len(), modified: file.modified().ok()? })
}

/// Removes a photo, and its day's folder if that is empty now. Returns the number of bytes that this freed.
fn remove(upload: &Upload, fate: Fate, journal: &Journal) -> Result<u64, NoRoom> {
    let Upload { path, bytes, .. } = upload;
    match fs::remove_file(path) {
        Ok(()) => info!("{}: gave way to newer uploads, {fate}", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (),
        Err(error) => return Err(error.into()),
    }
    if fate == Fate::Failed {
        journal.forget_failures(vec![path.clone()])?;
    }
    // Fails on purpose while the folder is not empty.
    let _ = path.parent().map(Path::to_owned).map(fs::remove_dir);
    Ok(*bytes)
}
