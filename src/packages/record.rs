//! Records the identity of a package's files at installation, so that not every start has to hash hundreds of
//! megabytes.
//!
//! At a start, a card is read at 20 to 90 MB/s; hashing 273 MB of reference would take longer than everything else
//! together. At installation every file is hashed while it is written, and its identity is recorded. The kernel sets a
//! file's change time at every write, and no program can set it: a file with its recorded identity has not been written
//! to since. `bridgeclip check` hashes everything and so finds decay of the medium.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::durable::{self, SHARED, read_state};
use crate::package::{Manifest, Package, PackageError};

const RECORD: &str = "installed.json";

/// Size below which files are hashed at every start.
const BYTES_MIN: u64 = 1 << 20;

/// Identity of a file, which changes with every write to it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    bytes: u64,
    inode: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Ok(Identity {
            bytes: metadata.len(),
            inode: metadata.ino(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Records the files of a package that was just received.
pub(super) fn write(dir: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut record = BTreeMap::new();
    for name in manifest.files.keys() {
        record.insert(name, Identity::of(&dir.join(name))?);
    }
    durable::write(&dir.join(RECORD), serde_json::to_string(&record)?.as_bytes(), SHARED)
}

/// Opens an installed package. Files that have not changed since the installation are not hashed again.
pub(super) fn open(dir: &Path) -> Result<Package, PackageError> {
    let record: BTreeMap<String, Identity> = read_state(&dir.join(RECORD), "all files of the package are hashed anew");
    let is_known = |name: &str| {
        let noted = record.get(name).filter(|identity| identity.bytes >= BYTES_MIN);
        noted.is_some_and(|noted| Identity::of(&dir.join(name)).is_ok_and(|found| found == *noted))
    };
    Package::open_known(dir, is_known)
}
