//! The settings file of a collector.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigError, Mqtt, Number, TopicLevel, present, read_text};

/// All settings, as `deploy/collect.toml` explains them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectConfig {
    pub collect: Collect,
    /// Connection to the broker, with the keys of a device's settings. Keys that only concern sending have no effect.
    #[serde(deserialize_with = "present")]
    pub mqtt: Mqtt,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collect {
    /// Name of this collector, for which the broker keeps messages.
    pub name: TopicLevel,
    pub database: Option<String>,
    pub database_file: Option<PathBuf>,
    #[serde(default = "prefix")]
    pub prefix: String,
    #[serde(default = "group")]
    pub group: TopicLevel,
    #[serde(default)]
    pub limits: LimitsConfig,
}

/// Time limits of the database, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    #[serde(default)]
    pub connect_s: Number<1, 3_600, 10>,
    #[serde(default)]
    pub statement_s: Number<1, 3_600, 30>,
    #[serde(default)]
    pub lock_s: Number<1, 3_600, 20>,
    #[serde(default)]
    pub idle_s: Number<1, 3_600, 60>,
    #[serde(default)]
    pub silence_s: Number<4, 3_600, 30>,
}

fn prefix() -> String {
    "bridge/v1".to_owned()
}

fn group() -> TopicLevel {
    TopicLevel("bridgeclip".to_owned())
}

impl CollectConfig {
    /// Reads a settings file. Relative paths in it start at the file's folder.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::parse(&read_text(path)?)
            .map_err(|error| ConfigError::Value { path: path.to_owned(), reason: error.to_string() })?;
        let base = path.parent().unwrap_or(Path::new(""));
        for relative in config.collect.database_file.iter_mut().chain(config.mqtt.paths()) {
            *relative = base.join(&relative);
        }
        Ok(config)
    }

    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../deploy/collect.toml");

    #[test]
    fn the_shipped_file_is_valid_and_shows_the_defaults() {
        let config = CollectConfig::parse(SHIPPED).expect("deploy/collect.toml parses");
        assert_eq!((config.collect.prefix, config.collect.group), (prefix(), group()));
        assert_eq!(config.collect.limits, LimitsConfig::default());
        assert!(config.mqtt.tls.is_some());
    }

    #[test]
    fn wrong_lines_are_named() {
        let cases = [("name = \"collector-1\"", "name = \"a/b\"", "letters, digits"), ("[mqtt.tls]", "", "plain_text")];
        for (from, to, expected) in cases {
            let error = CollectConfig::parse(&SHIPPED.replace(from, to)).expect_err(to).to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
