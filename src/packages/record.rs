//! What is known of a package's files since its installation, so that not every start has to hash hundreds of megabytes.
//!
//! A start reads a card at 20 to 90 MB/s; hashing 273 MB of reference takes longer than everything else together. At
//! installation every file is hashed while it is written, and its identity is noted here. The kernel sets a file's
//! change time at every write, and no program can set it: a file whose noted identity still holds was not written to.
//! Decay of the medium is found by `bridgeclip check`, which hashes everything.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::durable::{self, SHARED, read_state};
use crate::package::{Manifest, Package, PackageError};

const RECORD: &str = "installed.json";

/// Smaller files are hashed at every start all the same.
const BYTES_MIN: u64 = 1 << 20;

/// Of one file.
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

/// Notes the files of a package that was just received.
pub(super) fn write(dir: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut record = BTreeMap::new();
    for name in manifest.files.keys() {
        record.insert(name, Identity::of(&dir.join(name))?);
    }
    durable::write(&dir.join(RECORD), serde_json::to_string(&record)?.as_bytes(), SHARED)
}

/// Opens an installed package; what is unchanged since the installation is not hashed again.
pub(super) fn open(dir: &Path) -> Result<Package, PackageError> {
    let record: BTreeMap<String, Identity> = read_state(&dir.join(RECORD), "all files of the package are hashed anew");
    let is_known = |name: &str| {
        let noted = record.get(name).filter(|identity| identity.bytes >= BYTES_MIN);
        noted.is_some_and(|noted| Identity::of(&dir.join(name)).is_ok_and(|found| found == *noted))
    };
    Package::open_known(dir, is_known)
}
