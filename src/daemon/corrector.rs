//! Thread that corrects stored captures when their time or place becomes known later.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use log::{debug, info};

use crate::journal::{DeviceIdentity, Journal, JournalError, Reader};
use crate::places::{self, weighable};
use crate::position::{CameraName, LEARNERS_MAX, Locator};
use crate::uplink::Link;

/// Pause between two rounds. By then the fixes on both sides of an exposure have usually arrived.
const PAUSE: Duration = Duration::from_secs(2);
/// Time between two writes of the track. A power cut loses what came since the last one.
const KEEP: Duration = Duration::from_secs(60);

/// Link between the captures in the journal and what the locator learns.
pub struct Corrector {
    pub locator: Arc<Locator>,
    pub journal: Journal,
    pub identity: Arc<DeviceIdentity>,
    pub link: Link,
}

/// Running corrector thread.
pub struct CorrectorThread {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Corrector {
    /// Starts the thread, with the captures that were stored since the machine's start, before the daemon's own.
    pub fn start(self, reader: &Reader) -> Result<CorrectorThread, CorrectorError> {
        remember(&self.locator, reader)?;
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("corrector".into()).spawn(move || self.run(&stopped))?;
        Ok(CorrectorThread { stop, thread })
    }

    fn run(&self, stopped: &mpsc::Receiver<()>) {
        let mut kept = Instant::now();
        while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            if kept.elapsed() >= KEEP {
                kept = Instant::now();
                self.keep();
            }
            let queued = !self.link.is_online();
            match correct(&self.locator, &self.journal, &self.identity, queued, Timestamp::now()) {
                Ok(captures) if captures.is_empty() => (),
                Ok(captures) => info!("{} captures have learned their time or place", captures.len()),
                // The journal logs it once, for everyone who wants to write.
                Err(error) => debug!("{error}; trying again in {PAUSE:?}"),
            }
        }
        self.keep();
    }

    /// Stores the track and the cameras' clocks. A clock that a person has set with a command, in another process, goes
    /// before one that was learned meanwhile.
    fn keep(&self) {
        let set = self.journal.reader().and_then(|reader| places::load_set_cameras(&self.locator, &reader));
        set.unwrap_or_else(|error| debug!("{error}; cameras that were set are not read"));
        match places::keep(&self.locator, &self.journal) {
            Ok(cameras) => cameras.iter().for_each(|camera| self.place_again(camera)),
            Err(error) => debug!("{error}; the track of the last minute is not stored"),
        }
    }

    /// Weighs the stored photos of a camera again, whose clock is known better now.
    fn place_again(&self, camera: &CameraName) {
        let queued = !self.link.is_online();
        let placed = self.journal.reader().and_then(|reader| {
            places::place_again(&reader, &self.journal, &self.locator, &self.identity, camera, queued)
        });
        match placed {
            Ok(tally) if tally.changed == 0 => (),
            Ok(tally) => info!("{}: {} stored photos have learned their time or place", camera.as_str(), tally.changed),
            Err(error) => debug!("{error}; stored photos of {} are not placed again", camera.as_str()),
        }
    }
}

/// Gives the locator the captures that were stored since the machine's start: they may learn from later fixes.
pub fn remember(locator: &Locator, reader: &Reader) -> Result<(), JournalError> {
    let places = reader.last_places(locator.boot_id(), LEARNERS_MAX)?;
    places.into_iter().rev().filter_map(weighable).for_each(|stored| locator.remember(stored));
    Ok(())
}

/// Applies what became known after captures were stored, in one commit. Returns the ids of the corrected captures. The
/// locator does not report these corrections again.
pub fn correct(
    locator: &Locator,
    journal: &Journal,
    identity: &Arc<DeviceIdentity>,
    queued: bool,
    now: Timestamp,
) -> Result<Vec<i64>, JournalError> {
    let corrections = locator.corrections();
    places::store(journal, identity, &corrections, queued, now)?;
    locator.corrected(&corrections);
    Ok(corrections.iter().map(|correction| correction.capture).collect())
}

/// Reason why the thread cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum CorrectorError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

impl CorrectorThread {
    /// Stops the thread, and waits for its end.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            log::error!("the corrector thread panicked");
        }
    }
}
