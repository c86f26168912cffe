//! The daemon: its threads, the order in which they start and stop, and what happens to each file.
//!
//! The threads:
//!
//! - the caller's, for intake and classification
//! - `journal`, the only writer
//! - `uplink` and `commands`
//! - `position`, for the serial line
//! - `corrector`, for time and place of stored captures
//! - `members`, for the answers about members
//! - `web`, for the API
//! - the folder watcher's
//! - `read`, for the photo that is being read
//!
//! On a stop, the current photo is finished, then the uplink takes leave of the broker, then the journal ends.
//!
//! An import by hand runs without uplink, commands, position, corrector, members, web and watcher. It ends by itself.

mod attempts;
mod captures;
mod corrector;
mod event;
mod health;
mod heat;
mod members;
mod operator;
mod parts;
mod reads;
mod settings;
mod uplink;
mod web;
mod worker;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use log::{error, info, warn};

use self::attempts::Attempts;
use self::corrector::{Corrector, CorrectorThread};
pub use self::corrector::{correct, remember};
pub use self::event::DaemonEvent;
use self::event::Observer;
use self::health::Vitals;
use self::heat::Heat;
use self::members::{Members, MembersThread};
use self::parts::Parts;
use self::reads::Reads;
use self::settings::LiveSettings;
use self::worker::{Progress, Worker};
use crate::config::Config;
use crate::intake::{self, Bursts, Intake, IntakeStop};
use crate::journal::{FILE_NAME, Journal, Reader, Report};
use crate::learn::Learner;
use crate::packages::{self, Loaded};
use crate::pipeline::Classifier;
use crate::places;
use crate::position::{Line, LineEvent, Locator};
use crate::service::Service;
use crate::uplink::{Link, UplinkThread};
use crate::web::{UPLOADS_NAME, Web};
use crate::{assembly, durable};

/// Longest time that the shutdown waits for the journal, once everything else has ended.
const JOURNAL_END_MAX: Duration = Duration::from_secs(3);
/// Longest time of a start with salvage, announced to systemd: gigabytes of a damaged database are read from a slow
/// card, and the intact rows written.
const SALVAGE_MAX: Duration = Duration::from_secs(3600);

/// Running daemon. It classifies photos while [`Daemon::run`] executes.
pub struct Daemon {
    intake: Intake,
    worker: Worker,
    uplink: Option<UplinkThread>,
    line: Option<Line>,
    corrector: Option<CorrectorThread>,
    members: Option<MembersThread>,
    web: Option<Web>,
    journal_thread: JoinHandle<()>,
    service: Arc<Service>,
    /// Lock that keeps a second daemon off the data folder; `None` for an import beside a daemon.
    _lock: Option<File>,
}

impl Daemon {
    /// Loads everything and starts the threads.
    ///
    /// # Errors
    /// A message that says what is missing and what to do.
    pub fn start(config: &Config, observer: impl Fn(DaemonEvent) + Send + Sync + 'static) -> Result<Self> {
        Self::with_intake(config, assembly::watch(config), Arc::new(observer), false)
    }

    /// Prepares an import of the photos at `paths` alone: no link, no serial line, no watched folder. Files that failed
    /// before are tried again. [`Daemon::run`] ends when all files are done.
    pub fn import(
        config: &Config,
        paths: Vec<PathBuf>,
        observer: impl Fn(DaemonEvent) + Send + Sync + 'static,
    ) -> Result<Self> {
        let params = intake::Params { roots: paths, once: true, ..assembly::watch(config) };
        Self::with_intake(config, params, Arc::new(observer), true)
    }

    fn with_intake(config: &Config, params: intake::Params, observer: Observer, by_hand: bool) -> Result<Self> {
        let service = Arc::new(Service::from_environment());
        // An import joins the daemon that works on the same folder.
        let joins = by_hand && is_running(&config.device.data_dir);
        let lock = if joins { None } else { Some(lock_data_dir(&config.device.data_dir)?) };
        let (live, observer) = web::heard_by_pages(observer);
        let Loaded { package, classifier } = packages::load(&assembly::package_source(&config.package), |package| {
            assembly::classifier(config, package)
        })?;
        let link = Link::default();
        let locator = Arc::new(Locator::new(assembly::locator(config)).context("cannot read the boot id")?);
        let identity = Arc::new(assembly::identity(config, &package, locator.boot_id()));
        let vitals = Vitals::new(&config.device.data_dir, &locator);
        if config.web.is_some() {
            let uploads = config.device.data_dir.join(UPLOADS_NAME);
            if let Err(error) = durable::claim_folder(&uploads) {
                warn!("{}: {error}; photos cannot be sent from the page", uploads.display());
            }
            assembly::uploads_room(config).clear_leftovers();
        }
        let intake = Intake::new(params);
        service.starting(SALVAGE_MAX);
        let learner = Arc::new(Mutex::new(None));
        let (journal, journal_thread) = match joins {
            true => Journal::join(&config.device.data_dir, assembly::journal(config))?,
            false => start_journal(config, &link, &intake, &observer, &learner)?,
        };
        let reader = journal.reader()?;
        places::load_cameras(&locator, &reader)?;
        if config.inspection.learn {
            // This reader must not ask the journal to mend damage: it is used on the journal's own thread, which would
            // wait for itself.
            let reader = Reader::open(&config.device.data_dir.join(FILE_NAME))?;
            let rated = classifier.answerer().rated.clone();
            let started = Learner::start(reader, package.embedding_space(), rated)?;
            *learner.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        }
        let settings = LiveSettings::new(&config.device.data_dir, assembly::file_settings(config), &journal, &link);
        let parts = Parts {
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
        let uplink = mqtt.map(|mqtt| uplink::start(&parts, mqtt)).transpose()?;
        let line = if by_hand { None } else { start_line(config, &locator)? };
        line.iter().for_each(|line| vitals.follow(line.reporter()));
        let corrector = if by_hand { None } else { Some(start_corrector(&parts, &reader)?) };
        let members = if by_hand { None } else { Some(start_members(&parts, &classifier)?) };
        let web = if by_hand { None } else { Some(web::start(&parts, &classifier, live, intake.arrivals())?) };
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
            bursts: Bursts::new(assembly::bursts(config)),
            attempts: if joins { Attempts::unrecorded() } else { Attempts::open(&config.device.data_dir) },
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
        Ok(Daemon { intake, worker, uplink, line, corrector, members, web, journal_thread, service, _lock: lock })
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
        if let Some(members) = self.members {
            members.stop();
        }
        if let Some(web) = self.web {
            web.stop();
        }
        if self.worker.by_hand {
            let kept = places::keep_cameras(&self.worker.locator, &self.worker.journal);
            kept.map_or_else(|error| warn!("{error}; what was learned about cameras' clocks is lost"), drop);
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

fn start_line(config: &Config, locator: &Arc<Locator>) -> Result<Option<Line>> {
    let Some(params) = assembly::receiver(config) else { return Ok(None) };
    let locator = Arc::clone(locator);
    let note = move |event| match event {
        LineEvent::Arrived(arrival) => locator.note(*arrival),
        // The line has logged these itself.
        LineEvent::Found { .. } | LineEvent::Lost(_) => (),
    };
    Line::start(params, note).map(Some).context("cannot start a thread for the receiver's line")
}

fn start_corrector(parts: &Parts, reader: &Reader) -> Result<CorrectorThread> {
    let (locator, identity) = (Arc::clone(parts.locator), Arc::clone(parts.identity));
    let (journal, link) = (parts.journal.clone(), parts.link.clone());
    Ok(Corrector { locator, journal, identity, link }.start(reader)?)
}

fn start_members(parts: &Parts, classifier: &Classifier) -> Result<MembersThread> {
    let members = Members {
        params: assembly::members(parts.config),
        journal: parts.journal.clone(),
        identity: Arc::clone(parts.identity),
        classifier: classifier.clone(),
        link: parts.link.clone(),
    };
    members.start(parts.journal.reader()?).context("cannot start a thread for answers about members")
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
    Ok(Journal::open(&config.device.data_dir, assembly::journal(config), report)?)
}
