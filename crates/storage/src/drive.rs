//! Measures the space on a drive.

use std::io;
use std::path::Path;

use serde::Serialize;

/// Space of the file system that holds a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Drive {
    /// Bytes that an unprivileged user can still write.
    pub free_bytes: u64,
    /// Total size in bytes.
    pub bytes: u64,
}

impl Drive {
    /// Measures the file system that holds `folder`, which must exist.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(folder)?;
        let in_bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Drive { free_bytes: in_bytes(found.f_bavail), bytes: in_bytes(found.f_blocks) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_has_room_and_a_folder_that_is_not_there_has_none() {
        let drive = Drive::of(Path::new("/")).expect("a drive");
        assert!(0 < drive.bytes && drive.free_bytes <= drive.bytes);
        assert!(Drive::of(Path::new("/no/such/folder")).is_err());
    }
}
