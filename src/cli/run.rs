//! `bridgeclip run`: the daemon.

use std::path::PathBuf;

use anyhow::Result;
use log::{debug, info};

use super::outcome::Outcome;
use super::present;
use super::stop::StopSignals;
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
    // The uplink works before the start is complete, so a signal may come at once.
    let signals = StopSignals::catch()?;
    let daemon = Daemon::start(&config, log_notice)?;
    signals.stop_daemon(daemon.stopper());
    daemon.run();
    Ok(Outcome::Good)
}

fn log_notice(notice: DaemonEvent) {
    match notice {
        DaemonEvent::Captured { path, sequence, verdict, .. } => {
            info!("{}: {} (event {sequence})", path.display(), present::line(&verdict));
        }
        DaemonEvent::Known { path } => debug!("{}: known already", path.display()),
        DaemonEvent::PassedOver { path, side } => debug!("{}: passed over, {}", path.display(), side.reason),
        DaemonEvent::Link(LinkEvent::Delivered(count)) => debug!("{count} events delivered"),
        // The stages log these notices themselves.
        DaemonEvent::Started { .. }
        | DaemonEvent::Failed { .. }
        | DaemonEvent::Changed { .. }
        | DaemonEvent::QueueChanged
        | DaemonEvent::Link(_) => (),
    }
}
