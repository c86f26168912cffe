//! Opens the doors. If another program occupies a port, the daemon starts without that door and keeps trying to open
//! it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use log::{error, info};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::forwarded::Network;
use super::server::{Door, serve};
use crate::domain::ClosedDoor;
use crate::durable;

/// Pause before a port is tried again. It doubles after each attempt, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause between two attempts to open a port.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Doors that cannot be opened at the moment, with the reasons. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct ClosedDoors(Arc<Mutex<BTreeMap<SocketAddr, String>>>);

impl ClosedDoors {
    /// Lists all doors that are closed now, each with its reason.
    pub fn now(&self) -> Vec<ClosedDoor> {
        let closed = self.all();
        closed.iter().map(|(listen, reason)| ClosedDoor { listen: *listen, reason: reason.clone() }).collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_open(&self, address: SocketAddr) {
        self.all().remove(&address);
    }

    /// Notes a closed door, and logs it if the reason is a new one.
    fn note_closed(&self, gate: &Gate, error: &io::Error) {
        let (key, reason) = (gate.key(), error.to_string());
        if self.all().insert(gate.address, reason.clone()).as_ref() != Some(&reason) {
            error!("[web] {key} = \"{}\": {reason}; trying again until it is free", gate.address);
        }
    }
}

/// Door that the settings ask for at an address.
#[derive(Clone, Debug)]
pub struct Gate {
    pub address: SocketAddr,
    /// Proxies that are trusted; `None` marks the door for people at the device.
    pub trusted_proxies: Option<Arc<[Network]>>,
}

impl Gate {
    fn key(&self) -> &'static str {
        if self.trusted_proxies.is_some() { "listen" } else { "listen_here" }
    }

    async fn open(&self) -> io::Result<Door> {
        let listener = TcpListener::bind(self.address).await?;
        let address = listener.local_addr()?;
        Ok(match &self.trusted_proxies {
            Some(trusted_proxies) => {
                info!("the field page is at http://{address}, for visitors with a code");
                Door::Network { listener, trusted_proxies: Arc::clone(trusted_proxies) }
            }
            None => {
                info!("the field page is at http://{address}, for people at this device");
                Door::Here(listener)
            }
        })
    }

    /// Tries to open the door. If that fails, notes the reason and returns `None`.
    pub async fn try_open(&self, closed: &ClosedDoors) -> Option<Door> {
        match self.open().await {
            Ok(door) => {
                closed.note_open(self.address);
                Some(door)
            }
            Err(error) => {
                closed.note_closed(self, &error);
                None
            }
        }
    }

    /// Serves the door until `stopped` changes. A door that is still closed is tried again until it opens.
    pub async fn keep(
        self,
        mut door: Option<Door>,
        closed: ClosedDoors,
        router: Router,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut pause = PAUSE_MIN;
        loop {
            if let Some(door) = door {
                return serve(door, router, stopped).await;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => (),
                _ = stopped.changed() => return,
            }
            pause = (pause * 2).min(PAUSE_MAX);
            door = self.try_open(&closed).await;
        }
    }
}

/// Opens the door for programs of this machine. A socket file that exists already is removed: the caller holds the lock
/// on the data folder, so only a daemon that was killed can have left it.
pub fn open_socket(path: &Path) -> io::Result<Door> {
    durable::remove(path)?;
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(Door::Socket(listener))
}
