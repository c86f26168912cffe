//! The field page and its API: what an inspector's browser and the commands beside the daemon talk to.
//!
//! One thread serves everything; what waits for the database or for a model is done on at most [`WORKERS_MAX`] others. A
//! socket in the data folder is for programs of this machine whose user may read that folder. On the network a
//! visitor must have been let in: see [`access`].

mod access;
mod guard;
mod live;
mod problem;
mod routes;
mod server;
mod site;
mod uploads;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use log::{info, warn};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

pub use self::access::{Access, Role};
pub use self::live::{Live, Notice};
use self::server::{Door, serve};
pub use self::site::{Pace, Searcher, Site, Uploads};
pub use self::uploads::Room;

/// The socket's name in the data folder.
pub const SOCKET_NAME: &str = "api.sock";
/// Photos that came over the API lie here, in the data folder.
pub const UPLOADS_NAME: &str = "uploads";

/// Threads that wait for the database or for a model.
const WORKERS_MAX: usize = 2;

/// Where the API can be reached.
#[derive(Clone, Debug)]
pub struct Params {
    /// In the data folder.
    pub socket: PathBuf,
    /// For browsers.
    pub listen: Option<SocketAddr>,
    /// Names by which browsers may call this device, besides its addresses and `localhost`.
    pub hosts: Vec<String>,
}

/// The running server.
pub struct Web {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    socket: PathBuf,
}

impl Web {
    /// Opens the doors and serves on a thread of its own.
    pub fn start(params: Params, site: Site) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(WORKERS_MAX)
            .thread_name("web-worker")
            .build()?;
        let doors = runtime.block_on(open(&params))?;
        let router = routes::router(Arc::new(site), params.hosts.clone());
        let (stop, stopped) = watch::channel(false);
        let run = move || {
            let all = doors.into_iter().map(|door| serve(door, router.clone(), stopped.clone()));
            runtime.block_on(async move {
                let all: Vec<_> = all.map(tokio::spawn).collect();
                for door in all {
                    // It ends when it is told to.
                    let _ = door.await;
                }
            });
            // A search that is under way must not hold up the exit.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("web".into()).spawn(run)?;
        Ok(Web { stop, thread, socket: params.socket })
    }

    /// Closes the doors and ends all conversations.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            log::error!("the web thread panicked");
        }
        // The next start replaces one that stays.
        let _ = std::fs::remove_file(self.socket);
    }
}

/// The socket is a help, the page is what somebody has configured: only the latter must open.
async fn open(params: &Params) -> Result<Vec<Door>> {
    let mut doors = Vec::new();
    match open_socket(&params.socket) {
        Ok(listener) => doors.push(Door::Socket(listener)),
        Err(error) => warn!("{}: {error}; `bridgeclip status` will know less", params.socket.display()),
    }
    if let Some(address) = params.listen {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("[web] listen = \"{address}\": cannot listen there"))?;
        let address = listener.local_addr()?;
        info!("the field page is at http://{address}");
        doors.push(Door::Network { listener, is_loopback: address.ip().is_loopback() });
    }
    Ok(doors)
}

/// The lock on the data folder is held: a socket that is there was left by a daemon that was killed.
fn open_socket(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
