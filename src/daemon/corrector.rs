//! The thread that tells stored captures what became known after them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use log::{debug, info};

use super::{Notice, Observer};
use crate::domain::Change;
use crate::journal::{DeviceIdentity, Expect, Journal, JournalError, Reader};
use crate::position::{Correction, LEARNERS_MAX, Locator, Stored};
use crate::uplink::Link;

/// A pause in which the fixes on both sides of an exposure have usually come.
const PAUSE: Duration = Duration::from_secs(2);

/// Connects the captures of the journal with what the locator learns.
pub struct Corrector {
    pub locator: Arc<Locator>,
    pub journal: Journal,
    pub identity: Arc<DeviceIdentity>,
    pub link: Link,
    pub observer: Observer,
}

/// The running thread.
pub struct CorrectorThread {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Corrector {
    /// Starts with the captures that were stored since the start of the machine, before the daemon's own.
    pub fn start(self, reader: &Reader) -> Result<CorrectorThread, CorrectorError> {
        for place in reader.last_places(self.locator.boot_id(), LEARNERS_MAX)?.into_iter().rev() {
            let (capture, monotonic_ns) = (place.capture, place.monotonic_ns);
            self.locator.remember(Stored { capture, monotonic_ns, taken: place.taken, position: place.position });
        }
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("corrector".into()).spawn(move || self.run(&stopped))?;
        Ok(CorrectorThread { stop, thread })
    }

    fn run(&self, stopped: &mpsc::Receiver<()>) {
        while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            let corrections = self.locator.corrections();
            match self.store(&corrections) {
                Ok(0) => self.locator.corrected(&[]),
                Ok(count) => {
                    info!("{count} captures have learned their time or place");
                    self.locator.corrected(&corrections);
                    let captures = corrections.iter().map(|correction| correction.capture).collect();
                    (self.observer)(Notice::Corrected { captures });
                }
                // The journal has said it, once for all who want to write.
                Err(error) => debug!("{error}; trying again in {PAUSE:?}"),
            }
        }
    }

    /// One commit for all of them.
    fn store(&self, corrections: &[Correction]) -> Result<usize, JournalError> {
        if corrections.is_empty() {
            return Ok(0);
        }
        let change = |Correction { capture, taken, position }: &Correction| {
            (*capture, Change::Located { taken: taken.clone(), position: position.clone() })
        };
        let changes = corrections.iter().map(change).collect();
        self.journal.supersede_all(&self.identity, changes, Expect::Any, !self.link.is_online(), Timestamp::now())?;
        Ok(corrections.len())
    }
}

/// Why the thread cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum CorrectorError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

impl CorrectorThread {
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            log::error!("the corrector thread panicked");
        }
    }
}
