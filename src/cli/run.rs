//! `bridgeclip run`: the daemon.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use log::{debug, info, warn};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::outcome::Outcome;
use super::present;
use crate::config::Config;
use crate::daemon::{Daemon, DaemonEvent, Stopper};
use crate::uplink::LinkEvent;

/// Time limit for an orderly stop: longer than the slowest photo takes, shorter than the service manager waits.
const STOP_MAX: Duration = Duration::from_secs(30);

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
    stop_on_signal(daemon.stopper())?;
    daemon.run();
    Ok(Outcome::Good)
}

/// Stops the daemon on SIGTERM or SIGINT: in an orderly way on the first signal, at once on the second one or if the
/// stop takes longer than [`STOP_MAX`].
pub fn stop_on_signal(stopper: Stopper) -> Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot listen for signals")?;
    let listen = move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            stopper.stop();
            if let Err(error) = thread::Builder::new().name("stop".into()).spawn(end_late) {
                warn!("a stop that hangs will not be noticed: {error}");
            }
        }
        if signals.next().is_some() {
            std::process::exit(1);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(listen).context("cannot start a thread")?;
    Ok(())
}

/// Ends the process if the stop hangs, for example on a folder of a card that does not answer. Everything accepted so
/// far is durable.
fn end_late() {
    thread::sleep(STOP_MAX);
    warn!("the stop hangs; ending without it");
    std::process::exit(1);
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
