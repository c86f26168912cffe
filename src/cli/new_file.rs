//! Files that commands make: whole, or not there.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::{Builder, NamedTempFile};

/// A file without a name yet. Until it is kept, it goes away with this value.
pub struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
    replace: bool,
}

impl NewFile {
    /// Begins the file that will be at `path`, in the same folder. One that is there is not replaced unless `replace`.
    pub fn create(path: &Path, replace: bool) -> Result<Self> {
        ensure!(replace || path.symlink_metadata().is_err(), "{}: is there already", path.display());
        // Less what the umask takes, as of any file that a user makes.
        let permissions = Permissions::from_mode(0o666);
        let file = Builder::new().permissions(permissions).tempfile_in(folder(path));
        let file = file.with_context(|| format!("{}: cannot write", path.display()))?;
        Ok(NewFile { file, path: path.to_owned(), replace })
    }

    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Where it is until it has its name.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives it its name once it is on the drive.
    pub fn keep(self) -> Result<()> {
        let NewFile { file, path, replace } = self;
        let failed = || format!("{}: cannot write", path.display());
        file.as_file().sync_all().with_context(failed)?;
        match replace {
            true => file.persist(&path).with_context(failed)?,
            false => file.persist_noclobber(&path).with_context(failed)?,
        };
        File::open(folder(&path)).and_then(|dir| dir.sync_all()).with_context(failed)
    }
}

/// The folder of a file.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

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
