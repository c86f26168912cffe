//! `bridgeclip queue`: the events that wait for the broker.

mod imported;
mod list;
mod status;
mod transfer;

use anyhow::Result;

use super::device::{DeviceArgs, with_journal};
use super::outcome::Outcome;

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
    Imported(imported::ListArgs),
    Drop(imported::DropArgs),
}

/// Put events that the broker has refused for good back into the queue.
#[derive(Debug, clap::Args)]
pub struct RetryArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Ids of the events, as `queue list --set-aside` shows them; all if none is given.
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
        Command::Imported(args) => imported::list(args),
        Command::Drop(args) => imported::drop(args),
    }
}

fn retry(args: &RetryArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let ids = (!args.ids.is_empty()).then(|| args.ids.clone());
    let count = with_journal(&config, |journal| Ok(journal.retry(ids)?))?;
    println!("{count} events are in the queue again");
    Ok(Outcome::from_failures(args.ids.len().saturating_sub(count as usize)))
}
