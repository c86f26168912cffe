//! Files that survive a power cut, and small files that did not.
//!
//! A file is written under a temporary name in its folder, synced and renamed, and then the folder is synced. After a
//! power cut there is either the old file or the new one. If a small state file is nevertheless empty, torn or garbage,
//! the program loses what it held but still starts.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use log::warn;
use serde::de::DeserializeOwned;
use tempfile::{Builder, NamedTempFile};

/// Mode of a file that only its owner may read.
pub const PRIVATE: u32 = 0o600;
/// Mode of a file that everybody may read.
pub const SHARED: u32 = 0o644;

/// Prefix for the names of files that are being written. A killed process leaves them behind.
pub const DRAFT_PREFIX: &str = ".draft-";

/// Maximum size in bytes of a state file that is read. Those that this program writes have a few kilobytes.
const STATE_BYTES_MAX: u64 = 1 << 20;

/// A file without its final name. It is deleted on drop unless it is published.
pub struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// Begins the file that will be at `path`, as a draft in the same folder.
    ///
    /// # Errors
    /// If that folder cannot be written to.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let file =
            Builder::new().prefix(DRAFT_PREFIX).permissions(Permissions::from_mode(mode)).tempfile_in(folder(path))?;
        Ok(Draft { file, path: path.to_owned() })
    }

    /// Returns the open file.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Returns the path of the file until it is published.
    pub fn temporary_path(&self) -> &Path {
        self.file.path()
    }

    /// Gives the file its final name and replaces an existing file. It is on the drive when this returns.
    pub fn publish(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path)?;
        sync(folder(&self.path))
    }

    /// Gives the file its final name. Fails with [`io::ErrorKind::AlreadyExists`] if there is a file of that name.
    pub fn publish_new(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist_noclobber(&self.path)?;
        sync(folder(&self.path))
    }
}

/// Writes a file, replacing an existing one atomically. It is on the drive when this returns.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut draft = Draft::create(path, mode)?;
    draft.file().write_all(bytes)?;
    // Restores the bits that a strict umask removed, so that others can read the files of a service.
    fs::set_permissions(draft.temporary_path(), Permissions::from_mode(mode))?;
    draft.publish()
}

/// Creates a folder and its parents. Each is on the drive when this returns.
pub fn create_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = folder(path);
    create_folders(above)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => Err(error),
        _ => sync(above),
    }
}

/// Creates a folder. Anything else of that name is moved aside and logged.
pub fn claim_folder(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_dir()) && !path.is_dir() {
        let aside = set_aside(path)?;
        warn!("{}: no folder; it is {} now", path.display(), aside.display());
    }
    create_folders(path)
}

/// Creates a file that only its owner may read, or restricts an existing file to its owner. Its content stays.
pub fn claim_private(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().append(true).create(true).mode(PRIVATE).open(path)?;
    match file.metadata()?.mode() & 0o777 {
        PRIVATE => Ok(()),
        _ => file.set_permissions(Permissions::from_mode(PRIVATE)),
    }
}

/// Makes the content of a file, or the names in a folder, durable.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Moves a file into another folder of the same drive.
///
/// After a power cut, the file is in one of the folders or in both, whereas a rename between folders may leave it in
/// neither. Use [`is_same_file`] to recognise the second case.
pub fn move_between_folders(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => (),
        // The first half was done before a power cut.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_same_file(from, to) => (),
        // FAT has no hard links.
        Err(error) if is_without_links(&error) => {
            fs::rename(from, to)?;
            sync(folder(to))?;
            return sync(folder(from));
        }
        Err(error) => return Err(error),
    }
    sync(folder(to))?;
    fs::remove_file(from)?;
    sync(folder(from))
}

fn is_without_links(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let without = [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK];
    error.raw_os_error().is_some_and(|code| without.iter().any(|errno| errno.raw_os_error() == code))
}

/// Reports whether two names refer to the same file. Symbolic links are not followed.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    let number = |path| fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()));
    matches!((number(a), number(b)), (Ok(a), Ok(b)) if a == b)
}

/// Removes a file. Returns whether it existed.
pub fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the folder of a file, `.` for a bare name.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns the path with `end` appended to its file name.
pub fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Reads a small state file in JSON.
///
/// If the file is missing or unusable, returns the default; in the second case it logs what is wrong and the
/// `consequence`. A file that is not valid state is kept beside its place under another name.
pub fn read_state<T: DeserializeOwned + Default>(path: &Path, consequence: &str) -> T {
    let bytes = match read_small(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return T::default(),
        Err(error) => {
            warn!("{}: cannot read: {error}; {consequence}", path.display());
            return T::default();
        }
    };
    match serde_json::from_slice(&bytes) {
        Ok(state) => state,
        Err(error) => {
            warn!("{}: {}; {consequence}", path.display(), what_is_wrong(&bytes, &error));
            if let Err(error) = set_aside(path) {
                warn!("{}: cannot be moved aside: {error}", path.display());
            }
            T::default()
        }
    }
}

fn what_is_wrong(bytes: &[u8], error: &serde_json::Error) -> String {
    match bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        true => "empty".to_owned(),
        false => format!("damaged ({error})"),
    }
}

/// Reads a file of at most a megabyte. `None` if it does not exist; [`io::ErrorKind::FileTooLarge`] if it is larger.
pub fn read_small(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(STATE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > STATE_BYTES_MAX {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {STATE_BYTES_MAX} bytes"))),
        false => Ok(Some(bytes)),
    }
}

/// Renames an unusable file to `NAME.damaged`, replacing an earlier one, and returns the new path.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = with_end(path, ".damaged");
    match fs::rename(path, &aside) {
        // The name may be taken by a folder, for example.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let other = with_end(path, &format!(".damaged-{}", std::process::id()));
            fs::rename(path, &other)?;
            sync(folder(path))?;
            Ok(other)
        }
        renamed => {
            renamed?;
            sync(folder(path))?;
            Ok(aside)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_has_its_mode() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("state");
        for (text, mode) in [("one", SHARED), ("two", PRIVATE)] {
            write(&path, text.as_bytes(), mode).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("read"), text);
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, mode);
        }
        let mut draft = Draft::create(&path, PRIVATE).expect("a draft");
        draft.file().write_all(b"three").expect("written");
        assert_eq!(draft.publish_new().expect_err("it is there").kind(), io::ErrorKind::AlreadyExists);
        drop(Draft::create(&path, PRIVATE).expect("a draft"));
        assert_eq!(names(dir.path()), ["state"], "nothing stays of a draft");
    }

    #[test]
    fn a_file_that_others_could_read_is_closed_to_them() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let (new, old) = (dir.path().join("new"), dir.path().join("old"));
        write(&old, b"text", SHARED).expect("written");
        for path in [&new, &old] {
            claim_private(path).expect("claimed");
            assert_eq!(mode(path), PRIVATE);
        }
        assert_eq!(fs::read_to_string(old).expect("read"), "text");
    }

    #[test]
    fn a_state_that_cannot_be_used_is_the_default_and_kept_for_whoever_wants_to_look() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("state.json");
        let read = || read_state::<Vec<u32>>(&path, "all is forgotten");
        assert_eq!(read(), Vec::<u32>::new());
        write(&path, b"[1, 2]", PRIVATE).expect("written");
        assert_eq!(read(), [1, 2]);
        for wrong in [&b""[..], b"[1, ", b"\0\0\0\0", b"{}", &[0xff; 64]] {
            fs::write(&path, wrong).expect("written");
            assert_eq!(read(), Vec::<u32>::new());
            assert_eq!(names(dir.path()), ["state.json.damaged"]);
        }
        fs::write(&path, vec![b' '; STATE_BYTES_MAX as usize + 1]).expect("written");
        assert_eq!(read(), Vec::<u32>::new());
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("a folder in its place");
        assert_eq!(read(), Vec::<u32>::new());
    }

    #[test]
    fn folders_are_made_and_what_is_in_their_place_gives_way() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a/b/c");
        create_folders(&path).expect("made");
        create_folders(&path).expect("there already");
        let taken = dir.path().join("taken");
        fs::write(&taken, "a file").expect("written");
        assert!(create_folders(&taken).is_err());
        claim_folder(&taken).expect("made");
        assert!(taken.is_dir() && dir.path().join("taken.damaged").is_file());
    }

    #[test]
    fn a_move_between_folders_that_was_cut_in_half_is_finished() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (from, to) = (dir.path().join("file"), dir.path().join("there/file"));
        fs::create_dir(dir.path().join("there")).expect("a folder");
        fs::write(&from, "content").expect("written");
        fs::hard_link(&from, &to).expect("the first half");
        assert!(is_same_file(&from, &to));
        move_between_folders(&from, &to).expect("moved");
        assert_eq!((from.exists(), fs::read_to_string(&to).ok().as_deref()), (false, Some("content")));
        fs::write(&from, "other").expect("written");
        assert!(move_between_folders(&from, &to).is_err(), "another file is not overwritten");
    }
}
