//! The collector's connection to the broker. The only file here that names the MQTT client library.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, SubAck, SubscribeReasonCode};
use rumqttc::v5::{Client, Connection, ConnectionError, Event};

use bridgeclip_uplink::Endpoint;

use super::Message;

/// How long the broker keeps messages for a collector that is away: a week, so that a long weekend loses nothing.
const SESSION_S: u32 = 7 * 24 * 3600;
/// Four times what the shipped broker takes from a device. A broker drops what is larger, and tells nobody; up to here it
/// is set aside with its reason. No more than the first bytes of a large payload are kept in memory.
const PACKET_BYTES_MAX: u32 = 4 << 20;
/// Packet numbers that there are: more messages cannot be on their way. While the client waits for room for a message, it
/// takes no acknowledgement from us; with room for all of them we never wait for it in turn.
const ACKNOWLEDGEMENTS_MAX: usize = u16::MAX as usize;
/// How often is looked whether to stop.
const TICK: Duration = Duration::from_millis(200);
/// Subscriptions and the goodbye, beside the acknowledgements.
const CONTROL_MAX: usize = 16;

/// What the broker or the network said.
pub enum Arrival {
    /// The subscription stands, or was given up.
    Ready,
    Message(Delivery),
    /// The connection is over; the reason in words.
    Lost(String),
}

/// A message that is not acknowledged yet.
pub struct Delivery {
    receipt: Receipt,
    message: Message,
}

/// What a message is acknowledged with.
pub struct Receipt(Box<Publish>);

impl Delivery {
    fn new(prefix: &str, mut publish: Publish) -> Self {
        let message = Message::read(prefix, &publish.topic, &publish.payload);
        publish.payload = Bytes::new();
        Delivery { receipt: Receipt(Box::new(publish)), message }
    }

    pub fn into_parts(self) -> (Receipt, Message) {
        (self.receipt, self.message)
    }
}

/// What a collector subscribes to.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Collectors of the same group share the messages.
    pub group: String,
    /// What the topics of all devices begin with.
    pub prefix: String,
}

/// A connection with a session that outlives it.
pub struct Subscription {
    client: Client,
    arrivals: Receiver<Arrival>,
}

/// What to do with the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Subscribe,
    /// Take no new messages, only those that the broker holds for this session.
    GiveUp,
}

impl Subscription {
    /// Connects, and subscribes. The broker may have `in_flight` messages on their way. They are read by a thread of its
    /// own, while others are stored.
    pub fn open(endpoint: &Endpoint, topics: Topics, in_flight: u16, wish: Wish) -> std::io::Result<Self> {
        let Topics { group, prefix } = topics;
        let filter = format!("$share/{group}/{prefix}/+/+/capture/#");
        let mut options = endpoint.options();
        options
            .set_clean_start(false)
            .set_session_expiry_interval(Some(SESSION_S))
            .set_receive_maximum(Some(in_flight))
            .set_max_packet_size(Some(PACKET_BYTES_MAX))
            .set_manual_acks(true);
        let (client, connection) = Client::new(options, ACKNOWLEDGEMENTS_MAX + CONTROL_MAX);
        let asked = match wish {
            Wish::Subscribe => client.try_subscribe(filter, QoS::AtLeastOnce),
            Wish::GiveUp => client.try_unsubscribe(filter),
        };
        asked.map_err(std::io::Error::other)?;
        let (sender, arrivals) = sync_channel(usize::from(in_flight));
        thread::Builder::new().name("subscription".into()).spawn(move || listen(connection, &prefix, &sender))?;
        Ok(Subscription { client, arrivals })
    }

    /// The next arrival; `None` if none comes within `wait`.
    pub fn next(&self, wait: Duration) -> Option<Arrival> {
        match self.arrivals.recv_timeout(wait) {
            Ok(arrival) => Some(arrival),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Arrival::Lost("the connection has ended".to_owned())),
        }
    }

    /// Tells the broker that the messages are safe.
    pub fn acknowledge(&self, receipts: &[Receipt]) -> Result<(), String> {
        match receipts.iter().all(|receipt| self.client.ack(&receipt.0).is_ok()) {
            true => Ok(()),
            false => Err(self.why_lost()),
        }
    }

    /// The connection is over; the reason stands behind what arrived before.
    fn why_lost(&self) -> String {
        loop {
            if let Some(Arrival::Lost(reason)) = self.next(Duration::ZERO) {
                return reason;
            }
        }
    }

    /// Ends the session, so that the broker keeps nothing for it any more. `stop` ends the waiting for the broker.
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
    /// A goodbye; the session stays.
    fn drop(&mut self) {
        let _ = self.client.try_disconnect();
    }
}

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

/// Passes on what arrives, until the connection is over or nobody wants it any more.
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
        // Waits for room: a broker that sends more at once than it may must not fill the memory.
        if sender.send(arrival).is_err() || is_over {
            return;
        }
    }
}

fn granted(ack: &SubAck) -> Arrival {
    match ack.return_codes.iter().find(|code| !matches!(code, SubscribeReasonCode::Success(_))) {
        None => Arrival::Ready,
        Some(code) => Arrival::Lost(format!("the broker does not grant the subscription: {code:?}")),
    }
}

fn in_words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => format!("the broker refuses the connection: {code:?}"),
        error => error.to_string(),
    }
}
