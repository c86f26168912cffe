//! Time that has verifiably passed, whatever the device's calendar says.
//!
//! While the machine runs, its monotonic clock counts. The time between two starts is known only if satellites or NTP
//! had set the calendar both before and after. So a calendar that jumps makes nobody older or younger, and a device
//! whose calendar is never set keeps nobody young for ever.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Clocks of the device.
pub struct Clock {
    /// Id of this start of the machine.
    pub boot_id: String,
    /// Function that returns the time since this start, including suspension.
    pub since_boot: Box<dyn Fn() -> Duration + Send + Sync>,
    /// Function that reads the calendar, if satellites or NTP have set it. The call may take a moment.
    pub calendar: Box<dyn Fn() -> Option<Timestamp> + Send + Sync>,
}

/// Number of seconds known to have passed since this device began to count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elapsed {
    boot_id: String,
    /// Reading of that start's monotonic clock when `elapsed_s` had passed.
    since_boot_s: u64,
    elapsed_s: u64,
    /// Last reading of a calendar that had been set.
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<Anchor>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anchor {
    boot_id: String,
    at: Timestamp,
    elapsed_s: u64,
}

impl Elapsed {
    /// Resumes counting in this start of the machine. If the machine has restarted since, all of the monotonic clock's
    /// time counts.
    pub fn resume(&mut self, boot_id: &str) {
        if self.boot_id != boot_id {
            (self.boot_id, self.since_boot_s) = (boot_id.to_owned(), 0);
        }
    }

    /// Returns the seconds that have passed by now.
    pub fn now(&self, since_boot: Duration) -> u64 {
        self.elapsed_s + since_boot.as_secs().saturating_sub(self.since_boot_s)
    }

    /// Takes a reading of a calendar that has been set. The first reading after a start shows how long the machine was
    /// off.
    pub fn learn(&mut self, since_boot: Duration, at: Timestamp) {
        let mut elapsed_s = self.now(since_boot);
        if let Some(anchor) = self.anchor.as_ref().filter(|anchor| anchor.boot_id != self.boot_id) {
            let between = u64::try_from(at.duration_since(anchor.at).as_secs()).unwrap_or(0);
            elapsed_s = elapsed_s.max(anchor.elapsed_s.saturating_add(between));
        }
        (self.since_boot_s, self.elapsed_s) = (since_boot.as_secs(), elapsed_s);
        self.anchor = Some(Anchor { boot_id: self.boot_id.clone(), at, elapsed_s });
    }

    /// Returns the state that is stored for the next start.
    pub fn kept(&self, since_boot: Duration) -> Self {
        Elapsed { since_boot_s: since_boot.as_secs(), elapsed_s: self.now(since_boot), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn started(elapsed: &Elapsed, boot_id: &str) -> Elapsed {
        let mut elapsed = elapsed.clone();
        elapsed.resume(boot_id);
        elapsed
    }

    #[test]
    fn without_a_calendar_the_time_of_each_start_counts() {
        let first = started(&Elapsed::default(), "a");
        assert_eq!(first.now(s(100)), 100);
        let again = started(&first.kept(s(100)), "a");
        assert_eq!(again.now(s(130)), 130, "the daemon was off, the machine was not");
        let second = started(&again.kept(s(130)), "b");
        assert_eq!((second.now(s(0)), second.now(s(20))), (130, 150));
    }

    #[test]
    fn calendars_tell_how_long_the_machine_was_off() {
        let mut first = started(&Elapsed::default(), "a");
        first.learn(s(10), at("2026-05-01T00:00:10Z"));
        let mut second = started(&first.kept(s(60)), "b");
        assert_eq!(second.now(s(5)), 65, "it has not been told yet");
        let unset = started(&second.kept(s(5)), "c");
        second.learn(s(30), at("2026-05-02T00:00:10Z"));
        assert_eq!(second.now(s(31)), 10 + 86_400 + 1);
        let mut third = unset;
        third.learn(s(40), at("2026-05-03T00:00:10Z"));
        assert_eq!(third.now(s(40)), 10 + 2 * 86_400, "a start without a calendar between");
    }

    #[test]
    fn a_calendar_that_jumps_changes_nothing() {
        let mut elapsed = started(&Elapsed::default(), "a");
        for (second, text) in [(10, "2026-05-01T00:00:00Z"), (20, "2046-05-01T00:00:00Z"), (30, "2025-05-01T00:00:00Z")]
        {
            elapsed.learn(s(second), at(text));
            assert_eq!(elapsed.now(s(second)), second);
        }
        let mut next = started(&elapsed.kept(s(30)), "b");
        next.learn(s(5), at("2025-01-01T00:00:00Z"));
        assert_eq!(next.now(s(5)), 35, "it never goes back");
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let mut elapsed = started(&Elapsed::default(), "a");
        elapsed.learn(s(10), at("2026-05-01T00:00:00Z"));
        let kept = elapsed.kept(s(20));
        let text = serde_json::to_string(&kept).expect("JSON");
        assert_eq!(serde_json::from_str::<Elapsed>(&text).expect("the same"), kept);
    }
}
