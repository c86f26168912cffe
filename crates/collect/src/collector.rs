//! The work of one collector: stores messages in groups, then acknowledges them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use log::{info, warn};

use bridgeclip_uplink::{Endpoint, backoff};

use crate::database::Database;
use crate::error::StoreError;
use crate::message::Message;
use crate::refusal_log::RefusalLog;
use crate::store::{Bounds, Limits, Store, Written};
use crate::subscription::{Arrival, Delivery, Receipt, Subscription, Topics, Wish};
use crate::work::{MessageGroup, Sample};

/// Maximum number of messages in one transaction.
const GROUP_MAX: usize = 500;
/// Time that a group waits for more messages before it is stored.
const GROUP_WAIT: Duration = Duration::from_millis(20);
/// Longest time between two checks whether to stop.
const TICK: Duration = Duration::from_millis(200);
/// Pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Number of failures to which the count is capped once the database works again: a message may then be at fault, and
/// the pause stays within a second.
const FAILURES_OF_MESSAGES: u32 = 1;
/// Silence after which a leaving collector counts its subscription as drained.
const QUIET: Duration = Duration::from_secs(3);

/// Settings of a collector.
#[derive(Clone, Debug)]
pub struct Params {
    /// Broker to which the collector connects.
    pub endpoint: Endpoint,
    /// Database that receives the messages.
    pub database: Database,
    /// Time limits for the database.
    pub limits: Limits,
    /// Start of the topics of all devices, for example `bridge/v1`.
    pub prefix: String,
    /// Name of the shared subscription's group; collectors of the same group share the messages.
    pub group: String,
    /// Maximum number of unacknowledged messages that the broker sends to this collector.
    pub in_flight: u16,
    /// Whether the collector leaves: it takes no new messages, stores those that the broker holds for it, and ends.
    pub leave: bool,
}

/// Numbers of messages stored since the collector's start.
pub type Collected = Written;

/// The reason why a collector gave up.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread of the connection could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The broker could not be told to end the session of a leaving collector.
    #[error("{0}")]
    Broker(String),
}

/// A collector with its open database.
pub struct Collector {
    params: Params,
    bounds: Bounds,
    store: Option<Box<dyn Store>>,
    sample: Sample,
    collected: Collected,
    refusals: RefusalLog,
    /// Number of failures since the last success.
    failures: u32,
}

/// The reason why a connection to the broker ended.
enum End {
    /// The collector was told to stop.
    Stopped,
    /// A leaving collector has received nothing for [`QUIET`].
    Quiet,
    /// The connection broke, for the given reason.
    Lost(String),
}

impl Collector {
    /// Opens the database, so that a wrong address fails at the start. Setting `stop` ends this call and the later
    /// work.
    pub fn open(params: Params, stop: Arc<AtomicBool>) -> Result<Self, CollectError> {
        let (bounds, sample) = (Bounds { limits: params.limits, stop }, Sample::default());
        let store = Some(params.database.open_to_write(&bounds, &sample.0)?);
        let (collected, refusals) = (Collected::default(), RefusalLog::new());
        Ok(Collector { params, bounds, store, sample, collected, refusals, failures: 0 })
    }

    /// Collects until told to stop, and reconnects to the broker and the database when a connection breaks.
    ///
    /// Returns the numbers of messages stored. A leaving collector also returns when its subscription is drained.
    pub fn run(mut self) -> Result<Collected, CollectError> {
        while !self.bounds.is_stopped() {
            match self.connection()? {
                End::Stopped => break,
                End::Quiet => {
                    let ended = Subscription::end_session(&self.params.endpoint, &self.bounds.stop);
                    ended.map_err(CollectError::Broker)?;
                    break;
                }
                End::Lost(reason) => warn!("broker: {reason}"),
            }
            self.pause();
        }
        self.refusals.flush();
        Ok(self.collected)
    }

    /// Sleeps after a failure, longer with each failure in a row.
    fn pause(&mut self) {
        let pause = backoff::pause(FIRST_PAUSE, PAUSE_MAX, self.failures, backoff::random());
        self.failures = self.failures.saturating_add(1);
        let end = Instant::now() + pause;
        while !self.bounds.is_stopped() && Instant::now() < end {
            std::thread::sleep(TICK.min(pause));
        }
    }

    /// Serves one connection to the broker from its start to its end.
    fn connection(&mut self) -> Result<End, CollectError> {
        let Params { endpoint, prefix, group, in_flight, leave, .. } = &self.params;
        let topics = Topics { group: group.clone(), prefix: prefix.clone() };
        let wish = if *leave { Wish::GiveUp } else { Wish::Subscribe };
        let subscription = Subscription::open(endpoint, topics, *in_flight, wish)?;
        Ok(self.serve(&subscription))
    }

    fn tell_connected(&self) {
        info!("connected to {}", self.params.endpoint.host);
    }

    /// Collects the messages that arrive within [`GROUP_WAIT`] after `first`, at most [`GROUP_MAX`].
    ///
    /// The second value is the reason if the connection was lost in the meantime.
    fn gather(&self, subscription: &Subscription, first: Delivery) -> (Vec<Delivery>, Option<String>) {
        let deadline = Instant::now() + GROUP_WAIT;
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            match subscription.next(deadline.saturating_duration_since(Instant::now())) {
                Some(Arrival::Message(delivery)) => group.push(delivery),
                Some(Arrival::Ready) => self.tell_connected(),
                Some(Arrival::Lost(reason)) => return (group, Some(reason)),
                None => break,
            }
        }
        (group, None)
    }

    /// Stores what arrives on a connection, until the connection ends or the collector stops.
    fn serve(&mut self, subscription: &Subscription) -> End {
        let mut last = Instant::now();
        while !self.bounds.is_stopped() {
            self.refusals.tick();
            match subscription.next(TICK) {
                None if self.params.leave && last.elapsed() >= QUIET => return End::Quiet,
                None => (),
                Some(Arrival::Ready) => self.tell_connected(),
                Some(Arrival::Lost(reason)) => return End::Lost(reason),
                Some(Arrival::Message(first)) => {
                    let (group, lost) = self.gather(subscription, first);
                    if let Err(end) = self.take_in(subscription, group) {
                        return end;
                    }
                    if let Some(reason) = lost {
                        return End::Lost(reason);
                    }
                    last = Instant::now();
                }
            }
        }
        End::Stopped
    }

    /// Stores a group and acknowledges it, however long the database takes. An error is the end of the connection.
    fn take_in(&mut self, subscription: &Subscription, group: Vec<Delivery>) -> Result<(), End> {
        let (mut receipts, messages) = self.look_at(group);
        let mut work = MessageGroup::new(messages);
        while let Err(error) = self.go_on(&mut work) {
            if self.bounds.is_stopped() {
                return Err(End::Stopped);
            }
            warn!("{error}; nothing is acknowledged until it is stored");
            self.store = None;
            self.pause();
            if error.is_about_a_row() && receipts.len() < usize::from(self.params.in_flight) {
                // Further messages may succeed, and so show that the database accepts events.
                let (more, messages) = self.look_at(waiting(subscription)?);
                receipts.extend(more);
                work.add(messages);
            }
        }
        subscription.acknowledge(&receipts).map_err(End::Lost)
    }

    /// Splits deliveries into receipts and messages, and logs the refused messages.
    fn look_at(&mut self, group: Vec<Delivery>) -> (Vec<Receipt>, Vec<Message>) {
        let (receipts, messages): (Vec<_>, Vec<_>) = group.into_iter().map(Delivery::into_parts).unzip();
        messages.iter().filter_map(Message::as_refused).for_each(|refused| self.refusals.log(refused));
        (receipts, messages)
    }

    /// Opens the database if necessary, and stores as many of the remaining messages as possible.
    fn go_on(&mut self, work: &mut MessageGroup) -> Result<(), StoreError> {
        if self.store.is_none() {
            self.store = Some(self.params.database.open_to_write(&self.bounds, &self.sample.0)?);
            // The database accepted the sample, so a message may be at fault: short pauses find it soon.
            self.failures = self.failures.min(FAILURES_OF_MESSAGES);
        }
        let Some(store) = &mut self.store else { return Ok(()) };
        let done = work.go_on(&mut **store, &mut self.sample);
        let stored = std::mem::take(&mut work.stored);
        stored.set_aside.iter().for_each(|refused| self.refusals.log(refused));
        if stored.written != Written::default() {
            self.failures = 0;
        }
        self.collected += stored.written;
        done
    }
}

/// Returns the messages that have arrived in the meantime, without waiting.
fn waiting(subscription: &Subscription) -> Result<Vec<Delivery>, End> {
    let mut group = Vec::new();
    while group.len() < GROUP_MAX {
        match subscription.next(Duration::ZERO) {
            Some(Arrival::Message(delivery)) => group.push(delivery),
            Some(Arrival::Ready) => (),
            Some(Arrival::Lost(reason)) => return Err(End::Lost(reason)),
            None => break,
        }
    }
    Ok(group)
}
