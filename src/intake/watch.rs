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

use super::handles::{Arrivals, IntakeStop, LookAgain, Message};
use super::passed::Passed;
use super::pending::{Candidate, Moment, Pending};
use super::settled::Settled;
use super::side_files::{self, SideFile};
use crate::domain::{FileStamp, PassedOver};
use crate::position::Origin;

/// Parameters for watching folders.
#[derive(Clone, Debug)]
pub struct Params {
    /// Roots: folders that are searched with everything below them, or single files. A root that is a link is followed;
    /// links below a root are not.
    pub roots: Vec<PathBuf>,
    /// The daemon's own folder, whose files are not photos. It is never searched, unless a root is inside it.
    pub own: Option<PathBuf>,
    /// Folder with the photos that visitors of the field page have sent. None of its files is a side file.
    pub uploads: Option<PathBuf>,
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

    /// Notes a file that is passed over. The intake names it again only when it has changed or was gone.
    fn passed_over(&self, path: &Path, side: SideFile);

    /// Notes how many files were passed over, at the end of each rescan.
    fn rescanned(&self, passed_over: &PassedOver);
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
/// Time that a raw or HEIC file waits for the photo whose twin it may be. A camera writes both within seconds of an
/// exposure, in either order; a slow link between camera and device takes some seconds for each.
const TWIN_WAIT: Duration = Duration::from_secs(10);
/// Number of levels of folders below a root that are searched.
pub(super) const DEPTH_MAX: usize = 16;
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
    passed: Passed,
    /// Moment of the next rescan. `None` if there will be none.
    next_rescan: Option<Instant>,
    /// Moment before which no file is handed out.
    rest_until: Instant,
    beat: Box<dyn Fn() + Send>,
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
            passed: Passed::default(),
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
            let now = Moment::now();
            if self.next_rescan.is_some_and(|at| at <= now.instant) {
                self.next_rescan = (!self.params.once).then(|| now.instant + self.params.rescan);
                self.rescan(now, records);
            }
            for candidate in self.pending.take_due(now.instant, self.params.settle) {
                self.offer(candidate, now, records);
            }
            if !self.receive(self.idle_time(now.instant)?, records) {
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
            let now = Moment::now();
            match message {
                Message::Changed(path) => self.look_from_root(&path, now, records),
                Message::Rescan => self.next_rescan = Some(now.instant),
                Message::Arrived(path) => self.take(&path, now, records),
                Message::LookAgain => {
                    self.settled.clear();
                    self.next_rescan = Some(now.instant);
                }
                Message::Stop => return false,
            }
            wait = Duration::ZERO;
        }
        true
    }

    /// Offers a complete file at once.
    fn take(&mut self, path: &Path, now: Moment, records: &impl Records) {
        let stamp = match fs::metadata(path) {
            Ok(metadata) => stamp(&metadata),
            Err(error) => return debug!("{}: {error}", path.display()),
        };
        self.look_at(path, stamp, now, records);
        if let Some(candidate) = self.pending.take(path, now.instant) {
            self.offer(candidate, now, records);
        }
    }

    /// Makes a file ready if it is unchanged. A file that changed since it was seen starts again; a file that vanished
    /// is forgotten.
    fn offer(&mut self, candidate: Candidate, now: Moment, records: &impl Records) {
        let Candidate { path, origin, .. } = &candidate;
        match fs::metadata(path) {
            Ok(metadata) if stamp(&metadata) == candidate.stamp => self.make_ready(candidate, records),
            Ok(metadata) => self.pending.see(path, stamp(&metadata), *origin, now, self.params.settle),
            Err(error) => debug!("{}: {error}", path.display()),
        }
    }

    /// Puts a file at rest in order, unless the file that it is a twin of has come while it waited.
    fn make_ready(&mut self, candidate: Candidate, records: &impl Records) {
        let Candidate { path, stamp, .. } = &candidate;
        let twin = if self.is_named(path) { None } else { side_files::twin(path) };
        if let Some(side) = twin {
            return self.pass_over(path, stamp, side, records);
        }
        let taken = records.taken(path, stamp);
        self.offered.insert(path.clone());
        self.ready.insert((taken, path.clone()), candidate);
    }

    /// Searches all roots. The files of one scan are seen at the same moment, so they are due together.
    fn rescan(&mut self, now: Moment, records: &impl Records) {
        self.passed.begin();
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
            self.look(&root, &root, DEPTH_MAX, now, records);
        }
        records.rescanned(self.passed.end());
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
    fn look_from_root(&mut self, path: &Path, now: Moment, records: &impl Records) {
        let around = self.params.roots.iter().filter(|root| path.starts_with(root));
        let Some(root) = around.max_by_key(|root| root.components().count()).cloned() else { return };
        let below = path.strip_prefix(&root).unwrap_or(Path::new(""));
        let folders: Vec<PathBuf> = below.ancestors().skip(1).map(|folder| root.join(folder)).collect();
        let passes = |folder: &PathBuf| *folder == root || !(is_hidden(folder) || folder.is_symlink());
        if folders.iter().all(passes) && !folders.iter().any(|folder| self.is_own(folder)) {
            self.look(&root, path, DEPTH_MAX.saturating_sub(folders.len()), now, records);
        }
    }

    /// Reports whether a file is tried whatever it is: a person has named it in the settings or on the command line, or
    /// has sent it from the field page.
    fn is_named(&self, path: &Path) -> bool {
        self.is_root(path) || self.is_upload(path)
    }

    fn is_root(&self, path: &Path) -> bool {
        self.params.roots.iter().any(|root| root == path)
    }

    fn is_upload(&self, path: &Path) -> bool {
        self.params.uploads.as_ref().is_some_and(|uploads| path.starts_with(uploads))
    }

    fn origin(&self, path: &Path) -> Origin {
        match self.params.once {
            _ if self.is_upload(path) => Origin::Uploaded,
            true => Origin::Imported,
            false => Origin::Watched,
        }
    }

    /// Reports whether a path is the daemon's own folder.
    fn is_own(&self, path: &Path) -> bool {
        self.params.own.as_ref().is_some_and(|own| is_same(own, path))
    }

    fn look(&mut self, root: &Path, path: &Path, depth: usize, now: Moment, records: &impl Records) {
        let is_root = self.is_root(path);
        let root = if is_root { path } else { root };
        if is_hidden(path) && !is_root {
            return;
        }
        // A link below a root may lead in a circle, or to files that are not meant to be searched.
        let metadata = if is_root { fs::metadata(path) } else { fs::symlink_metadata(path) };
        match metadata {
            Ok(metadata) if metadata.is_symlink() => self.leave_link(path),
            Ok(metadata) if metadata.is_dir() && self.is_own(path) => {
                debug!("{}: the daemon's own folder, not looked into", path.display());
            }
            Ok(metadata) if metadata.is_dir() => self.look_into(root, path, depth, now, records),
            Ok(metadata) if metadata.is_file() => self.look_beside(root, path, stamp(&metadata), now, records),
            Ok(_) => (),
            Err(error) => debug!("{}: {error}", path.display()),
        }
    }

    /// Logs once that a link is not followed.
    fn leave_link(&mut self, link: &Path) {
        if self.links.len() < LINKS_MAX && self.links.insert(link.to_owned()) {
            warn!(
                "{}: a link, not followed; name where it leads in [intake] folders to have that watched",
                link.display()
            );
        }
    }

    fn look_into(&mut self, root: &Path, dir: &Path, depth: usize, now: Moment, records: &impl Records) {
        if depth == 0 {
            warn!("{}: deeper than {DEPTH_MAX} folders, not looked into", dir.display());
            return;
        }
        match fs::read_dir(dir) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    self.look(root, &entry.path(), depth - 1, now, records);
                }
            }
            // Recycle bins and the like are often closed to others, and hold no photos.
            Err(error) if side_files::is_side_folder(root, dir) => debug!("{}: {error}", dir.display()),
            Err(error) => warn!("{}: {error}", dir.display()),
        }
    }

    /// Passes over a file that is no photo of its own, and looks at all others.
    fn look_beside(&mut self, root: &Path, path: &Path, stamp: FileStamp, now: Moment, records: &impl Records) {
        if self.settled.contains(path, &stamp) {
            return;
        }
        match side_files::side_file(root, path).filter(|_| !self.is_named(path)) {
            Some(side) => self.pass_over(path, &stamp, side, records),
            None => self.look_at(path, stamp, now, records),
        }
    }

    fn pass_over(&mut self, path: &Path, stamp: &FileStamp, side: SideFile, records: &impl Records) {
        if self.passed.add(path, stamp, side.kind) {
            records.passed_over(path, side);
        }
    }

    fn look_at(&mut self, path: &Path, stamp: FileStamp, now: Moment, records: &impl Records) {
        if self.settled.contains(path, &stamp) || self.offered.contains(path) {
            return;
        }
        match records.look(path, &stamp) {
            Look::Offer => {
                let rest = self.rest_of(path, &stamp, now);
                self.pending.see(path, stamp, self.origin(path), now, rest);
            }
            Look::Failed => (),
            Look::Settled => self.settled.insert(path, &stamp),
        }
    }

    /// Returns how long a file must be at rest from now on. The age of a raw file counts for nothing, because a program
    /// that copies a card keeps it. An import knows at its start which files there are.
    fn rest_of(&self, path: &Path, stamp: &FileStamp, now: Moment) -> Duration {
        let settle = self.params.settle;
        match !self.params.once && !self.is_named(path) && side_files::may_be_twin(path) {
            true => settle.max(TWIN_WAIT),
            false if has_rested(stamp, now, settle) => Duration::ZERO,
            false => settle,
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

/// Reports whether a file's modification time is at least `settle` before `now`. If another clock set that time, a
/// later stage still finds an incomplete file by its structure.
fn has_rested(stamp: &FileStamp, now: Moment, settle: Duration) -> bool {
    let age_ns = now.wall.as_nanosecond() - i128::from(stamp.modified_ns);
    age_ns >= settle.as_nanos() as i128
}

/// Reports whether two paths lead to the same folder.
fn is_same(a: &Path, b: &Path) -> bool {
    let number = |path| fs::metadata(path).map(|folder| (folder.dev(), folder.ino()));
    matches!((number(a), number(b)), (Ok(a), Ok(b)) if a == b)
}

/// Reports whether a file is hidden, or has a usual name of a file that a program is still writing.
pub(super) fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || [".tmp", ".part", ".crdownload"].iter().any(|suffix| name.ends_with(suffix))
}

fn stamp(metadata: &Metadata) -> FileStamp {
    let modified_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    FileStamp { bytes: metadata.len(), modified_ns }
}

#[cfg(test)]
mod tests;
