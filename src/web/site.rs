//! What the API works with.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::tz::Offset;

use super::access::Access;
use super::live::Live;
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
    /// Photos that inspectors have rated here vote too.
    pub learn: bool,
    /// Lists the members that shall have photos.
    pub members: Option<PathBuf>,
    pub searcher: Searcher,
    pub uploads: Uploads,
    /// Views of the database that nobody uses at the moment.
    pub readers: Mutex<Vec<Reader>>,
}

/// Where photos go that come over the API.
pub struct Uploads {
    /// A watched folder.
    pub dir: PathBuf,
    /// Of one photo.
    pub bytes_max: u64,
    /// Of all of them.
    pub room: Room,
    /// Of photos from the network.
    pub pace: Pace,
    pub arrivals: Arrivals,
}

/// So many at once, and then one in a time.
#[derive(Debug)]
pub struct Pace {
    /// When all that came would have come one by one.
    even: Mutex<Instant>,
    at_once: u32,
    each: Duration,
}

impl Pace {
    pub fn new(at_once: u32, each: Duration) -> Self {
        Pace { even: Mutex::new(Instant::now()), at_once, each }
    }

    /// Lets one pass, or says how long it has to wait.
    pub fn pass(&self, now: Instant) -> Result<(), Duration> {
        let mut even = self.even.lock().unwrap_or_else(PoisonError::into_inner);
        let next = (*even).max(now) + self.each;
        match (next - now).checked_sub(self.each * self.at_once) {
            None | Some(Duration::ZERO) => {
                *even = next;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }
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

    /// Does on another thread what waits for the database or for a model.
    pub async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Site, &Reader) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let site = Arc::clone(self);
        let work = move || {
            let reader = site.take_reader()?;
            let outcome = work(&site, &reader);
            site.idle_readers().push(reader);
            outcome
        };
        tokio::task::spawn_blocking(work).await.map_err(Problem::fault)?
    }

    fn take_reader(&self) -> Result<Reader, Problem> {
        let idle = self.idle_readers().pop();
        idle.map_or_else(|| self.journal.reader(), Ok).map_err(Problem::fault)
    }

    fn idle_readers(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_pass_at_once_and_the_others_one_by_one() {
        let (pace, now) = (Pace::new(3, Duration::from_secs(2)), Instant::now());
        let passed = |at| pace.pass(now + Duration::from_secs(at));
        assert_eq!([passed(0), passed(0), passed(0)], [Ok(()); 3]);
        assert_eq!(passed(0), Err(Duration::from_secs(2)));
        assert_eq!(passed(1), Err(Duration::from_secs(1)));
        assert_eq!((passed(2), passed(3)), (Ok(()), Err(Duration::from_secs(1))));
        assert_eq!([passed(60), passed(60), passed(60)], [Ok(()); 3]);
        assert!(passed(60).is_err());
    }
}
