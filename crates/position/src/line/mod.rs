//! Follows a line from a receiver or flight controller: opens it, finds its speed and protocol, reads it, and opens it
//! again after it was lost.
//!
//! `source` names a line, `params` says how it is followed, `port` opens and reads it, `resolve` finds the address of a
//! server, and `decoders` tells the protocol. `follower` is the thread that puts them together. `watch` is what it has
//! seen, and `report` explains it with the help of `missing`; `foreign` explains why nothing is understood.

mod decoders;
mod follower;
mod foreign;
mod missing;
mod params;
mod port;
mod report;
mod resolve;
mod source;
mod watch;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::clock::monotonic_ns;
use follower::{Follower, Times};
use watch::Watch;

pub use params::{BAUD_RATES, LineEvent, LineParams, Protocol};
pub use report::{LineReport, LineTime};
pub use source::{Endpoint, Source, SourceError};
pub use watch::LineState;

/// A thread that follows a line.
pub struct Line {
    source: String,
    watch: Arc<Mutex<Watch>>,
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Line {
    /// Starts the thread, which calls `tell` for each event.
    pub fn start(params: LineParams, tell: impl FnMut(LineEvent) + Send + 'static) -> io::Result<Self> {
        Self::start_with(params, Times::USUAL, tell)
    }

    fn start_with(params: LineParams, times: Times, tell: impl FnMut(LineEvent) + Send + 'static) -> io::Result<Self> {
        let (stopped, watch) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Watch::default())));
        let source = params.source.to_string();
        let mut follower = Follower::new(params, times, Arc::clone(&watch), Arc::clone(&stopped), Box::new(tell));
        let thread = thread::Builder::new().name("position".into()).spawn(move || follower.run())?;
        Ok(Line { source, watch, stopped, thread })
    }

    /// Explains what is heard on the line, what is understood, and what is missing.
    pub fn report(&self) -> LineReport {
        self.reporter()()
    }

    /// Returns a function that explains the line, for other threads.
    pub fn reporter(&self) -> impl Fn() -> LineReport + Send + Sync + 'static {
        let (source, watch) = (self.source.clone(), Arc::clone(&self.watch));
        move || LineReport::of(&watch.lock().unwrap_or_else(PoisonError::into_inner), source.clone(), monotonic_ns())
    }

    /// Asks the thread to end, which takes one second at most, or three while it connects to a server.
    pub fn ask_to_stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
    }

    /// Asks the thread to end and waits for it.
    pub fn stop(self) {
        self.ask_to_stop();
        if self.thread.join().is_err() {
            log::error!("the position thread panicked");
        }
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod serial_tests;

#[cfg(test)]
mod network_tests;
