//! The interface to a collector's database, and its limits.

use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::StoreError;
use crate::message::{Event, Message, Refused};
use crate::report::Report;

/// A database that stores messages.
pub trait Store: Send {
    /// Stores all messages in one durable transaction.
    ///
    /// Messages that are stored already are skipped. A message whose id is stored with different content is set aside.
    fn write(&mut self, messages: &[Message]) -> Result<Stored, StoreError>;

    /// Checks that the database accepts messages at all: stores an event like `sample`, a thumbnail and a refusal, and
    /// rolls them back.
    fn probe(&mut self, sample: &Event) -> Result<(), StoreError>;

    /// Returns a report of the stored and the missing events.
    fn report(&mut self) -> Result<Report, StoreError>;
}

/// Result of a transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    /// Numbers of messages by outcome.
    pub written: Written,
    /// Messages that the database would not store as received. They are in the table `refused`.
    pub set_aside: Vec<Refused>,
}

/// Returns why a message is not in its table although the database reported no error.
///
/// `is_absent` says whether nothing is stored under the message's id.
pub fn why_not_stored(is_absent: bool) -> &'static str {
    match is_absent {
        true => "the database took it and did not store it: a trigger or a rule of its owner",
        false => "another content is stored under its id",
    }
}

/// Numbers of messages by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Events and thumbnails that were not stored before.
    pub new: u64,
    /// Events and thumbnails that were stored already.
    pub known: u64,
    /// Messages that were set aside.
    pub refused: u64,
}

impl AddAssign for Written {
    fn add_assign(&mut self, other: Written) {
        self.new += other.new;
        self.known += other.known;
        self.refused += other.refused;
    }
}

/// Time limits for a database, after which the connection is closed and opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time limit for connecting, sign-in included.
    pub connect: Duration,
    /// Time limit for a statement.
    pub statement: Duration,
    /// Time limit for waiting on a lock that another session holds.
    pub lock: Duration,
    /// Time limit for an idle transaction: the server ends the transaction of a collector that hangs.
    pub idle: Duration,
    /// Time limit for a network that returns nothing.
    pub silence: Duration,
}

/// Limits for every wait on a database.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Time limits.
    pub limits: Limits,
    /// Flag that ends every wait when it becomes true.
    pub stop: Arc<AtomicBool>,
}

impl Bounds {
    /// Reports whether the collector was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
