//! The inputs and outputs of the uplink's state machine. Nothing in the machine waits, reads a clock or draws random
//! numbers of its own.

use std::time::Instant;

use bridgeclip_journal::{EventClass, JournalError, Page, Reader, Which};
use bridgeclip_random::Random;

use crate::command::Reply;
use crate::connection::{Incoming, Message, Signal};
use crate::link::{Held, LinkEvent, LinkState, Settings};
use crate::params::Params;
use crate::settlement::{Group, Settled};
use crate::window::Sent;

/// An input of the machine: something that happened.
#[derive(Debug)]
pub enum Event {
    /// A moment that [`crate::Machine::deadline`] named has arrived. The event is harmless at any other moment.
    Time,
    /// New rows may be in the outbox. The event carries the current settings and new replies to commands.
    Woken { settings: Settings, replies: Vec<Reply> },
    /// The connection that was opened last sent a signal.
    Signal(Signal),
    /// The storing of a group of answers ended.
    Settled(Settled),
    /// The uplink must end.
    Stop,
}

/// An output of the machine: something to do, in the order in which the machine returns it.
#[derive(Clone, Debug)]
pub enum Action {
    /// Open a connection.
    Open {
        /// Message that the broker publishes when the connection breaks.
        will: Message,
    },
    /// Hand a message to the connection, with QoS 1.
    Publish {
        /// Message for the broker.
        message: Message,
        /// Identity of the message, under which its answer is looked up.
        sent: Sent,
    },
    /// Hand a report of the device's health to the connection, with QoS 0.
    PublishHealth,
    /// Subscribe to a topic filter.
    Subscribe(String),
    /// Disconnect, after everything that was handed over before.
    Disconnect,
    /// Drop the connection, if there is one. None of its signals may reach the machine any more.
    Cut,
    /// Store a group of answers, and return the result as [`Event::Settled`].
    Settle(Group),
    /// Pass a received message to the desk for commands.
    HandIn(Incoming),
    /// Report an event of the link to the rest of the program.
    Report(LinkEvent),
    /// Publish the current state of the link to its observers.
    Show {
        /// Current state.
        state: LinkState,
        /// The reason why there is no connection, if there is one.
        trouble: Option<String>,
        /// Parts of the events that the broker currently refuses.
        held: Vec<Held>,
    },
    /// Everything is done, and the machine expects no more events.
    End,
}

/// The outbox, as the uplink reads it.
pub trait Queue {
    /// Returns up to `limit` events of a class with ids greater than `after`, oldest first.
    fn page(&self, class: EventClass, after: i64, limit: usize, which: Which) -> Result<Page, JournalError>;

    /// Returns the number of waiting events, or `None` if it cannot be determined now.
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

/// The context in which the machine handles one event.
pub struct Turn<'a> {
    /// Time of the event.
    pub now: Instant,
    /// Settings of the uplink.
    pub params: &'a Params,
    /// Current settings of the link.
    pub settings: Settings,
    /// Whether the device takes commands.
    pub takes_commands: bool,
    /// Outbox.
    pub queue: &'a dyn Queue,
    /// Random numbers for pauses.
    pub random: Random,
    /// Actions collected so far.
    pub actions: Vec<Action>,
}

impl Turn<'_> {
    /// Adds a report to the actions.
    pub fn report(&mut self, event: LinkEvent) {
        self.actions.push(Action::Report(event));
    }

    /// Returns the classes that may be sent, the most urgent first.
    pub fn classes(&self) -> impl Iterator<Item = EventClass> + use<> {
        let last = self.settings.last_class();
        EventClass::ALL.into_iter().filter(move |class| *class <= last)
    }
}
