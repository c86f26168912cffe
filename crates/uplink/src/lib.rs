//! Delivers the outbox to an MQTT 5 broker while there is a link. SQLite alone is responsible for retries: every
//! connection starts clean, and reads the unacknowledged rows again.
//!
//! `machine` decides: its input is what happens, and when; its output is what to do. `session` is state that lives as
//! long as one connection, `dispatch` is state that outlives connections. `driver` carries out the decisions, with
//! sockets, threads and clocks.

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

/// Settings of the uplink.
#[derive(Clone, Debug)]
pub struct Params {
    /// Address of the broker and the device's login.
    pub endpoint: Endpoint,
    /// Prefix of all topics of this device, `bridge/v1/{site}/{device}`.
    pub prefix: String,
    /// Id of the current boot, for status messages.
    pub boot_id: String,
    /// Name of the model package in use, for status messages.
    pub package: String,
    /// Maximum number of events that were sent but are still in the outbox; at most this many can arrive twice.
    pub in_flight: u16,
    /// Time without acknowledgements after which the link is given up while events are on their way.
    pub stall: Duration,
    /// Longest pause between two attempts.
    pub retry_max: Duration,
    /// Pause before a new attempt when somebody must change something first.
    pub refused_pause: Duration,
    /// Whether to keep events that the broker would drop because nobody has subscribed.
    pub hold_without_subscriber: bool,
    /// Interval between two reports of the device's health.
    pub health: Duration,
}

/// The parts of the program with which the uplink works.
pub struct Around {
    /// State and settings that the uplink shares with the rest of the program.
    pub link: Link,
    /// Reader of the outbox and of the counters.
    pub reader: Reader,
    /// Journal that stores the answers.
    pub journal: Journal,
    /// Receiver of commands; without it, the uplink subscribes to none.
    pub desk: Option<Desk>,
    /// Returns the device's current health. Called on the uplink's thread.
    pub health: Box<dyn Fn() -> DeviceHealth + Send>,
    /// Receives the events of the link. Called on the uplink's thread.
    pub report: Box<dyn Fn(LinkEvent) + Send>,
}

/// An event of the link, for the rest of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// A connection was established.
    Online,
    /// The connection ended or could not be established, for the given reason.
    Offline(String),
    /// The link stays down until somebody changes something; the text is the reason.
    Refused(String),
    /// The broker refuses a part of the events, while the rest goes on; or the reason for that has changed.
    Held {
        /// The refused part: a topic filter, or a description.
        what: String,
        /// The broker's reason.
        reason: String,
    },
    /// The broker takes this part of the events again.
    Lifted(String),
    /// This number of events was acknowledged and has left the queue.
    Delivered(usize),
    /// The event with this outbox id is no longer sent, for the given reason.
    SetAside(i64, String),
}

/// The running uplink.
pub struct Uplink {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Uplink {
    /// Starts the uplink on a thread of its own. Fails if the thread or its runtime cannot be started.
    pub fn start(params: Params, around: Around) -> std::io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seed = u64::from_le_bytes(secret()?);
        let run = move || {
            runtime.block_on(driver::run(params, around, seed, stopped));
            // A connect that hangs must not delay the exit.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("uplink".into()).spawn(run)?;
        Ok(Uplink { stop, thread })
    }

    /// Leaves the broker within two seconds, and waits for the uplink's thread to end.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            log::error!("the uplink thread panicked");
        }
    }
}
