//! Connections: who may have one, and for how long.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use log::{debug, warn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Open connections through one door; the next one waits.
const CONNECTIONS_MAX: usize = 128;
/// Open connections from one address: a browser opens six, and keeps one for the live stream.
const CONNECTIONS_PER_ADDRESS: usize = 32;
/// In which the head of a request must be complete.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// Of the head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// After an error of the listener itself, as when no more files can be opened.
const FAULT_PAUSE: Duration = Duration::from_millis(500);

/// Where connections come in.
pub enum Door {
    Socket(UnixListener),
    Network { listener: TcpListener, is_loopback: bool },
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A program of this machine: through the socket, or because the page is for this machine alone.
    Here,
    Network(IpAddr),
}

/// Connections by address.
#[derive(Clone, Debug, Default)]
struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place in the crowd; dropping it leaves.
struct Place(Crowd, IpAddr);

impl Crowd {
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = crowd.entry(address).or_default();
        (*count < CONNECTIONS_PER_ADDRESS).then(|| {
            *count += 1;
            Place(self.clone(), address)
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = crowd.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                crowd.remove(&self.1);
            }
        }
    }
}

/// Serves a door until it is told to stop.
pub async fn serve(door: Door, router: Router, mut stopped: watch::Receiver<bool>) {
    let (crowd, places) = (Crowd::default(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let mut conversations = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
            (door.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.changed() => break,
        };
        while conversations.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let among = match peer {
                    Peer::Here => None,
                    Peer::Network(address) => match crowd.enter(address) {
                        Some(among) => Some(among),
                        None => continue,
                    },
                };
                let router = router.clone();
                conversations.spawn(async move {
                    converse(stream, peer, router).await;
                    drop((place, among));
                });
            }
            Err(error) => {
                warn!("the API cannot accept a connection: {error}");
                tokio::time::sleep(FAULT_PAUSE).await;
            }
        }
    }
    conversations.shutdown().await;
}

/// Bytes to and from a browser or a program.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Door {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Door::Socket(listener) => Ok((Box::new(listener.accept().await?.0), Peer::Here)),
            Door::Network { listener, is_loopback } => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let peer = if *is_loopback { Peer::Here } else { Peer::Network(address.ip()) };
                Ok((Box::new(stream), peer))
            }
        }
    }
}

async fn converse(stream: Box<dyn Stream>, peer: Peer, router: Router) {
    let answer = |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request.map(axum::body::Body::new) as Request)
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(HEAD_BYTES_MAX);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer)).await {
        debug!("{peer:?}: {error}");
    }
}
