//! The address of the broker and the device's login. Only this module and `connection.rs` name the MQTT client library.

use std::time::Duration;

use rumqttc::v5::MqttOptions;
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};

use crate::secret::Secret;
use crate::tls::Tls;

/// Address of a broker, and how a client connects to it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path of the WebSocket at that address; `None` for plain MQTT.
    #[cfg(feature = "websocket")]
    pub websocket_path: Option<String>,
    /// TLS configuration. Without it, everything is sent in plain text.
    pub tls: Option<Tls>,
    /// User name and password; `None` for a broker without a login.
    pub login: Option<Login>,
    /// MQTT client id, unique at the broker.
    pub client_id: String,
    /// Interval between pings, unless the broker asks for another.
    pub keep_alive: Duration,
}

/// User name and password at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub username: String,
    /// Password; `None` if the broker asks for a user name only.
    pub password: Option<Secret>,
}

/// Time limit for TCP, TLS and the broker's answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Size of the socket's send buffer in bytes, which the kernel doubles. A larger buffer would hide a stuck link for
/// minutes.
const SEND_BUFFER_BYTES: u32 = 64 * 1024;

impl Endpoint {
    /// Returns the options that every connection to the broker needs.
    pub fn options(&self) -> MqttOptions {
        let (address, transport) = self.transport();
        let mut network = NetworkOptions::new();
        // Nagle's algorithm would make a message wait for the acknowledgement of the previous one.
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

    /// Returns the address in the form that the transport needs, and the transport.
    #[cfg(not(feature = "websocket"))]
    fn transport(&self) -> (String, Transport) {
        let transport = match &self.tls {
            Some(tls) => Transport::Tls(TlsConfiguration::Rustls(tls.clone())),
            None => Transport::Tcp,
        };
        (self.host.clone(), transport)
    }

    /// Returns the address in the form that the transport needs, and the transport.
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
