//! A test whether a broker can be reached, without a login: a login under the device's name would end the device's own
//! session.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::tls::{self, Tls};

/// Time limit for each step with each address of the host.
const STEP_MAX: Duration = Duration::from_secs(5);

/// The reason why the broker cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The network or the broker is away; events wait.
    #[error("{0}")]
    Unreachable(String),
    /// Nothing works until somebody changes something.
    #[error("{0}")]
    Refused(String),
}

/// Connects, with TLS if it is given, and disconnects. Returns the address that answered.
pub fn probe(host: &str, port: u16, tls: Option<&Tls>) -> Result<SocketAddr, ProbeError> {
    let mut failed = ProbeError::Unreachable("the name has no address".to_owned());
    for address in (host, port).to_socket_addrs().map_err(|error| ProbeError::Unreachable(error.to_string()))? {
        match probe_address(address, host, tls) {
            Ok(()) => return Ok(address),
            Err(error) => failed = why(address, &error),
        }
    }
    Err(failed)
}

fn probe_address(address: SocketAddr, host: &str, tls: Option<&Tls>) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&address, STEP_MAX)?;
    stream.set_read_timeout(Some(STEP_MAX))?;
    stream.set_write_timeout(Some(STEP_MAX))?;
    tls.map_or(Ok(()), |tls| tls::shake_hands(tls, host, stream))
}

fn why(address: SocketAddr, error: &io::Error) -> ProbeError {
    match tls::explain(error) {
        Some(reason) => ProbeError::Refused(format!("{address}: {reason}")),
        None => ProbeError::Unreachable(format!("{address}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_broker_is_there_or_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        assert_eq!(probe("127.0.0.1", address.port(), None).expect("it listens"), address);
        drop(listener);
        assert!(matches!(probe("127.0.0.1", address.port(), None), Err(ProbeError::Unreachable(_))));
    }
}
