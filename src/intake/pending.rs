//! Files that were seen and may still be growing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::domain::FileStamp;

/// A file at rest, ready to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub path: PathBuf,
    pub stamp: FileStamp,
    /// When it was first seen with this stamp.
    pub seen: Instant,
    /// How long ago that was when it was offered.
    pub unchanged: Duration,
}

/// The files that wait, with the stamp and the moment at which they were first seen with it.
#[derive(Debug, Default)]
pub struct Pending {
    files: HashMap<PathBuf, Seen>,
}

#[derive(Debug)]
struct Seen {
    stamp: FileStamp,
    since: Instant,
    /// Not offered before this moment.
    due: Instant,
}

impl Pending {
    /// Notes a look at a file. A changed stamp starts its time of rest anew.
    pub fn see(&mut self, path: &Path, stamp: FileStamp, now: Instant, settle: Duration) {
        match self.files.get(path) {
            Some(seen) if seen.stamp == stamp => (),
            _ => {
                let seen = Seen { stamp, since: now, due: now + settle };
                self.files.insert(path.to_owned(), seen);
            }
        }
    }

    /// Puts a file that was offered too early back, to be offered again after `pause` or when it changes.
    pub fn put_back(&mut self, candidate: &Candidate, now: Instant, pause: Duration) {
        let seen = Seen { stamp: candidate.stamp.clone(), since: candidate.seen, due: now + pause };
        self.files.insert(candidate.path.clone(), seen);
    }

    /// Takes out the files that are due, in the order in which they were last written.
    pub fn take_due(&mut self, now: Instant) -> Vec<Candidate> {
        let due = self.files.extract_if(|_, seen| seen.due <= now);
        let candidate =
            |(path, Seen { stamp, since, .. })| Candidate { path, stamp, seen: since, unchanged: now - since };
        let mut due: Vec<Candidate> = due.map(candidate).collect();
        due.sort_by(|a, b| (a.stamp.modified_ns, &a.path).cmp(&(b.stamp.modified_ns, &b.path)));
        due
    }

    /// When the next file will be due.
    pub fn next_due(&self) -> Option<Instant> {
        self.files.values().map(|seen| seen.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(1);

    fn stamp(bytes: u64, modified_ns: i64) -> FileStamp {
        FileStamp { bytes, modified_ns }
    }

    fn names(due: &[Candidate]) -> Vec<&str> {
        due.iter().map(|candidate| candidate.path.to_str().unwrap()).collect()
    }

    #[test]
    fn a_growing_file_waits_until_it_rests() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        pending.see(Path::new("a"), stamp(1, 0), start, SETTLE);
        pending.see(Path::new("a"), stamp(2, 0), start + SETTLE / 2, SETTLE);
        assert!(pending.take_due(start + SETTLE).is_empty());
        assert_eq!(pending.next_due(), Some(start + SETTLE * 3 / 2));
        let due = pending.take_due(start + SETTLE * 2);
        assert_eq!((due[0].stamp.bytes, due[0].unchanged), (2, SETTLE * 3 / 2));
        assert_eq!(pending.next_due(), None);
    }

    #[test]
    fn files_come_in_the_order_of_writing() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        for (name, modified) in [("c", 1), ("a", 2), ("b", 1)] {
            pending.see(Path::new(name), stamp(1, modified), start, Duration::ZERO);
        }
        assert_eq!(names(&pending.take_due(start)), ["b", "c", "a"]);
    }

    #[test]
    fn a_file_put_back_keeps_its_age() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        pending.see(Path::new("a"), stamp(1, 0), start, SETTLE);
        let candidate = pending.take_due(start + SETTLE).remove(0);
        pending.put_back(&candidate, start + SETTLE, SETTLE);
        pending.see(Path::new("a"), stamp(1, 0), start + SETTLE, SETTLE);
        assert!(pending.take_due(start + SETTLE * 3 / 2).is_empty());
        assert_eq!(pending.take_due(start + SETTLE * 2)[0].unchanged, SETTLE * 2);
    }
}
