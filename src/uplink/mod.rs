//! Delivers the outbox to an MQTT 5 broker while there is a link. SQLite alone owns the retries: every connection
//! starts clean and reads the unacknowledged rows again.

mod backoff;
mod connection;
mod session;
mod window;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::journal::{Journal, Reader};

/// How the uplink reaches its broker.
#[derive(Clone, Debug)]
pub struct Params {
    pub host: String,
    pub port: u16,
    pub client_id: String,
    /// `bridge/v1/{site}/{device}`; topics of events lie below it.
    pub prefix: String,
    pub boot_id: String,
    pub package: String,
    pub keep_alive: Duration,
    /// Events on their way at once.
    pub in_flight: u16,
    /// The link is given up when events are on their way and nothing was acknowledged for this long.
    pub stall: Duration,
    /// Longest pause between two attempts.
    pub retry_max: Duration,
    /// Keep events that the broker would drop because nobody has subscribed.
    pub hold_without_subscriber: bool,
}

/// What the rest of the program may know of the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    Online,
    /// The reason in words.
    Offline(String),
    /// The broker holds the queue up; the reason in words.
    Held(String),
    /// So many events were acknowledged and are out of the queue.
    Delivered(usize),
}

/// Shared by the uplink and the program around it.
#[derive(Clone, Default)]
pub struct Link {
    online: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl Link {
    /// Whether a connection to the broker stands.
    pub fn is_online(&self) -> bool {
        self.online.load(Ordering::Relaxed)
    }

    /// Tells the uplink that the outbox may have new rows.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

/// The running uplink.
pub struct Uplink {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Uplink {
    /// Starts the uplink on a thread of its own. `report` is called from there.
    pub fn start(
        params: Params,
        link: Link,
        reader: Reader,
        journal: Journal,
        report: impl Fn(LinkEvent) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            let mut session = session::Uplink::new(params, link, reader, journal, Box::new(report), stopped);
            runtime.block_on(session.run());
            // A connect that hangs must not hold up the exit.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("uplink".into()).spawn(run)?;
        Ok(Uplink { stop, thread })
    }

    /// Says goodbye to the broker, within two seconds, and waits for the end.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            log::error!("the uplink thread panicked");
        }
    }
}
