//! A real mosquitto, and a subscriber that stays connected to it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet};
use rumqttc::v5::{Client, Event, MqttOptions};
use serde_json::Value;

use super::{eventually, signal};

/// Returns a port on which nothing listens now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address").port()
}

/// A running mosquitto, which is killed when this is dropped.
pub struct Broker {
    process: Child,
    _settings: tempfile::NamedTempFile,
}

impl Broker {
    pub fn start(port: u16) -> Self {
        Self::start_with(port, "")
    }

    /// Starts mosquitto with more lines for its settings.
    pub fn start_with(port: u16, more: &str) -> Self {
        let settings = tempfile::NamedTempFile::new().expect("a temporary file");
        // mosquitto would give up root's rights, and then could not read the tests' files.
        let text = format!("user root\nlistener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n{more}\n");
        fs::write(settings.path(), text).expect("write");
        // Debian installs it where an ordinary user's PATH does not look.
        let program = ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.arg("-c").arg(settings.path()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().ok()
        });
        let process = program.expect("mosquitto is not installed; run tests/check, which installs it");
        eventually("mosquitto listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Broker { process, _settings: settings }
    }

    /// Freezes the broker: it says nothing more and keeps its connections. `kill` still ends it.
    pub fn freeze(&self) {
        signal("STOP", self.process.id());
    }

    /// Ends the broker without a goodbye, as a power cut does.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// A subscriber that collects every message of all devices and connects again whenever the broker is back.
pub struct Subscriber {
    received: Arc<Mutex<Received>>,
    stop: Arc<AtomicBool>,
}

/// A message as a consumer sees it.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: String,
    pub payload: Value,
    pub qos: u8,
    pub retain: bool,
    pub content_type: Option<String>,
}

#[derive(Default)]
struct Received {
    messages: Vec<Message>,
    subscribed: bool,
}

impl Subscriber {
    pub fn start(port: u16) -> Self {
        let subscriber = Subscriber { received: Arc::default(), stop: Arc::default() };
        let (received, stop) = (Arc::clone(&subscriber.received), Arc::clone(&subscriber.stop));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                listen(port, &received, &stop);
                received.lock().expect("no panic").subscribed = false;
                thread::sleep(Duration::from_millis(50));
            }
        });
        subscriber
    }

    /// Waits until the broker has accepted the subscription.
    pub fn wait_until_subscribed(&self) {
        eventually("the subscriber is subscribed", || self.received.lock().expect("no panic").subscribed);
    }

    /// Returns all messages so far, in the order of arrival.
    pub fn messages(&self) -> Vec<Message> {
        self.received.lock().expect("no panic").messages.clone()
    }

    /// Returns the payloads published on topics with this end.
    pub fn on(&self, topic_end: &str) -> Vec<Value> {
        let messages = self.messages().into_iter();
        messages.filter(|message| message.topic.ends_with(topic_end)).map(|message| message.payload).collect()
    }

    /// Returns all result events so far, in the order of arrival.
    pub fn results(&self) -> Vec<Value> {
        self.on("/capture/result")
    }

    /// Returns the device's last status message.
    pub fn status(&self) -> Option<Value> {
        self.on("/status").pop()
    }

    /// Returns the `state` of the device's last status message.
    pub fn state(&self) -> Option<String> {
        Some(self.status()?["state"].as_str()?.to_owned())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn listen(port: u16, received: &Mutex<Received>, stop: &AtomicBool) {
    let mut options = MqttOptions::new(format!("test-{port}"), "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(5));
    // Commands of full size arrive too.
    options.set_max_packet_size(Some(256 * 1024));
    let (client, mut connection) = Client::new(options, 10);
    let filter = Filter { preserve_retain: true, ..Filter::new("bridge/v1/#", QoS::AtLeastOnce) };
    client.subscribe_many([filter]).expect("the channel has room");
    for event in connection.iter() {
        let Ok(event) = event else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let mut received = received.lock().expect("no panic");
        match event {
            Event::Incoming(Packet::SubAck(_)) => received.subscribed = true,
            Event::Incoming(Packet::Publish(publish)) => received.messages.push(Message {
                topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                payload: serde_json::from_slice(&publish.payload).unwrap_or_else(|_| binary(&publish.payload)),
                qos: publish.qos as u8,
                retain: publish.retain,
                content_type: publish.properties.and_then(|properties| properties.content_type),
            }),
            _ => (),
        }
    }
}

/// Returns a payload that is not JSON as a string with one character per byte.
fn binary(payload: &[u8]) -> Value {
    payload.iter().copied().map(char::from).collect::<String>().into()
}

/// Publishes one message and waits until the broker has it.
pub fn publish(port: u16, topic: &str, payload: &[u8], retain: bool) {
    let mut options = MqttOptions::new(format!("publish-{port}"), "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut connection) = Client::new(options, 10);
    client.publish(topic, QoS::AtLeastOnce, retain, payload.to_vec()).expect("the channel has room");
    let is_ack = |event: &Event| matches!(event, Event::Incoming(Packet::PubAck(_)));
    connection.iter().map(|event| event.expect("a connection")).find(is_ack).expect("an acknowledgement");
}
