//! The collector's connection to the broker. No other file of this crate names the MQTT client library.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use log::warn;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, SubAck, SubscribeReasonCode};
use rumqttc::v5::{Client, Connection, ConnectionError, Event};

use bridgeclip_uplink::Endpoint;

use crate::message::Message;

/// Time in seconds for which the broker keeps the messages of an absent collector: a week, so that a long weekend loses
/// nothing.
const SESSION_S: u32 = 7 * 24 * 3600;
/// Maximum packet size in bytes, four times the shipped broker's limit for packets from devices.
///
/// A broker silently drops a larger packet; up to this size, a message can be set aside with a reason. Only the first
/// bytes of a large payload stay in memory.
const PACKET_BYTES_MAX: u32 = 4 << 20;
/// Number of packet ids, and thus the maximum number of unacknowledged messages.
///
/// While the client waits for room for a message, it takes no acknowledgement from the collector. A queue with room for
/// all of them spares the collector from waiting for the client in turn.
const ACKNOWLEDGEMENTS_MAX: usize = u16::MAX as usize;
/// Interval between two checks whether to stop.
const TICK: Duration = Duration::from_millis(200);
/// Room in the client's queue for subscriptions and the disconnect, beside the acknowledgements.
const CONTROL_MAX: usize = 16;

/// An event of the connection to the broker.
pub enum Arrival {
    /// The broker confirmed the subscription, or its end.
    Ready,
    /// A message arrived.
    Message(Delivery),
    /// The connection ended, for the given reason.
    Lost(String),
}

/// A message that is not acknowledged yet.
pub struct Delivery {
    receipt: Receipt,
    message: Message,
}

/// Proof of a message's arrival, with which it is acknowledged.
pub struct Receipt(Box<Publish>);

impl Delivery {
    /// Reads the message, and drops the payload from its receipt.
    fn new(prefix: &str, mut publish: Publish) -> Self {
        let message = Message::read(prefix, &publish.topic, &publish.payload);
        publish.payload = Bytes::new();
        Delivery { receipt: Receipt(Box::new(publish)), message }
    }

    /// Splits the delivery into its receipt and its message.
    pub fn into_parts(self) -> (Receipt, Message) {
        (self.receipt, self.message)
    }
}

/// Kinds of topics below a device's prefix that are collected. A broker must grant the first.
const KINDS: [&str; 2] = ["capture", "member"];

/// The topics that a collector subscribes to.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Name of the shared subscription's group; collectors of the same group share the messages.
    pub group: String,
    /// Start of the topics of all devices, for example `bridge/v1`.
    pub prefix: String,
}

/// A connection to the broker, with a session that outlives it.
pub struct Subscription {
    client: Client,
    arrivals: Receiver<Arrival>,
}

/// Action of a new connection on the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Subscribes, or renews the subscription.
    Subscribe,
    /// Unsubscribes: takes only those messages that the broker holds for this session.
    GiveUp,
}

impl Subscription {
    /// Connects and subscribes, or unsubscribes.
    ///
    /// The broker sends at most `in_flight` unacknowledged messages. A thread of its own reads them while earlier ones
    /// are stored.
    pub fn open(endpoint: &Endpoint, topics: Topics, in_flight: u16, wish: Wish) -> std::io::Result<Self> {
        let Topics { group, prefix } = topics;
        let filters = KINDS.map(|kind| format!("$share/{group}/{prefix}/+/+/{kind}/#"));
        let mut options = endpoint.options();
        options
            .set_clean_start(false)
            .set_session_expiry_interval(Some(SESSION_S))
            .set_receive_maximum(Some(in_flight))
            .set_max_packet_size(Some(PACKET_BYTES_MAX))
            .set_manual_acks(true);
        let (client, connection) = Client::new(options, ACKNOWLEDGEMENTS_MAX + CONTROL_MAX);
        match wish {
            Wish::Subscribe => {
                let filters = filters.map(|filter| Filter::new(filter, QoS::AtLeastOnce));
                client.try_subscribe_many(filters).map_err(std::io::Error::other)?;
            }
            Wish::GiveUp => {
                for filter in filters {
                    client.try_unsubscribe(filter).map_err(std::io::Error::other)?;
                }
            }
        }
        let (sender, arrivals) = sync_channel(usize::from(in_flight));
        thread::Builder::new().name("subscription".into()).spawn(move || listen(connection, &prefix, &sender))?;
        Ok(Subscription { client, arrivals })
    }

    /// Returns the next arrival, or `None` if nothing arrives within `wait`.
    pub fn next(&self, wait: Duration) -> Option<Arrival> {
        match self.arrivals.recv_timeout(wait) {
            Ok(arrival) => Some(arrival),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Arrival::Lost("the connection has ended".to_owned())),
        }
    }

    /// Acknowledges the messages of the receipts. An error is the reason why the connection was lost.
    pub fn acknowledge(&self, receipts: &[Receipt]) -> Result<(), String> {
        match receipts.iter().all(|receipt| self.client.ack(&receipt.0).is_ok()) {
            true => Ok(()),
            false => Err(self.why_lost()),
        }
    }

    /// Returns the reason why the connection was lost; it is queued after everything that arrived before.
    fn why_lost(&self) -> String {
        loop {
            if let Some(Arrival::Lost(reason)) = self.next(Duration::ZERO) {
                return reason;
            }
        }
    }

    /// Ends the session, so that the broker keeps no more messages for it. Setting `stop` ends the wait for the broker.
    pub fn end_session(endpoint: &Endpoint, stop: &AtomicBool) -> Result<(), String> {
        let mut options = endpoint.options();
        options.set_clean_start(true).set_session_expiry_interval(Some(0));
        let (client, connection) = Client::new(options, CONTROL_MAX);
        let (sender, ended) = sync_channel(1);
        let wait = move || drop(sender.send(say_goodbye(&client, connection)));
        thread::Builder::new().name("goodbye".into()).spawn(wait).map_err(|error| error.to_string())?;
        while !stop.load(Ordering::Relaxed) {
            match ended.recv_timeout(TICK) {
                Ok(done) => return done,
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Err("the session was not ended, the broker keeps it; run --leave again".to_owned())
    }
}

impl Drop for Subscription {
    /// Disconnects; the broker keeps the session.
    fn drop(&mut self) {
        let _ = self.client.try_disconnect();
    }
}

/// Disconnects as soon as the broker has confirmed the connection.
fn say_goodbye(client: &Client, mut connection: Connection) -> Result<(), String> {
    for event in connection.iter() {
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => drop(client.try_disconnect()),
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return Ok(()),
            Ok(_) => (),
            Err(error) => return Err(in_words(&error)),
        }
    }
    Ok(())
}

/// Passes arrivals on, until the connection ends or the receiver is gone.
fn listen(mut connection: Connection, prefix: &str, sender: &SyncSender<Arrival>) {
    for event in connection.iter() {
        let arrival = match event {
            Ok(Event::Incoming(Packet::Publish(publish))) => Arrival::Message(Delivery::new(prefix, publish)),
            Ok(Event::Incoming(Packet::SubAck(ack))) => granted(&ack),
            Ok(Event::Incoming(Packet::UnsubAck(_))) => Arrival::Ready,
            Ok(_) => continue,
            Err(error) => Arrival::Lost(in_words(&error)),
        };
        let is_over = matches!(arrival, Arrival::Lost(_));
        // Waits for room: a broker that exceeds its limit must not fill the memory.
        if sender.send(arrival).is_err() || is_over {
            return;
        }
    }
}

/// Reads what the broker grants. A broker that was set up for captures alone need not grant the topics of members.
fn granted(ack: &SubAck) -> Arrival {
    let denied = |code: &&SubscribeReasonCode| !matches!(code, SubscribeReasonCode::Success(_));
    if let Some(code) = ack.return_codes.first().filter(denied) {
        return Arrival::Lost(format!("the broker does not grant the subscription: {code:?}"));
    }
    if let Some(code) = ack.return_codes.get(1).filter(denied) {
        warn!("the broker does not grant the topics `member/#`: {code:?}; answers about members are not collected");
    }
    Arrival::Ready
}

fn in_words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => format!("the broker refuses the connection: {code:?}"),
        error => error.to_string(),
    }
}
