//! Delivers the outbox to an MQTT 5 broker while there is a link. SQLite alone owns the retries: every connection
//! starts clean and reads the unacknowledged rows again.
//!
//! `machine` decides: it is told what happens, and when, and answers with what has to be done. `session` is what lives as
//! long as a connection, `dispatch` what outlives it. `driver` carries out, with sockets, threads and clocks.

mod action;
pub mod backoff;
mod command;
mod connection;
mod dispatch;
mod doubts;
mod driver;
mod endpoint;
mod holds;
mod lanes;
mod link;
mod machine;
mod messages;
mod own;
mod probe;
mod rate;
mod scope;
mod secret;
mod session;
mod settlement;
mod tls;
mod window;

pub use action::{Action, Event, Queue};
pub use connection::{Answer, BrokerLimits, Incoming, Loss, Message, Signal};
pub use machine::Machine;
pub use scope::Scope;
pub use settlement::{Answered, Fate, Group, Ledger, Settled};
pub use window::Sent;

pub use command::{
    Acting, Captures, Command, CommandHandler, Desk, DeskParams, InForce, KeyError, LogLevel, LongWork, Op, Order,
    Retag, SetTo, SettingsChange, SigningKey, VerifyingKey, new_private_key, private_key, public_key, sign,
};
pub use endpoint::{Endpoint, Login};
pub use link::{Held, Link, LinkState, Settings};
pub use probe::{ProbeError, probe};
pub use secret::{Secret, SecretError, read_credential, read_secret};
pub use tls::{Tls, TlsError, TlsFiles, client_config};

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use bridgeclip_domain::DeviceHealth;
use bridgeclip_journal::{Journal, Reader};
use bridgeclip_random::secret;

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
    /// The broker does not take a part of the events for now, and the others go on; or it has another reason now.
    Held {
        /// Topics, as a filter, or the part in words.
        what: String,
        reason: String,
    },
    /// It takes this part again.
    Lifted(String),
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
        let seed = u64::from_le_bytes(secret()?);
        let run = move || {
            runtime.block_on(driver::run(params, around, seed, stopped));
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
