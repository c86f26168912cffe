//! The daemon: its threads, the order in which they start and stop, and what happens to each file.
//!
//! The threads:
//!
//! - the caller's, for intake and classification
//! - `journal`, the only writer
//! - `uplink` and `commands`
//! - `position`, for the serial line
//! - `corrector`, for time and place of stored captures
//! - `web`, for the API
//! - the folder watcher's
//! - `read`, for the photo that is being read
//!
//! On a stop the current photo is finished, then the uplink says goodbye, then the journal ends.
//!
//! An import by hand runs without uplink, commands, position, corrector, web and watcher. It ends by itself.

mod attempts;
mod captures;
mod corrector;
mod health;
mod heat;
mod operator;
mod reads;
mod settings;
mod uplink;
mod web;

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use log::{error, info, warn};

use self::attempts::{ATTEMPTS_MAX, Attempts};
use self::corrector::{Corrector, CorrectorThread};
pub use self::corrector::{correct, remember};
use self::health::Vitals;
use self::heat::Heat;
use self::reads::Reads;
use self::settings::LiveSettings;
pub use self::uplink::{command_key, endpoint, login, tls};
use crate::config::Config;
use crate::domain::{Capture, Failure, FileStamp, Image, PhotoQuality, Sha256, Tag, Verdict};
use crate::durable;
use crate::intake::{self, Bursts, Candidate, Intake, IntakeStop, Look, Records};
use crate::journal::{
    DeviceIdentity, FILE_NAME, FileState, Journal, JournalError, NewResult, Reader, Recorded, Report,
};
use crate::kernels::Threads;
use crate::learn::{self, Learner};
use crate::package::Package;
use crate::packages::{self, Loaded};
use crate::photo::{self, Positions, read_metadata};
use crate::pipeline::{Answerer, Classifier, Embedded, Inspected, Limits, PipelineError, read_file};
use crate::plain_file;
use crate::position::{self, Line, LineEvent, Located, Locator, Sighting, Stored, monotonic_ns};
use crate::service::Service;
use crate::uplink::{Link, LinkEvent, Uplink};
use crate::web::{UPLOADS_NAME, Web};

/// Pause before a photo whose end is missing is read again.
const INCOMPLETE_PAUSE: Duration = Duration::from_secs(2);
/// Pause after a fault of the device itself, such as a full disk, before the photo is tried again.
const FAULT_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause before a file that the drive could not read is tried again. The pauses double up to this one.
const UNREADABLE_PAUSE_MAX: Duration = Duration::from_secs(600);
/// Longest time that the shutdown waits for the journal, once everything else has ended.
const JOURNAL_END_MAX: Duration = Duration::from_secs(3);
/// Longest time of a start with salvage, announced to systemd: gigabytes of a damaged database are read from a slow
/// card, and the intact rows written.
const SALVAGE_MAX: Duration = Duration::from_secs(3600);

/// Number of bytes that are read of a file to learn when the photo was taken. An EXIF block of a JPEG has at most 64
/// KiB (CIPA DC-008, 4.7.2) and comes first.
const HEAD_BYTES: u64 = 1 << 16;

/// Event that the daemon reports to its observer.
#[derive(Clone, Debug)]
pub enum DaemonEvent {
    /// A file is being read, and `waiting` other ones are queued after it.
    Started { path: PathBuf, waiting: usize },
    /// A photo was classified, and its result is durable.
    Captured { path: PathBuf, capture: i64, sequence: i64, verdict: Box<Verdict> },
    /// A file holds a photo that was classified before.
    Known { path: PathBuf },
    /// A file gave no result. This is recorded, unless the file has vanished.
    Failed { path: PathBuf, reason: String },
    /// Facts about these captures have changed, in whatever process: verdict, inspection, tag, time or place.
    Changed { captures: Vec<i64> },
    /// Events were queued, in whatever process.
    QueueChanged,
    /// The link to the broker has changed.
    Link(LinkEvent),
}

/// Running daemon. It classifies photos while [`Daemon::run`] executes.
pub struct Daemon {
    intake: Intake,
    worker: Worker,
    uplink: Option<Uplink>,
    line: Option<Line>,
    corrector: Option<CorrectorThread>,
    web: Option<Web>,
    journal_thread: JoinHandle<()>,
    service: Arc<Service>,
    /// Lock that keeps a second daemon off the data folder.
    _lock: File,
}

/// Function that receives events, from several threads.
type Observer = Arc<dyn Fn(DaemonEvent) + Send + Sync>;

impl Daemon {
    /// Loads everything and starts the threads.
    ///
    /// # Errors
    /// A message that says what is missing and what to do.
    pub fn start(config: &Config, observer: impl Fn(DaemonEvent) + Send + Sync + 'static) -> Result<Self> {
        Self::with_intake(config, watch(config), Arc::new(observer), false)
    }

    /// Prepares an import of the photos at `paths` alone: no link, no serial line, no watched folder. Files that failed
    /// before are tried again. [`Daemon::run`] ends when all files are done.
    pub fn import(
        config: &Config,
        paths: Vec<PathBuf>,
        observer: impl Fn(DaemonEvent) + Send + Sync + 'static,
    ) -> Result<Self> {
        let params = intake::Params { roots: paths, once: true, ..watch(config) };
        Self::with_intake(config, params, Arc::new(observer), true)
    }

    fn with_intake(config: &Config, params: intake::Params, observer: Observer, by_hand: bool) -> Result<Self> {
        let service = Arc::new(Service::from_environment());
        let lock = lock_data_dir(&config.device.data_dir)?;
        let (live, observer) = web::heard_by_pages(observer);
        let Loaded { package, classifier } =
            packages::load(&config.package.place(), |package| classifier(config, package))?;
        let link = Link::default();
        let fix_age_s_max = f64::from(config.position.fix_age_s_max.get());
        let locator = Arc::new(Locator::new(fix_age_s_max).context("cannot read the boot id")?);
        let identity = Arc::new(identity(config, &package, locator.boot_id()));
        let vitals = Vitals::new(&config.device.data_dir, &locator);
        if config.web.is_some() {
            let uploads = config.device.data_dir.join(UPLOADS_NAME);
            if let Err(error) = durable::claim_folder(&uploads) {
                warn!("{}: {error}; photos cannot be sent from the page", uploads.display());
            }
            web::room(config).clear_leftovers();
        }
        let intake = Intake::new(params);
        service.starting(SALVAGE_MAX);
        let learner = Arc::new(Mutex::new(None));
        let (journal, journal_thread) = start_journal(config, &link, &intake, &observer, &learner)?;
        let reader = journal.reader()?;
        if config.inspection.learn {
            // This reader must not ask the journal to mend damage: it is used on the journal's own thread, which would
            // wait for itself.
            let reader = Reader::open(&config.device.data_dir.join(FILE_NAME))?;
            let rated = classifier.answerer().rated.clone();
            let started = Learner::start(reader, package.embedding_space(), rated)?;
            *learner.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        }
        let settings = LiveSettings::new(&config.device.data_dir, uplink::file_settings(config), &journal, &link);
        let shared = uplink::Shared {
            config,
            identity: &identity,
            package: &package,
            link: &link,
            journal: &journal,
            locator: &locator,
            vitals: &vitals,
            settings: &settings,
            observer: &observer,
        };
        let mqtt = config.mqtt.as_ref().filter(|_| !by_hand);
        let uplink = mqtt.map(|mqtt| uplink::start(&shared, mqtt)).transpose()?;
        let line = if by_hand { None } else { start_line(config, &locator)? };
        let corrector = if by_hand { None } else { Some(start_corrector(&shared, &reader)?) };
        let web = if by_hand { None } else { Some(web::start(&shared, &classifier, live, intake.arrivals())?) };
        let worker = Worker {
            classifier,
            journal,
            identity,
            reader,
            link,
            locator,
            vitals,
            config: config.clone(),
            observer,
            bursts: Bursts::new(config.intake.bursts()),
            attempts: Attempts::open(&config.device.data_dir),
            reads: Reads::default(),
            by_hand,
        };
        info!(
            "ready: package {} {}, {} reference photos, {} events waiting",
            package.manifest().name,
            package.manifest().version,
            worker.classifier.answerer().reference.len(),
            worker.reader.outbox_depth()?.total(),
        );
        Ok(Daemon { intake, worker, uplink, line, corrector, web, journal_thread, service, _lock: lock })
    }

    /// Returns a handle that ends [`Daemon::run`] from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper { intake: self.intake.stopper(), reads: self.worker.reads.clone() }
    }

    /// Classifies photos until it is stopped or has nothing left to do, then stops all threads in order. Returns how
    /// many files still wait.
    pub fn run(mut self) -> usize {
        let heard = Arc::clone(&self.service);
        self.intake.on_beat(move || heard.alive());
        self.service.ready();
        let mut heat = Heat::new(self.worker.config.classify.rest_above_celsius());
        while let Some(candidate) = self.intake.next(&self.worker) {
            let begin = Instant::now();
            let (path, waiting) = (candidate.path.clone(), self.intake.waiting());
            (self.worker.observer)(DaemonEvent::Started { path, waiting });
            match self.worker.process(&candidate) {
                Progress::Done => self.intake.settle(&candidate),
                Progress::Failed => (),
                Progress::Again(pause) => self.intake.put_back(&candidate, pause),
            }
            self.intake.rest(heat.rest(|| self.worker.vitals.temperature(), begin.elapsed()));
        }
        self.service.stopping();
        let waiting = self.intake.waiting();
        info!("stopping");
        if let Some(line) = &self.line {
            line.ask_to_stop();
        }
        if let Some(uplink) = self.uplink {
            uplink.stop();
        }
        if let Some(line) = self.line {
            line.stop();
        }
        if let Some(corrector) = self.corrector {
            corrector.stop();
        }
        if let Some(web) = self.web {
            web.stop();
        }
        self.worker.attempts.close();
        drop(self.worker);
        end_journal(self.journal_thread);
        waiting
    }
}

/// Waits for the journal's thread, which ends once the last request has been answered. A request that hangs on a drive
/// is never answered; everything that was accepted is durable by then.
fn end_journal(thread: JoinHandle<()>) {
    let begin = Instant::now();
    while !thread.is_finished() {
        if begin.elapsed() > JOURNAL_END_MAX {
            return warn!("a request still waits for a drive; ending without it");
        }
        thread::sleep(Duration::from_millis(5));
    }
    if thread.join().is_err() {
        error!("the journal thread panicked");
    }
}

/// Handle that ends [`Daemon::run`] from another thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    intake: IntakeStop,
    reads: Reads,
}

impl Stopper {
    /// Asks the daemon to stop. The current photo is finished, unless it is still being read.
    pub fn stop(&self) {
        self.reads.stop();
        self.intake.stop();
    }
}

/// Reports whether a daemon works on this data folder.
pub fn is_running(data_dir: &Path) -> bool {
    let Ok(folder) = File::open(data_dir) else { return false };
    matches!(folder.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn watch(config: &Config) -> intake::Params {
    let uploads = config.web.iter().map(|_| config.device.data_dir.join(UPLOADS_NAME));
    intake::Params {
        roots: config.intake.folders.iter().cloned().chain(uploads).collect(),
        rescan: config.intake.rescan_s.seconds(),
        settle: config.intake.settle_ms.milliseconds(),
        own: Some(config.device.data_dir.clone()),
        once: false,
    }
}

/// Locks the data folder itself rather than a lock file, which could be damaged.
fn lock_data_dir(dir: &Path) -> Result<File> {
    durable::create_folders(dir).with_context(|| format!("{}: cannot create the data folder", dir.display()))?;
    let folder = File::open(dir).with_context(|| format!("{}: cannot read", dir.display()))?;
    match lock(&folder) {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => {
            bail!("{}: another bridgeclip daemon uses this data folder; stop it first", dir.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("{}: cannot lock", dir.display())),
    }
}

/// Locks the folder, with retries: [`is_running`] in another process holds the lock for a moment.
fn lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..10 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(50)),
            decided => return decided,
        }
    }
    file.try_lock()
}

/// Returns the limits on photos and the way they are decoded, from the settings.
pub fn limits(config: &Config) -> Limits {
    Limits {
        bytes_max: u64::from(config.intake.photo_megabytes_max.get()) * 1_000_000,
        photo: photo::Limits {
            pixels_max: u64::from(config.intake.photo_megapixels_max.get()) * 1_000_000,
            memory_bytes_max: u64::from(config.photo.memory_megabytes_max.get()) * 1_000_000,
            coefficient_bytes_max: u64::from(config.photo.progressive_megabytes_max.get()) * 1_000_000,
            decoding: config.photo.decoding(),
        },
    }
}

fn classifier(config: &Config, package: &Package) -> Result<Classifier> {
    let threads = Threads::new(config.classify.threads.get() as usize)?;
    Ok(Classifier::load(package, limits(config), config.classify.params(), &threads)?)
}

/// Makes an answerer that judges stored embeddings as new photos are judged, with the photos that inspectors have rated
/// if the settings say so.
pub fn answerer(config: &Config, package: &Package, reader: &Reader) -> Result<Answerer> {
    let answerer = Answerer::load(package, config.classify.params())?;
    if config.inspection.learn {
        learn::read(reader, package.embedding_space(), &answerer.rated)?;
    }
    Ok(answerer)
}

/// Returns the identity under which events are made.
pub fn identity(config: &Config, package: &Package, boot_id: &str) -> DeviceIdentity {
    let manifest = package.manifest();
    DeviceIdentity {
        source: config.topic_prefix(),
        boot_id: boot_id.to_owned(),
        package: format!("{} {}", manifest.name, manifest.version),
        package_hash: package.hash().to_string(),
        embedding_space: package.embedding_space(),
    }
}

fn start_line(config: &Config, locator: &Arc<Locator>) -> Result<Option<Line>> {
    let Some(device) = config.position.device.clone() else { return Ok(None) };
    let params = position::Params { device, protocol: config.position.protocol, baud: config.position.baud.0 };
    let locator = Arc::clone(locator);
    let note = move |event| match event {
        LineEvent::Arrived(arrival) => locator.note(arrival),
        // The line itself logs these.
        LineEvent::Found { .. } | LineEvent::Lost(_) => (),
    };
    Line::start(params, note).map(Some).context("cannot start a thread for the serial line")
}

fn start_corrector(shared: &uplink::Shared, reader: &Reader) -> Result<CorrectorThread> {
    let (locator, identity) = (Arc::clone(shared.locator), Arc::clone(shared.identity));
    let (journal, link) = (shared.journal.clone(), shared.link.clone());
    Ok(Corrector { locator, journal, identity, link }.start(reader)?)
}

fn start_journal(
    config: &Config,
    link: &Link,
    intake: &Intake,
    observer: &Observer,
    learner: &Arc<Mutex<Option<Learner>>>,
) -> Result<(Journal, JoinHandle<()>)> {
    let (wake, look_again, observer) = (link.clone(), intake.look_again(), Arc::clone(observer));
    let learner = Arc::clone(learner);
    let report = move |report| match report {
        Report::OutboxChanged => {
            wake.wake();
            observer(DaemonEvent::QueueChanged);
        }
        Report::Changed(captures) => {
            if let Some(learner) = &*learner.lock().unwrap_or_else(PoisonError::into_inner) {
                learner.follow(&captures);
            }
            observer(DaemonEvent::Changed { captures });
        }
        Report::Salvaged => look_again.look_again(),
    };
    Ok(Journal::open(&config.device.data_dir, config.journal(), report)?)
}

/// Worker that takes one file after another from bytes to a durable result.
struct Worker {
    classifier: Classifier,
    journal: Journal,
    identity: Arc<DeviceIdentity>,
    reader: Reader,
    link: Link,
    locator: Arc<Locator>,
    vitals: Vitals,
    config: Config,
    observer: Observer,
    bursts: Bursts,
    attempts: Attempts,
    reads: Reads,
    /// Whether this is an import by hand: a person waits for the end, and wants to know about every file.
    by_hand: bool,
}

/// Outcome for one file.
enum Progress {
    /// The photo is known.
    Done,
    /// There is no result. The reason is recorded, or the file is gone.
    Failed,
    /// Nothing is recorded. The file is tried again after the pause.
    Again(Duration),
}

impl Worker {
    fn process(&mut self, candidate: &Candidate) -> Progress {
        match self.result(candidate) {
            Ok(progress) => progress,
            Err(error) => {
                // The journal has logged once, for all photos, that the device is full.
                if !matches!(error.downcast_ref(), Some(JournalError::Full(_))) {
                    error!("{}: {error:#}; trying again in {FAULT_PAUSE:?}", candidate.path.display());
                }
                Progress::Again(FAULT_PAUSE)
            }
        }
    }

    /// Reads, classifies and stores a photo. An error is a fault of the device; what is wrong with a photo is recorded
    /// instead.
    fn result(&mut self, candidate: &Candidate) -> Result<Progress> {
        let bytes = match self.read(candidate) {
            Ok(bytes) => bytes,
            Err(PipelineError::Read(_)) if self.reads.is_stopping() => return Ok(Progress::Again(FAULT_PAUSE)),
            // Checking whether the file exists would hang too.
            Err(PipelineError::Read(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return Ok(self.unreadable(candidate, &error));
            }
            Err(PipelineError::Read(error)) if !candidate.path.exists() => return Ok(self.vanished(candidate, &error)),
            Err(PipelineError::Read(error)) if error.kind() != io::ErrorKind::InvalidInput => {
                return Ok(self.unreadable(candidate, &error));
            }
            Err(error) => return self.failed(candidate, &error),
        };
        self.vitals.file_readable(&candidate.path);
        let sha256 = Sha256::of(&bytes);
        if self.reader.is_known(&sha256)? {
            self.journal.note_known(&candidate.path, &candidate.stamp, sha256)?;
            return Ok(self.known(candidate));
        }
        self.journal.admit()?;
        let Candidate { path, stamp, .. } = candidate;
        let ended = self.attempts.of(path, stamp);
        if ended >= ATTEMPTS_MAX {
            let reason =
                format!("the program ended {ended} times while it decoded this photo, for want of memory perhaps");
            let failed = self.record_failure(candidate, reason)?;
            self.attempts.forget(path, stamp);
            return Ok(failed);
        }
        self.attempts.begin(path, stamp);
        let inspected = self.classifier.inspect(&bytes, self.config.photo.thumbnail_px());
        self.attempts.end();
        match inspected {
            Ok(inspected) => self.store(candidate, &bytes, sha256, inspected),
            Err(PipelineError::Reference(error)) => Err(error.into()),
            Err(error) => self.failed(candidate, &error),
        }
    }

    fn read(&self, candidate: &Candidate) -> Result<Vec<u8>, PipelineError> {
        let limits = self.classifier.embedder.limits;
        self.reads
            .read(&candidate.path, candidate.stamp.bytes.min(limits.bytes_max), move |path| read_file(path, &limits))?
    }

    fn store(&mut self, candidate: &Candidate, bytes: &[u8], sha256: Sha256, inspected: Inspected) -> Result<Progress> {
        let Inspected { embedded, verdict, tag: new_tag, thumbnail } = inspected;
        let tag = self.tag(candidate, new_tag.as_ref())?;
        let capture = self.capture(candidate, bytes, sha256, &embedded, tag);
        let Capture { taken, monotonic_ns, position, burst, .. } = capture.clone();
        let result = NewResult {
            capture,
            stamp: candidate.stamp.clone(),
            embedding: embedded.embedding.clone(),
            verdict: verdict.clone(),
            new_tag,
            urgent: verdict.urgency.review,
            thumbnail,
            queued: !self.link.is_online(),
            stored_at: Timestamp::now(),
        };
        match self.journal.record(&self.identity, result)? {
            Recorded::Known => Ok(self.known(candidate)),
            Recorded::New { capture, sequence } => {
                self.bursts.push(sha256, embedded.embedding, taken.at, burst);
                self.locator.remember(Stored { capture, monotonic_ns, taken, position });
                let path = candidate.path.clone();
                (self.observer)(DaemonEvent::Captured { path, capture, sequence, verdict: Box::new(verdict) });
                Ok(Progress::Done)
            }
        }
    }

    /// Returns the tag that the photo shows, or else the last one that was set.
    fn tag(&self, candidate: &Candidate, new: Option<&Tag>) -> Result<Option<Tag>> {
        let Some(new) = new else { return Ok(self.reader.tag()?) };
        info!("{}: a code says: {new}; this holds for the photos from here on", candidate.path.display());
        Ok(Some(new.clone()))
    }

    fn capture(
        &self,
        candidate: &Candidate,
        bytes: &[u8],
        sha256: Sha256,
        embedded: &Embedded,
        tag: Option<Tag>,
    ) -> Capture {
        let metadata = read_metadata(bytes, self.config.intake.camera_utc_offset.0);
        let sighting = Sighting {
            modified: modified(&candidate.stamp),
            seen_ns: monotonic_ns().saturating_sub(candidate.seen.elapsed().as_nanos() as u64),
            camera: metadata.taken,
        };
        let millimetres_per_pixel = metadata.millimetres_per_pixel(embedded.pixels);
        let Positions { laser_target, rtk, exif } = metadata.positions;
        let own = [laser_target, rtk, exif].into_iter().flatten();
        let file_name = candidate.path.file_name().and_then(OsStr::to_str);
        let Located { taken, monotonic_ns, position } = self.locator.locate(file_name, &sighting, own);
        let burst = self.bursts.place(&embedded.embedding, taken.at);
        let image = Image {
            sha256,
            path: candidate.path.clone(),
            bytes: bytes.len() as u64,
            pixels: embedded.pixels,
            camera: metadata.camera,
            exposure: metadata.exposure,
            quality: Some(PhotoQuality { millimetres_per_pixel, ..embedded.quality }),
        };
        Capture { taken, monotonic_ns, image, position, drone: metadata.drone, tag, burst }
    }

    fn known(&self, candidate: &Candidate) -> Progress {
        (self.observer)(DaemonEvent::Known { path: candidate.path.clone() });
        Progress::Done
    }

    /// Reports a file that vanished, for example with a pulled card. Nothing is recorded, so that the photo is new when
    /// it comes back.
    fn vanished(&self, candidate: &Candidate, error: &io::Error) -> Progress {
        let path = candidate.path.clone();
        self.vitals.file_readable(&path);
        warn!("{}: gone before it was read: {error}", path.display());
        (self.observer)(DaemonEvent::Failed { path, reason: format!("gone before it was read: {error}") });
        Progress::Failed
    }

    /// Reports a file that the drive cannot read. This is not the photo's fault, so nothing is recorded and the file is
    /// tried again, by the next import if this is one.
    fn unreadable(&self, candidate: &Candidate, error: &io::Error) -> Progress {
        let path = candidate.path.clone();
        let reason = format!("cannot be read: {error}");
        let tries = self.vitals.file_unreadable(&path, &format!("{}: {error}", path.display()));
        if self.by_hand {
            warn!("{}: {reason}", path.display());
            (self.observer)(DaemonEvent::Failed { path, reason });
            return Progress::Failed;
        }
        let pause = FAULT_PAUSE.saturating_mul(1 << tries.min(10)).min(UNREADABLE_PAUSE_MAX);
        if tries == 0 {
            warn!("{}: {reason}; trying again in {pause:?}, then in longer pauses", path.display());
        }
        Progress::Again(pause)
    }

    /// Has a photo that may still be growing tried again. Records any other failure.
    fn failed(&self, candidate: &Candidate, error: &PipelineError) -> Result<Progress> {
        let waiting = !self.by_hand && candidate.unchanged < self.config.intake.incomplete_s.seconds();
        if waiting && matches!(error, PipelineError::Photo(error) if error.may_be_incomplete()) {
            return Ok(Progress::Again(INCOMPLETE_PAUSE));
        }
        self.record_failure(candidate, error.to_string())
    }

    fn record_failure(&self, candidate: &Candidate, reason: String) -> Result<Progress> {
        let (path, stamp, noted_at) = (candidate.path.clone(), candidate.stamp.clone(), Some(Timestamp::now()));
        warn!("{}: {reason}", path.display());
        self.journal.record_failure(Failure { path: path.clone(), stamp, reason: reason.clone(), noted_at })?;
        self.vitals.file_failed();
        (self.observer)(DaemonEvent::Failed { path, reason });
        Ok(Progress::Failed)
    }
}

impl Records for Worker {
    fn look(&self, path: &Path, stamp: &FileStamp) -> Look {
        let state = self.reader.file(path).unwrap_or_else(|error| {
            warn!("{error}");
            None
        });
        match state.filter(|state| state.stamp == *stamp) {
            None => Look::Offer,
            Some(FileState { reason: Some(_), .. }) if self.by_hand => Look::Offer,
            Some(FileState { reason: Some(_), .. }) => Look::Failed,
            Some(_) => {
                if self.by_hand {
                    (self.observer)(DaemonEvent::Known { path: path.to_owned() });
                }
                Look::Settled
            }
        }
    }

    /// Returns the time by the camera's clock, which survives copying, or else the time of the file.
    fn taken(&self, path: &Path, stamp: &FileStamp) -> Timestamp {
        if self.attempts.of(path, stamp) > 0 {
            // A photo that has ended the program comes after all other ones.
            return Timestamp::MAX;
        }
        // A file that cannot be read is reported when its turn comes.
        let head = self.reads.read(path, HEAD_BYTES, read_head).and_then(|head| head).unwrap_or_default();
        read_metadata(&head, self.config.intake.camera_utc_offset.0).taken.unwrap_or_else(|| modified(stamp))
    }
}

fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    plain_file::open(path)?.take(HEAD_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns when the file was last written; the start of 1970 if that is outside the calendar.
fn modified(stamp: &FileStamp) -> Timestamp {
    Timestamp::from_nanosecond(stamp.modified_ns.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}
