//! The work of one collector: messages into the database in groups, then their acknowledgements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use log::{info, warn};

use super::subscription::{Arrival, Delivery, Subscription, Wish};
use super::{Database, Message, Store, StoreError, Written};
use crate::uplink::{Endpoint, backoff};

/// Messages that share a transaction at most.
const GROUP_MAX: usize = 500;
/// How long a transaction waits for more of them.
const GROUP_WAIT: Duration = Duration::from_millis(20);
/// How often is looked whether to stop.
const TICK: Duration = Duration::from_millis(200);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Nothing comes any more when so long nothing came.
const QUIET: Duration = Duration::from_secs(3);

/// What a collector works with.
#[derive(Clone, Debug)]
pub struct Params {
    pub endpoint: Endpoint,
    pub database: Database,
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
    stop: Arc<AtomicBool>,
    store: Option<Box<dyn Store>>,
    collected: Collected,
    /// Failures in a row.
    failures: u32,
}

/// Why a connection is over.
enum End {
    Stopped,
    /// Nothing comes any more.
    Quiet,
    Lost(String),
    Store(StoreError),
}

impl Collector {
    /// Opens the database: what is wrong with its address is to be known at the start. `stop` ends the work.
    pub fn open(params: Params, stop: Arc<AtomicBool>) -> Result<Self, CollectError> {
        let store = Some(params.database.open()?);
        Ok(Collector { params, stop, store, collected: Collected::default(), failures: 0 })
    }

    /// Works until it is stopped; broken connections to broker and database are made again.
    pub fn run(mut self) -> Result<Collected, CollectError> {
        while !self.is_stopped() {
            match self.connection()? {
                End::Stopped => break,
                End::Quiet => {
                    Subscription::end_session(&self.params.endpoint).map_err(CollectError::Broker)?;
                    break;
                }
                End::Lost(reason) => warn!("broker: {reason}"),
                End::Store(error) => {
                    warn!("{error}; nothing is acknowledged until it works again");
                    self.store = None;
                }
            }
            self.pause();
        }
        Ok(self.collected)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn pause(&mut self) {
        let pause = backoff::pause(FIRST_PAUSE, PAUSE_MAX, self.failures, backoff::random());
        self.failures = self.failures.saturating_add(1);
        let end = Instant::now() + pause;
        while !self.is_stopped() && Instant::now() < end {
            std::thread::sleep(TICK.min(pause));
        }
    }

    /// One connection, from its beginning to its end.
    fn connection(&mut self) -> Result<End, CollectError> {
        if self.store.is_none() {
            match self.params.database.open() {
                Ok(store) => self.store = Some(store),
                Err(error) => return Ok(End::Store(error)),
            }
        }
        let Params { endpoint, prefix, group, in_flight, leave, .. } = &self.params;
        let filter = format!("$share/{group}/{prefix}/+/+/capture/#");
        let wish = if *leave { Wish::GiveUp } else { Wish::Subscribe };
        let subscription = Subscription::open(endpoint, &filter, *in_flight, wish)?;
        Ok(self.serve(&subscription))
    }

    fn serve(&mut self, subscription: &Subscription) -> End {
        let mut last = Instant::now();
        while !self.is_stopped() {
            match subscription.next(TICK) {
                None if self.params.leave && last.elapsed() >= QUIET => return End::Quiet,
                None => (),
                Some(Arrival::Ready) => info!("connected to {}", self.params.endpoint.host),
                Some(Arrival::Lost(reason)) => return End::Lost(reason),
                Some(Arrival::Message(first)) => {
                    let (group, lost) = gather(subscription, first);
                    if let Err(end) = self.take_in(subscription, &group) {
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

    fn take_in(&mut self, subscription: &Subscription, group: &[Delivery]) -> Result<(), End> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let read = |delivery: &Delivery| Message::read(&self.params.prefix, &delivery.topic(), delivery.payload());
        let messages: Vec<Message> = group.iter().map(read).collect();
        for message in &messages {
            if let Message::Refused(refused) = message {
                warn!("{}: {}", refused.topic, refused.reason);
            }
        }
        let written = store.write(&messages).map_err(End::Store)?;
        self.collected += written;
        self.failures = 0;
        subscription.acknowledge(group).map_err(End::Lost)
    }
}

/// The message and those that come with it. The second value tells if the connection was lost meanwhile.
fn gather(subscription: &Subscription, first: Delivery) -> (Vec<Delivery>, Option<String>) {
    let deadline = Instant::now() + GROUP_WAIT;
    let mut group = vec![first];
    while group.len() < GROUP_MAX {
        match subscription.next(deadline.saturating_duration_since(Instant::now())) {
            Some(Arrival::Message(delivery)) => group.push(delivery),
            Some(Arrival::Ready) => (),
            Some(Arrival::Lost(reason)) => return (group, Some(reason)),
            None => break,
        }
    }
    (group, None)
}
