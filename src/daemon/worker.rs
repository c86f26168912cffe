//! Takes each file from its bytes to a durable result, or to a recorded reason why there is none.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use log::{error, info, warn};

use super::attempts::{ATTEMPTS_MAX, Attempts};
use super::event::{DaemonEvent, Observer};
use super::health::Vitals;
use super::reads::Reads;
use crate::config::Config;
use crate::domain::{Capture, Failure, FileStamp, Image, PassedOver, PhotoQuality, Sha256, Tag};
use crate::intake::{Bursts, Candidate, Look, Records, SideFile};
use crate::journal::{DeviceIdentity, FileState, Journal, JournalError, NewResult, Reader, Recorded};
use crate::photo::{CameraMoment, Metadata, Positions, read_metadata};
use crate::pipeline::{Classifier, Embedded, Inspected, PipelineError, read_file};
use crate::places::TrackHistory;
use crate::plain_file;
use crate::position::{
    CameraName, CameraReading, Claims, Located, Locator, Photo, Stored, dated, monotonic_ns, written_ns,
};
use crate::uplink::Link;

/// Pause before a photo whose end is missing is read again.
const INCOMPLETE_PAUSE: Duration = Duration::from_secs(2);
/// Pause after a fault of the device itself, such as a full disk, before the photo is tried again.
const FAULT_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause before a file that the drive could not read is tried again. The pauses double up to this one.
const UNREADABLE_PAUSE_MAX: Duration = Duration::from_secs(600);
/// Number of bytes read from a file to learn when the photo was taken. The EXIF block of a JPEG is at its start and has
/// at most 64 KiB (CIPA DC-008, 4.7.2).
const HEAD_BYTES: u64 = 1 << 16;

/// Worker that takes one file after another from bytes to a durable result.
pub struct Worker {
    pub classifier: Classifier,
    pub journal: Journal,
    pub identity: Arc<DeviceIdentity>,
    pub reader: Reader,
    pub link: Link,
    pub locator: Arc<Locator>,
    pub vitals: Vitals,
    pub config: Config,
    pub observer: Observer,
    pub bursts: Bursts,
    pub attempts: Attempts,
    pub reads: Reads,
    /// Whether this is an import by hand: a person waits for its end and is told about every file.
    pub by_hand: bool,
}

/// Outcome for one file.
pub enum Progress {
    /// The journal has a result for the photo.
    Done,
    /// There is no result. The reason is recorded, or the file is gone.
    Failed,
    /// Nothing is recorded. The file is tried again after the pause.
    Again(Duration),
}

impl Worker {
    /// Classifies one file. A fault of the photo is recorded. A fault of the device is logged, and the file is tried
    /// again.
    pub fn process(&mut self, candidate: &Candidate) -> Progress {
        match self.result(candidate) {
            Ok(progress) => progress,
            Err(error) => {
                // The journal has already logged, once for all photos, that the device is full.
                if !matches!(error.downcast_ref(), Some(JournalError::Full(_))) {
                    error!("{}: {error:#}; trying again in {FAULT_PAUSE:?}", candidate.path.display());
                }
                Progress::Again(FAULT_PAUSE)
            }
        }
    }

    /// Reads, classifies and stores a photo. An error is a fault of the device. A fault of the photo is recorded and is
    /// not an error.
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
        let metadata = read_metadata(&bytes);
        let inspected = self.classifier.inspect(&bytes, metadata.orientation, self.config.photo.thumbnail_px());
        self.attempts.end();
        match inspected {
            Ok(inspected) => self.store(candidate, &bytes, sha256, metadata, inspected),
            Err(PipelineError::Reference(error)) => Err(error.into()),
            Err(error) => self.failed(candidate, &error),
        }
    }

    fn read(&self, candidate: &Candidate) -> Result<Vec<u8>, PipelineError> {
        let limits = self.classifier.embedder.limits;
        self.reads
            .read(&candidate.path, candidate.stamp.bytes.min(limits.bytes_max), move |path| read_file(path, &limits))?
    }

    fn store(
        &mut self,
        candidate: &Candidate,
        bytes: &[u8],
        sha256: Sha256,
        metadata: Metadata,
        inspected: Inspected,
    ) -> Result<Progress> {
        let Inspected { embedded, verdict, tag: new_tag, thumbnail } = inspected;
        let tag = self.tag(candidate, new_tag.as_ref())?;
        let (capture, photo) = self.capture(candidate, bytes, sha256, metadata, &embedded, tag);
        let Capture { taken, position, burst, .. } = capture.clone();
        let result = NewResult {
            capture,
            stamp: candidate.stamp.clone(),
            embedding: embedded.embedding.clone(),
            verdict: verdict.clone(),
            new_tag,
            urgent: verdict.urgency.review,
            thumbnail,
            claims: serde_json::to_string(&photo.claims).ok(),
            queued: !self.link.is_online(),
            stored_at: Timestamp::now(),
        };
        match self.journal.record(&self.identity, result)? {
            Recorded::Known => Ok(self.known(candidate)),
            Recorded::New { capture, sequence } => {
                self.bursts.push(sha256, embedded.embedding, taken.at, burst);
                self.locator.remember(Stored { capture, photo, taken, position });
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
        metadata: Metadata,
        embedded: &Embedded,
        tag: Option<Tag>,
    ) -> (Capture, Photo) {
        let millimetres_per_pixel = metadata.millimetres_per_pixel(embedded.pixels);
        let photo = self.photo(candidate, &metadata);
        let history = TrackHistory { reader: &self.reader };
        let Located { taken, monotonic_ns, position } = self.locator.locate(&photo, &history);
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
        (Capture { taken, monotonic_ns, image, position, drone: metadata.drone, tag, burst }, photo)
    }

    /// Collects the evidence for moment and place of a photo.
    fn photo(&self, candidate: &Candidate, metadata: &Metadata) -> Photo {
        let seen_ns = monotonic_ns().saturating_sub(candidate.seen.elapsed().as_nanos() as u64);
        let modified = modified(&candidate.stamp);
        let Positions { laser_target, rtk, exif, xmp } = metadata.positions.clone();
        let claims = Claims {
            origin: candidate.origin,
            written_ns: written_ns(modified, seen_ns, candidate.seen_wall),
            seen_ns,
            seen: None,
            modified,
            camera: metadata.moments.camera.as_ref().map(reading),
            gps: metadata.moments.gps,
            utc: metadata.moments.utc,
            speed_mps: metadata.speed_mps,
            is_drone: metadata.drone.is_some(),
            places: [laser_target, rtk, exif, xmp].into_iter().flatten().collect(),
        };
        let file_name = candidate.path.file_name().and_then(OsStr::to_str).map(str::to_owned);
        let camera = CameraName::of(&metadata.camera);
        Photo { file_name, camera, claims: dated(claims, &self.locator) }
    }

    fn known(&self, candidate: &Candidate) -> Progress {
        (self.observer)(DaemonEvent::Known { path: candidate.path.clone() });
        Progress::Done
    }

    /// Reports a file that vanished, for example with a pulled card. Nothing is recorded, so the photo counts as new if
    /// it reappears.
    fn vanished(&self, candidate: &Candidate, error: &io::Error) -> Progress {
        let path = candidate.path.clone();
        self.vitals.file_readable(&path);
        warn!("{}: gone before it was read: {error}", path.display());
        (self.observer)(DaemonEvent::Failed { path, reason: format!("gone before it was read: {error}") });
        Progress::Failed
    }

    /// Reports a file that the drive cannot read. The photo is not to blame, so nothing is recorded. The daemon tries
    /// the file again after a pause; an import by hand leaves it to the next import.
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

    /// Schedules another try if the photo may still be growing. Records any other failure.
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

    /// Returns the time by the camera's clock, which survives copying, or else the file's modification time.
    fn taken(&self, path: &Path, stamp: &FileStamp) -> Timestamp {
        if self.attempts.of(path, stamp) > 0 {
            // A photo that has ended the program is tried after all others.
            return Timestamp::MAX;
        }
        // A file that cannot be read is reported when its turn comes.
        let head = self.reads.read(path, HEAD_BYTES, read_head).and_then(|head| head).unwrap_or_default();
        read_metadata(&head).taken(self.config.intake.camera_utc_offset.0).unwrap_or_else(|| modified(stamp))
    }

    /// Reports the file, and takes back a failure that an earlier version has recorded for it.
    fn passed_over(&self, path: &Path, side: SideFile) {
        let failed = |state: &FileState| state.reason.is_some();
        if self.reader.file(path).is_ok_and(|state| state.as_ref().is_some_and(failed)) {
            let forgotten = self.journal.forget_failures(vec![path.to_owned()]);
            forgotten.map_or_else(|error| warn!("{}: {error}", path.display()), drop);
        }
        (self.observer)(DaemonEvent::PassedOver { path: path.to_owned(), side });
    }

    fn rescanned(&self, passed_over: &PassedOver) {
        self.vitals.files_passed_over(passed_over);
    }
}

/// Step of a camera's clock in seconds that writes fractions: most write hundredths.
const FRACTION_STEP_S: f64 = 0.01;

fn reading(moment: &CameraMoment) -> CameraReading {
    let CameraMoment { civil, offset, has_fraction, .. } = *moment;
    CameraReading { civil, offset, step_s: if has_fraction { FRACTION_STEP_S } else { 1.0 } }
}

fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    plain_file::open(path)?.take(HEAD_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the time of the file's last change, or the start of 1970 if that time is outside the calendar's range.
fn modified(stamp: &FileStamp) -> Timestamp {
    Timestamp::from_nanosecond(stamp.modified_ns.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}
