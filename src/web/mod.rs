//! The field page and its API, for browsers and for commands that run beside the daemon.
//!
//! One thread serves all connections and waits for nothing but the network. Work that waits for the database, a drive
//! or a model runs on other threads: see [`pools`]. A socket in the data folder serves programs of this machine whose
//! user may read that folder. A visitor from the network must have been admitted: see [`access`].

mod access;
mod attempts;
mod crowd;
mod doors;
mod elapsed;
mod forwarded;
mod guard;
mod live;
mod pace;
mod patient;
mod pools;
mod problem;
mod routes;
mod server;
mod site;
mod uploads;
mod while_known;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use log::warn;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::access::{Access, Role};
pub use self::doors::ClosedDoors;
pub use self::elapsed::Clock;
pub use self::forwarded::Network;
pub use self::live::{Hint, Live};
pub use self::pace::Pace;
pub use self::pools::Pools;
pub use self::routes::RECEIVING_MAX;
pub use self::site::{Searcher, Site, Uploads};
pub use self::uploads::Room;

use self::doors::{Gate, open_socket};
use self::server::{Door, serve};

/// Name of the socket in the data folder.
pub const SOCKET_NAME: &str = "api.sock";
/// Name of the folder for photos that arrive over the API, in the data folder.
pub const UPLOADS_NAME: &str = "uploads";

/// Interval between two updates of the clock that limits how long visitors stay known.
const TICK: Duration = Duration::from_secs(60);

/// Addresses of the API, and rules for those who use it.
#[derive(Clone, Debug)]
pub struct Params {
    /// Path of the socket, in the data folder.
    pub socket: PathBuf,
    /// Address for browsers in the network.
    pub listen: Option<SocketAddr>,
    /// Address for browsers and programs of this machine.
    pub listen_here: Option<SocketAddr>,
    /// Names by which browsers may call this device, besides its addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Proxies that are trusted to report who made a request.
    pub trusted_proxies: Vec<Network>,
    /// Whether viewers may export files.
    pub viewers_export: bool,
}

impl Params {
    fn gates(&self) -> Vec<Gate> {
        let trusted: Arc<[Network]> = self.trusted_proxies.clone().into();
        let network = self.listen.map(|address| Gate { address, trusted_proxies: Some(trusted) });
        let here = self.listen_here.map(|address| Gate { address, trusted_proxies: None });
        network.into_iter().chain(here).collect()
    }
}

/// Running server.
pub struct Web {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    socket: PathBuf,
    access: Arc<Access>,
}

impl Web {
    /// Opens the doors and serves them on a thread of its own. A door that cannot be opened is noted and tried again.
    pub fn start(params: Params, site: Site, closed: ClosedDoors) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(pools::THREADS_MAX)
            .thread_name("web-worker")
            .build()?;
        let access = Arc::clone(&site.access);
        let (stop, stopped) = watch::channel(false);
        let mut house = House { closed, stopped, all: JoinSet::new() };
        let router = routes::router(Arc::new(site), &params);
        runtime.block_on(house.open(&params, &router));
        house.all.spawn_on(keep_time(Arc::clone(&access), house.stopped.clone()), runtime.handle());
        let run = move || {
            runtime.block_on(async move { while house.all.join_next().await.is_some() {} });
            // Blocking work that is still under way must not hold up the exit.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("web".into()).spawn(run)?;
        Ok(Web { stop, thread, socket: params.socket, access })
    }

    /// Closes the doors and ends all connections.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            log::error!("the web thread panicked");
        }
        self.access.close();
        // If the file remains, the next start replaces it.
        let _ = std::fs::remove_file(self.socket);
    }
}

/// All doors and the tasks that serve them.
struct House {
    closed: ClosedDoors,
    stopped: watch::Receiver<bool>,
    all: JoinSet<()>,
}

impl House {
    /// Opens each door once before it returns, so that the page is up when the daemon reports that it is ready.
    async fn open(&mut self, params: &Params, router: &Router) {
        match open_socket(&params.socket) {
            Ok(door) => self.serve(door, router),
            Err(error) => warn!("{}: {error}; `bridgeclip status` will know less", params.socket.display()),
        }
        for gate in params.gates() {
            let door = gate.try_open(&self.closed).await;
            self.all.spawn(gate.keep(door, self.closed.clone(), router.clone(), self.stopped.clone()));
        }
    }

    fn serve(&mut self, door: Door, router: &Router) {
        self.all.spawn(serve(door, router.clone(), self.stopped.clone()));
    }
}

/// Updates the elapsed time at intervals.
async fn keep_time(access: Arc<Access>, mut stopped: watch::Receiver<bool>) {
    loop {
        let access = Arc::clone(&access);
        // The call may ask another program, and write a file.
        let _ = tokio::task::spawn_blocking(move || access.tick()).await;
        tokio::select! {
            () = tokio::time::sleep(TICK) => (),
            _ = stopped.changed() => return,
        }
    }
}
