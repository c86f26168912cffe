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
mod params;
mod probe;
mod rate;
mod scope;
mod secret;
mod session;
mod settlement;
mod thread;
mod tls;
mod window;

pub use action::{Action, Event, Queue};
pub use connection::{Answer, BrokerLimits, Incoming, Loss, Message, Signal};
pub use machine::Machine;
pub use rate::RateLimit;
pub use scope::Scope;
pub use settlement::{Answered, Fate, Group, Ledger, Settled};
pub use window::Sent;

pub use command::{
    Acting, Captures, Command, CommandHandler, Desk, DeskParams, InForce, KeyError, LogLevel, LongWork, Op, Order,
    Retag, SetTo, SettingsChange, SigningKey, VerifyingKey, new_private_key, private_key, public_key, sign,
};
pub use driver::DeviceSide;
pub use endpoint::{Endpoint, Login};
pub use link::{Held, Link, LinkEvent, LinkState, Settings};
pub use params::Params;
pub use probe::{ProbeError, probe};
pub use secret::{Secret, SecretError, read_credential, read_secret};
pub use thread::UplinkThread;
pub use tls::{Tls, TlsError, TlsFiles, client_config};
