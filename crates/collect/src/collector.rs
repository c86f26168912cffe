//! The work of one collector: messages into the database in groups, then their acknowledgements.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use log::{info, warn};

use bridgeclip_uplink::{Endpoint, backoff};

use super::notices::Notices;
use super::store::{Bounds, Limits};
use super::subscription::{Arrival, Delivery, Receipt, Subscription, Topics, Wish};
use super::work::{Sample, Work};
use super::{Database, Message, Store, StoreError, Written};

/// Messages that share a transaction at most.
const GROUP_MAX: usize = 500;
/// How long a transaction waits for more of them.
const GROUP_WAIT: Duration = Duration::from_millis(20);
/// How often is looked whether to stop.
const TICK: Duration = Duration::from_millis(200);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Of which the pause does not grow any more if the database works and a message may be at fault: up to a second.
const FAILURES_OF_MESSAGES: u32 = 1;
/// Nothing comes any more when so long nothing came.
const QUIET: Duration = Duration::from_secs(3);

/// What a collector works with.
#[derive(Clone, Debug)]
pub struct Params {
    pub endpoint: Endpoint,
    pub database: Database,
    pub limits: Limits,
    /// What the topics of all devices begin with.
    pub prefix: String,
    /// Collectors of the same group share the messages.
    pub group: String,
    /// Messages that the broker may have on their way to this collector.
    pub in_flight: u16,
    /// Take no new messages; store those that the broker holds for this collector, and end.
    pub leave: bool,
}

/// What was stored since the start.
pub type Collected = Written;

/// Why a collector gave up.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error("{0}")]
    Broker(String),
}

/// A collector at work.
pub struct Collector {
    params: Params,
    bounds: Bounds,
    store: Option<Box<dyn Store>>,
    sample: Sample,
    collected: Collected,
    notices: Notices,
    /// Failures in a row.
    failures: u32,
}

/// Why a connection to the broker is over.
enum End {
    Stopped,
    /// Nothing comes any more.
    Quiet,
    Lost(String),
}

impl Collector {
    /// Opens the database: what is wrong with its address is to be known at the start. `stop` ends this, and the work.
    pub fn open(params: Params, stop: Arc<AtomicBool>) -> Result<Self, CollectError> {
        let (bounds, sample) = (Bounds { limits: params.limits, stop }, Sample::default());
        let store = Some(params.database.open_to_write(&bounds, &sample.0)?);
        let (collected, notices) = (Collected::default(), Notices::new());
        Ok(Collector { params, bounds, store, sample, collected, notices, failures: 0 })
    }

    /// Works until it is stopped; broken connections to broker and database are made again.
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
        self.notices.say_the_rest();
        Ok(self.collected)
    }

    fn pause(&mut self) {
        let pause = backoff::pause(FIRST_PAUSE, PAUSE_MAX, self.failures, backoff::random());
        self.failures = self.failures.saturating_add(1);
        let end = Instant::now() + pause;
        while !self.bounds.is_stopped() && Instant::now() < end {
            std::thread::sleep(TICK.min(pause));
        }
    }

    /// One connection to the broker, from its beginning to its end.
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

    /// The message and those that come with it. The second value tells if the connection was lost meanwhile.
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

    fn serve(&mut self, subscription: &Subscription) -> End {
        let mut last = Instant::now();
        while !self.bounds.is_stopped() {
            self.notices.look_at_the_clock();
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

    /// Stores a group, however long that takes, and acknowledges it.
    fn take_in(&mut self, subscription: &Subscription, group: Vec<Delivery>) -> Result<(), End> {
        let (mut receipts, messages) = self.look_at(group);
        let mut work = Work::new(messages);
        while let Err(error) = self.go_on(&mut work) {
            if self.bounds.is_stopped() {
                return Err(End::Stopped);
            }
            warn!("{error}; nothing is acknowledged until it is stored");
            self.store = None;
            self.pause();
            if error.is_about_a_row() && receipts.len() < usize::from(self.params.in_flight) {
                // Others may pass, and show that the database takes events.
                let (more, messages) = self.look_at(waiting(subscription)?);
                receipts.extend(more);
                work.add(messages);
            }
        }
        subscription.acknowledge(&receipts).map_err(End::Lost)
    }

    fn look_at(&mut self, group: Vec<Delivery>) -> (Vec<Receipt>, Vec<Message>) {
        let (receipts, messages): (Vec<_>, Vec<_>) = group.into_iter().map(Delivery::into_parts).unzip();
        messages.iter().filter_map(Message::as_refused).for_each(|refused| self.notices.set_aside(refused));
        (receipts, messages)
    }

    /// Opens the database if need be, and stores what it can of what is left.
    fn go_on(&mut self, work: &mut Work) -> Result<(), StoreError> {
        if self.store.is_none() {
            self.store = Some(self.params.database.open_to_write(&self.bounds, &self.sample.0)?);
            // It took the sample: a message that breaks the connection is found soon.
            self.failures = self.failures.min(FAILURES_OF_MESSAGES);
        }
        let Some(store) = &mut self.store else { return Ok(()) };
        let done = work.go_on(&mut **store, &mut self.sample);
        let stored = std::mem::take(&mut work.stored);
        stored.set_aside.iter().for_each(|refused| self.notices.set_aside(refused));
        if stored.written != Written::default() {
            self.failures = 0;
        }
        self.collected += stored.written;
        done
    }
}

/// What has arrived meanwhile.
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
