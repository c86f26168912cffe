//! One connection to the broker. The only file that names the MQTT client library.

use std::time::Duration;

use bytes::Bytes;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{LastWill, Packet, PubAckReason, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Params;

/// What the broker or the network said.
#[derive(Debug)]
pub enum Signal {
    Connected {
        /// Largest packet that the broker takes.
        packet_bytes_max: Option<u32>,
        /// Publishes that the broker takes before it has acknowledged the first.
        receive_max: Option<u16>,
    },
    /// The next publish left under this packet number.
    Sent(u16),
    Answered(u16, Answer),
    /// The connection is over; the reason in words.
    Lost(String),
}

/// What the broker did with a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted,
    /// Accepted and dropped: nobody has subscribed.
    NoSubscriber,
    Refused(PubAckReason),
}

/// A message for the broker.
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
    pub content_type: &'static str,
}

/// A connection being made or standing. Dropping it cuts it at once, so that the broker publishes the will.
pub struct Connection {
    client: AsyncClient,
    poll: JoinHandle<()>,
    signals: mpsc::Receiver<Signal>,
}

/// Largest message that we accept from a broker.
const INCOMING_BYTES_MAX: u32 = 256 * 1024;
/// For TCP, and for the broker's answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Connection {
    /// Starts to connect. `will` is what the broker publishes when the connection breaks.
    pub fn open(params: &Params, will: Message) -> Self {
        let mut options = MqttOptions::new(&params.client_id, &params.host, params.port);
        let channel = usize::from(params.in_flight) + 8;
        options
            .set_clean_start(true)
            .set_keep_alive(params.keep_alive)
            .set_connection_timeout(CONNECT_TIMEOUT.as_secs())
            .set_max_packet_size(Some(INCOMING_BYTES_MAX))
            .set_outgoing_inflight_upper_limit(params.in_flight)
            .set_last_will(LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, will.retain, None));
        let (client, event_loop) = AsyncClient::new(options, channel);
        let (sender, signals) = mpsc::channel(channel);
        let poll = tokio::spawn(poll(event_loop, sender));
        Connection { client, poll, signals }
    }

    /// The next signal; after `Lost` there is none.
    pub async fn signal(&mut self) -> Signal {
        self.signals.recv().await.unwrap_or_else(|| Signal::Lost("the connection has ended".to_owned()))
    }

    /// Hands a message with QoS 1 to the client. Fails only if more are handed over than the window allows.
    pub fn publish(&self, message: Message) -> Result<(), String> {
        let properties =
            PublishProperties { content_type: Some(message.content_type.to_owned()), ..Default::default() };
        self.client
            .try_publish_with_properties(message.topic, QoS::AtLeastOnce, message.retain, message.payload, properties)
            .map_err(|error| error.to_string())
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

/// Polls until the connection is over. A task of its own: a `poll` that is dropped half-way would lose a slow connect.
async fn poll(mut event_loop: EventLoop, signals: mpsc::Sender<Signal>) {
    loop {
        let signal = match event_loop.poll().await {
            Ok(event) => signal(event),
            Err(error) => Some(Signal::Lost(error.to_string())),
        };
        let Some(signal) = signal else { continue };
        let over = matches!(signal, Signal::Lost(_));
        if signals.send(signal).await.is_err() || over {
            return;
        }
    }
}

fn signal(event: Event) -> Option<Signal> {
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => {
            let (packet_bytes_max, receive_max) =
                ack.properties.map_or((None, None), |limits| (limits.max_packet_size, limits.receive_max));
            Some(Signal::Connected { packet_bytes_max, receive_max })
        }
        Event::Incoming(Packet::PubAck(ack)) => Some(Signal::Answered(ack.pkid, answer(ack.reason))),
        Event::Outgoing(Outgoing::Publish(packet)) => Some(Signal::Sent(packet)),
        Event::Outgoing(Outgoing::Disconnect) => Some(Signal::Lost("said goodbye".to_owned())),
        _ => None,
    }
}

fn answer(reason: PubAckReason) -> Answer {
    match reason {
        PubAckReason::Success => Answer::Accepted,
        PubAckReason::NoMatchingSubscribers => Answer::NoSubscriber,
        refused => Answer::Refused(refused),
    }
}
