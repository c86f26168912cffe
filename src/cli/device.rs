//! The device that a command works on: its settings file and its database. The daemon may be running.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::assembly;
use crate::config::Config;
use crate::durable;
use crate::journal::{FILE_NAME, Journal, Reader};

/// Which device is meant.
#[derive(Debug, clap::Args)]
pub struct DeviceArgs {
    /// The settings file of the daemon.
    #[arg(long, value_name = "FILE", default_value = "/etc/bridgeclip/config.toml")]
    pub config: PathBuf,
}

impl DeviceArgs {
    /// Reads the settings file.
    pub fn config(&self) -> Result<Config> {
        Ok(Config::read(&self.config)?)
    }
}

/// Returns the data folder, and creates it for a device that has never worked.
pub fn data_dir(config: &Config) -> Result<&Path> {
    let dir = config.device.data_dir.as_path();
    durable::create_folders(dir).with_context(|| format!("{}: cannot create the data folder", dir.display()))?;
    Ok(dir)
}

/// Opens the device's database for reading. Fails if the device has never worked.
pub fn reader(config: &Config) -> Result<Reader> {
    let dir = &config.device.data_dir;
    Reader::open(&dir.join(FILE_NAME)).with_context(|| format!("{}: no device has worked here yet", dir.display()))
}

/// Opens a journal next to the daemon's, calls `work` with it, and waits until everything is written.
pub fn with_journal<T>(config: &Config, work: impl FnOnce(&Journal) -> Result<T>) -> Result<T> {
    let (journal, thread) = Journal::join(data_dir(config)?, assembly::journal(config))?;
    let outcome = work(&journal);
    drop(journal);
    thread.join().map_err(|_| anyhow::anyhow!("the journal thread panicked"))?;
    outcome
}
