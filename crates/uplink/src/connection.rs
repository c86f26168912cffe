//! One connection to the broker. With `endpoint.rs` the only file here that names the MQTT client library.

mod reasons;

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

use super::{Params, tls};

/// What the broker or the network said.
#[derive(Debug)]
pub enum Signal {
    Connected(BrokerLimits),
    /// The next message left under this packet number.
    Sent(u16),
    Answered(u16, Answer),
    /// Whether the subscription was granted.
    Subscribed(u16, bool),
    /// A message to us.
    Incoming(Incoming),
    PingSent,
    Pong,
    /// The connection is over.
    Lost(Loss),
}

/// What the broker said of itself when it accepted the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerLimits {
    /// Of one packet.
    pub packet_bytes_max: usize,
    /// Messages before the first is acknowledged.
    pub receive_max: usize,
    /// Time between pings, ours unless the broker wants another.
    pub keep_alive: Duration,
}

/// What the broker did with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted,
    /// Accepted and dropped: nobody has subscribed.
    NoSubscriber,
    /// We may not publish there.
    NotAuthorised,
    /// It takes no more for now, whatever it is.
    Busy(String),
    /// It may take this one later.
    Later(String),
    /// It is this message that is wrong.
    Unacceptable(String),
}

/// Why there is no connection, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    Broken(String),
    /// The broker closed the connection, and said nothing.
    Closed(String),
    /// Nothing was heard for too long.
    Dead(String),
    /// Trying again soon is of no use: somebody has to change something.
    Refused(String),
    /// This device may not do something that it did.
    Denied(String),
    /// The broker dislikes a message that was on its way.
    Unacceptable(String),
}

/// A message to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    pub topic: String,
    pub payload: Bytes,
    pub retained: bool,
}

/// A message for the broker.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
    pub content_type: &'static str,
}

impl Message {
    /// Size of the packet that carries it with QoS 1.
    pub fn packet_bytes(&self) -> usize {
        packet_bytes(self.topic.len(), self.content_type.len(), self.payload.len())
    }
}

/// Size of a PUBLISH packet with QoS 1 and a content type (MQTT 5, section 3.3).
pub fn packet_bytes(topic: usize, content_type: usize, payload: usize) -> usize {
    let properties = 1 + 2 + content_type;
    let remaining = 2 + topic + 2 + length_bytes(properties) + properties + payload;
    1 + length_bytes(remaining) + remaining
}

/// Size of a variable byte integer: seven bits a byte.
fn length_bytes(length: usize) -> usize {
    (1..4).find(|bytes| length < 1 << (7 * bytes)).unwrap_or(4)
}

/// A connection being made or standing. Dropping it cuts it at once, so that the broker publishes the will.
pub struct Connection {
    client: AsyncClient,
    poll: JoinHandle<()>,
    signals: mpsc::Receiver<Signal>,
}

/// Largest packet that we accept from a broker: a command of 64 KiB with its headers.
const INCOMING_BYTES_MAX: u32 = 80 * 1024;
/// Messages to us that the broker may send before we acknowledge the first.
const INCOMING_MAX: u16 = 16;
/// Packet numbers are used again after so many messages, or after as many as the broker takes at once. An
/// acknowledgement that is repeated before is recognised as foreign.
const PACKET_NUMBERS: u16 = 1024;
/// Control messages beside the events: status, subscription, replies.
const CONTROL_MAX: usize = 16;

impl Connection {
    /// Starts to connect. `will` is what the broker publishes when the connection breaks.
    pub fn open(params: &Params, will: Message) -> Self {
        let channel = usize::from(params.in_flight) + CONTROL_MAX;
        let (client, event_loop) = AsyncClient::new(options(params, will), channel);
        let (sender, signals) = mpsc::channel(channel);
        let poll = tokio::spawn(poll(event_loop, sender));
        Connection { client, poll, signals }
    }

    /// The next signal; after `Lost` there is none.
    pub async fn signal(&mut self) -> Signal {
        self.signals.recv().await.unwrap_or_else(|| Signal::Lost(Loss::Broken("the connection has ended".to_owned())))
    }

    /// The next signal, if there is one already.
    pub fn signal_now(&mut self) -> Option<Signal> {
        self.signals.try_recv().ok()
    }

    /// Hands a message with QoS 1 to the client. Fails only if more are handed over than the window allows.
    pub fn publish(&self, message: Message) -> Result<(), Loss> {
        self.hand_over(message, QoS::AtLeastOnce)
    }

    /// Hands over a message that may be lost. It is, when the client has its hands full.
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

    /// Asks for the messages of a topic filter. Retained ones are marked as such, also when they are new.
    pub fn subscribe(&self, filter: String) -> Result<(), Loss> {
        let filter = Filter { preserve_retain: true, ..Filter::new(filter, QoS::AtLeastOnce) };
        self.client.try_subscribe_many([filter]).map_err(|error| Loss::Broken(error.to_string()))
    }

    /// Asks the client to say goodbye, after what it was handed before.
    pub fn disconnect(&self) {
        // A full channel means that the link is stuck; it is cut then.
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

/// Polls until the connection is over. A task of its own: a `poll` that is dropped half-way would lose a slow connect.
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
    // What came before the error counts: acknowledgements in the same segment, say.
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
        // Number 0 is a message that nobody answers.
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
    // The client library has put the broker's wish into its options.
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
        // We allow none, and the client library would keep them all in memory.
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

/// The error of the socket, or of TLS above it, that ended the connection.
fn io_error(error: &ConnectionError) -> Option<&io::Error> {
    // The client library does not name this one as a cause.
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
