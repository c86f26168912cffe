//! The daemon: threads, their order of start and stop, and what happens to each file.
//!
//! Threads: the caller's (intake and classification), `journal` (the only writer), `uplink`, `commands`, `position` (the
//! serial line), and the one of the folder watcher. On a stop the photo in work is finished, then the uplink says
//! goodbye, then the journal ends.

mod health;
mod operator;
mod uplink;

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use log::{error, info, warn};

use self::health::Vitals;
use crate::config::Config;
use crate::domain::{Capture, Failure, FileStamp, PhotoQuality, Sha256, Tag, Verdict};
use crate::encoder::Package;
use crate::intake::{self, Candidate, Intake, IntakeStop};
use crate::journal::{DeviceIdentity, Journal, JournalError, NewResult, Reader, Recorded, Report};
use crate::kernels::Threads;
use crate::packages::{self, Loaded};
use crate::photo::{self, Positions, read_metadata};
use crate::pipeline::{Classifier, Embedded, Limits, PipelineError, read_file};
use crate::position::{self, Line, LineEvent, Located, Locator, Sighting, monotonic_ns};
use crate::service::Service;
use crate::uplink::{Link, LinkEvent, Uplink};

pub use self::uplink::{command_key, login, tls};

/// Pause before a photo without its end is read again.
const INCOMPLETE_PAUSE: Duration = Duration::from_secs(2);
/// Pause after a fault of the device itself (a full disk, say) before the photo is tried again.
const FAULT_PAUSE: Duration = Duration::from_secs(5);

/// What the daemon tells whoever watches it.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A photo was classified, and its result is durable.
    Captured {
        path: PathBuf,
        sequence: i64,
        verdict: Box<Verdict>,
    },
    /// A file holds a photo that was classified before.
    Known {
        path: PathBuf,
    },
    /// A file gave no result; this is recorded.
    Failed {
        path: PathBuf,
        reason: String,
    },
    Link(LinkEvent),
}

/// A running daemon. It works while [`Daemon::run`] is called.
pub struct Daemon {
    intake: Intake,
    worker: Worker,
    uplink: Option<Uplink>,
    line: Option<Line>,
    journal_thread: JoinHandle<()>,
    /// Keeps a second daemon off the data folder.
    _lock: File,
}

/// Called from several threads.
type Observer = Arc<dyn Fn(Notice) + Send + Sync>;

impl Daemon {
    /// Loads everything and starts the threads. An error says what is missing and what to do.
    pub fn start(config: &Config, observer: impl Fn(Notice) + Send + Sync + 'static) -> Result<Self> {
        let observer: Observer = Arc::new(observer);
        let lock = lock_data_dir(&config.device.data_dir)?;
        let Loaded { package, classifier } =
            packages::load(&config.package.place(), |package| classifier(config, package))?;
        let link = uplink::link(config)?;
        let fix_age_s_max = f64::from(config.position.fix_age_s_max.get());
        let locator = Arc::new(Locator::new(fix_age_s_max).context("cannot read the boot id")?);
        let identity = Arc::new(identity(config, &package, locator.boot_id()));
        let vitals = Vitals::new(&config.device.data_dir, &locator);
        let intake = Intake::new(intake::Params {
            roots: config.intake.folders.clone(),
            rescan: config.intake.rescan_s.seconds(),
            settle: config.intake.settle_ms.milliseconds(),
        });
        let (journal, journal_thread) = start_journal(config, &link, &intake)?;
        let reader = journal.reader()?;
        let shared = uplink::Shared {
            config,
            identity: &identity,
            package: &package,
            link: &link,
            journal: &journal,
            locator: &locator,
            vitals: &vitals,
            observer: &observer,
        };
        let uplink = config.mqtt.as_ref().map(|mqtt| uplink::start(&shared, mqtt)).transpose()?;
        let line = start_line(config, &locator)?;
        let config = config.clone();
        let worker = Worker { classifier, journal, identity, reader, link, locator, vitals, config, observer };
        info!(
            "ready: package {} {}, {} reference photos, {} events waiting",
            package.manifest().name,
            package.manifest().version,
            worker.classifier.answerer.reference.len(),
            worker.reader.outbox_depth()?.total(),
        );
        Ok(Daemon { intake, worker, uplink, line, journal_thread, _lock: lock })
    }

    /// A handle that ends [`Daemon::run`] from another thread.
    pub fn stopper(&self) -> IntakeStop {
        self.intake.stopper()
    }

    /// Classifies photos until it is stopped, then stops all threads in order.
    pub fn run(mut self) {
        let done = |reader: &Reader, path: &Path, stamp: &FileStamp| match reader.file(path) {
            Ok(state) => state.is_some_and(|state| state.stamp == *stamp),
            Err(error) => {
                warn!("{error}");
                false
            }
        };
        let service = Arc::new(Service::from_environment());
        let heard = Arc::clone(&service);
        self.intake.on_beat(move || heard.alive());
        service.ready();
        while let Some(candidate) = self.intake.next(|path, stamp| done(&self.worker.reader, path, stamp)) {
            match self.worker.process(&candidate) {
                Progress::Finished => self.intake.finished(&candidate),
                Progress::Again(pause) => self.intake.put_back(&candidate, pause),
            }
        }
        service.stopping();
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
        drop(self.worker);
        if self.journal_thread.join().is_err() {
            error!("the journal thread panicked");
        }
    }
}

fn lock_data_dir(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot create the data folder", dir.display()))?;
    let path = dir.join("lock");
    let file = File::create(&path).with_context(|| format!("{}: cannot write", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("{}: another bridgeclip daemon uses this data folder; stop it first", dir.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("{}: cannot lock", path.display())),
    }
}

/// The bounds on photos, and how they are decoded.
pub fn limits(config: &Config) -> Limits {
    Limits {
        bytes_max: u64::from(config.intake.photo_megabytes_max.get()) * 1_000_000,
        photo: photo::Limits {
            pixels_max: u64::from(config.intake.photo_megapixels_max.get()) * 1_000_000,
            coefficient_bytes_max: u64::from(config.photo.progressive_megabytes_max.get()) * 1_000_000,
            decoding: config.photo.decoding(),
        },
    }
}

fn classifier(config: &Config, package: &Package) -> Result<Classifier> {
    let threads = Threads::new(config.classify.threads.get() as usize)?;
    Ok(Classifier::load(package, limits(config), config.classify.params(), &threads)?)
}

/// Under which name events are made.
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
        // The line has logged these itself.
        LineEvent::Found { .. } | LineEvent::Lost(_) => (),
    };
    Line::start(params, note).map(Some).context("cannot start a thread for the serial line")
}

fn start_journal(config: &Config, link: &Link, intake: &Intake) -> Result<(Journal, JoinHandle<()>)> {
    let (wake, look_again) = (link.clone(), intake.look_again());
    let report = move |report| match report {
        Report::OutboxChanged => wake.wake(),
        Report::Salvaged => look_again.look_again(),
    };
    Ok(Journal::open(&config.device.data_dir, config.journal(), report)?)
}

/// Takes one file after the other from bytes to a durable result.
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
}

enum Progress {
    /// What became of the file is recorded.
    Finished,
    /// Nothing is recorded; try again after the pause.
    Again(Duration),
}

impl Worker {
    fn process(&self, candidate: &Candidate) -> Progress {
        match self.result(candidate) {
            Ok(progress) => progress,
            Err(error) => {
                // That the device is full was said once, for all photos.
                if !matches!(error.downcast_ref(), Some(JournalError::Full(_))) {
                    error!("{}: {error:#}; trying again in {FAULT_PAUSE:?}", candidate.path.display());
                }
                Progress::Again(FAULT_PAUSE)
            }
        }
    }

    /// An error is a fault of the device; what is wrong with a photo is recorded instead.
    fn result(&self, candidate: &Candidate) -> Result<Progress> {
        let bytes = match read_file(&candidate.path, &self.classifier.embedder.limits) {
            Ok(bytes) => bytes,
            Err(error) => return self.failed(candidate, &error),
        };
        let sha256 = Sha256::of(&bytes);
        if self.reader.is_known(&sha256)? {
            self.journal.note_known(&candidate.path, &candidate.stamp, sha256)?;
            return Ok(self.known(candidate));
        }
        self.journal.admit()?;
        match self.classifier.classify_and_read(&bytes) {
            Ok((embedded, verdict, tag)) => self.store(candidate, &bytes, sha256, embedded, verdict, tag),
            Err(PipelineError::Reference(error)) => Err(error.into()),
            Err(error) => self.failed(candidate, &error),
        }
    }

    fn store(
        &self,
        candidate: &Candidate,
        bytes: &[u8],
        sha256: Sha256,
        embedded: Embedded,
        verdict: Verdict,
        new_tag: Option<Tag>,
    ) -> Result<Progress> {
        let tag = self.tag(candidate, new_tag.as_ref())?;
        let result = NewResult {
            capture: self.capture(candidate, bytes, sha256, &embedded, tag),
            stamp: candidate.stamp.clone(),
            embedding: embedded.embedding,
            verdict: verdict.clone(),
            new_tag,
            urgent: verdict.urgency.review,
            thumbnail: None,
            queued: !self.link.is_online(),
            stored_at: Timestamp::now(),
        };
        match self.journal.record(&self.identity, result)? {
            Recorded::Known => Ok(self.known(candidate)),
            Recorded::New { sequence, .. } => {
                let path = candidate.path.clone();
                (self.observer)(Notice::Captured { path, sequence, verdict: Box::new(verdict) });
                Ok(Progress::Finished)
            }
        }
    }

    /// The one that the photo shows, or the last one that was set.
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
        Capture {
            sha256,
            path: candidate.path.clone(),
            bytes: bytes.len() as u64,
            pixels: embedded.pixels,
            taken,
            monotonic_ns,
            position,
            camera: metadata.camera,
            exposure: metadata.exposure,
            drone: metadata.drone,
            quality: PhotoQuality { millimetres_per_pixel, ..embedded.quality },
            tag,
        }
    }

    fn known(&self, candidate: &Candidate) -> Progress {
        (self.observer)(Notice::Known { path: candidate.path.clone() });
        Progress::Finished
    }

    /// Waits for the rest of a photo that may still be growing; records any other failure.
    fn failed(&self, candidate: &Candidate, error: &PipelineError) -> Result<Progress> {
        let waiting = candidate.unchanged < self.config.intake.incomplete_s.seconds();
        if waiting && matches!(error, PipelineError::Photo(error) if error.may_be_incomplete()) {
            return Ok(Progress::Again(INCOMPLETE_PAUSE));
        }
        let reason = error.to_string();
        let (path, stamp) = (candidate.path.clone(), candidate.stamp.clone());
        warn!("{}: {reason}", path.display());
        self.journal.record_failure(Failure { path: path.clone(), stamp, reason: reason.clone() })?;
        self.vitals.file_failed();
        (self.observer)(Notice::Failed { path, reason });
        Ok(Progress::Finished)
    }
}

/// When the file was last written; the start of 1970 if no calendar reaches that far.
fn modified(stamp: &FileStamp) -> Timestamp {
    Timestamp::from_nanosecond(stamp.modified_ns.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}
