//! Names of the places from which positions come: a device file, or an address in a network.

use std::error::Error;
use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Place from which a receiver or flight controller is heard. As text: a path, `udp:PORT`, `udp:ADDRESS:PORT`,
/// `tcp:HOST:PORT` or `gpsd:HOST`, with an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// Device file of a serial line, or a link to one. A link in `/dev/serial/by-id/` stays the same when the receiver
    /// is plugged in elsewhere.
    Serial(PathBuf),
    /// Port on which this device waits for datagrams with NMEA or MAVLink.
    Udp {
        /// Address of this device on which datagrams are accepted; `None` for each of its IPv4 addresses.
        address: Option<String>,
        port: u16,
    },
    /// Server whose stream is NMEA or MAVLink.
    Tcp(Endpoint),
    /// gpsd, which sends NMEA for any receiver that it knows.
    Gpsd(Endpoint),
}

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    pub port: u16,
}

/// Port of gpsd, as registered with IANA.
const GPSD_PORT: u16 = 2947;

/// Longest name of a host in bytes (RFC 1035, section 2.3.4).
const HOST_MAX: usize = 253;

/// Reason why a text names no source, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError(String);

impl Error for SourceError {}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Source {
    /// Returns the path of a device file; `None` for an address in a network.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Source::Serial(path) => Some(path),
            _ => None,
        }
    }

    /// Returns the path of a device file, to make it absolute; `None` for an address in a network.
    pub fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Source::Serial(path) => Some(path),
            _ => None,
        }
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Source::Serial(path)
    }
}

impl FromStr for Source {
    type Err = SourceError;

    /// Reads a source. Letters and digits before a colon are the kind of the source; every other text is a path.
    /// Addresses may begin with `//`, as in `tcp://HOST:PORT`.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        let Some((kind, rest)) = kind(text) else { return serial(text) };
        let address = Address { text, rest: rest.strip_prefix("//").unwrap_or(rest) };
        match kind {
            "udp" | "udpin" => address.udp(),
            "tcp" => address.endpoint(None).map(Source::Tcp),
            "gpsd" => address.endpoint(Some(GPSD_PORT)).map(Source::Gpsd),
            _ => Err(SourceError(format!(
                "{text:?}: {kind:?} is no kind of source; use udp:PORT, udp:ADDRESS:PORT, tcp:HOST:PORT, gpsd:HOST or \
                 the path of a serial line (a relative one that has a colon begins with ./)"
            ))),
        }
    }
}

fn kind(text: &str) -> Option<(&str, &str)> {
    let is_kind = |kind: &str| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.split_once(':').filter(|(kind, _)| is_kind(kind))
}

fn serial(text: &str) -> Result<Source, SourceError> {
    match text {
        "" => Err(SourceError("the source is empty; use a path, udp:PORT, tcp:HOST:PORT or gpsd:HOST".into())),
        path => Ok(Source::Serial(path.into())),
    }
}

/// Address in a network, and the text that contains it.
#[derive(Clone, Copy)]
struct Address<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Address<'a> {
    fn udp(self) -> Result<Source, SourceError> {
        let (host, port) = match self.split()? {
            // A port alone.
            (port, None) => ("", port),
            (host, Some(port)) => (host, port),
        };
        let address = (!host.is_empty()).then(|| self.host(host)).transpose()?;
        Ok(Source::Udp { address, port: self.port(port)? })
    }

    fn endpoint(self, default_port: Option<u16>) -> Result<Endpoint, SourceError> {
        let (host, port) = self.split()?;
        let port = match port {
            Some(port) => self.port(port)?,
            None => default_port.ok_or_else(|| self.error("the port is missing; use tcp:HOST:PORT"))?,
        };
        Ok(Endpoint { host: self.host(host)?, port })
    }

    /// Splits into host without brackets, and port.
    fn split(self) -> Result<(&'a str, Option<&'a str>), SourceError> {
        let (host, port) = match self.rest.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, ""))) => (host, None),
            Some(Some((host, port))) if port.starts_with(':') => (host, Some(&port[1..])),
            Some(_) => return Err(self.error("the brackets are wrong; use [IPV6]:PORT")),
            None => self.rest.rsplit_once(':').map_or((self.rest, None), |(host, port)| (host, Some(port))),
        };
        let is_bracketed = self.rest.starts_with('[');
        match host.contains(':') {
            true if !is_bracketed => Err(self.error("an IPv6 address is written in brackets; use [IPV6]:PORT")),
            true if host.parse::<Ipv6Addr>().is_err() => Err(self.error("this is no IPv6 address")),
            false if is_bracketed => Err(self.error("only an IPv6 address is written in brackets")),
            _ => Ok((host, port)),
        }
    }

    fn host(self, host: &str) -> Result<String, SourceError> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        match host {
            "" => Err(self.error("the host is missing; use a name or an address")),
            _ if host.len() > HOST_MAX => Err(self.error("the host's name is too long")),
            _ if !host.bytes().all(is_part) => Err(self.error("the host's name has letters that no name has")),
            _ => Ok(host.to_owned()),
        }
    }

    fn port(self, port: &str) -> Result<u16, SourceError> {
        match port.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(self.error(&format!("{port:?} is no port; use 1 to 65535"))),
        }
    }

    fn error(self, reason: &str) -> SourceError {
        SourceError(format!("{:?}: {reason}", self.text))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Serial(path) => write!(f, "{}", path.display()),
            Source::Udp { address: None, port } => write!(f, "udp:{port}"),
            Source::Udp { address: Some(address), port } => write!(f, "udp:{}:{port}", Bracketed(address)),
            Source::Tcp(endpoint) => write!(f, "tcp:{endpoint}"),
            Source::Gpsd(endpoint) => write!(f, "gpsd:{endpoint}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Bracketed(&self.host), self.port)
    }
}

/// Host that is written in brackets if it is an IPv6 address.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.contains(':') {
            true => write!(f, "[{}]", self.0),
            false => f.write_str(self.0),
        }
    }
}

impl TryFrom<String> for Source {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self, SourceError> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.into(), port }
    }

    #[test]
    fn sources_are_read_and_written() {
        let udp = |address: Option<&str>, port| Source::Udp { address: address.map(Into::into), port };
        let cases = [
            ("/dev/ttyACM0", Source::Serial("/dev/ttyACM0".into()), "/dev/ttyACM0"),
            ("ttyUSB0", Source::Serial("ttyUSB0".into()), "ttyUSB0"),
            ("./a:b", Source::Serial("./a:b".into()), "./a:b"),
            (
                "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0",
                Source::Serial("/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0".into()),
                "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0",
            ),
            ("udp:14550", udp(None, 14_550), "udp:14550"),
            ("udp:127.0.0.1:14550", udp(Some("127.0.0.1"), 14_550), "udp:127.0.0.1:14550"),
            ("udp:[::]:14550", udp(Some("::"), 14_550), "udp:[::]:14550"),
            ("udp://:14550", udp(None, 14_550), "udp:14550"),
            ("udpin:0.0.0.0:14550", udp(Some("0.0.0.0"), 14_550), "udp:0.0.0.0:14550"),
            ("tcp:vehicle.local:5760", Source::Tcp(endpoint("vehicle.local", 5_760)), "tcp:vehicle.local:5760"),
            ("tcp://10.0.0.2:5760", Source::Tcp(endpoint("10.0.0.2", 5_760)), "tcp:10.0.0.2:5760"),
            ("tcp:[fe80::1]:5760", Source::Tcp(endpoint("fe80::1", 5_760)), "tcp:[fe80::1]:5760"),
            ("gpsd:localhost", Source::Gpsd(endpoint("localhost", 2_947)), "gpsd:localhost:2947"),
            (" gpsd:[::1] ", Source::Gpsd(endpoint("::1", 2_947)), "gpsd:[::1]:2947"),
            ("gpsd:receiver-1:12947", Source::Gpsd(endpoint("receiver-1", 12_947)), "gpsd:receiver-1:12947"),
        ];
        for (text, source, written) in cases {
            assert_eq!(text.parse::<Source>(), Ok(source.clone()), "{text}");
            assert_eq!(source.to_string(), written);
            assert_eq!(written.parse::<Source>(), Ok(source), "{written}");
        }
    }

    #[test]
    fn wrong_sources_name_the_remedy() {
        let long = format!("tcp:{}:1", "a".repeat(HOST_MAX + 1));
        let cases = [
            ("", "use a path"),
            ("  ", "use a path"),
            ("udp:", "is no port; use 1 to 65535"),
            ("udp:0", "is no port"),
            ("udp:65536", "is no port"),
            ("udp:14550x", "is no port"),
            ("udp:::1:14550", "in brackets"),
            ("udp:[127.0.0.1]:14550", "only an IPv6 address"),
            ("tcp:host", "the port is missing"),
            ("tcp:host:", "is no port"),
            ("tcp::5760", "the host is missing"),
            ("tcp:", "the port is missing"),
            ("tcp:[::1:5760", "brackets are wrong"),
            ("tcp:[::1]5760", "brackets are wrong"),
            ("tcp:[::1]", "the port is missing"),
            ("tcp:[::g]:5760", "no IPv6 address"),
            ("tcp:[::1]:5760:", "is no port"),
            ("tcp:fe80::1", "in brackets"),
            ("tcp:a b:5760", "letters that no name has"),
            ("tcp:a/b:5760", "letters that no name has"),
            (&long, "too long"),
            ("gpsd:", "the host is missing"),
            ("gpsd:host:x", "is no port"),
            ("http://host:80", "is no kind of source"),
            ("udpout:host:14550", "is no kind of source"),
            ("tty:0", "begins with ./"),
        ];
        for (text, part) in cases {
            let error = text.parse::<Source>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn only_a_serial_line_has_a_path() {
        let mut serial: Source = "gps".parse().expect("a path");
        *serial.path_mut().expect("a path") = "/dev/gps".into();
        assert_eq!(serial.path(), Some(Path::new("/dev/gps")));
        let mut udp: Source = "udp:14550".parse().expect("a port");
        assert_eq!(udp.path(), None);
        assert_eq!(udp.path_mut(), None);
    }
}
