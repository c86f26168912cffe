//! Settings that can be changed while the daemon runs, by a command or on the page.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use log::{LevelFilter, info};
use serde::{Deserialize, Serialize};

use crate::durable::{self, PRIVATE, read_state};
use crate::journal::Journal;
use crate::uplink::{InForce, Link, LogLevel, SetTo, Settings, SettingsChange};

/// Name of the file in the data folder that keeps the changes.
const FILE_NAME: &str = "overrides.json";

/// Changed settings. They survive a restart and override the settings file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overrides {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metered: Option<bool>,
    /// Limit in bytes per second. 0 removes a limit that the settings file has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes_per_s_max: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_level: Option<LogLevel>,
}

impl Overrides {
    /// Returns the settings in force, given those of the settings file.
    fn applied_to(&self, file: Settings) -> Settings {
        Settings {
            metered: self.metered.unwrap_or(file.metered),
            bytes_per_s_max: match self.bytes_per_s_max {
                Some(bytes) => Some(bytes).filter(|bytes| *bytes > 0),
                None => file.bytes_per_s_max,
            },
        }
    }

    fn changed(self, changes: &SettingsChange) -> Self {
        Overrides {
            metered: after(self.metered, changes.metered),
            bytes_per_s_max: after(self.bytes_per_s_max, changes.bytes_per_s_max),
            log_level: after(self.log_level, changes.log_level),
        }
    }

    /// Replaces the file atomically, so that a power cut leaves the old one or the new one.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        durable::write(path, &serde_json::to_vec(self)?, PRIVATE)
    }
}

fn after<T>(current: Option<T>, change: SetTo<T>) -> Option<T> {
    match change {
        SetTo::Keep => current,
        SetTo::Reset => None,
        SetTo::To(value) => Some(value),
    }
}

/// Settings in force, which can be changed. Clones share everything.
#[derive(Clone)]
pub struct LiveSettings {
    journal: Journal,
    link: Link,
    file: Settings,
    file_level: LevelFilter,
    path: PathBuf,
    overrides: Arc<Mutex<Overrides>>,
}

impl LiveSettings {
    /// Applies the changes made before a restart. `file` and the present log level apply where nothing was changed.
    pub fn new(data_dir: &Path, file: Settings, journal: &Journal, link: &Link) -> Self {
        let path = data_dir.join(FILE_NAME);
        let overrides: Overrides = read_state(&path, "the settings file holds alone");
        if overrides != Overrides::default() {
            info!("{}: {overrides:?}", path.display());
        }
        let (journal, link) = (journal.clone(), link.clone());
        let live = LiveSettings { journal, link, file, file_level: log::max_level(), path, overrides: Arc::default() };
        live.apply(overrides);
        *live.overrides.lock().unwrap_or_else(PoisonError::into_inner) = overrides;
        live
    }

    /// Makes changes durable and applies them. Returns the settings in force. Without a change it only does the latter.
    ///
    /// # Errors
    /// A message in words if the changes cannot be stored. Nothing is changed then.
    pub fn set(&self, changes: &SettingsChange) -> Result<InForce, String> {
        let mut current = self.overrides.lock().unwrap_or_else(PoisonError::into_inner);
        let overrides = current.changed(changes);
        if overrides != *current {
            overrides.write(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))?;
            *current = overrides;
            self.apply(overrides);
        }
        let Settings { metered, bytes_per_s_max } = self.link.settings();
        let log_level = overrides.log_level.map_or(self.file_level, level_filter).to_string().to_lowercase();
        Ok(InForce { metered, bytes_per_s_max: bytes_per_s_max.unwrap_or(0), log_level })
    }

    fn apply(&self, overrides: Overrides) {
        let settings = overrides.applied_to(self.file);
        self.journal.set_metered(settings.metered);
        self.link.set(settings);
        log::set_max_level(overrides.log_level.map_or(self.file_level, level_filter));
    }
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_found_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(FILE_NAME);
        let read = || read_state::<Overrides>(&path, "nothing is set");
        assert_eq!(read(), Overrides::default());
        let changes =
            SettingsChange { metered: SetTo::To(true), bytes_per_s_max: SetTo::To(0), ..SettingsChange::default() };
        let overrides = Overrides::default().changed(&changes);
        overrides.write(&path).expect("write");
        assert_eq!(read(), overrides);
        let file = Settings { metered: false, bytes_per_s_max: Some(500) };
        assert_eq!(overrides.applied_to(file), Settings { metered: true, bytes_per_s_max: None });
        let back = SettingsChange { metered: SetTo::Reset, bytes_per_s_max: SetTo::Reset, ..SettingsChange::default() };
        assert_eq!(overrides.changed(&back).applied_to(file), file);
        std::fs::write(&path, "{\"broker\": 1}").expect("write");
        assert_eq!(read(), Overrides::default(), "what is no setting is none");
    }
}
