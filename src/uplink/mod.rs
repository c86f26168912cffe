//! Delivers the outbox to an MQTT 5 broker while there is a link. SQLite alone owns the retries: every connection
//! starts clean and reads the unacknowledged rows again.

pub mod backoff;
mod command;
mod connection;
mod endpoint;
mod lanes;
mod link;
mod messages;
mod probe;
mod rate;
mod secret;
mod session;
mod settlement;
mod states;
mod suspects;
mod tls;
mod window;

pub use command::{
    Acting, Captures, Command, CommandHandler, Desk, DeskParams, InForce, KeyError, LogLevel, LongWork, Op, Order,
    Retag, SetTo, SettingsChange, SigningKey, VerifyingKey, new_private_key, private_key, public_key, sign,
};
pub use endpoint::{Endpoint, Login};
pub use link::{Link, LinkState, Settings};
pub use probe::{ProbeError, probe};
pub use secret::{Secret, SecretError, read_credential, read_secret};
pub use tls::{Tls, TlsError, TlsFiles, client_config};

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::DeviceHealth;
use crate::journal::{Journal, Reader};

/// How the uplink reaches its broker.
#[derive(Clone, Debug)]
pub struct Params {
    pub endpoint: Endpoint,
    /// `bridge/v1/{site}/{device}`; all topics lie below it.
    pub prefix: String,
    pub boot_id: String,
    pub package: String,
    /// Events that were sent and are still in the outbox. They are the most that can arrive twice.
    pub in_flight: u16,
    /// The link is given up when events are on their way and nothing was acknowledged for this long.
    pub stall: Duration,
    /// Longest pause between two attempts.
    pub retry_max: Duration,
    /// Pause when somebody has to change something before another attempt makes sense.
    pub refused_pause: Duration,
    /// Keep events that the broker would drop because nobody has subscribed.
    pub hold_without_subscriber: bool,
    /// Time between two reports of the device's health.
    pub health: Duration,
}

/// What the uplink works with.
pub struct Around {
    pub link: Link,
    pub reader: Reader,
    pub journal: Journal,
    /// Receives commands; without it none are subscribed to.
    pub desk: Option<Desk>,
    /// How the device is now. Called on the uplink's thread.
    pub health: Box<dyn Fn() -> DeviceHealth + Send>,
    /// Called on the uplink's thread.
    pub report: Box<dyn Fn(LinkEvent) + Send>,
}

/// What the rest of the program may know of the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    Online,
    /// The reason in words.
    Offline(String),
    /// Somebody has to change something; the reason in words.
    Refused(String),
    /// The broker holds the queue up; the reason in words.
    Held(String),
    /// So many events were acknowledged and are out of the queue.
    Delivered(usize),
    /// The event with this id in the outbox is not sent any more; the reason in words.
    SetAside(i64, String),
}

/// The running uplink.
pub struct Uplink {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Uplink {
    /// Starts the uplink on a thread of its own.
    pub fn start(params: Params, around: Around) -> std::io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            let mut uplink = states::Uplink::new(params, around, stopped);
            runtime.block_on(uplink.run());
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
