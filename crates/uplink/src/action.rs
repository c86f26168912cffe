//! What the uplink is told, and what it wants done. Nothing here waits, reads a clock or draws a number of its own.

use std::time::Instant;

use bridgeclip_journal::{EventClass, JournalError, Page, Reader, Which};
use bridgeclip_random::Random;

use super::command::Reply;
use super::connection::{Incoming, Message, Signal};
use super::link::{Held, LinkState, Settings};
use super::settlement::{Group, Settled};
use super::window::Sent;
use super::{LinkEvent, Params};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A moment has come that [`super::Machine::deadline`] named. At any other moment it does no harm.
    Time,
    /// There may be new rows; with the settings that hold now, and new answers to commands.
    Woken { settings: Settings, replies: Vec<Reply> },
    /// From the connection that was opened last.
    Signal(Signal),
    /// What became of a group of answers.
    Settled(Settled),
    /// The uplink shall end.
    Stop,
}

/// What has to be done, in this order.
#[derive(Clone, Debug)]
pub enum Action {
    /// Open a connection; the broker publishes this when it breaks.
    Open {
        will: Message,
    },
    /// Hand a message with QoS 1 to the connection.
    Publish {
        message: Message,
        sent: Sent,
    },
    /// Hand a report of the device's health to the connection, with QoS 0.
    PublishHealth,
    Subscribe(String),
    /// Say goodbye, after everything that was handed over before.
    Disconnect,
    /// Drop the connection, if there is one. No signal of it may be told any more.
    Cut,
    /// Store answers, and tell what became of them.
    Settle(Group),
    /// Hand a message in at the desk for commands.
    HandIn(Incoming),
    Report(LinkEvent),
    /// How the link is now.
    Show {
        state: LinkState,
        /// Why there is no connection.
        trouble: Option<String>,
        held: Vec<Held>,
    },
    /// Everything is done; no event is expected any more.
    End,
}

/// The outbox as the uplink reads it.
pub trait Queue {
    /// Up to `limit` events of a class with an id above `after`, oldest first.
    fn page(&self, class: EventClass, after: i64, limit: usize, which: Which) -> Result<Page, JournalError>;

    /// How many events wait; `None` if that cannot be told now.
    fn depth(&self) -> Option<u64>;
}

impl Queue for Reader {
    fn page(&self, class: EventClass, after: i64, limit: usize, which: Which) -> Result<Page, JournalError> {
        Reader::page(self, class, after, limit, which)
    }

    fn depth(&self) -> Option<u64> {
        Some(self.outbox_depth().ok()?.total())
    }
}

/// What one event is handled with.
pub struct Turn<'a> {
    pub now: Instant,
    pub params: &'a Params,
    pub settings: Settings,
    pub takes_commands: bool,
    pub queue: &'a dyn Queue,
    pub random: Random,
    /// What has to be done so far.
    pub actions: Vec<Action>,
}

impl Turn<'_> {
    pub fn report(&mut self, event: LinkEvent) {
        self.actions.push(Action::Report(event));
    }

    /// The classes that may be sent, the most urgent first.
    pub fn classes(&self) -> impl Iterator<Item = EventClass> + use<> {
        let last = self.settings.last_class();
        EventClass::ALL.into_iter().filter(move |class| *class <= last)
    }
}
