//! `bridgeclip run`: the daemon.

use std::path::PathBuf;

use anyhow::Result;
use log::{debug, info};

use super::outcome::Outcome;
use super::{present, stop};
use crate::config::Config;
use crate::daemon::{Daemon, DaemonEvent};
use crate::uplink::LinkEvent;

/// Watch folders, classify every new photo, keep the results and deliver them.
///
/// Stops cleanly on SIGTERM and Ctrl-C: the current photo is finished. What arrived while it was off is picked up at
/// the next start.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The settings file; deploy/config.toml is a commented example.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = Config::read(&args.config)?;
    let daemon = Daemon::start(&config, log_notice)?;
    stop::stop_on_signal(daemon.stopper())?;
    daemon.run();
    Ok(Outcome::Good)
}

fn log_notice(notice: DaemonEvent) {
    match notice {
        DaemonEvent::Captured { path, sequence, verdict, .. } => {
            info!("{}: {} (event {sequence})", path.display(), present::line(&verdict));
        }
        DaemonEvent::Known { path } => debug!("{}: known already", path.display()),
        DaemonEvent::Link(LinkEvent::Delivered(count)) => debug!("{count} events delivered"),
        // The stages log these notices themselves.
        DaemonEvent::Started { .. }
        | DaemonEvent::Failed { .. }
        | DaemonEvent::Changed { .. }
        | DaemonEvent::QueueChanged
        | DaemonEvent::Link(_) => (),
    }
}
