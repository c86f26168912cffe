//! The thread on which the uplink runs.

use std::thread::JoinHandle;

use tokio::sync::watch;

use bridgeclip_random::secret;

use crate::driver::{self, DeviceSide};
use crate::params::Params;

/// The thread of a running uplink.
pub struct UplinkThread {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl UplinkThread {
    /// Starts the uplink on a thread of its own. Fails if the thread or its runtime cannot be started.
    pub fn start(params: Params, device: DeviceSide) -> std::io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seed = u64::from_le_bytes(secret()?);
        let run = move || {
            runtime.block_on(driver::run(params, device, seed, stopped));
            // A connect that hangs must not delay the exit.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("uplink".into()).spawn(run)?;
        Ok(UplinkThread { stop, thread })
    }

    /// Leaves the broker within two seconds, and waits for the uplink's thread to end.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            log::error!("the uplink thread panicked");
        }
    }
}
