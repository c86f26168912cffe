//! Start of the uplink from the settings.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::health::Vitals;
use super::operator::Operator;
use super::settings::LiveSettings;
use super::{DaemonEvent, Observer};
use crate::config::{Commands, Config, Mqtt};
use crate::domain::{Time, TimeQuality};
use crate::journal::{DeviceIdentity, Journal};
use crate::package::Package;
use crate::position::Locator;
use crate::uplink::{
    self, Around, Desk, DeskParams, Endpoint, Link, Login, SecretError, Settings, Tls, TlsError, TlsFiles, Uplink,
    client_config, public_key, read_credential, read_secret,
};

/// Parts of the daemon that the uplink and the API use.
pub struct Shared<'a> {
    pub config: &'a Config,
    pub identity: &'a Arc<DeviceIdentity>,
    pub package: &'a Package,
    pub link: &'a Link,
    pub journal: &'a Journal,
    pub locator: &'a Arc<Locator>,
    pub vitals: &'a Vitals,
    pub settings: &'a LiveSettings,
    pub observer: &'a Observer,
}

/// Returns those settings of the settings file that can be changed at run time.
pub fn file_settings(config: &Config) -> Settings {
    let Some(mqtt) = &config.mqtt else { return Settings::default() };
    let bytes_per_s_max = Some(mqtt.bytes_per_s_max.get()).filter(|bytes| *bytes > 0);
    Settings { metered: mqtt.metered, bytes_per_s_max }
}

/// Starts the uplink.
///
/// # Errors
/// If a certificate, key or password is unusable, or the thread cannot be started.
pub fn start(shared: &Shared, mqtt: &Mqtt) -> Result<Uplink> {
    let Shared { config, link, vitals, .. } = *shared;
    let (observer, vitals) = (shared.observer.clone(), vitals.clone());
    let around = Around {
        link: link.clone(),
        reader: shared.journal.reader()?,
        journal: shared.journal.clone(),
        desk: config.commands.as_ref().map(|commands| desk(shared, commands)).transpose()?,
        health: Box::new(move || vitals.now()),
        report: Box::new(move |event| observer(DaemonEvent::Link(event))),
    };
    Uplink::start(params(shared, mqtt)?, around).context("cannot start the uplink")
}

fn params(shared: &Shared, mqtt: &Mqtt) -> Result<uplink::Params> {
    let (device, identity) = (&shared.config.device, shared.identity);
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

fn files(tls: &crate::config::Tls) -> TlsFiles {
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

fn desk(shared: &Shared, commands: &Commands) -> Result<Desk> {
    let (locator, trusted) = (Arc::clone(shared.locator), commands.trust_clock);
    let params = DeskParams {
        device: shared.identity.source.clone(),
        boot_id: shared.identity.boot_id.clone(),
        key: command_key(commands)?,
        journal: shared.journal.clone(),
        clock: Box::new(move || clock(&locator, trusted)),
    };
    let operator = Operator::new(shared)?;
    let wake = shared.link.clone();
    Desk::start(params, Box::new(operator), move || wake.wake()).context("cannot start the thread for commands")
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

fn clock(locator: &Locator, trusted: bool) -> Time {
    match locator.time() {
        Time { at, quality: TimeQuality::Unsynced } if trusted => Time { at, quality: TimeQuality::Ntp },
        time => time,
    }
}
