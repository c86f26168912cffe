//! The watched folders.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use notify::Watcher;

use super::pending::{Candidate, Pending};
use crate::domain::FileStamp;

/// How folders are watched.
#[derive(Clone, Debug)]
pub struct Params {
    /// Watched with everything below them.
    pub roots: Vec<PathBuf>,
    pub rescan: Duration,
    /// A file is offered when it has not changed for this long.
    pub settle: Duration,
}

/// The longest sleep: whoever watches over the intake hears of it this often.
const BEAT: Duration = Duration::from_secs(5);
/// Levels of folders below a root that are looked into.
const DEPTH_MAX: usize = 16;

/// The watched folders as a source of files at rest.
pub struct Intake {
    params: Params,
    inbox: mpsc::Receiver<Message>,
    sender: mpsc::Sender<Message>,
    watcher: Option<notify::RecommendedWatcher>,
    watched: HashSet<PathBuf>,
    absent: HashSet<PathBuf>,
    pending: Pending,
    ready: VecDeque<Candidate>,
    /// The paths in `ready`.
    offered: HashSet<PathBuf>,
    /// Files that need no further look while they keep this stamp.
    done: HashMap<PathBuf, FileStamp>,
    next_rescan: Instant,
    beat: Box<dyn Fn() + Send>,
}

/// Ends the waiting of an [`Intake`] from another thread.
#[derive(Clone, Debug)]
pub struct IntakeStop(mpsc::Sender<Message>);

#[derive(Debug)]
enum Message {
    Changed(PathBuf),
    /// Changes were lost or cannot be told apart.
    Rescan,
    /// Files that were finished may not be any more.
    LookAgain,
    Stop,
}

impl IntakeStop {
    pub fn stop(&self) {
        // An intake that is gone needs no stop.
        let _ = self.0.send(Message::Stop);
    }
}

/// Has an [`Intake`] ask about all files again, from another thread.
#[derive(Clone, Debug)]
pub struct LookAgain(mpsc::Sender<Message>);

impl LookAgain {
    pub fn look_again(&self) {
        // An intake that is gone has nothing to look at.
        let _ = self.0.send(Message::LookAgain);
    }
}

impl Intake {
    /// Starts to watch. A folder that is not there yet is watched as soon as it appears.
    pub fn new(params: Params) -> Self {
        let (sender, inbox) = mpsc::channel();
        let watcher = start_watcher(sender.clone());
        Intake {
            params,
            inbox,
            sender,
            watcher,
            watched: HashSet::new(),
            absent: HashSet::new(),
            pending: Pending::default(),
            ready: VecDeque::new(),
            offered: HashSet::new(),
            done: HashMap::new(),
            next_rescan: Instant::now(),
            beat: Box::new(|| ()),
        }
    }

    /// Has `beat` called for every file that is asked for, and every few seconds while none comes.
    pub fn on_beat(&mut self, beat: impl Fn() + Send + 'static) {
        self.beat = Box::new(beat);
    }

    pub fn stopper(&self) -> IntakeStop {
        IntakeStop(self.sender.clone())
    }

    pub fn look_again(&self) -> LookAgain {
        LookAgain(self.sender.clone())
    }

    /// Waits for the next file at rest. `is_done` is asked once about every file that was not seen before with its
    /// stamp. `None` after a stop.
    pub fn next(&mut self, is_done: impl Fn(&Path, &FileStamp) -> bool) -> Option<Candidate> {
        loop {
            (self.beat)();
            let now = Instant::now();
            if self.next_rescan <= now {
                self.next_rescan = now + self.params.rescan;
                self.rescan(&is_done);
            }
            for candidate in self.pending.take_due(now) {
                self.offer(candidate);
            }
            if !self.receive(self.idle_time(now), &is_done) {
                return None;
            }
            if let Some(candidate) = self.ready.pop_front() {
                self.offered.remove(&candidate.path);
                return Some(candidate);
            }
        }
    }

    /// Notes that a file needs no further look while it keeps its stamp.
    pub fn finished(&mut self, candidate: &Candidate) {
        self.done.insert(candidate.path.clone(), candidate.stamp.clone());
    }

    /// Takes back a file that turned out to be incomplete; it is offered again after `pause` or when it changes.
    pub fn put_back(&mut self, candidate: &Candidate, pause: Duration) {
        self.pending.put_back(candidate, Instant::now(), pause);
    }

    /// How long there is nothing to do unless a message comes.
    fn idle_time(&self, now: Instant) -> Duration {
        if !self.ready.is_empty() {
            return Duration::ZERO;
        }
        let next = self.pending.next_due().map_or(self.next_rescan, |due| due.min(self.next_rescan));
        next.saturating_duration_since(now).min(BEAT)
    }

    /// Waits for a message and handles all that are there; `false` after a stop.
    fn receive(&mut self, mut wait: Duration, is_done: &impl Fn(&Path, &FileStamp) -> bool) -> bool {
        while let Ok(message) = self.inbox.recv_timeout(wait) {
            match message {
                Message::Changed(path) => self.look(&path, DEPTH_MAX, is_done),
                Message::Rescan => self.next_rescan = Instant::now(),
                Message::LookAgain => {
                    self.done.clear();
                    self.next_rescan = Instant::now();
                }
                Message::Stop => return false,
            }
            wait = Duration::ZERO;
        }
        true
    }

    /// A file that changed since it was seen starts again; one that vanished is forgotten.
    fn offer(&mut self, candidate: Candidate) {
        match fs::metadata(&candidate.path) {
            Ok(metadata) if stamp(&metadata) == candidate.stamp => {
                self.offered.insert(candidate.path.clone());
                self.ready.push_back(candidate);
            }
            Ok(metadata) => {
                self.pending.see(&candidate.path, stamp(&metadata), Instant::now(), self.params.settle);
            }
            Err(error) => debug!("{}: {error}", candidate.path.display()),
        }
    }

    fn rescan(&mut self, is_done: &impl Fn(&Path, &FileStamp) -> bool) {
        for root in self.params.roots.clone() {
            if root.is_dir() {
                self.watch(&root);
                self.look(&root, DEPTH_MAX, is_done);
            } else {
                self.watched.remove(&root);
                if self.absent.insert(root.clone()) {
                    warn!("{}: no such folder; it will be watched when it appears", root.display());
                }
            }
        }
    }

    fn watch(&mut self, root: &Path) {
        self.absent.remove(root);
        let Some(watcher) = &mut self.watcher else { return };
        if !self.watched.insert(root.to_owned()) {
            return;
        }
        match watcher.watch(root, notify::RecursiveMode::Recursive) {
            Ok(()) => info!("watching {}", root.display()),
            Err(error) => warn!("{}: {error}; relying on the rescan every {:?}", root.display(), self.params.rescan),
        }
    }

    fn look(&mut self, path: &Path, depth: usize, is_done: &impl Fn(&Path, &FileStamp) -> bool) {
        let is_root = self.params.roots.iter().any(|root| root == path);
        if is_hidden(path) && !is_root {
            return;
        }
        match fs::metadata(path) {
            // A link to a folder may lead in a circle.
            Ok(metadata) if metadata.is_dir() && (is_root || !path.is_symlink()) => {
                self.look_into(path, depth, is_done);
            }
            Ok(metadata) if metadata.is_file() => self.look_at(path, stamp(&metadata), is_done),
            Ok(_) => (),
            Err(error) => debug!("{}: {error}", path.display()),
        }
    }

    fn look_into(&mut self, dir: &Path, depth: usize, is_done: &impl Fn(&Path, &FileStamp) -> bool) {
        if depth == 0 {
            warn!("{}: deeper than {DEPTH_MAX} folders, not looked into", dir.display());
            return;
        }
        match fs::read_dir(dir) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    self.look(&entry.path(), depth - 1, is_done);
                }
            }
            Err(error) => warn!("{}: {error}", dir.display()),
        }
    }

    fn look_at(&mut self, path: &Path, stamp: FileStamp, is_done: &impl Fn(&Path, &FileStamp) -> bool) {
        if self.done.get(path) == Some(&stamp) || self.offered.contains(path) {
            return;
        }
        if is_done(path, &stamp) {
            self.done.insert(path.to_owned(), stamp);
        } else {
            self.pending.see(path, stamp, Instant::now(), self.params.settle);
        }
    }
}

fn start_watcher(sender: mpsc::Sender<Message>) -> Option<notify::RecommendedWatcher> {
    let forward = move |event: notify::Result<notify::Event>| {
        let messages: Vec<Message> = match event {
            Ok(event) if event.need_rescan() => vec![Message::Rescan],
            Ok(event) if event.kind.is_access() || event.kind.is_remove() => vec![],
            Ok(event) => event.paths.into_iter().map(Message::Changed).collect(),
            Err(_) => vec![Message::Rescan],
        };
        for message in messages {
            // The intake is gone: the program is stopping.
            let _ = sender.send(message);
        }
    };
    match notify::recommended_watcher(forward) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            warn!("no change notifications ({error}); relying on the periodic rescan");
            None
        }
    }
}

/// Hidden files, and the usual names of files that a program is still writing.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || [".tmp", ".part", ".crdownload"].iter().any(|suffix| name.ends_with(suffix))
}

fn stamp(metadata: &Metadata) -> FileStamp {
    let modified_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    FileStamp { bytes: metadata.len(), modified_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake(root: &Path) -> Intake {
        let params = Params {
            roots: vec![root.to_owned()],
            rescan: Duration::from_millis(50),
            settle: Duration::from_millis(20),
        };
        Intake::new(params)
    }

    #[test]
    fn finds_old_and_new_files_below_the_root_once() {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(dir.path().join("DCIM")).expect("folder");
        fs::write(dir.path().join("DCIM/old.jpg"), "1").expect("write");
        fs::write(dir.path().join(".hidden.jpg"), "1").expect("write");
        fs::write(dir.path().join("copy.jpg.part"), "1").expect("write");
        std::os::unix::fs::symlink(dir.path(), dir.path().join("circle")).expect("a link");
        let mut intake = intake(dir.path());
        let first = intake.next(|_, _| false).expect("a file");
        assert_eq!(first.path, dir.path().join("DCIM/old.jpg"));
        intake.finished(&first);
        fs::write(dir.path().join("new.jpg"), "1").expect("write");
        let second = intake.next(|_, _| false).expect("a file");
        assert_eq!(second.path, dir.path().join("new.jpg"));
        intake.finished(&second);
        intake.stopper().stop();
        assert_eq!(intake.next(|_, _| false), None);
    }

    #[test]
    fn a_changed_file_is_offered_again() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("photo.jpg");
        fs::write(&path, "1").expect("write");
        let mut intake = intake(dir.path());
        let first = intake.next(|_, _| false).expect("a file");
        intake.finished(&first);
        fs::write(&path, "longer").expect("write");
        assert_eq!(intake.next(|_, _| false).expect("the file").stamp.bytes, 6);
    }

    #[test]
    fn a_finished_file_is_offered_again_when_its_result_was_lost() {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join("photo.jpg"), "1").expect("write");
        let mut intake = intake(dir.path());
        let first = intake.next(|_, _| false).expect("a file");
        intake.finished(&first);
        intake.look_again().look_again();
        assert_eq!(intake.next(|_, _| false).expect("the file").path, first.path);
    }

    #[test]
    fn files_that_are_done_are_not_offered() {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join("done.jpg"), "1").expect("write");
        fs::write(dir.path().join("open.jpg"), "1").expect("write");
        let mut intake = intake(dir.path());
        let next = intake.next(|path, _| path.ends_with("done.jpg")).expect("a file");
        assert_eq!(next.path, dir.path().join("open.jpg"));
    }
}
