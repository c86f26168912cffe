//! Carries out commands that came over the uplink.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use jiff::Timestamp;
use log::{LevelFilter, info};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::captures::{Tools, captures_of, judge_again, resend};
use super::uplink::{Shared, file_settings};
use crate::domain::{Change, LABEL_VERSION};
use crate::journal::Reader;
use crate::uplink::{Acting, Captures, Command, CommandHandler, LogLevel, Op, Retag, SetTo, Settings, SettingsChange};

/// The file in the data folder that keeps what commands have set.
const FILE_NAME: &str = "overrides.json";

/// What commands have set. It outlives a restart and goes before the settings file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metered: Option<bool>,
    /// 0 takes a limit away that the settings file has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes_per_s_max: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_level: Option<LogLevel>,
}

impl Overrides {
    /// Reads what was set before; nothing if there is no file.
    pub fn read(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(FILE_NAME);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{}: not settings of a command; remove the file", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{}: cannot read", path.display())),
        }
    }

    pub fn applied_to(&self, file: Settings) -> Settings {
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

    /// Replaces the file as a whole, so that a power cut leaves the old one or the new one.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut file = NamedTempFile::new_in(dir)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(dir)?.sync_all()
    }
}

fn after<T>(current: Option<T>, change: SetTo<T>) -> Option<T> {
    match change {
        SetTo::Keep => current,
        SetTo::Reset => None,
        SetTo::To(value) => Some(value),
    }
}

/// Carries out commands.
pub struct Operator {
    tools: Tools,
    reader: Reader,
    file: Settings,
    file_level: LevelFilter,
    overrides: Overrides,
    path: PathBuf,
    versions: Value,
}

impl Operator {
    pub fn new(shared: &Shared) -> Result<Self> {
        let Shared { config, identity, .. } = *shared;
        let operator = Operator {
            reader: shared.journal.reader()?,
            tools: Tools {
                config: config.clone(),
                package_dir: shared.package.dir().to_owned(),
                identity: Arc::clone(identity),
                journal: shared.journal.clone(),
                link: shared.link.clone(),
            },
            file: file_settings(config),
            file_level: log::max_level(),
            overrides: Overrides::read(&config.device.data_dir)?,
            path: config.device.data_dir.join(FILE_NAME),
            versions: json!({
                "software": concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
                "package": identity.package,
                "package_hash": identity.package_hash,
                "label_version": LABEL_VERSION,
            }),
        };
        if operator.overrides != Overrides::default() {
            info!("{}: {:?}", operator.path.display(), operator.overrides);
        }
        operator.apply();
        Ok(operator)
    }

    fn set(&mut self, changes: &SettingsChange) -> Result<Value, String> {
        let overrides = self.overrides.changed(changes);
        overrides.write(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))?;
        self.overrides = overrides;
        self.apply();
        let Settings { metered, bytes_per_s_max } = self.tools.link.settings();
        let level = log::max_level().to_string().to_lowercase();
        Ok(json!({ "metered": metered, "bytes_per_s_max": bytes_per_s_max.unwrap_or(0), "log_level": level }))
    }

    fn retag(&self, retag: &Retag) -> Result<Value> {
        let Tools { identity, journal, link, .. } = &self.tools;
        let captures = captures_of(&self.reader, &retag.photos)?;
        let changes = captures.iter().map(|&capture| (capture, Change::Tag(retag.tag.clone()))).collect();
        let made = journal.supersede_all(identity, changes, !link.is_online(), Timestamp::now())?;
        Ok(json!({ "photos": retag.photos.len(), "changed": made.len() }))
    }

    fn long(&self, work: fn(&Tools, &Captures, &dyn Fn() -> bool) -> Result<Value>, captures: &Captures) -> Acting {
        let (tools, captures) = (self.tools.clone(), captures.clone());
        Acting::Long(Box::new(move |goes_on| in_words(work(&tools, &captures, goes_on))))
    }

    fn apply(&self) {
        let settings = self.overrides.applied_to(self.file);
        self.tools.journal.set_metered(settings.metered);
        self.tools.link.set(settings);
        log::set_max_level(self.overrides.log_level.map_or(self.file_level, level_filter));
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

/// The error with its causes.
fn in_words<T>(outcome: Result<T>) -> Result<T, String> {
    outcome.map_err(|error| format!("{error:#}"))
}

impl CommandHandler for Operator {
    fn act(&mut self, command: &Command) -> Acting {
        match &command.op {
            Op::Ping => Acting::Done(Ok(self.versions.clone())),
            Op::Set(changes) => Acting::Done(self.set(changes)),
            Op::Resend(captures) => self.long(resend, captures),
            Op::Retag(retag) => Acting::Done(in_words(self.retag(retag))),
            Op::Reclassify(captures) => self.long(judge_again, captures),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_found_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(FILE_NAME);
        assert_eq!(Overrides::read(dir.path()).expect("no file"), Overrides::default());
        let changes =
            SettingsChange { metered: SetTo::To(true), bytes_per_s_max: SetTo::To(0), ..SettingsChange::default() };
        let overrides = Overrides::default().changed(&changes);
        overrides.write(&path).expect("write");
        assert_eq!(Overrides::read(dir.path()).expect("a file"), overrides);
        let file = Settings { metered: false, bytes_per_s_max: Some(500) };
        assert_eq!(overrides.applied_to(file), Settings { metered: true, bytes_per_s_max: None });
        let back = SettingsChange { metered: SetTo::Reset, bytes_per_s_max: SetTo::Reset, ..SettingsChange::default() };
        assert_eq!(overrides.changed(&back).applied_to(file), file);
        fs::write(&path, "{\"broker\": 1}").expect("write");
        assert!(Overrides::read(dir.path()).is_err());
    }
}
