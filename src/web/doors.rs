//! Opening the doors. A port that another program has taken costs the page, never the start: it is tried again.

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

/// Pause before a port is tried again. The pauses double up to the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Doors that cannot be opened at the moment; clones share them.
#[derive(Clone, Debug, Default)]
pub struct ClosedDoors(Arc<Mutex<BTreeMap<SocketAddr, String>>>);

impl ClosedDoors {
    /// All that are closed now, each with its reason.
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

    /// Says so once, and again for another reason.
    fn note_closed(&self, gate: &Gate, error: &io::Error) {
        let (key, reason) = (gate.key(), error.to_string());
        if self.all().insert(gate.address, reason.clone()).as_ref() != Some(&reason) {
            error!("[web] {key} = \"{}\": {reason}; trying again until it is free", gate.address);
        }
    }
}

/// A door that the settings want at an address.
#[derive(Clone, Debug)]
pub struct Gate {
    pub address: SocketAddr,
    /// Proxies that are believed; `None` if it is the door for people at the device.
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

    /// Opens the door, or notes why not.
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

    /// Serves the door, once it is open, until it is told to stop.
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

/// The door for programs of this machine. The lock on the data folder is held: a socket that is there was left by a daemon
/// that was killed.
pub fn open_socket(path: &Path) -> io::Result<Door> {
    durable::remove(path)?;
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(Door::Socket(listener))
}
