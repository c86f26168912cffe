//! Where the broker is and who we are to it. With `connection.rs` the only file here that names the MQTT client library.

use std::time::Duration;

use rumqttc::v5::MqttOptions;
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};

use super::{Secret, Tls};

/// How a broker is reached.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    /// The path of a WebSocket at that address.
    #[cfg(feature = "websocket")]
    pub websocket_path: Option<String>,
    /// Without it everything is sent in plain text.
    pub tls: Option<Tls>,
    pub login: Option<Login>,
    pub client_id: String,
    pub keep_alive: Duration,
}

/// Who we are to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: Option<Secret>,
}

/// For TCP, TLS, and the broker's answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The kernel doubles it. A larger one would hide from us for minutes that a slow link is stuck.
const SEND_BUFFER_BYTES: u32 = 64 * 1024;

impl Endpoint {
    /// What every connection to the broker needs.
    pub fn options(&self) -> MqttOptions {
        let (address, transport) = self.transport();
        let mut network = NetworkOptions::new();
        // A message must not wait for the acknowledgement of the one before (Nagle).
        network.set_tcp_nodelay(true);
        network.set_tcp_send_buffer_size(SEND_BUFFER_BYTES);
        let mut options = MqttOptions::new(&self.client_id, address, self.port);
        options
            .set_transport(transport)
            .set_network_options(network)
            .set_keep_alive(self.keep_alive)
            .set_connection_timeout(CONNECT_TIMEOUT.as_secs());
        if let Some(login) = &self.login {
            options.set_credentials(&login.username, login.password.as_ref().map_or("", Secret::expose));
        }
        options
    }

    /// The address in the form that the transport wants, and the transport.
    #[cfg(not(feature = "websocket"))]
    fn transport(&self) -> (String, Transport) {
        let transport = match &self.tls {
            Some(tls) => Transport::Tls(TlsConfiguration::Rustls(tls.clone())),
            None => Transport::Tcp,
        };
        (self.host.clone(), transport)
    }

    /// The address in the form that the transport wants, and the transport.
    #[cfg(feature = "websocket")]
    fn transport(&self) -> (String, Transport) {
        let tls = self.tls.clone().map(TlsConfiguration::Rustls);
        let url = |scheme: &str, path: &str| format!("{scheme}://{}:{}{path}", self.host, self.port);
        match (&self.websocket_path, tls) {
            (Some(path), Some(tls)) => (url("wss", path), Transport::Wss(tls)),
            (Some(path), None) => (url("ws", path), Transport::Ws),
            (None, Some(tls)) => (self.host.clone(), Transport::Tls(tls)),
            (None, None) => (self.host.clone(), Transport::Tcp),
        }
    }
}
