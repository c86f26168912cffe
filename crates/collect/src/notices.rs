//! What the log says of messages that are set aside: enough to find the cause, not a line for each of thousands.

use std::time::{Duration, Instant};

use log::warn;

use super::Refused;

/// Lines within a [`SPAN`].
const LINES_MAX: u32 = 20;
const SPAN: Duration = Duration::from_secs(60);

/// Counts lines.
pub struct Notices {
    since: Instant,
    lines: u32,
    unsaid: u64,
}

impl Notices {
    pub fn new() -> Self {
        Notices { since: Instant::now(), lines: 0, unsaid: 0 }
    }

    pub fn set_aside(&mut self, refused: &Refused) {
        self.look_at_the_clock();
        self.lines += 1;
        match self.lines <= LINES_MAX {
            true => warn!("{}: set aside: {}", refused.topic, refused.reason),
            false => self.unsaid += 1,
        }
    }

    /// Says how many lines were left out.
    pub fn look_at_the_clock(&mut self) {
        if self.since.elapsed() < SPAN {
            return;
        }
        self.say_the_rest();
        (self.since, self.lines) = (Instant::now(), 0);
    }

    pub fn say_the_rest(&mut self) {
        if self.unsaid > 0 {
            warn!("{} more messages were set aside; the table `refused` says why", self.unsaid);
        }
        self.unsaid = 0;
    }
}
