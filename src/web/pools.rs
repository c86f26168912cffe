//! Threads on which requests wait for the database, a drive or a model.
//!
//! Each kind of work has its own places: a memory card that hangs keeps no one from sending photos, and exports do not
//! delay requests for the device's status. Long work can tell that nobody waits for it any more. It keeps its place
//! until it has ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::Problem;

/// Kind of work that needs a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads from the database.
    Quick,
    /// Changes what is stored.
    Write,
    /// Reads photo files, on cards that may hang.
    Files,
    /// Reads all captures, or needs a model.
    Search,
    /// Writes all captures to a file.
    Export,
}

/// Each kind of work with its number of places, and how many of them one visitor may occupy. People at the device may
/// occupy all.
const PLACES: [(Kind, usize, usize); 5] =
    [(Kind::Quick, 4, 4), (Kind::Write, 4, 2), (Kind::Files, 4, 2), (Kind::Search, 2, 1), (Kind::Export, 2, 1)];
/// Maximum number of threads: enough for all places, for photos that are being received, and for the server's own
/// files.
pub const THREADS_MAX: usize = 24;
/// Time limit for a request to wait for a place.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Seconds after which a refused request may be repeated.
const AGAIN_S: u32 = 5;

/// Owner of the work: the id of a visitor, or `None` for people at the device.
pub type Who = Option<String>;

/// Shows a piece of work whether anybody still waits for it.
#[derive(Clone, Debug, Default)]
pub struct Listener(Arc<AtomicBool>);

impl Listener {
    /// Reports whether the client has left, or has given up waiting.
    pub fn has_left(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Guard that a waiting request holds; dropping it tells the work that nobody waits.
struct Presence(Listener);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Places of one kind of work.
struct Pool {
    places: Arc<Semaphore>,
    each: usize,
    of_visitor: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Pool {
    fn new(places: usize, each: usize) -> Self {
        Pool { places: Arc::new(Semaphore::new(places)), each, of_visitor: Mutex::default() }
    }

    fn of_visitor(&self, id: String) -> Arc<Semaphore> {
        let mut of_visitor = self.of_visitor.lock().unwrap_or_else(PoisonError::into_inner);
        // Two owners or more mean that the visitor's places are in use.
        of_visitor.retain(|_, places| Arc::strong_count(places) > 1);
        Arc::clone(of_visitor.entry(id).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
    }

    async fn place(&self, who: Who) -> (Option<OwnedSemaphorePermit>, OwnedSemaphorePermit) {
        const OPEN: &str = "it is never closed";
        let own = match who.map(|id| self.of_visitor(id)) {
            Some(own) => Some(own.acquire_owned().await.expect(OPEN)),
            None => None,
        };
        (own, Arc::clone(&self.places).acquire_owned().await.expect(OPEN))
    }
}

/// Places of all kinds of work.
pub struct Pools(Vec<(Kind, Pool)>);

impl Default for Pools {
    fn default() -> Self {
        Pools(PLACES.map(|(kind, places, each)| (kind, Pool::new(places, each))).into())
    }
}

impl Pools {
    /// Runs the work on a thread of its own, as soon as a place is free. Returns a problem if none becomes free in
    /// time.
    pub async fn run<T: Send + 'static>(
        &self,
        kind: Kind,
        who: Who,
        work: impl FnOnce(&Listener) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (_, pool) = self.0.iter().find(|(of, _)| *of == kind).expect("each kind has its places");
        let place = timeout(WAIT_MAX, pool.place(who)).await;
        let place = place.map_err(|_| Problem::busy("the device has enough to do; try again later", AGAIN_S))?;
        let presence = Presence(Listener::default());
        let listener = presence.0.clone();
        let work = move || {
            let _until_it_ends = place;
            work(&listener)
        };
        tokio::task::spawn_blocking(work).await.map_err(Problem::fault)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().max_blocking_threads(THREADS_MAX).build().expect("a runtime")
    }

    fn visitor(id: u32) -> Who {
        Some(id.to_string())
    }

    #[test]
    fn all_places_together_fit_the_threads() {
        assert!(PLACES.iter().map(|(_, places, _)| places).sum::<usize>() + 5 <= THREADS_MAX);
    }

    #[test]
    fn reads_that_hang_leave_all_other_work_its_places() {
        let (hang, hung) = mpsc::channel::<()>();
        let (pools, hung) = (Arc::new(Pools::default()), Arc::new(Mutex::new(hung)));
        let runtime = runtime();
        runtime.block_on(async {
            for id in 0..20 {
                let (pools, hung) = (Arc::clone(&pools), Arc::clone(&hung));
                tokio::spawn(async move {
                    let read = move |_: &Listener| Ok(hung.lock().is_ok_and(|hung| hung.recv().is_ok()));
                    pools.run(Kind::Files, visitor(id), read).await
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            for kind in [Kind::Quick, Kind::Write, Kind::Search, Kind::Export] {
                let done = timeout(Duration::from_secs(10), pools.run(kind, None, move |_| Ok(kind))).await;
                assert_eq!(done.expect("in time"), Ok(kind));
            }
            let another = timeout(Duration::from_millis(50), pools.run(Kind::Files, None, |_| Ok(()))).await;
            assert!(another.is_err(), "all places hang");
        });
        drop(hang);
        runtime.shutdown_background();
    }

    #[test]
    fn one_visitor_leaves_a_place_to_others() {
        let (hang, hung) = mpsc::channel::<()>();
        let pools = Arc::new(Pools::default());
        let runtime = runtime();
        runtime.block_on(async {
            let long = Arc::clone(&pools);
            let first =
                tokio::spawn(
                    async move { long.run(Kind::Export, visitor(1), move |_| Ok(hung.recv().is_err())).await },
                );
            tokio::time::sleep(Duration::from_millis(50)).await;
            let second = |id| timeout(Duration::from_millis(200), pools.run(Kind::Export, visitor(id), |_| Ok(())));
            assert!(second(1).await.is_err(), "the same visitor waits");
            assert_eq!(second(2).await, Ok(Ok(())));
            drop(hang);
            assert_eq!(first.await.expect("no panic"), Ok(true));
            assert_eq!(second(1).await, Ok(Ok(())));
        });
    }

    #[test]
    fn work_hears_that_nobody_waits_any_more_and_keeps_its_place_until_it_ends() {
        let pools = Pools::default();
        let runtime = runtime();
        runtime.block_on(async {
            let (ended, end) = mpsc::channel();
            let long = pools.run(Kind::Export, visitor(1), move |listener| {
                while !listener.has_left() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(Duration::from_millis(50));
                ended.send(()).map_err(Problem::fault)
            });
            assert!(timeout(Duration::from_millis(50), long).await.is_err());
            assert_eq!(pools.run(Kind::Export, visitor(1), |_| Ok(())).await, Ok(()));
            assert_eq!(end.try_recv(), Ok(()), "the place was given on only then");
        });
    }
}
