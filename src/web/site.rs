//! What the API works with.

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

/// An error is in words.
type ChangeSettings = dyn Fn(&SettingsChange) -> Result<InForce, String> + Send + Sync;

/// Shared by all requests.
pub struct Site {
    /// Site and name of the device.
    pub device: String,
    /// Of the place.
    pub zone: Offset,
    /// On photos.
    pub limits: Limits,
    pub identity: Arc<DeviceIdentity>,
    pub journal: Journal,
    pub link: Link,
    pub live: Live,
    pub access: Arc<Access>,
    /// How the device is now.
    pub health: Box<dyn Fn() -> DeviceHealth + Send + Sync>,
    /// Changes settings; without a change it tells what holds.
    pub settings: Box<ChangeSettings>,
    /// Whether there is a door for the network.
    pub has_visitors: bool,
    /// Whether viewers may take files away.
    pub viewers_export: bool,
    /// Lists the members that shall have photos.
    pub members: Option<PathBuf>,
    pub searcher: Searcher,
    pub uploads: Uploads,
    /// Threads that do what waits.
    pub pools: Pools,
    /// Views of the database that nobody uses at the moment.
    pub readers: Mutex<Vec<Reader>>,
}

/// Where photos go that come over the API.
pub struct Uploads {
    /// Of one photo.
    pub bytes_max: u64,
    /// Of all of them, with their folder, which is watched.
    pub room: Room,
    /// Of photos from the network.
    pub pace: Pace,
    /// Places for photos that are being received.
    pub receiving: Arc<Semaphore>,
    /// Held while a photo is given its place: two at once would take the same room.
    pub placing: Mutex<()>,
    pub arrivals: Arrivals,
}

/// What photos are found with.
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

impl Site {
    /// What the photos that the page needs are decoded in, together with those of the watched folders.
    pub fn decoding_memory(&self) -> &MemoryBudget {
        &self.searcher.classifier.embedder.memory
    }

    /// Looks into the database on another thread.
    pub async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Site, &Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.work(Kind::Quick, None, |site, reader, _| work(site, reader)).await
    }

    /// Changes what is stored, on another thread.
    pub async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        who: Who,
        work: impl FnOnce(&Site, &Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.work(Kind::Write, who, |site, reader, _| work(site, reader)).await
    }

    /// Does on another thread what waits. The work is told when nobody listens any more.
    pub async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        kind: Kind,
        who: Who,
        work: impl FnOnce(&Site, &Reader, &Listener) -> Result<T, Problem> + Send + 'static,
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
