//! Files that commands write: complete, or absent.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::durable::{self, Draft};

/// Mode of a file that a user makes, before the umask.
const USERS: u32 = 0o666;

/// A file without a name. Dropping this value before [`Self::keep`] removes the file.
pub struct NewFile {
    draft: Draft,
    path: PathBuf,
    replace: bool,
}

impl NewFile {
    /// Starts the file for `path`, in the same folder. Fails if there is a file at `path`, unless `replace` is set.
    pub fn create(path: &Path, replace: bool) -> Result<Self> {
        Self::with_mode(path, replace, USERS)
    }

    fn with_mode(path: &Path, replace: bool, mode: u32) -> Result<Self> {
        ensure!(replace || path.symlink_metadata().is_err(), "{}: is there already", path.display());
        let draft = Draft::create(path, mode).with_context(|| format!("{}: cannot write", path.display()))?;
        Ok(NewFile { draft, path: path.to_owned(), replace })
    }

    /// Returns the open file.
    pub fn file(&mut self) -> &mut File {
        self.draft.file()
    }

    /// Path of the file until it has its name.
    pub fn path(&self) -> &Path {
        self.draft.temporary_path()
    }

    /// Makes the file durable and gives it its name.
    pub fn keep(self) -> Result<()> {
        let NewFile { draft, path, replace } = self;
        let kept = if replace { draft.publish() } else { draft.publish_new() };
        kept.with_context(|| format!("{}: cannot write", path.display()))
    }
}

/// Writes a secret into a new file that its owner alone can read.
pub fn write_secret(path: &Path, secret: &str) -> Result<()> {
    let mut new = NewFile::with_mode(path, false, durable::PRIVATE)?;
    new.file().write_all(secret.as_bytes()).with_context(|| format!("{}: cannot write", path.display()))?;
    new.keep()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_its_owner_s_alone_and_never_replaced() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("key");
        write_secret(&path, "first").expect("written");
        assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
        assert!(write_secret(&path, "second").is_err());
        assert_eq!(fs::read_to_string(&path).expect("read"), "first");
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("out");
        let write = |replace, text: &str| {
            let mut new = NewFile::create(&path, replace)?;
            new.file().write_all(text.as_bytes())?;
            anyhow::Ok(new)
        };
        drop(write(false, "half").expect("begun"));
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0, "nothing is left of it");
        write(false, "first").and_then(NewFile::keep).expect("kept");
        assert!(write(false, "second").err().expect("refused").to_string().contains("is there already"));
        write(true, "third").and_then(NewFile::keep).expect("replaced");
        assert_eq!(fs::read_to_string(&path).expect("read"), "third");
        let late = write(true, "x").map(|new| NewFile { replace: false, ..new }).expect("begun");
        assert!(late.keep().is_err(), "one that came meanwhile is not replaced either");
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }
}
