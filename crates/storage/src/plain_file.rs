//! Opens files that come from outside, where a path may name anything.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading. Named pipes, which would wait for a writer, devices, sockets and folders are
/// refused with [`io::ErrorKind::InvalidInput`] without being read.
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    // Opening a named pipe would otherwise wait for a writer.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn nothing_but_a_plain_file_is_opened_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("file");
        std::fs::write(&path, "text").expect("written");
        let mut text = String::new();
        open(&path).and_then(|mut file| file.read_to_string(&mut text)).expect("read");
        assert_eq!(text, "text");
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        let _socket = UnixListener::bind(dir.path().join("socket")).expect("a socket");
        for wrong in [&pipe, &dir.path().join("socket"), dir.path(), Path::new("/dev/zero")] {
            assert!(open(wrong).is_err(), "{}", wrong.display());
        }
        assert_eq!(open(dir.path().join("none")).expect_err("none").kind(), io::ErrorKind::NotFound);
    }
}
