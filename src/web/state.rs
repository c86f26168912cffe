//! State that all requests of the API share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::tz::Offset;
use tokio::sync::Semaphore;

use super::access::Access;
use super::live::Live;
use super::pace::Pace;
use super::pools::{Kind, Listener, Pools, Who};
use super::problem::Problem;
use super::uploads::Room;
use crate::domain::{DeviceHealth, Embedding};
use crate::encoder::OnDemandTextEncoder;
use crate::intake::Arrivals;
use crate::journal::{DeviceIdentity, Journal, Reader};
use crate::photo::MemoryBudget;
use crate::pipeline::{Classifier, Limits};
use crate::uplink::{InForce, Link, SettingsChange};

/// Function that changes settings; its error is a message for people.
type ChangeSettings = dyn Fn(&SettingsChange) -> Result<InForce, String> + Send + Sync;

/// State that all requests share.
pub struct ApiState {
    /// Site and name of the device.
    pub device: String,
    /// Time zone of the device's location.
    pub zone: Offset,
    /// Limits on photos.
    pub limits: Limits,
    pub identity: Arc<DeviceIdentity>,
    pub journal: Journal,
    pub link: Link,
    pub live: Live,
    pub access: Arc<Access>,
    /// Function that returns the device's present condition.
    pub health: Box<dyn Fn() -> DeviceHealth + Send + Sync>,
    /// Function that changes settings and returns those in force. An empty change only returns them.
    pub settings: Box<ChangeSettings>,
    /// Whether there is a door for the network.
    pub has_visitors: bool,
    /// Whether viewers may export files.
    pub viewers_export: bool,
    /// File that lists the members that need photos.
    pub members: Option<PathBuf>,
    pub searcher: Searcher,
    pub uploads: Uploads,
    /// Threads for work that waits.
    pub pools: Pools,
    /// Database readers that no request uses at the moment.
    pub readers: Mutex<Vec<Reader>>,
}

/// Folder, limits and watcher of photos that arrive over the API.
pub struct Uploads {
    /// Maximum size of one photo, in bytes.
    pub bytes_max: u64,
    /// Bounds on all uploads together, with their folder, which the daemon watches.
    pub room: Room,
    /// Rate limit on photos from the network.
    pub pace: Pace,
    /// Places for photos that are being received.
    pub receiving: Arc<Semaphore>,
    /// Lock for storing a photo: two at once would count on the same free room.
    pub placing: Mutex<()>,
    pub arrivals: Arrivals,
}

/// Classifier and text encoder that searches use.
pub struct Searcher {
    pub classifier: Classifier,
    pub text: OnDemandTextEncoder,
}

impl Searcher {
    pub fn of_text(&self, text: &str) -> Result<Embedding, Problem> {
        self.text.encode(text).map_err(|error| Problem::bad_request(error.to_string()))
    }

    pub fn of_photo(&self, bytes: &[u8]) -> Result<Embedding, Problem> {
        let embedded =
            self.classifier.embedder.embed(bytes).map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok(embedded.embedding)
    }
}

impl ApiState {
    /// Returns the memory budget for decoding photos, which requests share with the watched folders.
    pub fn decoding_memory(&self) -> &MemoryBudget {
        &self.searcher.classifier.embedder.memory
    }

    /// Reads the database on another thread.
    pub async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&ApiState, &Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.work(Kind::Quick, None, |site, reader, _| work(site, reader)).await
    }

    /// Changes what is stored, on another thread.
    pub async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        who: Who,
        work: impl FnOnce(&ApiState, &Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.work(Kind::Write, who, |site, reader, _| work(site, reader)).await
    }

    /// Runs work that waits on another thread. Its listener tells the work when nobody waits for the result any more.
    pub async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        kind: Kind,
        who: Who,
        work: impl FnOnce(&ApiState, &Reader, &Listener) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let site = Arc::clone(self);
        let work = move |listener: &Listener| {
            let reader = site.take_reader()?;
            let outcome = work(&site, &reader, listener);
            site.idle_readers().push(reader);
            outcome
        };
        self.pools.run(kind, who, work).await
    }

    fn take_reader(&self) -> Result<Reader, Problem> {
        let idle = self.idle_readers().pop();
        idle.map_or_else(|| self.journal.reader(), Ok).map_err(Problem::fault)
    }

    fn idle_readers(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
