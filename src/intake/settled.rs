//! A short memory of the files that need no further look.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use crate::domain::FileStamp;

/// Maximum number of files remembered. With the table's spare room they take about 1 MB.
const FILES_MAX: usize = 1 << 16;

/// Remembers files by a 64-bit hash of path and stamp under a key of this run, so that a rescan asks the records only
/// about new files. When the memory is full it starts anew, and the records are asked again.
///
/// The hash of a new file equals one in the memory with a probability below 1 in 10^14. Such a file is passed over
/// until the next start.
#[derive(Debug, Default)]
pub struct Settled {
    key: RandomState,
    hashes: HashSet<u64>,
}

impl Settled {
    /// Reports whether a file with this stamp is remembered.
    pub fn contains(&self, path: &Path, stamp: &FileStamp) -> bool {
        self.hashes.contains(&self.hash(path, stamp))
    }

    /// Remembers a file with this stamp.
    pub fn insert(&mut self, path: &Path, stamp: &FileStamp) {
        if self.hashes.len() >= FILES_MAX {
            self.clear();
        }
        self.hashes.insert(self.hash(path, stamp));
    }

    /// Forgets all files.
    pub fn clear(&mut self) {
        self.hashes.clear();
    }

    fn hash(&self, path: &Path, stamp: &FileStamp) -> u64 {
        self.key.hash_one((path, stamp.bytes, stamp.modified_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_stamps_and_stays_small() {
        let mut settled = Settled::default();
        let stamp = |bytes| FileStamp { bytes, modified_ns: 0 };
        settled.insert(Path::new("a"), &stamp(1));
        assert!(settled.contains(Path::new("a"), &stamp(1)));
        assert!(!settled.contains(Path::new("a"), &stamp(2)) && !settled.contains(Path::new("b"), &stamp(1)));
        for number in 0..FILES_MAX as u64 {
            settled.insert(Path::new("many"), &stamp(number));
        }
        assert!(settled.contains(Path::new("many"), &stamp(FILES_MAX as u64 - 1)));
        assert!(settled.hashes.len() <= FILES_MAX);
    }
}
