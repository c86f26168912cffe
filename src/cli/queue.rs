//! `bridgeclip queue`: the events that wait for the broker.

mod list;
mod status;
mod transfer;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Outcome;
use crate::config::Config;
use crate::journal::{FILE_NAME, Journal, Reader};

/// Look at the events that wait for the broker, and carry them by hand where no link reaches.
///
/// The daemon may be running or not.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Status(status::Args),
    List(list::Args),
    Retry(RetryArgs),
    Export(transfer::ExportArgs),
    Import(transfer::ImportArgs),
    Key(transfer::KeyArgs),
}

/// Which device is meant.
#[derive(Debug, clap::Args)]
struct Device {
    /// The settings file of the daemon.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Put events that the broker has refused for good back into the queue.
#[derive(Debug, clap::Args)]
pub struct RetryArgs {
    #[command(flatten)]
    device: Device,
    /// Their ids, as `queue list --set-aside` shows them; all if none is given.
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::Status(args) => status::run(args),
        Command::List(args) => list::run(args),
        Command::Retry(args) => retry(args),
        Command::Export(args) => transfer::export(args),
        Command::Import(args) => transfer::import(args),
        Command::Key(args) => transfer::key(args),
    }
}

impl Device {
    fn config(&self) -> Result<Config> {
        Ok(Config::read(&self.config)?)
    }
}

/// The data folder, which a device that never worked does not have yet.
fn data_dir(config: &Config) -> Result<&Path> {
    let dir = config.device.data_dir.as_path();
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot create the data folder", dir.display()))?;
    Ok(dir)
}

fn reader(config: &Config) -> Result<Reader> {
    let dir = &config.device.data_dir;
    Reader::open(&dir.join(FILE_NAME)).with_context(|| format!("{}: no device has worked here yet", dir.display()))
}

/// Writes through a journal beside the daemon's, and waits until everything is written.
fn with_journal<T>(config: &Config, work: impl FnOnce(&Journal) -> Result<T>) -> Result<T> {
    let (journal, thread) = Journal::join(data_dir(config)?, config.journal())?;
    let outcome = work(&journal);
    drop(journal);
    thread.join().map_err(|_| anyhow::anyhow!("the journal thread panicked"))?;
    outcome
}

fn retry(args: &RetryArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let ids = (!args.ids.is_empty()).then(|| args.ids.clone());
    let count = with_journal(&config, |journal| Ok(journal.retry(ids)?))?;
    println!("{count} events are in the queue again");
    Ok(Outcome::from_failures(args.ids.len().saturating_sub(count as usize)))
}
