//! Values fitted to a reference's photos and stored in its file: linear heads, embeddings of prompts, rules.
//!
//! A device may read the file at any time. So a value is added to a copy next to it, which then takes its place.

use std::fs::{self, File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use bridgeclip_package::{Package, PackageError, files};
use bridgeclip_storage::durable;

use super::format::{self, damaged, failed};
use super::{ReferenceError, Stamp};

/// Upper limit on the size of a stored value. Linear heads for embeddings of 8,192 values take 1.6 MB.
const BYTES_MAX: i64 = 64 << 20;

/// A kind of value that can be fitted to a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FittedKind {
    Heads,
    Prompts,
    Rules,
}

impl FittedKind {
    /// Returns the name of the row that stores the value in `reference.db`.
    pub const fn name(self) -> &'static str {
        match self {
            FittedKind::Heads => "heads",
            FittedKind::Prompts => "prompts",
            FittedKind::Rules => "rules",
        }
    }
}

/// A reference's note about one fitted value.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedNote {
    /// Name in the file; see [`FittedKind::name`].
    pub name: String,
    /// Size of the value.
    pub bytes: u64,
    /// A JSON object: the parameters of the fit and the quality that it reached.
    pub made_with: Value,
}

/// Reads the stored bytes of a fitted value. None if the reference has no such value.
pub(super) fn read(connection: &Connection, kind: FittedKind, path: &Path) -> Result<Option<Vec<u8>>, ReferenceError> {
    let name = kind.name();
    let length: Option<i64> = connection
        .query_row("SELECT length(value) FROM fitted WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(failed(path))?;
    match length {
        None => Ok(None),
        Some(length) if length > BYTES_MAX => {
            Err(damaged(path, format!("{name} has {length} bytes, more than {BYTES_MAX}")))
        }
        Some(_) => connection
            .query_row("SELECT value FROM fitted WHERE name = ?1", [name], |row| row.get(0))
            .map(Some)
            .map_err(failed(path)),
    }
}

pub(super) fn notes(connection: &Connection, path: &Path) -> Result<Vec<FittedNote>, ReferenceError> {
    let rows = || -> rusqlite::Result<Vec<(String, u64, String)>> {
        let mut statement = connection.prepare("SELECT name, length(value), made_with FROM fitted ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect()
    };
    let note = |(name, bytes, text): (String, u64, String)| {
        let made_with = serde_json::from_str(&text)
            .map_err(|error| damaged(path, format!("what {name} was made with is no JSON: {error}")))?;
        Ok(FittedNote { name, bytes, made_with })
    };
    rows().map_err(failed(path))?.into_iter().map(note).collect()
}

/// A change of a package's reference. No other change can start while this value exists.
#[derive(Debug)]
pub struct Revision {
    path: PathBuf,
    /// Identity of the file that the change was started on.
    identity: Identity,
    /// Lock on the package's folder.
    _lock: File,
}

impl Revision {
    /// Starts a change. To be called before anything that the fitted value depends on is read from the reference. Fails
    /// with [`ReferenceError::Busy`] while another change is under way.
    pub fn start(package: &Package) -> Result<Self, RevisionError> {
        let path = package.reference()?;
        let io = |source| ReferenceError::Io { path: path.clone(), source };
        let lock = File::open(package.dir()).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(ReferenceError::Busy(path).into()),
            Err(TryLockError::Error(source)) => return Err(io(source).into()),
        }
        Stamp::of(package).check(&format::open(&path)?, &path)?;
        Ok(Revision { identity: Identity::of(&path).map_err(io)?, path, _lock: lock })
    }

    /// Stores a value and replaces an earlier one of that kind. Fails with [`ReferenceError::Replaced`] if another
    /// reference has taken the file's place since the start. On an error the reference is unchanged.
    pub fn put(
        self,
        package: &mut Package,
        kind: FittedKind,
        made_with: &Value,
        value: &[u8],
    ) -> Result<(), RevisionError> {
        let copy = Copy(self.path.with_file_name(format!(".{}.revision", files::REFERENCE)));
        self.write(&copy.0, kind, made_with, value)?;
        package.replace_file(files::REFERENCE, &copy.0)?;
        Ok(())
    }

    fn write(&self, copy: &Path, kind: FittedKind, made_with: &Value, value: &[u8]) -> Result<(), ReferenceError> {
        let io = |source| ReferenceError::Io { path: copy.to_owned(), source };
        fs::copy(&self.path, copy).map_err(io)?;
        fs::set_permissions(copy, fs::Permissions::from_mode(0o644)).map_err(io)?;
        insert(copy, kind, made_with, value).map_err(|error| io(io::Error::other(error)))?;
        durable::sync(copy).map_err(io)?;
        match Identity::of(&self.path).map_err(io)? == self.identity {
            true => Ok(()),
            false => Err(ReferenceError::Replaced(self.path.clone())),
        }
    }
}

/// Reason why a fitted value was not stored.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Package(#[from] PackageError),
}

/// Writes the value into the copy. Only this change knows the copy, so it needs no journal on disk, and it is synced
/// once at the end.
fn insert(copy: &Path, kind: FittedKind, made_with: &Value, value: &[u8]) -> rusqlite::Result<()> {
    let connection = Connection::open(copy)?;
    connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF")?;
    connection.execute(
        "INSERT OR REPLACE INTO fitted VALUES (?1, ?2, ?3)",
        params![kind.name(), made_with.to_string(), value],
    )?;
    connection.close().map_err(|(_, error)| error)
}

/// The unfinished copy. Dropping it removes the file if it still exists.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Distinguishes a file from another one that has taken its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let of = |metadata: Metadata| Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        };
        fs::metadata(path).map(of)
    }
}
