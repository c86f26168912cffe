//! One connection to the broker. Only this module and `endpoint.rs` name the MQTT client library.

mod reasons;

pub use self::reasons::{Answer, Loss};

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Filter, LastWill, LastWillProperties, Packet, Publish, PublishProperties, SubAck, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error as PacketError, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::params::Params;
use crate::tls;

/// A message from the broker, or an event of the network.
#[derive(Debug)]
pub enum Signal {
    /// The broker accepted the connection, with these limits.
    Connected(BrokerLimits),
    /// The client sent the next message under this packet id.
    Sent(u16),
    /// The broker answered the message with this packet id.
    Answered(u16, Answer),
    /// The broker granted or denied the subscription with this packet id.
    Subscribed(u16, bool),
    /// The broker forwarded a message for this device.
    Incoming(Incoming),
    /// The client sent a ping.
    PingSent,
    /// The broker answered a ping.
    Pong,
    /// The connection ended.
    Lost(Loss),
}

/// Limits that the broker stated when it accepted the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerLimits {
    /// Maximum size of one packet in bytes.
    pub packet_bytes_max: usize,
    /// Maximum number of unacknowledged messages.
    pub receive_max: usize,
    /// Interval between pings: the device's own, unless the broker asks for another.
    pub keep_alive: Duration,
}

/// A message for this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Topic of the message.
    pub topic: String,
    /// Payload of the message.
    pub payload: Bytes,
    /// Whether the broker delivered a retained message.
    pub retained: bool,
}

/// A message for the broker.
#[derive(Clone, Debug)]
pub struct Message {
    /// Complete topic.
    pub topic: String,
    /// Payload.
    pub payload: Bytes,
    /// Whether the broker retains the message.
    pub retain: bool,
    /// MIME type of the payload.
    pub content_type: &'static str,
}

impl Message {
    /// Returns the size in bytes of the packet that carries the message with QoS 1.
    pub fn packet_bytes(&self) -> usize {
        packet_bytes(self.topic.len(), self.content_type.len(), self.payload.len())
    }
}

/// Returns the size in bytes of a PUBLISH packet with QoS 1 and a content type (MQTT 5, section 3.3).
///
/// The arguments are the lengths of topic, content type and payload in bytes.
pub fn packet_bytes(topic: usize, content_type: usize, payload: usize) -> usize {
    let properties = 1 + 2 + content_type;
    let remaining = 2 + topic + 2 + length_bytes(properties) + properties + payload;
    1 + length_bytes(remaining) + remaining
}

/// Returns the size in bytes of a variable byte integer, which has seven bits per byte.
fn length_bytes(length: usize) -> usize {
    (1..4).find(|bytes| length < 1 << (7 * bytes)).unwrap_or(4)
}

/// A connection that is being made or is open. Dropping it closes the socket at once, so that the broker publishes the
/// will.
pub struct Connection {
    client: AsyncClient,
    poll: JoinHandle<()>,
    signals: mpsc::Receiver<Signal>,
}

/// Maximum size in bytes of a packet from the broker: a command of 64 KiB with its headers.
const INCOMING_BYTES_MAX: u32 = 80 * 1024;
/// Maximum number of messages that the broker may send before the first is acknowledged.
const INCOMING_MAX: u16 = 16;
/// Number of messages after which packet ids are reused, unless the broker's own limit is lower. Until then, a repeated
/// acknowledgement is recognised as foreign.
const PACKET_NUMBERS: u16 = 1024;
/// Room for control messages beside the events: status, subscription and replies.
const CONTROL_MAX: usize = 16;

impl Connection {
    /// Starts to connect. The broker publishes `will` when the connection breaks.
    pub fn open(params: &Params, will: Message) -> Self {
        let channel = usize::from(params.in_flight) + CONTROL_MAX;
        let (client, event_loop) = AsyncClient::new(options(params, will), channel);
        let (sender, signals) = mpsc::channel(channel);
        let poll = tokio::spawn(poll(event_loop, sender));
        Connection { client, poll, signals }
    }

    /// Waits for the next signal. [`Signal::Lost`] is the last one.
    pub async fn signal(&mut self) -> Signal {
        self.signals.recv().await.unwrap_or_else(|| Signal::Lost(Loss::Broken("the connection has ended".to_owned())))
    }

    /// Returns the next signal if one has arrived already.
    pub fn signal_now(&mut self) -> Option<Signal> {
        self.signals.try_recv().ok()
    }

    /// Hands a message to the client with QoS 1. Fails only if more messages are handed over than the window allows.
    pub fn publish(&self, message: Message) -> Result<(), Loss> {
        self.hand_over(message, QoS::AtLeastOnce)
    }

    /// Hands over a message with QoS 0, which may be lost. It is dropped if the client's queue is full.
    pub fn publish_once(&self, message: Message) {
        let _ = self.hand_over(message, QoS::AtMostOnce);
    }

    fn hand_over(&self, message: Message, qos: QoS) -> Result<(), Loss> {
        let properties =
            PublishProperties { content_type: Some(message.content_type.to_owned()), ..Default::default() };
        self.client
            .try_publish_with_properties(message.topic, qos, message.retain, message.payload, properties)
            .map_err(|error| Loss::Broken(error.to_string()))
    }

    /// Subscribes to a topic filter. Retained messages stay marked as such, even if they are new.
    pub fn subscribe(&self, filter: String) -> Result<(), Loss> {
        let filter = Filter { preserve_retain: true, ..Filter::new(filter, QoS::AtLeastOnce) };
        self.client.try_subscribe_many([filter]).map_err(|error| Loss::Broken(error.to_string()))
    }

    /// Asks the client to disconnect, after everything that was handed over before.
    pub fn disconnect(&self) {
        // A full channel means that the link is stuck; the caller cuts it then.
        let _ = self.client.try_disconnect();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

fn options(params: &Params, will: Message) -> MqttOptions {
    let will_properties = LastWillProperties {
        delay_interval: None,
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: Some(will.content_type.to_owned()),
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    };
    let will = LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, will.retain, Some(will_properties));
    let mut options = params.endpoint.options();
    options
        .set_clean_start(true)
        .set_max_packet_size(Some(INCOMING_BYTES_MAX))
        .set_receive_maximum(Some(INCOMING_MAX))
        .set_outgoing_inflight_upper_limit(PACKET_NUMBERS)
        .set_last_will(will);
    options
}

/// Polls until the connection ends. This runs in a task of its own, because a dropped `poll` would lose a slow connect.
async fn poll(mut event_loop: EventLoop, signals: mpsc::Sender<Signal>) {
    let error = loop {
        match event_loop.poll().await {
            Ok(event) => {
                if let Some(signal) = signal(event, &event_loop.options)
                    && signals.send(signal).await.is_err()
                {
                    return;
                }
            }
            Err(error) => break error,
        }
    };
    // Events before the error still count: acknowledgements in the same segment, for example.
    while let Some(event) = event_loop.state.events.pop_front() {
        if let Some(signal) = signal(event, &event_loop.options)
            && signals.send(signal).await.is_err()
        {
            return;
        }
    }
    let _ = signals.send(Signal::Lost(loss(&error))).await;
}

fn signal(event: Event, options: &MqttOptions) -> Option<Signal> {
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => Some(connected(&ack, options)),
        Event::Incoming(Packet::PubAck(ack)) => Some(Signal::Answered(ack.pkid, reasons::answer(ack.reason))),
        Event::Incoming(Packet::SubAck(ack)) => Some(Signal::Subscribed(ack.pkid, is_granted(&ack))),
        Event::Incoming(Packet::Publish(publish)) => Some(incoming(publish)),
        Event::Incoming(Packet::PingResp(_)) => Some(Signal::Pong),
        // Packet id 0 belongs to a QoS 0 message, which the broker does not answer.
        Event::Outgoing(Outgoing::Publish(packet) | Outgoing::Subscribe(packet)) if packet > 0 => {
            Some(Signal::Sent(packet))
        }
        Event::Outgoing(Outgoing::PingReq) => Some(Signal::PingSent),
        _ => None,
    }
}

fn connected(ack: &ConnAck, options: &MqttOptions) -> Signal {
    let (packet_bytes_max, receive_max) =
        ack.properties.as_ref().map_or((None, None), |limits| (limits.max_packet_size, limits.receive_max));
    let receive_max = usize::from(receive_max.unwrap_or(u16::MAX));
    // The client library has put the broker's keep-alive time into its options.
    let keep_alive = options.keep_alive();
    if receive_max == 0 || keep_alive.is_zero() {
        let reason = "the broker answered with a receive maximum or keep-alive time of 0, which MQTT 5 forbids";
        return Signal::Lost(Loss::Refused(reason.to_owned()));
    }
    let packet_bytes_max = packet_bytes_max.map_or(usize::MAX, |bytes| bytes as usize);
    Signal::Connected(BrokerLimits { packet_bytes_max, receive_max, keep_alive })
}

fn is_granted(ack: &SubAck) -> bool {
    ack.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_)))
}

fn incoming(publish: Publish) -> Signal {
    if publish.properties.is_some_and(|properties| properties.topic_alias.is_some()) {
        // The device allows no aliases, and the client library would keep them all in memory.
        return Signal::Lost(Loss::Broken("the broker used a topic alias, which it was not allowed".to_owned()));
    }
    Signal::Incoming(Incoming {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        retained: publish.retain,
    })
}

fn loss(error: &ConnectionError) -> Loss {
    let io = io_error(error);
    match (io.and_then(tls::explain), error) {
        (Some(reason), _) => Loss::Refused(reason),
        (None, ConnectionError::Tls(_)) => {
            let reason = io.map_or_else(|| error.to_string(), ToString::to_string);
            Loss::Broken(format!("no TLS connection ({reason}); the broker may expect plain text on this port"))
        }
        (None, error) => reasons::loss(error),
    }
}

/// Returns the error of the socket, or of TLS above it, that ended the connection.
fn io_error(error: &ConnectionError) -> Option<&io::Error> {
    // The client library does not name this error as a cause.
    if let ConnectionError::MqttState(StateError::Deserialization(PacketError::Io(error))) = error {
        return Some(error);
    }
    let mut cause: &(dyn Error + 'static) = error;
    while !cause.is::<io::Error>() {
        cause = cause.source()?;
    }
    cause.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_as_large_as_the_client_makes_them() {
        for payload in [0, 50, 90, 100, 127, 128, 16_200, 16_383, 16_384, 70_000, 2_097_152] {
            let message = Message {
                topic: "bridge/v1/site/device/capture/result".to_owned(),
                payload: Bytes::from(vec![b'x'; payload]),
                retain: false,
                content_type: "application/cloudevents+json",
            };
            let properties =
                PublishProperties { content_type: Some(message.content_type.to_owned()), ..Default::default() };
            let (topic, payload) = (message.topic.clone(), message.payload.clone());
            let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload, Some(properties));
            publish.pkid = 1;
            assert_eq!(message.packet_bytes(), publish.size(), "{} bytes", message.payload.len());
        }
    }
}
