//! Second place for the numbers that never go back, for a `device.db` that lost its last commits.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use log::warn;

/// Name of the file beside the database.
const FILE_NAME: &str = "sequence";

/// Last number of each kind that this device gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Sequence number of an event.
    pub sequence: i64,
    /// Counter of a command that was carried out.
    pub command: u64,
    /// Id of a tag.
    pub tag: i64,
    /// Id of an inspector's judgement.
    pub judgement: i64,
}

impl Numbers {
    fn max(self, other: Numbers) -> Self {
        Numbers {
            sequence: self.sequence.max(other.sequence),
            command: self.command.max(other.command),
            tag: self.tag.max(other.tag),
            judgement: self.judgement.max(other.judgement),
        }
    }
}

/// File with the last numbers. It is written after every commit that changes one, and never synced: it costs the card
/// nothing, and outlives the process. After a power cut it may lag, but the database is then the newer of the two.
#[derive(Debug)]
pub struct NumbersFile {
    file: Option<File>,
    last: Numbers,
}

impl NumbersFile {
    /// Opens or creates the file in a data folder. If that fails, the numbers are in the database alone.
    pub fn open(dir: &Path) -> Self {
        let path = dir.join(FILE_NAME);
        match File::options().read(true).write(true).create(true).truncate(false).open(&path) {
            Ok(file) => NumbersFile { last: read_or_say(&file, &path), file: Some(file) },
            Err(error) => {
                warn!("{}: {error}; the last numbers are kept in the database only", path.display());
                NumbersFile { file: None, last: Numbers::default() }
            }
        }
    }

    /// Returns a stand-in without a file, for a process that gives no numbers.
    pub fn none() -> Self {
        NumbersFile { file: None, last: Numbers::default() }
    }

    /// Returns the last numbers that were read or noted.
    pub fn last(&self) -> Numbers {
        self.last
    }

    /// Notes numbers that are durable in the database.
    pub fn note(&mut self, numbers: Numbers) {
        let last = self.last.max(numbers);
        if last == self.last {
            return;
        }
        self.last = last;
        // This is the second place: a number that cannot be written here is still in the first.
        let _ = self.file.as_ref().map(|file| file.write_all_at(line(last).as_bytes(), 0));
    }
}

/// Number of digits of each number. The length is fixed, so that a new line covers the old one.
const DIGITS: usize = 20;
/// Length of the line: four numbers, a checksum of eight digits, and the separators.
const LINE_BYTES: usize = 4 * (DIGITS + 1) + 8 + 1;

fn line(numbers: Numbers) -> String {
    let Numbers { sequence, command, tag, judgement } = numbers;
    let digits = format!("{sequence:020} {command:020} {tag:020} {judgement:020}");
    format!("{digits} {:08x}\n", crc32fast::hash(digits.as_bytes()))
}

fn read_or_say(file: &File, path: &Path) -> Numbers {
    let is_new = file.metadata().is_ok_and(|metadata| metadata.len() == 0);
    read(file).unwrap_or_else(|| {
        if !is_new {
            warn!("{}: damaged; the last numbers are those of device.db", path.display());
        }
        Numbers::default()
    })
}

fn read(file: &File) -> Option<Numbers> {
    let mut text = [0; LINE_BYTES];
    file.read_exact_at(&mut text, 0).ok()?;
    let mut parts = std::str::from_utf8(&text).ok()?.split(' ');
    let numbers = Numbers {
        sequence: parts.next()?.parse().ok()?,
        command: parts.next()?.parse().ok()?,
        tag: parts.next()?.parse().ok()?,
        judgement: parts.next()?.parse().ok()?,
    };
    (line(numbers).as_bytes() == text).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_numbers_are_read_back_and_damage_is_nothing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(NumbersFile::open(dir.path()).last(), Numbers::default());
        let mut file = NumbersFile::open(dir.path());
        for sequence in [7, 123_456_789, 5] {
            file.note(Numbers { sequence, command: 9, tag: 3, judgement: 1 });
        }
        file.note(Numbers { command: 8, tag: 4, ..Numbers::default() });
        let last = Numbers { sequence: 123_456_789, command: 9, tag: 4, judgement: 1 };
        assert_eq!(NumbersFile::open(dir.path()).last(), last);
        let path = dir.path().join(FILE_NAME);
        let text = std::fs::read_to_string(&path).expect("text");
        for wrong in [text.replace('9', "8"), String::new(), text[..40].to_owned(), "x".repeat(200)] {
            std::fs::write(&path, wrong).expect("a flip");
            assert_eq!(NumbersFile::open(dir.path()).last(), Numbers::default());
        }
    }
}
