//! How Ctrl-C and SIGTERM end long work in an orderly way.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
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

/// Pause between two looks for a second signal while the daemon starts.
const BEAT: Duration = Duration::from_millis(50);

/// Returns a flag that the first Ctrl-C or SIGTERM sets. The second one ends the process.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, stop.clone()).context("cannot listen for signals")?;
        flag::register(signal, stop.clone()).context("cannot listen for signals")?;
    }
    Ok(stop)
}

/// SIGTERM and SIGINT for a daemon that is about to start.
pub struct StopSignals(Sender<Stopper>);

impl StopSignals {
    /// Catches the signals from now on. The first one stops the daemon in an orderly way, as soon as
    /// [`Self::stop_daemon`] has named it. The second one ends the process, and so does a stop that takes longer than
    /// [`STOP_MAX`].
    pub fn catch() -> Result<Self> {
        let signals = Signals::new([SIGTERM, SIGINT]).context("cannot listen for signals")?;
        let (sender, stopper) = channel();
        let listen = move || listen(signals, &stopper);
        thread::Builder::new().name("signals".into()).spawn(listen).context("cannot start a thread")?;
        Ok(StopSignals(sender))
    }

    /// Names the daemon to stop.
    pub fn stop_daemon(self, stopper: Stopper) {
        // The listener is gone only when the process ends.
        let _ = self.0.send(stopper);
    }
}

fn listen(mut signals: Signals, stopper: &Receiver<Stopper>) {
    if signals.forever().next().is_none() {
        return;
    }
    // Until the daemon has started, a second signal must be heard while the stopper is waited for.
    let stopper = loop {
        match stopper.recv_timeout(BEAT) {
            Ok(stopper) => break stopper,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) if signals.pending().next().is_some() => std::process::exit(1),
            Err(RecvTimeoutError::Timeout) => (),
        }
    };
    stopper.stop();
    if let Err(error) = thread::Builder::new().name("stop".into()).spawn(end_late) {
        warn!("a stop that hangs will not be noticed: {error}");
    }
    if signals.forever().next().is_some() {
        std::process::exit(1);
    }
}

/// Ends the process if the stop hangs, for example on a folder of a card that does not answer. Everything accepted so
/// far is durable.
fn end_late() {
    thread::sleep(STOP_MAX);
    warn!("the stop hangs; ending without it");
    std::process::exit(1);
}
