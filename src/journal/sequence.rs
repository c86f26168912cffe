//! A second place for the last sequence number, so that it does not go back when `device.db` lost its last commits.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use log::warn;

/// The file beside the database.
const FILE_NAME: &str = "sequence";

/// Written after every commit and never synced: it costs the card nothing, and outlives the process. After a power cut
/// it may lag, but then the database is the newer of the two.
#[derive(Debug)]
pub struct SequenceFile {
    file: Option<File>,
    last: i64,
}

impl SequenceFile {
    /// Opens or creates it; without it the database alone knows.
    pub fn open(dir: &Path) -> Self {
        let path = dir.join(FILE_NAME);
        match File::options().read(true).write(true).create(true).truncate(false).open(&path) {
            Ok(file) => SequenceFile { last: read(&file).unwrap_or(0), file: Some(file) },
            Err(error) => {
                warn!("{}: {error}; the last sequence number is kept in the database only", path.display());
                SequenceFile { file: None, last: 0 }
            }
        }
    }

    /// Of a process that makes no events.
    pub fn none() -> Self {
        SequenceFile { file: None, last: 0 }
    }

    pub fn last(&self) -> i64 {
        self.last
    }

    /// Notes a number that is durable in the database.
    pub fn note(&mut self, sequence: i64) {
        if sequence <= self.last {
            return;
        }
        self.last = sequence;
        let text = line(sequence);
        // It is the second place. What cannot be written here is in the first.
        let _ = self.file.as_ref().map(|file| file.write_all_at(text.as_bytes(), 0));
    }
}

/// Of a fixed length, so that a new number covers the old one.
fn line(sequence: i64) -> String {
    format!("{sequence:020} {:08x}\n", crc32fast::hash(&sequence.to_le_bytes()))
}

fn read(file: &File) -> Option<i64> {
    let mut text = [0; 30];
    file.read_exact_at(&mut text, 0).ok()?;
    let sequence = std::str::from_utf8(&text).ok()?.split(' ').next()?.parse().ok()?;
    (line(sequence).as_bytes() == text).then_some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_number_is_read_back_and_damage_is_nothing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(SequenceFile::open(dir.path()).last(), 0);
        let mut file = SequenceFile::open(dir.path());
        for number in [7, 123_456_789, 5] {
            file.note(number);
        }
        assert_eq!(SequenceFile::open(dir.path()).last(), 123_456_789);
        let path = dir.path().join(FILE_NAME);
        let text = std::fs::read_to_string(&path).expect("text");
        std::fs::write(&path, text.replace('9', "8")).expect("a flip");
        assert_eq!(SequenceFile::open(dir.path()).last(), 0);
    }
}
