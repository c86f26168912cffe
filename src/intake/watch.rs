//! Watches folders for photo files, and hands out files at rest.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use log::{debug, info, warn};
use notify::Watcher;

use super::pending::{Candidate, Pending};
use super::settled::Settled;
use crate::domain::FileStamp;

/// Parameters for watching folders.
#[derive(Clone, Debug)]
pub struct Params {
    /// Roots: folders that are searched with everything below them, or single files. A root that is a link is followed;
    /// links below a root are not.
    pub roots: Vec<PathBuf>,
    /// The daemon's own folder, whose files are not photos. It is never searched, unless a root is inside it.
    pub own: Option<PathBuf>,
    /// Time between two rescans.
    pub rescan: Duration,
    /// Time without a change after which a file is offered.
    pub settle: Duration,
    /// Whether the roots are searched once and not watched. The intake then ends when every file that was there at the
    /// start has been offered.
    pub once: bool,
}

/// Source of what is known about files.
pub trait Records {
    /// Returns what to do with a file that was found.
    fn look(&self, path: &Path, stamp: &FileStamp) -> Look;

    /// Returns when the photo was taken. Files that are ready together are offered in this order.
    fn taken(&self, path: &Path, stamp: &FileStamp) -> Timestamp;
}

/// Decision on a file that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The file is new: it is offered once it is at rest.
    Offer,
    /// The file gave no result. The records are asked again at every rescan, because an operator may have told them to
    /// forget the failure.
    Failed,
    /// The file needs no further look while it keeps its stamp.
    Settled,
}

/// Longest sleep of the intake: the beat is called at least this often.
const BEAT: Duration = Duration::from_secs(5);
/// Number of levels of folders below a root that are searched.
const DEPTH_MAX: usize = 16;
/// Maximum number of links that the log names. On a card with more links, these suffice as examples.
const LINKS_MAX: usize = 100;

/// The watched folders as a source of files at rest.
pub struct Intake {
    params: Params,
    inbox: mpsc::Receiver<Message>,
    sender: mpsc::Sender<Message>,
    watcher: Option<Box<dyn Watcher + Send>>,
    watched: HashSet<PathBuf>,
    /// Roots that could not be watched, and that the log has named.
    unwatched: HashSet<PathBuf>,
    absent: HashSet<PathBuf>,
    /// Links that the log has named.
    links: HashSet<PathBuf>,
    pending: Pending,
    /// Files ready to be offered, by capture time and then by path, because cameras number their files.
    ready: BTreeMap<(Timestamp, PathBuf), Candidate>,
    /// The paths in `ready`.
    offered: HashSet<PathBuf>,
    settled: Settled,
    /// Moment of the next rescan. `None` if there will be none.
    next_rescan: Option<Instant>,
    /// Moment before which no file is handed out.
    rest_until: Instant,
    beat: Box<dyn Fn() + Send>,
}

/// Ends the waiting of an [`Intake`] from another thread.
#[derive(Clone, Debug)]
pub struct IntakeStop(mpsc::Sender<Message>);

#[derive(Debug)]
enum Message {
    Changed(PathBuf),
    /// Changes were lost or cannot be attributed to files.
    Rescan,
    /// A complete file is there; no program writes to it any more.
    Arrived(PathBuf),
    /// Files that were settled may need another look.
    LookAgain,
    Stop,
}

impl IntakeStop {
    /// Makes [`Intake::next`] return `None`.
    pub fn stop(&self) {
        // An intake that has ended needs no stop.
        let _ = self.0.send(Message::Stop);
    }
}

/// Makes an [`Intake`] ask the records about all files again, from another thread.
#[derive(Clone, Debug)]
pub struct LookAgain(mpsc::Sender<Message>);

impl LookAgain {
    /// Makes the intake forget which files are settled, and rescan.
    pub fn look_again(&self) {
        // An intake that has ended needs no rescan.
        let _ = self.0.send(Message::LookAgain);
    }
}

/// Hands complete files to an [`Intake`], from another thread.
#[derive(Clone, Debug)]
pub struct Arrivals(mpsc::Sender<Message>);

impl Arrivals {
    /// Offers a file without waiting for it to be at rest. The file should be below a watched folder, where the intake
    /// finds it after a restart.
    pub fn arrived(&self, path: PathBuf) {
        // An intake that has ended takes nothing; the next one finds the file.
        let _ = self.0.send(Message::Arrived(path));
    }
}

impl Intake {
    /// Starts watching. A folder that does not exist yet is watched as soon as it appears.
    pub fn new(params: Params) -> Self {
        let (sender, inbox) = mpsc::channel();
        let watcher = if params.once { None } else { start_watcher(sender.clone()) };
        Intake {
            params,
            inbox,
            sender,
            watcher,
            watched: HashSet::new(),
            unwatched: HashSet::new(),
            absent: HashSet::new(),
            links: HashSet::new(),
            pending: Pending::default(),
            ready: BTreeMap::new(),
            offered: HashSet::new(),
            settled: Settled::default(),
            next_rescan: Some(Instant::now()),
            rest_until: Instant::now(),
            beat: Box::new(|| ()),
        }
    }

    /// Sets the function that the intake calls before each file that it hands out, and every few seconds while there is
    /// none.
    pub fn on_beat(&mut self, beat: impl Fn() + Send + 'static) {
        self.beat = Box::new(beat);
    }

    /// Returns a handle that ends the waiting.
    pub fn stopper(&self) -> IntakeStop {
        IntakeStop(self.sender.clone())
    }

    /// Returns a handle that hands over complete files.
    pub fn arrivals(&self) -> Arrivals {
        Arrivals(self.sender.clone())
    }

    /// Returns a handle that makes the intake ask about all files again.
    pub fn look_again(&self) -> LookAgain {
        LookAgain(self.sender.clone())
    }

    /// Waits for the next file at rest. Before each call, the outcome of the previous file must be in the records, or
    /// that file must have been settled or put back. `None` after a stop, and when no further file can arrive.
    pub fn next(&mut self, records: &impl Records) -> Option<Candidate> {
        loop {
            (self.beat)();
            let now = Instant::now();
            if self.next_rescan.is_some_and(|at| at <= now) {
                self.next_rescan = (!self.params.once).then(|| now + self.params.rescan);
                self.rescan(now, records);
            }
            for candidate in self.pending.take_due(now, self.params.settle) {
                self.offer(candidate, now, records);
            }
            if !self.receive(self.idle_time(now)?, records) {
                return None;
            }
            if self.rests(Instant::now()) > Duration::ZERO {
                continue;
            }
            if let Some((_, candidate)) = self.ready.pop_first() {
                self.offered.remove(&candidate.path);
                return Some(candidate);
            }
        }
    }

    /// Number of files that were seen and that [`Intake::next`] has not returned.
    pub fn waiting(&self) -> usize {
        self.pending.len() + self.ready.len()
    }

    /// Records that a file needs no further look while it keeps its stamp.
    pub fn settle(&mut self, candidate: &Candidate) {
        self.settled.insert(&candidate.path, &candidate.stamp);
    }

    /// Takes back a file that turned out to be incomplete. It is offered again after `pause` or when it changes.
    pub fn put_back(&mut self, candidate: &Candidate, pause: Duration) {
        self.pending.put_back(candidate, Instant::now(), pause);
    }

    /// Hands out no file for `duration`. The folders are watched meanwhile.
    pub fn rest(&mut self, duration: Duration) {
        self.rest_until = Instant::now() + duration;
    }

    fn rests(&self, now: Instant) -> Duration {
        self.rest_until.saturating_duration_since(now)
    }

    /// Returns how long the intake can sleep unless a message arrives. `None` if there will never be anything to do.
    fn idle_time(&self, now: Instant) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(self.rests(now).min(BEAT));
        }
        let due = self.pending.next_due(now, self.params.settle);
        let next = due.into_iter().chain(self.next_rescan).min()?;
        Some(next.saturating_duration_since(now).min(BEAT))
    }

    /// Waits for a message and handles all that have arrived. Returns `false` after a stop.
    fn receive(&mut self, mut wait: Duration, records: &impl Records) -> bool {
        while let Ok(message) = self.inbox.recv_timeout(wait) {
            let now = Instant::now();
            match message {
                Message::Changed(path) => self.look_from_root(&path, now, records),
                Message::Rescan => self.next_rescan = Some(now),
                Message::Arrived(path) => self.take(&path, now, records),
                Message::LookAgain => {
                    self.settled.clear();
                    self.next_rescan = Some(now);
                }
                Message::Stop => return false,
            }
            wait = Duration::ZERO;
        }
        true
    }

    /// Offers a complete file at once.
    fn take(&mut self, path: &Path, now: Instant, records: &impl Records) {
        let stamp = match fs::metadata(path) {
            Ok(metadata) => stamp(&metadata),
            Err(error) => return debug!("{}: {error}", path.display()),
        };
        self.look_at(path, stamp, now, records);
        if let Some(candidate) = self.pending.take(path, now) {
            self.offer(candidate, now, records);
        }
    }

    /// Makes a file ready if it is unchanged. A file that changed since it was seen starts again; a file that vanished
    /// is forgotten.
    fn offer(&mut self, candidate: Candidate, now: Instant, records: &impl Records) {
        match fs::metadata(&candidate.path) {
            Ok(metadata) if stamp(&metadata) == candidate.stamp => {
                let taken = records.taken(&candidate.path, &candidate.stamp);
                self.offered.insert(candidate.path.clone());
                self.ready.insert((taken, candidate.path.clone()), candidate);
            }
            Ok(metadata) => self.pending.see(&candidate.path, stamp(&metadata), now, self.params.settle),
            Err(error) => debug!("{}: {error}", candidate.path.display()),
        }
    }

    /// Searches all roots. The files of one scan are seen at the same moment, so they are due together.
    fn rescan(&mut self, now: Instant, records: &impl Records) {
        for root in self.params.roots.clone() {
            if root.is_dir() {
                self.watch(&root);
            } else if !root.is_file() {
                self.watched.remove(&root);
                self.unwatched.remove(&root);
                if self.absent.insert(root.clone()) {
                    warn!("{}: no such folder; it will be watched when it appears", root.display());
                }
                continue;
            }
            self.look(&root, DEPTH_MAX, now, records);
        }
    }

    fn watch(&mut self, root: &Path) {
        self.absent.remove(root);
        let Some(watcher) = &mut self.watcher else { return };
        if self.watched.contains(root) {
            return;
        }
        match watcher.watch(root, notify::RecursiveMode::Recursive) {
            Ok(()) => {
                info!("watching {}", root.display());
                self.watched.insert(root.to_owned());
                self.unwatched.remove(root);
            }
            // The next rescan tries again: a limit may have been raised, or other programs may watch less by then.
            Err(error) if self.unwatched.insert(root.to_owned()) => {
                warn!("{}: {error}; relying on the rescan every {:?}", root.display(), self.params.rescan);
            }
            Err(error) => debug!("{}: still not watched: {error}", root.display()),
        }
    }

    /// Looks at a path that a notification names, under the same rules that a rescan applies on the way to it.
    fn look_from_root(&mut self, path: &Path, now: Instant, records: &impl Records) {
        let Some(root) = self.params.roots.iter().find(|root| path.starts_with(root)).cloned() else { return };
        let below = path.strip_prefix(&root).unwrap_or(Path::new(""));
        let folders: Vec<PathBuf> = below.ancestors().skip(1).map(|folder| root.join(folder)).collect();
        let passes = |folder: &PathBuf| *folder == root || !(is_hidden(folder) || folder.is_symlink());
        if folders.iter().all(passes) && !folders.iter().any(|folder| self.is_own(folder)) {
            self.look(path, DEPTH_MAX.saturating_sub(folders.len()), now, records);
        }
    }

    /// Reports whether a path is the daemon's own folder.
    fn is_own(&self, path: &Path) -> bool {
        self.params.own.as_ref().is_some_and(|own| is_same(own, path))
    }

    fn look(&mut self, path: &Path, depth: usize, now: Instant, records: &impl Records) {
        let is_root = self.params.roots.iter().any(|root| root == path);
        if is_hidden(path) && !is_root {
            return;
        }
        // A link below a root may lead in a circle, or to files that are not meant to be searched.
        let metadata = if is_root { fs::metadata(path) } else { fs::symlink_metadata(path) };
        match metadata {
            Ok(metadata) if metadata.is_symlink() => self.pass_over(path),
            Ok(metadata) if metadata.is_dir() && self.is_own(path) => {
                debug!("{}: the daemon's own folder, not looked into", path.display());
            }
            Ok(metadata) if metadata.is_dir() => self.look_into(path, depth, now, records),
            Ok(metadata) if metadata.is_file() => self.look_at(path, stamp(&metadata), now, records),
            Ok(_) => (),
            Err(error) => debug!("{}: {error}", path.display()),
        }
    }

    /// Logs once that a link is not followed.
    fn pass_over(&mut self, link: &Path) {
        if self.links.len() < LINKS_MAX && self.links.insert(link.to_owned()) {
            warn!(
                "{}: a link, not followed; name where it leads in [intake] folders to have that watched",
                link.display()
            );
        }
    }

    fn look_into(&mut self, dir: &Path, depth: usize, now: Instant, records: &impl Records) {
        if depth == 0 {
            warn!("{}: deeper than {DEPTH_MAX} folders, not looked into", dir.display());
            return;
        }
        match fs::read_dir(dir) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    self.look(&entry.path(), depth - 1, now, records);
                }
            }
            Err(error) => warn!("{}: {error}", dir.display()),
        }
    }

    fn look_at(&mut self, path: &Path, stamp: FileStamp, now: Instant, records: &impl Records) {
        if self.settled.contains(path, &stamp) || self.offered.contains(path) {
            return;
        }
        match records.look(path, &stamp) {
            Look::Offer => {
                let settle = if has_rested(&stamp, self.params.settle) { Duration::ZERO } else { self.params.settle };
                self.pending.see(path, stamp, now, settle);
            }
            Look::Failed => (),
            Look::Settled => self.settled.insert(path, &stamp),
        }
    }
}

fn start_watcher(sender: mpsc::Sender<Message>) -> Option<Box<dyn Watcher + Send>> {
    let forward = move |event: notify::Result<notify::Event>| {
        let messages: Vec<Message> = match event {
            Ok(event) if event.need_rescan() => vec![Message::Rescan],
            Ok(event) if event.kind.is_access() || event.kind.is_remove() => vec![],
            Ok(event) => event.paths.into_iter().map(Message::Changed).collect(),
            Err(_) => vec![Message::Rescan],
        };
        for message in messages {
            // If the send fails, the intake has ended because the program is stopping.
            let _ = sender.send(message);
        }
    };
    let config = notify::Config::default().with_follow_symlinks(false);
    match notify::RecommendedWatcher::new(forward, config) {
        Ok(watcher) => Some(Box::new(watcher)),
        Err(error) => {
            warn!("no change notifications ({error}); relying on the periodic rescan");
            None
        }
    }
}

/// Reports whether a file's modification time is at least `settle` ago. If another clock set that time, a later stage
/// still finds an incomplete file by its structure.
fn has_rested(stamp: &FileStamp, settle: Duration) -> bool {
    let age_ns = Timestamp::now().as_nanosecond() - i128::from(stamp.modified_ns);
    age_ns >= settle.as_nanos() as i128
}

/// Reports whether two paths lead to the same folder.
fn is_same(a: &Path, b: &Path) -> bool {
    let number = |path| fs::metadata(path).map(|folder| (folder.dev(), folder.ino()));
    matches!((number(a), number(b)), (Ok(a), Ok(b)) if a == b)
}

/// Reports whether a file is hidden, or has a usual name of a file that a program is still writing.
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
    use std::cell::RefCell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Records that take file names for capture times.
    #[derive(Default)]
    struct Fake(RefCell<Vec<(PathBuf, FileStamp, Look)>>);

    impl Fake {
        fn note(&self, candidate: &Candidate, look: Look) {
            self.0.borrow_mut().push((candidate.path.clone(), candidate.stamp.clone(), look));
        }
    }

    impl Records for Fake {
        fn look(&self, path: &Path, stamp: &FileStamp) -> Look {
            let records = self.0.borrow();
            let record = records.iter().rev().find(|(known, at, _)| known == path && at == stamp);
            record.map_or(Look::Offer, |(_, _, look)| *look)
        }

        fn taken(&self, path: &Path, _: &FileStamp) -> Timestamp {
            let digits: String = path.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
            Timestamp::from_second(digits.parse().unwrap_or(0)).unwrap_or_default()
        }
    }

    fn intake(root: &Path, once: bool) -> Intake {
        let params = Params {
            roots: vec![root.to_owned()],
            rescan: Duration::from_millis(50),
            settle: Duration::from_millis(20),
            own: None,
            once,
        };
        Intake::new(params)
    }

    fn names(intake: &mut Intake, records: &Fake) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(candidate) = intake.next(records) {
            names.push(candidate.path.file_name().expect("a name").to_string_lossy().into_owned());
            records.note(&candidate, Look::Settled);
        }
        names
    }

    #[test]
    fn what_has_rested_for_long_and_what_arrives_whole_is_offered_at_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (old, new) = (dir.path().join("1.jpg"), dir.path().join("2.jpg"));
        let file = fs::File::create(&old).expect("a file");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a time");
        let an_hour = Duration::from_secs(3_600);
        let params =
            Params { roots: vec![dir.path().to_owned()], rescan: an_hour, settle: an_hour, own: None, once: false };
        let (mut intake, records) = (Intake::new(params), Fake::default());
        let found = intake.next(&records).expect("the old file");
        records.note(&found, Look::Settled);
        assert_eq!(found.path, old);
        let arrivals = intake.arrivals();
        fs::write(&new, b"photo").expect("a file");
        arrivals.arrived(new.clone());
        let found = intake.next(&records).expect("the file");
        assert_eq!((found.path, found.unchanged < an_hour), (new, true));
    }

    #[test]
    fn finds_old_and_new_files_below_the_root_once() {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(dir.path().join("DCIM")).expect("folder");
        fs::write(dir.path().join("DCIM/old.jpg"), "1").expect("write");
        fs::write(dir.path().join(".hidden.jpg"), "1").expect("write");
        fs::write(dir.path().join("copy.jpg.part"), "1").expect("write");
        std::os::unix::fs::symlink(dir.path(), dir.path().join("circle")).expect("a link");
        let (mut intake, records) = (intake(dir.path(), false), Fake::default());
        let first = intake.next(&records).expect("a file");
        assert_eq!(first.path, dir.path().join("DCIM/old.jpg"));
        records.note(&first, Look::Settled);
        fs::write(dir.path().join("new.jpg"), "1").expect("write");
        let second = intake.next(&records).expect("a file");
        assert_eq!(second.path, dir.path().join("new.jpg"));
        records.note(&second, Look::Settled);
        intake.stopper().stop();
        assert_eq!(intake.next(&records), None);
    }

    #[test]
    fn links_hidden_folders_and_the_daemon_s_own_folder_are_passed_over_by_scan_and_notification() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let elsewhere = tempfile::tempdir().expect("temporary folder");
        let root = dir.path().join("camera");
        for folder in [".trash", "DCIM", "data"] {
            fs::create_dir_all(root.join(folder)).expect("folder");
        }
        fs::write(elsewhere.path().join("other.jpg"), "1").expect("write");
        let link = |to: &Path, from: &Path| std::os::unix::fs::symlink(to, from);
        link(elsewhere.path(), &root.join("folder")).expect("a link");
        link(&elsewhere.path().join("other.jpg"), &root.join("file.jpg")).expect("a link");
        link(&root.join("data"), &root.join("own")).expect("a link");
        let write = |number: u32| {
            for folder in ["data", ".trash", "folder", "DCIM"] {
                fs::write(root.join(folder).join(format!("{number}.jpg")), "1").expect("write");
            }
        };
        write(1);
        let params = Params { own: Some(root.join("data")), ..intake(&root, false).params };
        let (mut intake, records) = (Intake::new(params), Fake::default());
        for number in 1..4 {
            let found = intake.next(&records).expect("a file");
            assert_eq!(found.path, root.join(format!("DCIM/{number}.jpg")));
            records.note(&found, Look::Settled);
            // The file is named by a notification, or found by the rescan a moment later.
            write(number + 1);
        }
    }

    #[test]
    fn a_root_may_be_a_link_unless_it_leads_to_the_daemon_s_own_folder() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let [data, real] = ["data", "real"].map(|name| dir.path().join(name));
        for folder in [&data, &real, &data.join("uploads")] {
            fs::create_dir(folder).expect("folder");
            fs::write(folder.join("1.jpg"), "1").expect("write");
        }
        let found = |root: &Path| {
            let params = Params { own: Some(data.clone()), ..intake(root, true).params };
            names(&mut Intake::new(params), &Fake::default())
        };
        for (to, expected) in [(&real, 1), (&data, 0)] {
            let link = dir.path().join(format!("link-{expected}"));
            std::os::unix::fs::symlink(to, &link).expect("a link");
            assert_eq!(found(&link).len(), expected, "{}", to.display());
        }
        assert_eq!(found(&data.join("uploads")).len(), 1, "a root may lie in it");
    }

    /// A watcher that fails the first few times, as one does that has reached a limit of the system.
    struct Reluctant {
        failures: usize,
        asked: Arc<AtomicUsize>,
    }

    impl Watcher for Reluctant {
        fn new<F: notify::EventHandler>(_: F, _: notify::Config) -> notify::Result<Self> {
            unreachable!("the test makes it")
        }

        fn watch(&mut self, _: &Path, _: notify::RecursiveMode) -> notify::Result<()> {
            match self.asked.fetch_add(1, Ordering::Relaxed) < self.failures {
                true => Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)),
                false => Ok(()),
            }
        }

        fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
            Ok(())
        }

        fn kind() -> notify::WatcherKind {
            notify::WatcherKind::NullWatcher
        }
    }

    #[test]
    fn a_folder_that_could_not_be_watched_is_tried_again_at_each_rescan_until_it_is() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (mut intake, asked) = (intake(dir.path(), false), Arc::new(AtomicUsize::new(0)));
        intake.watcher = Some(Box::new(Reluctant { failures: 2, asked: asked.clone() }));
        for expected in [1, 2, 3, 3] {
            intake.rescan(Instant::now(), &Fake::default());
            assert_eq!(asked.load(Ordering::Relaxed), expected);
        }
    }

    #[test]
    fn a_changed_file_is_offered_again() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("photo.jpg");
        fs::write(&path, "1").expect("write");
        let (mut intake, records) = (intake(dir.path(), false), Fake::default());
        records.note(&intake.next(&records).expect("a file"), Look::Settled);
        fs::write(&path, "longer").expect("write");
        assert_eq!(intake.next(&records).expect("the file").stamp.bytes, 6);
    }

    #[test]
    fn what_is_there_together_comes_in_the_order_of_capture() {
        let dir = tempfile::tempdir().expect("temporary folder");
        for name in ["b-3.jpg", "a-20.jpg", "d-1.jpg", "c-3.jpg"] {
            fs::write(dir.path().join(name), "1").expect("write");
        }
        let (mut intake, records) = (intake(dir.path(), true), Fake::default());
        assert_eq!(names(&mut intake, &records), ["d-1.jpg", "b-3.jpg", "c-3.jpg", "a-20.jpg"]);
    }

    #[test]
    fn an_intake_by_hand_ends_when_all_was_offered() {
        let dir = tempfile::tempdir().expect("temporary folder");
        for name in ["1.jpg", "2.jpg"] {
            fs::write(dir.path().join(name), "1").expect("write");
        }
        let records = Fake::default();
        let mut all = intake(dir.path(), true);
        let first = all.next(&records).expect("a file");
        assert_eq!(all.waiting(), 1);
        all.put_back(&first, Duration::from_millis(1));
        assert_eq!(names(&mut all, &records), ["2.jpg", "1.jpg"]);
        assert_eq!(names(&mut intake(&dir.path().join("2.jpg"), true), &Fake::default()), ["2.jpg"], "one file");
        assert!(names(&mut intake(dir.path(), true), &records).is_empty(), "settled");
    }

    #[test]
    fn a_finished_file_is_offered_again_when_its_result_was_lost() {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join("photo.jpg"), "1").expect("write");
        let (mut intake, records) = (intake(dir.path(), false), Fake::default());
        let first = intake.next(&records).expect("a file");
        intake.settle(&first);
        fs::write(dir.path().join("other.jpg"), "1").expect("write");
        let other = intake.next(&records).expect("a file");
        assert_eq!(other.path, dir.path().join("other.jpg"));
        records.note(&other, Look::Settled);
        intake.look_again().look_again();
        assert_eq!(intake.next(&records).expect("the first again").path, first.path);
    }

    #[test]
    fn nothing_is_handed_out_during_a_rest_and_a_stop_ends_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("1.jpg"), "photo").expect("write");
        let (mut intake, records, begin) = (intake(dir.path(), true), Fake::default(), Instant::now());
        intake.rest(Duration::from_millis(200));
        assert!(intake.next(&records).is_some() && begin.elapsed() >= Duration::from_millis(200));
        fs::write(dir.path().join("2.jpg"), "photo").expect("write");
        intake.rest(Duration::from_secs(600));
        intake.stopper().stop();
        assert!(intake.next(&records).is_none() && begin.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_failed_file_is_offered_when_its_record_is_gone() {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join("1.jpg"), "1").expect("write");
        let (mut intake, records) = (intake(dir.path(), false), Fake::default());
        let first = intake.next(&records).expect("a file");
        records.note(&first, Look::Failed);
        fs::write(dir.path().join("2.jpg"), "1").expect("write");
        let second = intake.next(&records).expect("a file");
        assert_eq!(second.path, dir.path().join("2.jpg"));
        records.note(&second, Look::Settled);
        records.note(&first, Look::Offer);
        assert_eq!(intake.next(&records).expect("the first again").path, first.path);
    }
}
