//! The field page and its API: what an inspector's browser and the commands beside the daemon talk to.
//!
//! One thread serves everything and waits for nothing but the network; what waits for the database, for a drive or for a
//! model is done on others: see [`pools`]. A socket in the data folder is for programs of this machine whose user may read
//! that folder. On the network a visitor must have been let in: see [`access`].

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

/// The socket's name in the data folder.
pub const SOCKET_NAME: &str = "api.sock";
/// Photos that came over the API lie here, in the data folder.
pub const UPLOADS_NAME: &str = "uploads";

/// Time between two looks at the clock by which visitors are known.
const TICK: Duration = Duration::from_secs(60);

/// Where the API can be reached.
#[derive(Clone, Debug)]
pub struct Params {
    /// In the data folder.
    pub socket: PathBuf,
    /// For browsers in the network.
    pub listen: Option<SocketAddr>,
    /// For browsers and programs of this machine.
    pub listen_here: Option<SocketAddr>,
    /// Names by which browsers may call this device, besides its addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Proxies that are believed about those who asked them.
    pub trusted_proxies: Vec<Network>,
    /// Whether viewers may take files away.
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

/// The running server.
pub struct Web {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    socket: PathBuf,
    access: Arc<Access>,
}

impl Web {
    /// Opens the doors and serves on a thread of its own. A door that cannot be opened is noted, and tried again.
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
            // What is under way must not hold up the exit.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("web".into()).spawn(run)?;
        Ok(Web { stop, thread, socket: params.socket, access })
    }

    /// Closes the doors and ends all conversations.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            log::error!("the web thread panicked");
        }
        self.access.close();
        // The next start replaces one that stays.
        let _ = std::fs::remove_file(self.socket);
    }
}

/// All doors.
struct House {
    closed: ClosedDoors,
    stopped: watch::Receiver<bool>,
    all: JoinSet<()>,
}

impl House {
    /// The first attempt is made at once, so that the page is there when the daemon says that it is ready.
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

/// Notes now and then how much time has passed.
async fn keep_time(access: Arc<Access>, mut stopped: watch::Receiver<bool>) {
    loop {
        let access = Arc::clone(&access);
        // It may ask another program, and write.
        let _ = tokio::task::spawn_blocking(move || access.tick()).await;
        tokio::select! {
            () = tokio::time::sleep(TICK) => (),
            _ = stopped.changed() => return,
        }
    }
}
