//! A broker that misbehaves as a script says. It speaks just enough MQTT 5 for an uplink, with a codec of its own, so
//! that it shares no mistakes with the client.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::eventually;

/// Action of a client, as reported to the script.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Connect {
        client_id: String,
    },
    Publish(Publish),
    Subscribe {
        packet: u16,
        filter: String,
    },
    Ping,
    /// Nothing has arrived for a while.
    Idle,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// Number of the connection, counted from 0.
    pub connection: usize,
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub packet: u16,
}

/// Next action of the broker.
#[derive(Clone, Debug)]
pub enum Act {
    Welcome(Limits),
    /// CONNACK with a reason code.
    Refuse(u8),
    /// PUBACK with success.
    Ack(u16),
    /// PUBACK with a reason code.
    Answer(u16, u8),
    Granted(u16),
    Pong,
    Bytes(Vec<u8>),
    /// DISCONNECT with a reason code; the broker then closes the connection.
    Disconnect(u8),
    Close,
    /// Stop reading and writing, and keep the connection open.
    Freeze,
    Wait(Duration),
}

/// Limits that CONNACK announces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    pub receive_max: Option<u16>,
    pub packet_bytes_max: Option<u32>,
    pub keep_alive_s: Option<u16>,
}

/// Reason codes of MQTT 5, section 2.4.
pub mod reason {
    pub const NO_SUBSCRIBER: u8 = 0x10;
    pub const UNSPECIFIED: u8 = 0x80;
    pub const NOT_AUTHORISED: u8 = 0x87;
    pub const SERVER_BUSY: u8 = 0x89;
    pub const SESSION_TAKEN_OVER: u8 = 0x8E;
    pub const TOPIC_INVALID: u8 = 0x90;
    pub const PACKET_TOO_LARGE: u8 = 0x95;
    pub const QUOTA_EXCEEDED: u8 = 0x97;
    pub const PAYLOAD_FORMAT_INVALID: u8 = 0x99;
}

/// Returns the reaction of a good broker.
pub fn politely(heard: &Heard) -> Vec<Act> {
    match heard {
        Heard::Connect { .. } => vec![Act::Welcome(Limits::default())],
        Heard::Publish(publish) if publish.qos == 1 => vec![Act::Ack(publish.packet)],
        Heard::Subscribe { packet, .. } => vec![Act::Granted(*packet)],
        Heard::Ping => vec![Act::Pong],
        Heard::Publish(_) | Heard::Idle => Vec::new(),
    }
}

/// A function that says what to do about what was heard on a connection.
pub type Script = Box<dyn FnMut(usize, &Heard) -> Vec<Act> + Send>;

pub struct FaultyBroker {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Script>,
    received: Mutex<Vec<Publish>>,
    /// Moment at which each connection began.
    connections: Mutex<Vec<Instant>>,
    stop: AtomicBool,
}

/// Time without a packet after which the script hears `Idle`.
const IDLE: Duration = Duration::from_millis(10);

impl FaultyBroker {
    pub fn start(script: impl FnMut(usize, &Heard) -> Vec<Act> + Send + 'static) -> Self {
        Self::start_at(0, script)
    }

    /// Listens on this port as soon as it is free.
    pub fn start_at(port: u16, script: impl FnMut(usize, &Heard) -> Vec<Act> + Send + 'static) -> Self {
        let mut bound = None;
        eventually("a free port", || {
            bound = TcpListener::bind(("127.0.0.1", port)).ok();
            bound.is_some()
        });
        let listener = bound.expect("just bound");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            received: Mutex::default(),
            connections: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        FaultyBroker { port, shared }
    }

    /// Returns everything that was published, in the order of arrival.
    pub fn received(&self) -> Vec<Publish> {
        lock(&self.shared.received).clone()
    }

    /// Ends the broker at once with all its connections, and returns what was published.
    pub fn kill(self) -> Vec<Publish> {
        self.shared.stop.store(true, Ordering::Relaxed);
        eventually("the end of all threads", || {
            let _ = TcpStream::connect(("127.0.0.1", self.port));
            Arc::strong_count(&self.shared) == 1
        });
        self.received()
    }

    /// Returns the moment at which each connection began.
    pub fn connections(&self) -> Vec<Instant> {
        lock(&self.shared.connections).clone()
    }
}

impl Drop for FaultyBroker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // This connection ends the wait for the next client.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic")
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let mut connections = lock(&shared.connections);
        let client = Client { number: connections.len(), stream, buffer: Vec::new(), shared: Arc::clone(shared) };
        connections.push(Instant::now());
        thread::spawn(move || client.serve());
    }
}

struct Client {
    number: usize,
    stream: TcpStream,
    buffer: Vec<u8>,
    shared: Arc<Shared>,
}

/// The connection is over.
struct Over;

impl Client {
    fn serve(mut self) {
        self.stream.set_read_timeout(Some(IDLE)).expect("a time limit");
        self.stream.set_nodelay(true).expect("no delay");
        while !self.shared.stop.load(Ordering::Relaxed)
            && let Ok(heard) = self.hear()
        {
            if let Heard::Publish(publish) = &heard {
                lock(&self.shared.received).push(publish.clone());
            }
            let acts = (lock(&self.shared.script))(self.number, &heard);
            if self.perform(acts).is_err() {
                return;
            }
        }
    }

    fn hear(&mut self) -> Result<Heard, Over> {
        loop {
            if let Some((kind, body)) = self.packet() {
                match parse(self.number, kind, &body) {
                    Some(heard) => return Ok(heard),
                    None if kind >> 4 == 14 => return Err(Over),
                    None => continue,
                }
            }
            let mut chunk = [0; 65_536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Over),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return if self.shared.stop.load(Ordering::Relaxed) { Err(Over) } else { Ok(Heard::Idle) };
                }
                Err(_) => return Err(Over),
            }
        }
    }

    /// Returns first byte and body of the next complete packet.
    fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let (length, digits) = length(self.buffer.get(1..)?)?;
        let end = 1 + digits + length;
        if self.buffer.len() < end {
            return None;
        }
        let packet: Vec<u8> = self.buffer.drain(..end).collect();
        Some((packet[0], packet[1 + digits..].to_vec()))
    }

    /// Carries out acts. Bytes that belong together go out in one segment.
    fn perform(&mut self, acts: Vec<Act>) -> Result<(), Over> {
        let mut out = Vec::new();
        for act in acts {
            match act {
                Act::Close => {
                    let _ = self.write(&out);
                    return Err(Over);
                }
                Act::Disconnect(reason) => {
                    let _ = self.write(&[&out[..], &[0xE0, 2, reason, 0]].concat());
                    self.linger();
                    return Err(Over);
                }
                Act::Freeze => {
                    self.write(&out)?;
                    return self.freeze();
                }
                Act::Wait(pause) => {
                    self.write(&std::mem::take(&mut out))?;
                    thread::sleep(pause);
                }
                other => out.extend(bytes(&other)),
            }
        }
        self.write(&out)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.stream.write_all(bytes).map_err(|_| Over)
    }

    /// Reads until the other side closes: a close with unread data would make the kernel discard what the broker wrote.
    fn linger(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end && !matches!(self.stream.read(&mut [0; 65_536]), Ok(0)) {}
    }

    fn freeze(&self) -> Result<(), Over> {
        while !self.shared.stop.load(Ordering::Relaxed) {
            thread::sleep(IDLE);
        }
        Err(Over)
    }
}

/// Returns a variable byte integer and how many bytes it takes.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Parses a packet; `None` for a packet that nobody reacts to.
fn parse(connection: usize, kind: u8, body: &[u8]) -> Option<Heard> {
    let mut rest = body;
    Some(match kind >> 4 {
        1 => {
            // Protocol name, version, flags and keep-alive time.
            take(&mut rest, 10);
            skip_properties(&mut rest);
            Heard::Connect { client_id: text(&mut rest) }
        }
        3 => {
            let topic = text(&mut rest);
            let qos = (kind >> 1) & 3;
            let packet = if qos > 0 { number(&mut rest) } else { 0 };
            skip_properties(&mut rest);
            Heard::Publish(Publish { connection, topic, payload: rest.to_vec(), qos, retain: kind & 1 == 1, packet })
        }
        8 => {
            let packet = number(&mut rest);
            skip_properties(&mut rest);
            Heard::Subscribe { packet, filter: text(&mut rest) }
        }
        12 => Heard::Ping,
        _ => return None,
    })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

fn number(rest: &mut &[u8]) -> u16 {
    let bytes = take(rest, 2);
    u16::from_be_bytes([bytes[0], bytes[1]])
}

fn text(rest: &mut &[u8]) -> String {
    let length = number(rest).into();
    String::from_utf8(take(rest, length).to_vec()).expect("UTF-8")
}

fn skip_properties(rest: &mut &[u8]) {
    let (value, digits) = length(rest).expect("a length");
    take(rest, digits + value);
}

fn bytes(act: &Act) -> Vec<u8> {
    match act {
        Act::Welcome(limits) => connack(0, limits),
        Act::Refuse(reason) => connack(*reason, &Limits::default()),
        Act::Ack(packet) => [&[0x40, 2][..], &packet.to_be_bytes()].concat(),
        Act::Answer(packet, reason) => [&[0x40, 4][..], &packet.to_be_bytes(), &[*reason, 0]].concat(),
        Act::Granted(packet) => [&[0x90, 4][..], &packet.to_be_bytes(), &[0, 1]].concat(),
        Act::Pong => vec![0xD0, 0],
        Act::Bytes(bytes) => bytes.clone(),
        Act::Disconnect(_) | Act::Close | Act::Freeze | Act::Wait(_) => Vec::new(),
    }
}

fn connack(reason: u8, limits: &Limits) -> Vec<u8> {
    let mut properties = Vec::new();
    if let Some(count) = limits.receive_max {
        properties.push(0x21);
        properties.extend(count.to_be_bytes());
    }
    if let Some(count) = limits.packet_bytes_max {
        properties.push(0x27);
        properties.extend(count.to_be_bytes());
    }
    if let Some(seconds) = limits.keep_alive_s {
        properties.push(0x13);
        properties.extend(seconds.to_be_bytes());
    }
    framed(0x20, &[&[0, reason, properties.len() as u8], &properties[..]].concat())
}

/// Returns a packet with a body of less than 128 bytes.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, body.len() as u8], body].concat()
}
