//! Messages to the service manager: ready, alive, stopping (sd_notify(3)). Nothing is sent if there is no service
//! manager.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::warn;

/// Minimum interval between two messages that the daemon is alive.
const INTERVAL: Duration = Duration::from_secs(1);

/// Connection to the service manager's socket.
#[derive(Debug, Default)]
pub struct Service {
    socket: Option<(UnixDatagram, SocketAddr)>,
    last: Mutex<Option<Instant>>,
}

impl Service {
    /// Connects to the socket that `NOTIFY_SOCKET` names.
    pub fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Service::default() };
        let connect = || Ok((UnixDatagram::unbound()?, address(&name)?));
        let socket = connect().inspect_err(|error: &std::io::Error| warn!("NOTIFY_SOCKET: {error}")).ok();
        Service { socket, last: Mutex::default() }
    }

    /// Asks for more time to start, because the next part of the start may take up to `time_max`.
    pub fn starting(&self, time_max: Duration) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", time_max.as_micros()));
    }

    pub fn ready(&self) {
        self.send("READY=1");
    }

    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Reports that the daemon is alive. Called from the work itself, so that a daemon that hangs falls silent.
    pub fn alive(&self) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            *last = Some(Instant::now());
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, state: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            warn!("the service manager does not hear `{state}`: {error}");
        }
    }
}

fn address(name: &OsStr) -> std::io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name),
        _ => SocketAddr::from_pathname(name),
    }
}
