//! The collector's connection to the broker. The only file here that names the MQTT client library.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, SubAck, SubscribeReasonCode};
use rumqttc::v5::{Client, Connection, ConnectionError, Event};

use super::message::PAYLOAD_BYTES_MAX;
use crate::uplink::Endpoint;

/// How long the broker keeps messages for a collector that is away: a week, so that a long weekend loses nothing.
const SESSION_S: u32 = 7 * 24 * 3600;
/// For topic and properties of a packet.
const HEADER_BYTES_MAX: usize = 4096;
/// Packet numbers that there are: more messages cannot be on their way. While the client waits for room for a message, it
/// takes no acknowledgement from us; with room for all of them we never wait for it in turn.
const ACKNOWLEDGEMENTS_MAX: usize = u16::MAX as usize;
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
pub struct Delivery(Publish);

impl Delivery {
    pub fn topic(&self) -> String {
        String::from_utf8_lossy(&self.0.topic).into_owned()
    }

    pub fn payload(&self) -> &[u8] {
        &self.0.payload
    }
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
    /// Connects, and subscribes to `filter`. The broker may have `in_flight` messages on their way.
    pub fn open(endpoint: &Endpoint, filter: &str, in_flight: u16, wish: Wish) -> std::io::Result<Self> {
        let mut options = endpoint.options();
        options
            .set_clean_start(false)
            .set_session_expiry_interval(Some(SESSION_S))
            .set_receive_maximum(Some(in_flight))
            .set_max_packet_size(Some((PAYLOAD_BYTES_MAX + HEADER_BYTES_MAX) as u32))
            .set_manual_acks(true);
        let (client, connection) = Client::new(options, ACKNOWLEDGEMENTS_MAX + CONTROL_MAX);
        let asked = match wish {
            Wish::Subscribe => client.try_subscribe(filter, QoS::AtLeastOnce),
            Wish::GiveUp => client.try_unsubscribe(filter),
        };
        asked.map_err(std::io::Error::other)?;
        let (sender, arrivals) = sync_channel(usize::from(in_flight));
        thread::Builder::new().name("subscription".into()).spawn(move || listen(connection, &sender))?;
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
    pub fn acknowledge(&self, deliveries: &[Delivery]) -> Result<(), String> {
        match deliveries.iter().all(|delivery| self.client.ack(&delivery.0).is_ok()) {
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

    /// Ends the session, so that the broker keeps nothing for it any more.
    pub fn end_session(endpoint: &Endpoint) -> Result<(), String> {
        let mut options = endpoint.options();
        options.set_clean_start(true).set_session_expiry_interval(Some(0));
        let (client, mut connection) = Client::new(options, CONTROL_MAX);
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
}

impl Drop for Subscription {
    /// A goodbye; the session stays.
    fn drop(&mut self) {
        let _ = self.client.try_disconnect();
    }
}

/// Passes on what arrives, until the connection is over or nobody wants it any more.
fn listen(mut connection: Connection, sender: &SyncSender<Arrival>) {
    for event in connection.iter() {
        let arrival = match event {
            Ok(Event::Incoming(Packet::Publish(publish))) => Arrival::Message(Delivery(publish)),
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
