//! Finds the addresses of a host without waiting for name servers longer than a stop may take.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Maximum number of a host's addresses that are tried.
const ADDRESSES_MAX: usize = 8;

/// Query for the addresses of one host, which may outlast several attempts to connect.
#[derive(Debug, Default)]
pub struct Resolver {
    /// Answer of the thread that asks, if one is running.
    pending: Option<Receiver<io::Result<Vec<SocketAddr>>>>,
}

impl Resolver {
    /// Returns the addresses of a host, or an error of kind `TimedOut` after `limit`. The system's query cannot be
    /// ended, so it goes on, and the next call waits for the same one.
    pub fn addresses(&mut self, host: &str, port: u16, limit: Duration) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => ask(host, port)?,
        };
        match pending.recv_timeout(limit) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                self.pending = Some(pending);
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("no name server answers for {host}")))
            }
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other(format!("the query for {host} failed"))),
        }
    }
}

fn ask(host: &str, port: u16) -> io::Result<Receiver<io::Result<Vec<SocketAddr>>>> {
    let (sender, answer) = channel();
    let host = host.to_owned();
    let work = move || {
        let found = (host.as_str(), port).to_socket_addrs();
        // Nobody waits any longer once the line was stopped.
        let _ = sender.send(found.map(|addresses| addresses.take(ADDRESSES_MAX).collect()));
    };
    thread::Builder::new().name("resolve".into()).spawn(work)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_query() {
        let mut resolver = Resolver::default();
        let found =
            |resolver: &mut Resolver, host| resolver.addresses(host, 5_760, Duration::ZERO).expect("an address");
        assert_eq!(found(&mut resolver, "10.0.0.2"), ["10.0.0.2:5760".parse().expect("an address")]);
        assert_eq!(found(&mut resolver, "fe80::1"), ["[fe80::1]:5760".parse().expect("an address")]);
    }

    #[test]
    fn a_name_is_looked_up() {
        let found =
            Resolver::default().addresses("localhost", 5_760, Duration::from_secs(60)).expect("every host's name");
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }

    #[test]
    fn a_query_that_takes_long_is_kept() {
        let (sender, answer) = channel();
        let mut resolver = Resolver { pending: Some(answer) };
        let mut asked = || resolver.addresses("slow.example", 5_760, Duration::from_millis(10));
        assert_eq!(asked().map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        let address = SocketAddr::from(([10, 0, 0, 3], 5_760));
        sender.send(Ok(vec![address])).expect("the resolver waits");
        assert_eq!(asked().expect("an answer"), [address]);
    }
}
