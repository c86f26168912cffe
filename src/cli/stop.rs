//! How Ctrl-C and SIGTERM end long work in an orderly way.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use log::warn;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::daemon::Stopper;

/// Time limit for an orderly stop: longer than the slowest photo takes, shorter than the service manager waits.
const STOP_MAX: Duration = Duration::from_secs(30);

/// Returns a flag that the first Ctrl-C or SIGTERM sets. The second one ends the process.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, stop.clone()).context("cannot listen for signals")?;
        flag::register(signal, stop.clone()).context("cannot listen for signals")?;
    }
    Ok(stop)
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
