//! Files that have been seen and may still be growing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::domain::FileStamp;
use crate::position::Origin;

/// One moment on both clocks, read together: a later step of the wall clock does not change what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub instant: Instant,
    pub wall: Timestamp,
}

impl Moment {
    /// Reads both clocks.
    pub fn now() -> Self {
        Moment { instant: Instant::now(), wall: Timestamp::now() }
    }
}

/// A file at rest, ready to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub path: PathBuf,
    /// Stamp that the file had when it was offered.
    pub stamp: FileStamp,
    /// When the file was first seen with this stamp.
    pub seen: Instant,
    /// What the wall clock showed at `seen`. The file's modification time is by this clock, as it was set then.
    pub seen_wall: Timestamp,
    /// Time from `seen` until the file was offered.
    pub unchanged: Duration,
    pub origin: Origin,
}

/// The files that wait, each with its stamp and the moment when it was first seen with that stamp.
#[derive(Debug, Default)]
pub struct Pending {
    files: HashMap<PathBuf, Seen>,
}

#[derive(Debug)]
struct Seen {
    stamp: FileStamp,
    origin: Origin,
    since: Moment,
    /// Moment before which the file is not offered.
    due: Instant,
}

impl Seen {
    fn candidate(self, path: PathBuf, now: Instant) -> Candidate {
        let Seen { stamp, origin, since: Moment { instant: seen, wall: seen_wall }, .. } = self;
        Candidate { path, stamp, seen, seen_wall, unchanged: now.saturating_duration_since(seen), origin }
    }
}

impl Pending {
    /// Records that a file was seen at `now`. A new file, or one with a changed stamp, becomes due after `settle`. A
    /// file that is seen again with the same stamp keeps the moment when it was first seen.
    pub fn see(&mut self, path: &Path, stamp: FileStamp, origin: Origin, now: Moment, settle: Duration) {
        match self.files.get(path) {
            Some(seen) if seen.stamp == stamp => (),
            _ => {
                let seen = Seen { stamp, origin, since: now, due: now.instant + settle };
                self.files.insert(path.to_owned(), seen);
            }
        }
    }

    /// Puts back a file that was offered too early. It is due again after `pause`, or after a change.
    pub fn put_back(&mut self, candidate: &Candidate, now: Instant, pause: Duration) {
        let &Candidate { seen: instant, seen_wall: wall, origin, .. } = candidate;
        let since = Moment { instant, wall };
        let seen = Seen { stamp: candidate.stamp.clone(), origin, since, due: now + pause };
        self.files.insert(candidate.path.clone(), seen);
    }

    /// Removes a file and returns it, whether or not it is due.
    pub fn take(&mut self, path: &Path, now: Instant) -> Option<Candidate> {
        let (path, seen) = self.files.remove_entry(path)?;
        Some(seen.candidate(path, now))
    }

    /// Removes the files that are due and returns them. While other files are still arriving, due files wait for at
    /// most one more `settle`, so that files dropped together can be put in order.
    pub fn take_due(&mut self, now: Instant, settle: Duration) -> Vec<Candidate> {
        let arriving = self.files.values().any(|seen| seen.due > now && seen.since.instant + settle > now);
        let wait = if arriving { settle } else { Duration::ZERO };
        let due = self.files.extract_if(|_, seen| seen.due + wait <= now);
        due.map(|(path, seen)| seen.candidate(path, now)).collect()
    }

    /// Returns when [`Pending::take_due`] should be called next if nothing changes until then.
    pub fn next_due(&self, now: Instant, settle: Duration) -> Option<Instant> {
        self.files.values().map(|seen| if seen.due > now { seen.due } else { seen.due + settle }).min()
    }

    /// Number of files that wait.
    pub fn len(&self) -> usize {
        self.files.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(1);

    fn stamp(bytes: u64) -> FileStamp {
        FileStamp { bytes, modified_ns: 0 }
    }

    /// Returns a moment with a wall clock that agrees.
    fn at(instant: Instant) -> Moment {
        Moment { instant, wall: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn a_growing_file_waits_until_it_rests() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        pending.see(Path::new("a"), stamp(1), Origin::Watched, at(start), SETTLE);
        pending.see(Path::new("a"), stamp(2), Origin::Watched, at(start + SETTLE / 2), SETTLE);
        assert!(pending.take_due(start + SETTLE, SETTLE).is_empty());
        assert_eq!(pending.next_due(start + SETTLE, SETTLE), Some(start + SETTLE * 3 / 2));
        let due = pending.take_due(start + SETTLE * 2, SETTLE);
        assert_eq!((due[0].stamp.bytes, due[0].unchanged), (2, SETTLE * 3 / 2));
        assert_eq!(pending.next_due(start, SETTLE), None);
    }

    #[test]
    fn files_that_arrive_together_are_offered_together() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        pending.see(Path::new("a"), stamp(1), Origin::Watched, at(start), SETTLE);
        pending.see(Path::new("b"), stamp(1), Origin::Watched, at(start + SETTLE / 2), SETTLE);
        assert!(pending.take_due(start + SETTLE, SETTLE).is_empty(), "b is still arriving");
        assert_eq!(pending.take_due(start + SETTLE * 3 / 2, SETTLE).len(), 2);
    }

    #[test]
    fn a_stream_of_files_holds_none_back_for_long() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        pending.see(Path::new("a"), stamp(1), Origin::Watched, at(start), SETTLE);
        pending.see(Path::new("b"), stamp(1), Origin::Watched, at(start + SETTLE * 3 / 2), SETTLE);
        let next = pending.next_due(start + SETTLE * 3 / 2, SETTLE).expect("a moment");
        assert_eq!(next, start + SETTLE * 2);
        assert_eq!(pending.take_due(next, SETTLE)[0].path, Path::new("a"));
    }

    #[test]
    fn a_file_put_back_keeps_its_age() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        pending.see(Path::new("a"), stamp(1), Origin::Watched, at(start), SETTLE);
        let candidate = pending.take_due(start + SETTLE, SETTLE).remove(0);
        pending.put_back(&candidate, start + SETTLE, SETTLE);
        pending.see(Path::new("a"), stamp(1), Origin::Watched, at(start + SETTLE), SETTLE);
        assert!(pending.take_due(start + SETTLE * 3 / 2, SETTLE).is_empty());
        assert_eq!(pending.take_due(start + SETTLE * 2, SETTLE)[0].unchanged, SETTLE * 2);
    }

    #[test]
    fn a_file_keeps_the_wall_clock_of_its_first_sight_when_that_clock_steps() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        let wall = |seconds| Timestamp::from_second(seconds).expect("a moment");
        let step = |after: u32, seconds| Moment { instant: start + SETTLE * after, wall: wall(seconds) };
        pending.see(Path::new("a"), stamp(1), Origin::Watched, step(0, 1_000), SETTLE);
        pending.see(Path::new("a"), stamp(1), Origin::Watched, step(1, 4_601), SETTLE);
        let candidate = pending.take_due(start + SETTLE, SETTLE).remove(0);
        assert_eq!((candidate.seen, candidate.seen_wall), (start, wall(1_000)), "a rescan sees it again");
        pending.put_back(&candidate, start + SETTLE, SETTLE);
        pending.see(Path::new("a"), stamp(1), Origin::Watched, step(2, 4_602), SETTLE);
        let candidate = pending.take(Path::new("a"), start + SETTLE * 2).expect("it waits");
        assert_eq!((candidate.seen_wall, candidate.unchanged), (wall(1_000), SETTLE * 2), "put back");
        pending.put_back(&candidate, start + SETTLE * 2, SETTLE);
        pending.see(Path::new("a"), stamp(2), Origin::Watched, step(3, 4_603), SETTLE);
        let changed = pending.take(Path::new("a"), start + SETTLE * 3).expect("it waits");
        assert_eq!((changed.seen, changed.seen_wall), (start + SETTLE * 3, wall(4_603)), "another state");
    }

    #[test]
    fn a_file_keeps_its_origin() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        pending.see(Path::new("a"), stamp(1), Origin::Uploaded, at(start), SETTLE);
        let candidate = pending.take(Path::new("a"), start).expect("it waits");
        pending.put_back(&candidate, start, SETTLE);
        assert_eq!(pending.take_due(start + SETTLE, SETTLE)[0].origin, Origin::Uploaded);
    }
}
