//! Parameters of the uplink, which reads certificates, passwords and keys.

use anyhow::{Context, Result};

use crate::config::{self, Commands, Config, Mqtt};
use crate::journal::DeviceIdentity;
use crate::uplink::{
    self, Endpoint, Login, SecretError, Settings, Tls, TlsError, TlsFiles, client_config, public_key, read_credential,
    read_secret,
};

/// Returns those settings of the settings file that can be changed at run time.
pub fn file_settings(config: &Config) -> Settings {
    let Some(mqtt) = &config.mqtt else { return Settings::default() };
    let bytes_per_s_max = Some(mqtt.bytes_per_s_max.get()).filter(|bytes| *bytes > 0);
    Settings { metered: mqtt.metered, bytes_per_s_max }
}

/// Returns the parameters of delivery to the broker.
pub fn uplink(config: &Config, mqtt: &Mqtt, identity: &DeviceIdentity) -> Result<uplink::Params> {
    let device = &config.device;
    let client_id = format!("bridgeclip-{}-{}", device.site.as_str(), device.id.as_str());
    Ok(uplink::Params {
        endpoint: endpoint(mqtt, client_id)?,
        prefix: identity.source.clone(),
        boot_id: identity.boot_id.clone(),
        package: identity.package.clone(),
        in_flight: mqtt.in_flight.get() as u16,
        stall: mqtt.stall_s.seconds(),
        retry_max: mqtt.retry_s_max.seconds(),
        refused_pause: mqtt.refused_retry_s.seconds(),
        hold_without_subscriber: mqtt.hold_without_subscriber,
        health: mqtt.health_s.seconds(),
    })
}

/// Returns how the broker is reached. Reads certificates and passwords.
pub fn endpoint(mqtt: &Mqtt, client_id: String) -> Result<Endpoint> {
    Ok(Endpoint {
        host: mqtt.broker.host.clone(),
        port: mqtt.broker.port,
        #[cfg(feature = "websocket")]
        websocket_path: mqtt.websocket_path.clone(),
        tls: tls(mqtt)?,
        login: login(mqtt)?,
        client_id,
        keep_alive: mqtt.keep_alive_s.seconds(),
    })
}

/// Returns how the connection to the broker is protected; `None` if the settings ask for no TLS.
pub fn tls(mqtt: &Mqtt) -> Result<Option<Tls>, TlsError> {
    mqtt.tls.as_ref().map(|tls| client_config(&mqtt.broker.host, &files(tls))).transpose()
}

fn files(tls: &config::Tls) -> TlsFiles {
    let client = tls.client_cert_file.clone().zip(tls.client_key_file.clone());
    TlsFiles { ca: tls.ca_file.clone(), client }
}

/// Returns the device's name and password for the broker; `None` if the settings name no user.
pub fn login(mqtt: &Mqtt) -> Result<Option<Login>, SecretError> {
    let Some(username) = mqtt.username.clone() else { return Ok(None) };
    let password = match (&mqtt.password_file, &mqtt.password_credential) {
        (Some(path), _) => Some(read_secret(path)?),
        (None, Some(name)) => Some(read_credential(name)?),
        (None, None) => None,
    };
    Ok(Some(Login { username, password }))
}

/// Returns the public key whose commands are carried out.
pub fn command_key(commands: &Commands) -> Result<uplink::VerifyingKey> {
    match (&commands.public_key, &commands.public_key_file) {
        (Some(text), _) => public_key(text).context("commands.public_key"),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()))?;
            public_key(&text).with_context(|| path.display().to_string())
        }
        (None, None) => anyhow::bail!("commands: no public key"),
    }
}
