//! Opens a source and reads its bytes, with a limit on every wait.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use serialport::{SerialPort, TTYPort};

use super::resolve::Resolver;
use super::source::{Endpoint, Source};

/// An open source.
pub enum Port {
    Serial(TTYPort),
    Udp(Datagrams),
    Stream(TcpStream),
}

/// What a wait for bytes has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// No byte in the given time.
    Nothing,
    /// This number of bytes.
    Bytes(usize),
    /// This number of bytes, by a sender that has not been heard before them.
    AnotherSender(usize),
}

/// Maximum time that a server has to accept a connection, with the time to find its address, and therefore the longest
/// time that a stop takes.
pub const CONNECT: Duration = Duration::from_secs(3);

/// Request to gpsd for NMEA, also for receivers that speak another protocol
/// (<https://gpsd.gitlab.io/gpsd/gpsd_json.html>).
const WATCH: &[u8] = b"?WATCH={\"enable\":true,\"nmea\":true};\n";

/// Shortest wait, because sockets take 0 for an endless one.
const WAIT_MIN: Duration = Duration::from_millis(1);

impl Port {
    /// Opens a source; a serial line at `baud` bits per second. A server gets [`CONNECT`].
    pub fn open(source: &Source, baud: u32, resolver: &mut Resolver) -> io::Result<Self> {
        match source {
            Source::Serial(path) => open_serial(path, baud).map(Port::Serial),
            Source::Udp { address, port } => bind(address.as_deref(), *port, resolver).map(Port::Udp),
            Source::Tcp(endpoint) => connect(endpoint, resolver).map(Port::Stream),
            Source::Gpsd(endpoint) => {
                let mut stream = connect(endpoint, resolver)?;
                stream.set_write_timeout(Some(CONNECT))?;
                stream.write_all(WATCH)?;
                Ok(Port::Stream(stream))
            }
        }
    }

    /// Reads available bytes, or waits for some. Fails if the source is gone.
    pub fn read(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<Heard> {
        let read = match self {
            Port::Serial(port) => {
                port.set_timeout(wait)?;
                port.read(buffer)
            }
            Port::Stream(stream) => {
                stream.set_read_timeout(Some(wait.max(WAIT_MIN)))?;
                stream.read(buffer)
            }
            Port::Udp(datagrams) => return datagrams.read(buffer, wait),
        };
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(Heard::Bytes(count)),
            Err(error) if is_silence(&error) => Ok(Heard::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Notes that the bytes make sense. From now on, only the sender of these datagrams is heard.
    pub fn keep_sender(&mut self) {
        if let Port::Udp(datagrams) = self {
            datagrams.is_kept = true;
        }
    }
}

/// Reports whether an error of a read says that no byte has arrived in time.
fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn open_serial(path: &Path, baud: u32) -> io::Result<TTYPort> {
    Ok(serialport::new(path.to_string_lossy(), baud).open_native()?)
}

fn bind(address: Option<&str>, port: u16, resolver: &mut Resolver) -> io::Result<Datagrams> {
    let addresses = resolver.addresses(address.unwrap_or("0.0.0.0"), port, CONNECT)?;
    let socket = UdpSocket::bind(&addresses[..])?;
    Ok(Datagrams { socket, sender: None, is_kept: false })
}

/// Connects to the first address that accepts. The last failure is returned if none does.
fn connect(endpoint: &Endpoint, resolver: &mut Resolver) -> io::Result<TcpStream> {
    let end = Instant::now() + CONNECT;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", endpoint.host));
    for address in resolver.addresses(&endpoint.host, endpoint.port, CONNECT)? {
        let left = end.saturating_duration_since(Instant::now()).max(WAIT_MIN);
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Datagrams of one sender at a time.
pub struct Datagrams {
    socket: UdpSocket,
    /// Sender of the last datagram.
    sender: Option<SocketAddr>,
    /// Whether only this sender is heard.
    is_kept: bool,
}

impl Datagrams {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<Heard> {
        let end = Instant::now() + wait;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            self.socket.set_read_timeout(Some(left.max(WAIT_MIN)))?;
            let heard = match self.socket.recv_from(buffer) {
                Ok((count, sender)) => self.heard(count, sender),
                Err(error) if is_silence(&error) => None,
                Err(error) => return Err(error),
            };
            match heard {
                Some(heard) => return Ok(heard),
                None if left.is_zero() => return Ok(Heard::Nothing),
                None => (),
            }
        }
    }

    /// Returns what a datagram means; `None` for an empty one, and for one of somebody else.
    fn heard(&mut self, count: usize, sender: SocketAddr) -> Option<Heard> {
        let is_known = self.sender == Some(sender);
        if count == 0 || (self.is_kept && !is_known) {
            return None;
        }
        self.sender = Some(sender);
        Some(if is_known { Heard::Bytes(count) } else { Heard::AnotherSender(count) })
    }
}

/// Returns an error in words, with the most likely remedy.
pub fn explained(source: &Source, error: &io::Error) -> String {
    let remedy = match (source, error.kind()) {
        (Source::Serial(_), io::ErrorKind::NotFound) if is_taken(error) => {
            "another program has it open; stop gpsd or ModemManager, or let gpsd share it (gpsd:localhost)"
        }
        (Source::Serial(_), io::ErrorKind::NotFound) => "is the receiver plugged in?",
        (Source::Serial(_), io::ErrorKind::PermissionDenied) => "the service's user must be in the group dialout",
        (Source::Udp { .. }, io::ErrorKind::AddrInUse) => "another program listens on this port",
        (Source::Udp { .. }, io::ErrorKind::AddrNotAvailable) => "this device has no such address",
        (Source::Udp { .. }, io::ErrorKind::PermissionDenied) => "use a port above 1023",
        (Source::Gpsd(_), io::ErrorKind::ConnectionRefused) => {
            "gpsd does not run there, or listens elsewhere (gpsd -G)"
        }
        (_, io::ErrorKind::ConnectionRefused) => "nothing listens there",
        (Source::Tcp(_) | Source::Gpsd(_), io::ErrorKind::UnexpectedEof) => "the other side has ended the connection",
        (_, io::ErrorKind::TimedOut) => "is the host switched on, and the address right?",
        _ => return error.to_string(),
    };
    format!("{error}; {remedy}")
}

/// Reports whether a serial line cannot be opened because it is open. The library tells this in words alone.
fn is_taken(error: &io::Error) -> bool {
    let text = error.to_string();
    text.contains("lock") || text.contains("busy")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagrams() -> (Datagrams, SocketAddr) {
        let datagrams = bind(Some("127.0.0.1"), 0, &mut Resolver::default()).expect("a port");
        let address = datagrams.socket.local_addr().expect("an address");
        (datagrams, address)
    }

    fn sender() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").expect("a port")
    }

    #[test]
    fn datagrams_of_one_sender_are_heard_at_a_time() {
        let (mut datagrams, to) = datagrams();
        let (first, second) = (sender(), sender());
        let mut buffer = [0; 16];
        let mut read =
            |datagrams: &mut Datagrams, wait| datagrams.read(&mut buffer, Duration::from_millis(wait)).expect("open");
        assert_eq!(read(&mut datagrams, 1), Heard::Nothing);
        let say = |socket: &UdpSocket, bytes: &[u8]| assert_eq!(socket.send_to(bytes, to).expect("sent"), bytes.len());
        say(&first, b"one");
        assert_eq!(read(&mut datagrams, 10_000), Heard::AnotherSender(3));
        say(&first, b"");
        say(&first, b"four");
        assert_eq!(read(&mut datagrams, 10_000), Heard::Bytes(4));
        say(&second, b"two");
        assert_eq!(read(&mut datagrams, 10_000), Heard::AnotherSender(3));
        datagrams.is_kept = true;
        say(&first, b"one");
        assert_eq!(read(&mut datagrams, 50), Heard::Nothing, "not the one that is kept");
        say(&first, b"one");
        say(&second, b"again");
        assert_eq!(read(&mut datagrams, 10_000), Heard::Bytes(5));
    }

    #[test]
    fn a_flood_of_a_stranger_does_not_hold_up_a_read() {
        let (mut datagrams, to) = datagrams();
        (datagrams.is_kept, datagrams.sender) = (true, Some(to));
        let stranger = sender();
        let end = Instant::now() + Duration::from_millis(300);
        let flood = std::thread::spawn(move || {
            while Instant::now() < end {
                // The receiver may have gone.
                let _ = stranger.send_to(b"flood", to);
            }
        });
        let begin = Instant::now();
        assert_eq!(datagrams.read(&mut [0; 16], Duration::from_millis(50)).expect("open"), Heard::Nothing);
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        flood.join().expect("it ends by itself");
    }

    #[test]
    fn failures_name_the_remedy() {
        let source = |text: &str| text.parse::<Source>().expect("a source");
        let open = |text: &str| Port::open(&source(text), 9_600, &mut Resolver::default()).err().expect(text);
        let told = |text: &str| explained(&source(text), &open(text));
        assert!(told("/nonexistent/gps").contains("plugged in"), "{}", told("/nonexistent/gps"));
        // A port on which nobody listens, because it has just been given back.
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        assert!(told(&format!("tcp:127.0.0.1:{port}")).contains("nothing listens"));
        assert!(told(&format!("gpsd:127.0.0.1:{port}")).contains("gpsd does not run"));
        let taken = sender();
        let port = taken.local_addr().expect("an address").port();
        assert!(told(&format!("udp:127.0.0.1:{port}")).contains("another program listens"));
        let (_master, slave) = TTYPort::pair().expect("a pseudo-terminal");
        let name = slave.name().expect("a name");
        let _open = Port::open(&source(&name), 9_600, &mut Resolver::default()).expect("the first program");
        assert!(told(&name).contains("another program has it open"), "{}", told(&name));
    }
}
