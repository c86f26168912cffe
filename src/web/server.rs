//! Connections: who may have one, and for how long.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use log::{debug, warn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use super::crowd::{CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS, Crowd, Seat};
use super::forwarded::{Network, is_trusted};
use super::patient::Patient;

/// Time limit for receiving a request's head.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// Maximum size of a request's head, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Time after which a connection is closed if the client takes nothing of its answer.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);
/// Time for which a connection stays open if no known visitor uses it: enough to load the page over a slow link (100 KB
/// at 4 KB/s).
const STRANGER_TIME_MAX: Duration = Duration::from_secs(30);
/// Time limit for a stranger to take the last answer, counted from the end of [`STRANGER_TIME_MAX`].
const STRANGER_END_MAX: Duration = Duration::from_secs(10);
/// Pause after an error of the listener itself, such as too many open files.
const FAULT_PAUSE: Duration = Duration::from_millis(500);

/// Listener through which connections arrive.
pub enum Door {
    Socket(UnixListener),
    /// Port for this machine alone, as the settings define it.
    Here(TcpListener),
    Network {
        listener: TcpListener,
        trusted_proxies: Arc<[Network]>,
    },
}

/// Client at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Whether the client came through the socket, or through the door for people at the device.
    pub is_here: bool,
    /// Whether the client is a trusted proxy.
    pub is_trusted_proxy: bool,
    /// Address of the client; the loopback address for the socket.
    pub address: IpAddr,
    pub seat: Arc<Seat>,
}

/// Serves a door until `stopped` changes.
pub async fn serve(door: Door, router: Router, mut stopped: watch::Receiver<bool>) {
    let (crowd, mut conversations) = (Crowd::new(CONNECTIONS_MAX), JoinSet::new());
    loop {
        let accepted = tokio::select! {
            accepted = door.accept() => accepted,
            _ = stopped.changed() => break,
        };
        while conversations.try_join_next().is_some() {}
        match accepted {
            Ok((stream, address)) => {
                let (is_here, is_trusted_proxy) = (door.is_here(), door.is_trusted_proxy(address));
                let per_address = if is_here || is_trusted_proxy { CONNECTIONS_MAX } else { CONNECTIONS_PER_ADDRESS };
                let Some(place) = crowd.enter(address, per_address, is_trusted_proxy) else { continue };
                let peer = Peer { is_here, is_trusted_proxy, address, seat: Arc::clone(&place.seat) };
                let router = router.clone();
                conversations.spawn(async move {
                    converse(stream, peer, router).await;
                    drop(place);
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

/// Byte stream to and from a browser or a program.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Door {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, IpAddr)> {
        match self {
            Door::Socket(listener) => Ok((Box::new(listener.accept().await?.0), Ipv4Addr::LOCALHOST.into())),
            Door::Here(listener) | Door::Network { listener, .. } => {
                let (stream, address) = listener.accept().await?;
                // If the connection was reset meanwhile, the next read reports it.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), address.ip().to_canonical()))
            }
        }
    }

    fn is_here(&self) -> bool {
        matches!(self, Door::Socket(_) | Door::Here(_))
    }

    fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        matches!(self, Door::Network { trusted_proxies, .. } if is_trusted(address, trusted_proxies))
    }
}

/// Serves one connection until either side leaves or it must close to make room.
async fn converse(stream: Box<dyn Stream>, peer: Peer, router: Router) {
    let seat = Arc::clone(&peer.seat);
    let answer = {
        let peer = peer.clone();
        move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            router.clone().oneshot(request.map(axum::body::Body::new) as Request)
        }
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(HEAD_BYTES_MAX);
    let stream = TokioIo::new(Patient::new(stream, WRITE_TIME_MAX));
    let mut talk = pin!(http.serve_connection(stream, hyper::service::service_fn(answer)));
    let (mut end, mut is_ending) = (Instant::now() + STRANGER_TIME_MAX, false);
    loop {
        tokio::select! {
            done = talk.as_mut() => {
                if let Err(error) = done {
                    debug!("{}: {error}", peer.address);
                }
                return;
            }
            () = seat.gone() => return,
            () = sleep_until(end) => {
                if is_ending {
                    return;
                }
                is_ending = !seat.is_known();
                if is_ending {
                    talk.as_mut().graceful_shutdown();
                }
                end = Instant::now() + if is_ending { STRANGER_END_MAX } else { STRANGER_TIME_MAX };
            }
        }
    }
}
