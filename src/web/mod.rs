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
mod params;
mod patient;
mod pools;
mod problem;
mod routes;
mod server;
mod state;
mod uploads;
mod while_known;

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
pub use self::params::{Params, SOCKET_NAME, UPLOADS_NAME};
pub use self::pools::Pools;
pub use self::routes::RECEIVING_MAX;
pub use self::state::{ApiState, Searcher, Uploads};
pub use self::uploads::Room;

use self::doors::{Gate, open_socket};
use self::server::{Door, serve};

/// Interval between two updates of the clock that limits how long visitors stay known.
const TICK: Duration = Duration::from_secs(60);

/// Running server.
pub struct Web {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    socket: PathBuf,
    access: Arc<Access>,
}

impl Web {
    /// Opens the doors and serves them on a thread of its own. A door that cannot be opened is noted and tried again.
    pub fn start(params: Params, site: ApiState, closed: ClosedDoors) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(pools::THREADS_MAX)
            .thread_name("web-worker")
            .build()?;
        let access = Arc::clone(&site.access);
        let (stop, stopped) = watch::channel(false);
        let mut doors = Doors { closed, stopped, all: JoinSet::new() };
        let router = routes::router(Arc::new(site), &params);
        runtime.block_on(doors.open(&params, &router));
        doors.all.spawn_on(keep_time(Arc::clone(&access), doors.stopped.clone()), runtime.handle());
        let run = move || {
            runtime.block_on(async move { while doors.all.join_next().await.is_some() {} });
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

/// The doors for the network and for this machine that the parameters ask for.
fn gates(params: &Params) -> Vec<Gate> {
    let trusted: Arc<[Network]> = params.trusted_proxies.clone().into();
    let network = params.listen.map(|address| Gate { address, trusted_proxies: Some(trusted) });
    let here = params.listen_here.map(|address| Gate { address, trusted_proxies: None });
    network.into_iter().chain(here).collect()
}

/// All doors and the tasks that serve them.
struct Doors {
    closed: ClosedDoors,
    stopped: watch::Receiver<bool>,
    all: JoinSet<()>,
}

impl Doors {
    /// Opens each door once before it returns, so that the page is up when the daemon reports that it is ready.
    async fn open(&mut self, params: &Params, router: &Router) {
        match open_socket(&params.socket) {
            Ok(door) => self.serve(door, router),
            Err(error) => warn!("{}: {error}; `bridgeclip status` will know less", params.socket.display()),
        }
        for gate in gates(params) {
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
