//! The settings file. Every key is checked when the file is read; an error names the file, the line, the key and valid
//! values.

mod bundle;
mod collect;
mod commands;
mod inspection;
mod web;

pub use bundle::Bundle;
pub use collect::{CollectConfig, LimitsConfig};
pub use commands::Commands;
pub use inspection::{FormBridge, FormDate, FormNumber, FormText, Inspection};
pub use web::Web;

use std::fs;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::Offset;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::domain::{Method, Rule, is_name};
use crate::packages::TrustedKeys;
use crate::photo::parse_offset;
use crate::position::{Protocol, Source};

/// All settings, as `deploy/config.toml` explains them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub device: Device,
    pub package: PackageConfig,
    pub intake: Intake,
    #[serde(default)]
    pub photo: Photo,
    #[serde(default)]
    pub position: Position,
    #[serde(default)]
    pub classify: Classify,
    #[serde(default)]
    pub storage: Storage,
    #[serde(default)]
    pub inspection: Inspection,
    /// Connection to the broker. Without this section results stay on the device.
    #[serde(default, deserialize_with = "checked")]
    pub mqtt: Option<Mqtt>,
    /// Authority for commands. Without this section no commands are received.
    #[serde(default, deserialize_with = "checked")]
    pub commands: Option<Commands>,
    /// Devices whose bundles are trusted. Without this section the key must be given with each import.
    #[serde(default)]
    pub bundle: Bundle,
    /// Doors of the field page. Without this section there is no field page.
    #[serde(default, deserialize_with = "checked")]
    pub web: Option<Web>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub site: TopicLevel,
    pub id: TopicLevel,
    /// Folder that contains `device.db`.
    pub data_dir: PathBuf,
}

impl Device {
    /// Returns the site and the name, as in `kita/unit-1`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.site.as_str(), self.id.as_str())
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageConfig {
    /// Folder of the package that is used while nothing is installed in `store`.
    pub dir: PathBuf,
    /// Folder where `bridgeclip package install` puts packages.
    pub store: Option<PathBuf>,
    #[serde(default)]
    pub trusted_keys: TrustedKeys,
    /// Certificate authorities for package servers, in place of the public ones.
    pub ca: Option<PathBuf>,
    #[serde(default)]
    pub megabytes_max: Number<1, 100_000, 2_000>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    pub folders: Vec<PathBuf>,
    #[serde(default)]
    pub rescan_s: Number<1, 86_400, 10>,
    #[serde(default)]
    pub settle_ms: Number<0, 600_000, 1_000>,
    #[serde(default)]
    pub incomplete_s: Number<1, 86_400, 60>,
    #[serde(default)]
    pub photo_megabytes_max: Number<1, 2_000, 100>,
    #[serde(default)]
    pub photo_megapixels_max: Number<1, 1_000, 250>,
    #[serde(default)]
    pub camera_utc_offset: UtcOffset,
    #[serde(default)]
    pub burst_s: Number<0, 3_600, 2>,
    #[serde(default)]
    pub burst_similarity: Similarity,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Photo {
    #[serde(default)]
    pub decode: Decode,
    #[serde(default)]
    pub short_side_min: Number<32, 65_535, 448>,
    #[serde(default)]
    pub memory_megabytes_max: Number<50, 100_000, 400>,
    #[serde(default)]
    pub progressive_megabytes_max: Number<1, 10_000, 200>,
    #[serde(default)]
    pub thumbnail_px: Number<0, 1_024, 320>,
}

/// Values of the key `decode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decode {
    #[default]
    Scaled,
    Exact,
}

impl Photo {
    /// Returns the long side of thumbnails in pixels; `None` if none are made.
    pub fn thumbnail_px(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.thumbnail_px.get())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Line of the receiver: a serial device, or an address in a network. Without it positions come from the photos
    /// alone.
    pub device: Option<Source>,
    #[serde(default)]
    pub protocol: Protocol,
    #[serde(default)]
    pub baud: Baud,
    #[serde(default)]
    pub mavlink_system: MavlinkSystem,
    #[serde(default)]
    pub fix_age_s_max: Number<1, 86_400, 3_600>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classify {
    #[serde(default)]
    pub method: Method,
    #[serde(default)]
    pub rule: Rule,
    #[serde(default)]
    pub neighbours: Number<1, 1_000, 10>,
    #[serde(default)]
    pub threads: Number<1, 64, 1>,
    #[serde(default)]
    pub rest_above_celsius: Number<0, 150, 75>,
}

impl Classify {
    /// Returns the temperature above which the device pauses; `None` if it never does.
    pub fn rest_above_celsius(&self) -> Option<f32> {
        Some(self.rest_above_celsius.get() as f32).filter(|celsius| *celsius > 0.0)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    #[serde(default)]
    pub quota_megabytes: Number<1, 10_000_000, 8_000>,
    #[serde(default)]
    pub uploads_megabytes_max: Number<1, 10_000_000, 4_000>,
    #[serde(default)]
    pub keep_free_megabytes: Number<0, 10_000_000, 200>,
    #[serde(default)]
    pub reserve_megabytes: Number<1, 1_000, 16>,
    #[serde(default)]
    pub group_ms: Number<0, 200, 100>,
    #[serde(default)]
    pub tries_max: Number<1, 1_000, 5>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    pub broker: Broker,
    /// Settings of TLS. If the section is empty, the system's certificate authorities vouch for the broker.
    pub tls: Option<Tls>,
    /// Whether sending without TLS over a network is allowed.
    #[serde(default)]
    pub plain_text: bool,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub password_credential: Option<String>,
    pub websocket_path: Option<String>,
    #[serde(default)]
    pub keep_alive_s: Number<5, 3_600, 30>,
    #[serde(default)]
    pub in_flight: Number<1, 1_000, 256>,
    #[serde(default)]
    pub stall_s: Number<1, 3_600, 20>,
    #[serde(default)]
    pub retry_s_max: Number<1, 86_400, 60>,
    #[serde(default)]
    pub refused_retry_s: Number<1, 86_400, 300>,
    #[serde(default = "yes")]
    pub hold_without_subscriber: bool,
    #[serde(default)]
    pub health_s: Number<1, 86_400, 60>,
    #[serde(default)]
    pub metered: bool,
    #[serde(default)]
    pub bytes_per_s_max: Number<0, 1_000_000_000, 0>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub ca_file: Option<PathBuf>,
    pub client_cert_file: Option<PathBuf>,
    pub client_key_file: Option<PathBuf>,
}

/// Section whose keys must be consistent with each other.
trait Section {
    fn check(&self) -> Result<(), &'static str>;
}

fn checked<'de, T: Section + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    present(deserializer).map(Some)
}

fn present<'de, T: Section + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let section = T::deserialize(deserializer)?;
    section.check().map_err(D::Error::custom)?;
    Ok(section)
}

impl Section for Mqtt {
    fn check(&self) -> Result<(), &'static str> {
        let passwords = usize::from(self.password_file.is_some()) + usize::from(self.password_credential.is_some());
        let [certificate, key] = match &self.tls {
            Some(tls) => [tls.client_cert_file.is_some(), tls.client_key_file.is_some()],
            None => [false; 2],
        };
        let wrong = [
            (
                self.tls.is_none() && !self.plain_text && !self.broker.is_this_machine(),
                "the broker is on another machine: add a section [mqtt.tls], or plain_text = true if the whole way to it \
                 is trusted",
            ),
            (self.tls.is_some() && self.plain_text, "plain_text = true contradicts the section [mqtt.tls]"),
            (passwords == 2, "give password_file or password_credential, not both"),
            (passwords > 0 && self.username.is_none(), "a password needs a username"),
            (certificate != key, "client_cert_file and client_key_file belong together"),
            (
                self.websocket_path.is_some() && cfg!(not(feature = "websocket")),
                "this program was built without WebSocket; build it with --features websocket, or leave out \
                 websocket_path",
            ),
            (
                self.websocket_path.as_ref().is_some_and(|path| !path.starts_with('/')),
                "websocket_path begins with a slash, as in \"/mqtt\"",
            ),
        ];
        wrong.into_iter().find(|(is_wrong, _)| *is_wrong).map_or(Ok(()), |(_, reason)| Err(reason))
    }
}

fn yes() -> bool {
    true
}

/// Error in the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {source}; give the path of a settings file, deploy/config.toml is an example", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {reason}", path.display())]
    Value { path: PathBuf, reason: String },
}

impl Config {
    /// Reads a settings file. Relative paths in it start at the file's folder.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::parse(&read_text(path)?)
            .map_err(|error| ConfigError::Value { path: path.to_owned(), reason: error.to_string() })?;
        let base = path.parent().unwrap_or(Path::new(""));
        for relative in config.paths() {
            *relative = base.join(&relative);
        }
        Ok(config)
    }

    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Returns the part of topics that names this device.
    pub fn topic_prefix(&self) -> String {
        format!("bridge/v1/{}", self.device.name())
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let single = [&mut self.device.data_dir, &mut self.package.dir];
        let receiver = self.position.device.as_mut().and_then(Source::path_mut);
        let optional = [&mut self.package.store, &mut self.package.ca, &mut self.inspection.members];
        let folders =
            single.into_iter().chain(&mut self.intake.folders).chain(optional.into_iter().flatten()).chain(receiver);
        let mqtt = self.mqtt.iter_mut().flat_map(Mqtt::paths);
        folders.chain(mqtt).chain(self.commands.iter_mut().flat_map(|commands| &mut commands.public_key_file))
    }
}

impl Mqtt {
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let tls = self.tls.iter_mut();
        let tls = tls.flat_map(|tls| [&mut tls.ca_file, &mut tls.client_cert_file, &mut tls.client_key_file]);
        tls.flatten().chain(&mut self.password_file)
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

/// Whole number from MIN to MAX; DEFAULT if the key is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Number<const MIN: u32, const MAX: u32, const DEFAULT: u32>(u32);

impl<const MIN: u32, const MAX: u32, const DEFAULT: u32> Number<MIN, MAX, DEFAULT> {
    pub fn get(self) -> u32 {
        self.0
    }

    pub fn seconds(self) -> Duration {
        Duration::from_secs(self.0.into())
    }

    pub fn milliseconds(self) -> Duration {
        Duration::from_millis(self.0.into())
    }
}

impl<const MIN: u32, const MAX: u32, const DEFAULT: u32> Default for Number<MIN, MAX, DEFAULT> {
    fn default() -> Self {
        Number(DEFAULT)
    }
}

impl<const MIN: u32, const MAX: u32, const DEFAULT: u32> TryFrom<i64> for Number<MIN, MAX, DEFAULT> {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        match u32::try_from(value) {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Number(number)),
            _ => Err(format!("{value} is out of range; use {MIN} to {MAX} (usual: {DEFAULT})")),
        }
    }
}

/// Name that is one level of an MQTT topic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TopicLevel(String);

impl TopicLevel {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TopicLevel {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match is_name(&name) {
            true => Ok(TopicLevel(name)),
            false => Err(format!("`{name}` is not usable as a name; use 1 to 64 letters, digits, '.', '_' or '-'")),
        }
    }
}

/// Address of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Broker {
    pub host: String,
    pub port: u16,
}

impl Broker {
    /// Reports whether the broker runs on this machine, so that nothing that is sent to it leaves the machine.
    fn is_this_machine(&self) -> bool {
        let address = self.host.trim_matches(['[', ']']).parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl TryFrom<String> for Broker {
    type Error = String;

    fn try_from(address: String) -> Result<Self, String> {
        let wrong = || format!("`{address}` is not HOST:PORT, as in \"broker.example:1883\"");
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() || port == 0 {
            return Err(wrong());
        }
        Ok(Broker { host: host.to_owned(), port })
    }
}

impl std::str::FromStr for Broker {
    type Err = String;

    fn from_str(address: &str) -> Result<Self, String> {
        address.to_owned().try_into()
    }
}

/// UTC offset of camera clocks that write none; Japan's unless set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UtcOffset(pub Offset);

impl Default for UtcOffset {
    fn default() -> Self {
        UtcOffset(Offset::constant(9))
    }
}

impl TryFrom<String> for UtcOffset {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an offset from UTC, as in \"+09:00\"");
        parse_offset(&text).map(UtcOffset).ok_or_else(wrong)
    }
}

/// Minimum cosine similarity of two photos' embeddings, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Similarity(f32);

impl Similarity {
    pub fn get(self) -> f32 {
        self.0
    }
}

impl Default for Similarity {
    fn default() -> Self {
        Similarity(0.985)
    }
}

impl TryFrom<f64> for Similarity {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        match (0.0..=1.0).contains(&value) {
            true => Ok(Similarity(value as f32)),
            false => Err(format!("{value} is out of range; use 0.0 to 1.0 (usual: 0.985)")),
        }
    }
}

/// Bits per second on a serial line; `None` finds the rate by listening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub struct Baud(pub Option<u32>);

impl TryFrom<toml::Value> for Baud {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) if text == "auto" => Ok(Baud(None)),
            toml::Value::Integer(rate @ 300..=4_000_000) => Ok(Baud(Some(rate as u32))),
            other => Err(format!("{other} is not a rate; use \"auto\", or bits per second from 300 to 4000000")),
        }
    }
}

/// System id of the flight controller to follow; `None` follows the first one that is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub struct MavlinkSystem(pub Option<u8>);

impl TryFrom<toml::Value> for MavlinkSystem {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) if text == "auto" => Ok(MavlinkSystem(None)),
            toml::Value::Integer(id @ 1..=255) => Ok(MavlinkSystem(Some(id as u8))),
            other => Err(format!("{other} is not a system id; use \"auto\", or the controller's number from 1 to 255")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../deploy/config.toml");

    #[test]
    fn the_shipped_file_is_valid_and_shows_the_defaults() {
        let config = Config::parse(SHIPPED).expect("deploy/config.toml parses");
        assert_eq!(config.intake.rescan_s, Number::default());
        assert_eq!(config.intake.settle_ms, Number::default());
        assert_eq!(config.intake.incomplete_s, Number::default());
        assert_eq!(config.intake.camera_utc_offset, UtcOffset::default());
        assert_eq!((config.intake.burst_s, config.intake.burst_similarity), (Number::default(), Similarity::default()));
        assert_eq!(config.photo.thumbnail_px, Photo::default().thumbnail_px);
        let defaults = Position::default();
        assert_eq!((config.position.device, config.position.protocol), (None, defaults.protocol));
        assert_eq!((config.position.baud, config.position.fix_age_s_max), (defaults.baud, defaults.fix_age_s_max));
        assert_eq!(config.position.mavlink_system, defaults.mavlink_system);
    }

    #[test]
    fn the_unit_has_room_for_what_the_defaults_allow() {
        let unit = include_str!("../deploy/deb/bridgeclip.service");
        let line = unit.lines().find_map(|line| line.strip_prefix("MemoryMax=")).expect("a bound");
        let megabytes: u32 = line.strip_suffix('M').and_then(|number| number.parse().ok()).expect("megabytes");
        let defaults = (Photo::default(), Number::<1, 2_000, 100>::default());
        // Megabytes for ViT-B/32 with 90,987 labelled photos (BENCHMARKS.md), and for the rest of the daemon.
        let (model, rest) = (200, 60);
        assert!(defaults.0.memory_megabytes_max.get() + defaults.1.get() + model + rest <= megabytes);
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("config.toml");
        fs::write(&path, SHIPPED.replace("\"/var/lib/bridgeclip\"", "\"data\"")).expect("write");
        assert_eq!(Config::read(&path).expect("reads").device.data_dir, dir.path().join("data"));
    }

    #[test]
    fn every_wrong_line_is_named_with_its_remedy() {
        let cases = [
            ("rescan_s = 10", "rescan_s = 0", "use 1 to 86400"),
            ("rescan_s = 10", "rescan_s = \"10\"", "expected i64"),
            ("rescan_s = 10", "rescans = 10", "unknown field `rescans`, expected"),
            ("site = \"example-site\"", "site = \"a/b\"", "letters, digits"),
            ("site = \"example-site\"", "", "missing field `site`"),
            ("burst_s = 2", "burst_s = -1", "use 0 to 3600"),
            ("burst_similarity = 0.985", "burst_similarity = 98.5", "use 0.0 to 1.0"),
            ("camera_utc_offset = \"+09:00\"", "camera_utc_offset = \"JST\"", "offset from UTC"),
            ("neighbours = 10", "neighbours = -1", "use 1 to 1000"),
            ("decode = \"scaled\"", "decode = \"fast\"", "expected `scaled` or `exact`"),
            ("short_side_min = 448", "short_side_min = 0", "use 32 to 65535"),
            ("thumbnail_px = 320", "thumbnail_px = 1025", "use 0 to 1024"),
            ("progressive_megabytes_max = 200", "progressive_megabytes_max = 0", "use 1 to 10000"),
            ("baud = \"auto\"", "baud = \"fast\"", "bits per second from 300"),
            ("baud = \"auto\"", "baud = 0", "use \"auto\", or"),
            ("mavlink_system = \"auto\"", "mavlink_system = 0", "from 1 to 255"),
            ("mavlink_system = \"auto\"", "mavlink_system = \"1\"", "use \"auto\", or"),
            ("protocol = \"auto\"", "protocol = \"ubx\"", "expected one of `auto`, `nmea`, `mavlink`"),
            ("method = \"knn\"", "method = \"svm\"", "expected one of `knn`, `linear`, `zero-shot`"),
            ("rule = \"published\"", "rule = \"fair\"", "expected one of `published`, `balanced`, `fused`"),
            ("group_ms = 100", "group_ms = 201", "use 0 to 200"),
            ("#inspector = \"Hanako Kita\"", "inspector = \"\"", "1 to 200 characters"),
            ("#date = \"2026-05-09\"", "date = \"today\"", "write it as in"),
        ];
        for (from, to, expected) in cases {
            assert!(SHIPPED.contains(from), "{from}");
            let error = Config::parse(&SHIPPED.replace(from, to)).expect_err(to).to_string();
            assert!(error.contains(expected) && error.contains("line "), "{to}: {error}");
        }
    }

    #[test]
    fn keys_that_are_commented_out_are_valid_and_show_the_defaults() {
        let (head, tail) = SHIPPED.split_once("# Without this section results stay").expect("the section");
        let key = |line: &'static str| line.strip_prefix('#').filter(|rest| !rest.starts_with(['#', ' ']));
        let text = format!("{head}{}", tail.lines().filter_map(key).collect::<Vec<_>>().join("\n"));
        let config = Config::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let shown = config.mqtt.expect("a section");
        let least = Config::parse(&format!("{SHIPPED}[mqtt]\nbroker = \"localhost:1883\"\n")).expect("a minimum");
        let default = least.mqtt.expect("a section");
        let numbers = |mqtt: &Mqtt| {
            (
                (mqtt.keep_alive_s, mqtt.in_flight, mqtt.stall_s, mqtt.retry_s_max, mqtt.refused_retry_s),
                (mqtt.hold_without_subscriber, mqtt.health_s, mqtt.metered, mqtt.bytes_per_s_max),
            )
        };
        assert_eq!(numbers(&shown), numbers(&default));
        assert!(!config.commands.expect("a section").trust_clock);
    }

    #[test]
    fn facts_for_forms_that_are_commented_out_are_valid() {
        let (head, rest) = SHIPPED.split_once("# What forms need").expect("the facts");
        let (facts, tail) = rest.split_once("[storage]").expect("the next section");
        let key = |line: &'static str| line.strip_prefix('#').filter(|rest| !rest.starts_with(['#', ' ']));
        let text = facts.lines().filter_map(key).collect::<Vec<_>>().join("\n");
        let config = Config::parse(&format!("{head}{text}\n[storage]{tail}")).expect("valid");
        let Inspection { inspector, company, manager, route, date, next, bridge, .. } = config.inspection;
        assert!([inspector, company, manager, route, next].iter().all(Option::is_some) && date.is_some());
        assert_eq!(bridge.len(), 1);
    }

    #[test]
    fn keys_of_the_uplink_must_fit_each_other() {
        let parse = |mqtt: &str| Config::parse(&format!("{SHIPPED}\n[mqtt]\n{mqtt}\n"));
        let good = [
            "broker = \"localhost:1883\"",
            "broker = \"[::1]:1883\"",
            "broker = \"broker.example:1883\"\nplain_text = true",
            "broker = \"broker.example:8883\"\n[mqtt.tls]",
            "broker = \"127.0.0.1:1883\"\nusername = \"u\"\npassword_credential = \"p\"",
        ];
        for mqtt in good {
            assert!(parse(mqtt).is_ok(), "{mqtt}: {:?}", parse(mqtt).err());
        }
        let bad = [
            ("broker = \"broker.example:1883\"", "add a section [mqtt.tls]"),
            ("broker = \"10.0.0.1:1883\"", "add a section [mqtt.tls]"),
            ("broker = \"b:1\"\nplain_text = true\n[mqtt.tls]", "contradicts"),
            ("broker = \"localhost:1\"\npassword_file = \"p\"", "needs a username"),
            ("broker = \"b:1\"\n[mqtt.tls]\nclient_key_file = \"k\"", "belong together"),
            ("broker = \"b:1\"\n[mqtt.tls]\nverify = false", "unknown field `verify`"),
        ];
        for (mqtt, expected) in bad {
            let error = parse(mqtt).expect_err(mqtt).to_string();
            assert!(error.contains(expected) && error.contains("line "), "{mqtt}: {error}");
        }
        let commands = Config::parse(&format!("{SHIPPED}\n[commands]\n")).expect_err("no key").to_string();
        assert!(commands.contains("command keygen"), "{commands}");
    }

    #[test]
    fn brokers_have_a_host_and_a_port() {
        assert_eq!("mqtt.local:1883".parse(), Ok(Broker { host: "mqtt.local".into(), port: 1883 }));
        for wrong in ["", "mqtt.local", ":1883", "mqtt.local:0", "mqtt.local:70000"] {
            assert!(wrong.parse::<Broker>().is_err(), "{wrong}");
        }
    }
}
