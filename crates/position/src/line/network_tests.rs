//! Sources in a network, played on sockets of this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::testing::{HEARTBEAT, PATIENCE, TIMES, follow, found, latitude, lost, sentence, until};
use super::*;

/// A port of this machine that was free a moment ago.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

fn source(text: &str) -> Source {
    text.parse().expect("a source")
}

fn udp(protocol: Protocol) -> (Line, Receiver<LineEvent>, SocketAddr) {
    let port = free_port();
    let (line, events) = follow(source(&format!("udp:127.0.0.1:{port}")), protocol);
    (line, events, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Socket that sends to this address. A port on which nobody listens yet is no error of the sender.
struct Sender(UdpSocket, SocketAddr);

impl Sender {
    fn to(address: SocketAddr) -> Self {
        Sender(UdpSocket::bind("127.0.0.1:0").expect("a port"), address)
    }

    fn say(&self, bytes: &[u8]) {
        let _ = self.0.send_to(bytes, self.1);
    }
}

/// Server that accepts connections one after another.
struct Server(TcpListener);

impl Server {
    fn start() -> Self {
        Server(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    fn accept(&self) -> TcpStream {
        let (stream, _) = self.0.accept().expect("a connection");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }
}

fn at(degrees: f64) -> impl Fn(&LineEvent) -> Option<f64> {
    move |event| latitude(event).filter(|found| (found - degrees).abs() < 1e-9)
}

#[test]
fn datagrams_of_both_protocols_are_followed() {
    let (line, events, address) = udp(Protocol::Auto);
    let sender = Sender::to(address);
    assert_eq!(until(&events, |second| sender.say(&sentence(second)), found), (Protocol::Nmea, None));
    until(&events, |_| sender.say(&sentence(7)), at(35.007));
    let report = line.report();
    assert_eq!((report.source, report.state), (format!("udp:{address}"), LineState::Following));
    line.stop();
    let (line, events, address) = udp(Protocol::Auto);
    let sender = Sender::to(address);
    assert_eq!(until(&events, |_| sender.say(&HEARTBEAT), found), (Protocol::Mavlink, None));
    line.stop();
}

#[test]
fn a_sentence_may_be_split_over_datagrams() {
    let (line, events, address) = udp(Protocol::Nmea);
    let sender = Sender::to(address);
    let split = |second| sentence(second).chunks(20).for_each(|part| sender.say(part));
    until(&events, split, latitude);
    line.stop();
}

#[test]
fn another_sender_is_heard_only_after_the_first_is_silent() {
    let (line, events, address) = udp(Protocol::Auto);
    let (noise, first, second) = (Sender::to(address), Sender::to(address), Sender::to(address));
    // Noise before and between does not make a sender the first.
    let say = |_| {
        noise.say(b"\x80\x81 noise $GPGGA,1*00");
        first.say(&sentence(1));
    };
    until(&events, say, at(35.001));
    let both = Instant::now() + Duration::from_secs(2);
    while Instant::now() < both {
        second.say(&sentence(2));
        first.say(&sentence(1));
        noise.say(b"noise");
        if let Ok(event) = events.recv_timeout(Duration::from_millis(20)) {
            assert!(latitude(&event).is_none_or(|at| (at - 35.001).abs() < 1e-9), "{event:?}");
        }
    }
    let silent = Instant::now();
    until(&events, |_| second.say(&sentence(2)), at(35.002));
    assert!(silent.elapsed() >= TIMES.sender_silence * 9 / 10, "{:?}", silent.elapsed());
    line.stop();
}

#[test]
fn a_port_without_datagrams_is_lost_and_goes_on_listening() {
    let (line, events, address) = udp(Protocol::Auto);
    let reason = until(&events, |_| (), lost);
    assert!(reason.contains("no datagram arrives"), "{reason}");
    assert_eq!((line.report().state, line.report().missing), (LineState::Lost, vec![reason]));
    let sender = Sender::to(address);
    until(&events, |second| sender.say(&sentence(second)), found);
    assert_eq!(line.report().state, LineState::Following);
    line.stop();
}

#[test]
fn a_stream_is_followed_and_connected_again() {
    let server = Server::start();
    let (line, events) = follow(source(&format!("tcp:{}", server.address())), Protocol::Auto);
    let mut stream = server.accept();
    let say = |stream: &mut TcpStream, bytes: &[u8]| stream.write_all(bytes).expect("the line listens");
    until(&events, |_| say(&mut stream, &[&b"\xff\0garbage$GP"[..], &sentence(3)].concat()), at(35.003));
    // The server ends the connection.
    drop(stream);
    assert!(until(&events, |_| (), lost).contains("has ended the connection"));
    let mut stream = server.accept();
    assert_eq!(until(&events, |_| say(&mut stream, &HEARTBEAT), found), (Protocol::Mavlink, None));
    line.stop();
}

#[test]
fn a_reset_is_a_loss_like_any_other() {
    let server = Server::start();
    let (line, events) = follow(source(&format!("gpsd:{}", server.address())), Protocol::Auto);
    let mut stream = server.accept();
    until(&events, |second| stream.write_all(&sentence(second)).expect("the line listens"), found);
    // The request is left unread, so the system answers with a reset.
    drop(stream);
    let reason = until(&events, |_| (), lost);
    assert!(reason.contains("reset"), "{reason}");
    let mut stream = server.accept();
    until(&events, |second| stream.write_all(&sentence(second)).expect("the line listens"), found);
    line.stop();
}

#[test]
fn a_server_that_is_not_there_yet_is_tried_again() {
    let port = Server::start().address().port();
    let (line, events) = follow(source(&format!("tcp:127.0.0.1:{port}")), Protocol::Auto);
    let reason = until(&events, |_| (), lost);
    assert!(reason.contains("nothing listens there"), "{reason}");
    let server = TcpListener::bind(("127.0.0.1", port)).expect("still free");
    let (mut stream, _) = server.accept().expect("a connection");
    until(&events, |second| stream.write_all(&sentence(second)).expect("the line listens"), latitude);
    line.stop();
}

#[test]
fn a_server_that_falls_silent_or_sends_garbage_is_left() {
    let server = Server::start();
    let (line, events) = follow(source(&format!("tcp:{}", server.address())), Protocol::Auto);
    let mut silent = server.accept();
    until(&events, |second| silent.write_all(&sentence(second)).expect("the line listens"), latitude);
    // The other side is gone without a word: nothing arrives, and no error either.
    let begin = Instant::now();
    let mut garbled = server.accept();
    assert!(begin.elapsed() >= TIMES.silence * 9 / 10, "{:?}", begin.elapsed());
    let reason = until(&events, |_| drop(garbled.write_all(&[0x80; 1_000])), lost);
    assert!(reason.contains("no NMEA or MAVLink in"), "{reason}");
    let mut stream = server.accept();
    until(&events, |second| stream.write_all(&sentence(second)).expect("the line listens"), latitude);
    line.stop();
}

#[test]
fn gpsd_is_asked_for_nmea() {
    let server = Server::start();
    let (line, events) = follow(source(&format!("gpsd:{}", server.address())), Protocol::Auto);
    let mut stream = server.accept();
    let greeting =
        "{\"class\":\"VERSION\",\"release\":\"3.25\",\"rev\":\"3.25\",\"proto_major\":3,\"proto_minor\":15}\r\n";
    stream.write_all(greeting.as_bytes()).expect("the line listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut request = [0; 36];
    stream.read_exact(&mut request).expect("a request");
    assert_eq!(&request, b"?WATCH={\"enable\":true,\"nmea\":true};\n");
    let answer = "{\"class\":\"DEVICES\",\"devices\":[]}\r\n{\"class\":\"WATCH\",\"enable\":true,\"nmea\":true}\r\n";
    stream.write_all(answer.as_bytes()).expect("the line listens");
    let say =
        |second| stream.write_all(&[&sentence(second)[..], b"{\"class\":\"TPV\"}\r\n"].concat()).expect("it listens");
    assert_eq!(until(&events, say, found), (Protocol::Nmea, None));
    assert_eq!(line.report().broken, 0);
    line.stop();
}

#[test]
fn gpsd_without_a_receiver_is_told_from_a_silent_server() {
    let server = Server::start();
    let (line, events) = follow(source(&format!("gpsd:{}", server.address())), Protocol::Auto);
    let mut stream = server.accept();
    stream.write_all(b"{\"class\":\"VERSION\"}\r\n").expect("the line listens");
    let reason = until(&events, |_| (), lost);
    assert!(reason.contains("its receiver says nothing"), "{reason}");
    line.stop();
}

#[test]
fn a_stop_is_prompt_whatever_a_source_does() {
    let prompt = |line: Line| {
        let begin = Instant::now();
        line.stop();
        assert!(begin.elapsed() < port::CONNECT + Duration::from_secs(2), "{:?}", begin.elapsed());
    };
    prompt(udp(Protocol::Auto).0);
    let server = Server::start();
    let (line, _events) = follow(source(&format!("tcp:{}", server.address())), Protocol::Auto);
    let _silent = server.accept();
    prompt(line);
    // An address of a network for documentation (RFC 5737), from which no answer comes.
    prompt(follow(source("tcp:192.0.2.1:5760"), Protocol::Auto).0);
}
