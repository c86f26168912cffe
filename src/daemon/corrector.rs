//! Thread that corrects stored captures when their time or place becomes known later.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use log::{debug, info};

use crate::domain::Change;
use crate::journal::{DeviceIdentity, Expect, Journal, JournalError, Reader};
use crate::position::{Correction, LEARNERS_MAX, Locator, Stored};
use crate::uplink::Link;

/// Pause between two rounds. By then the fixes on both sides of an exposure have usually arrived.
const PAUSE: Duration = Duration::from_secs(2);

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
        while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            let queued = !self.link.is_online();
            match correct(&self.locator, &self.journal, &self.identity, queued, Timestamp::now()) {
                Ok(captures) if captures.is_empty() => (),
                Ok(captures) => info!("{} captures have learned their time or place", captures.len()),
                // The journal logs it once, for everyone who wants to write.
                Err(error) => debug!("{error}; trying again in {PAUSE:?}"),
            }
        }
    }
}

/// Gives the locator the captures that were stored since the machine's start: they may learn from later fixes.
pub fn remember(locator: &Locator, reader: &Reader) -> Result<(), JournalError> {
    for place in reader.last_places(locator.boot_id(), LEARNERS_MAX)?.into_iter().rev() {
        let (capture, monotonic_ns) = (place.capture, place.monotonic_ns);
        locator.remember(Stored { capture, monotonic_ns, taken: place.taken, position: place.position });
    }
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
    if !corrections.is_empty() {
        let changes = corrections.iter().map(change).collect();
        journal.supersede_all(identity, changes, Expect::Any, queued, now)?;
    }
    locator.corrected(&corrections);
    Ok(corrections.iter().map(|correction| correction.capture).collect())
}

fn change(Correction { capture, taken, position }: &Correction) -> (i64, Change) {
    (*capture, Change::Located { taken: taken.clone(), position: position.clone() })
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
