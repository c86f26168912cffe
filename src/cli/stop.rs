//! A flag for long work that Ctrl-C ends in an orderly way.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Returns a flag that the first Ctrl-C or SIGTERM sets. The second one ends the process.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, stop.clone()).context("cannot listen for signals")?;
        flag::register(signal, stop.clone()).context("cannot listen for signals")?;
    }
    Ok(stop)
}
