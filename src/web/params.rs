//! Addresses of the API, and the names that it uses in the data folder.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::forwarded::Network;

/// Name of the socket in the data folder.
pub const SOCKET_NAME: &str = "api.sock";
/// Name of the folder for photos that arrive over the API, in the data folder.
pub const UPLOADS_NAME: &str = "uploads";

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
