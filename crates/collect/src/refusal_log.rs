//! Log messages about refused messages: enough to find the cause, but not a line for each of thousands.

use std::time::{Duration, Instant};

use log::warn;

use crate::message::Refused;

/// Maximum number of log lines within one [`SPAN`].
const LINES_MAX: u32 = 20;
/// Time after which the count of lines starts again.
const SPAN: Duration = Duration::from_secs(60);

/// Rate limiter for log lines about refused messages.
pub struct RefusalLog {
    /// Start of the current [`SPAN`].
    since: Instant,
    /// Number of refused messages since the start of the span.
    lines: u32,
    /// Number of refused messages that were not logged.
    unsaid: u64,
}

impl RefusalLog {
    /// Starts with the first span.
    pub fn new() -> Self {
        RefusalLog { since: Instant::now(), lines: 0, unsaid: 0 }
    }

    /// Logs a refused message, unless the current span has its [`LINES_MAX`] lines already.
    pub fn log(&mut self, refused: &Refused) {
        self.tick();
        self.lines += 1;
        match self.lines <= LINES_MAX {
            true => warn!("{}: set aside: {}", refused.topic, refused.reason),
            false => self.unsaid += 1,
        }
    }

    /// Ends a span whose time is over, and logs how many lines it left out.
    pub fn tick(&mut self) {
        if self.since.elapsed() < SPAN {
            return;
        }
        self.flush();
        (self.since, self.lines) = (Instant::now(), 0);
    }

    /// Logs how many refused messages were left out of the log, if any.
    pub fn flush(&mut self) {
        if self.unsaid > 0 {
            warn!("{} more messages were set aside; the table `refused` says why", self.unsaid);
        }
        self.unsaid = 0;
    }
}
