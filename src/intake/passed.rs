//! The files that were passed over since the last rescan began.

use std::mem;
use std::path::Path;

use log::info;

use super::settled::Settled;
use crate::domain::{FileStamp, PassedOver, SideKind};

/// Counts side files. Each rescan counts them anew.
#[derive(Debug, Default)]
pub struct Passed {
    counts: PassedOver,
    /// Files in `counts`.
    counted: Settled,
    /// Files that the rescan before has counted.
    before: Settled,
    /// Counts that the log has given last.
    logged: PassedOver,
}

impl Passed {
    /// Starts a rescan.
    pub fn begin(&mut self) {
        self.before = mem::take(&mut self.counted);
        self.counts = PassedOver::default();
    }

    /// Counts a file once. Reports whether the rescan before did not count it.
    pub fn add(&mut self, path: &Path, stamp: &FileStamp, kind: SideKind) -> bool {
        if self.counted.contains(path, stamp) {
            return false;
        }
        self.counted.insert(path, stamp);
        self.counts.add(kind);
        !self.before.contains(path, stamp)
    }

    /// Returns the counts at the end of a rescan, and logs them if they have changed.
    pub fn end(&mut self) -> &PassedOver {
        if self.counts != self.logged {
            self.logged = self.counts.clone();
            info!("passed over: {}", if self.counts.is_empty() { "none".to_owned() } else { self.counts.to_string() });
        }
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rescan_counts_anew_and_tells_what_is_new() {
        let (mut passed, stamp) = (Passed::default(), FileStamp { bytes: 1, modified_ns: 0 });
        let [a, b] = ["a.mp4", "b.mp4"].map(Path::new);
        passed.begin();
        assert!(passed.add(a, &stamp, SideKind::Video) && !passed.add(a, &stamp, SideKind::Video));
        assert_eq!(passed.end().total(), 1);
        assert!(passed.add(b, &stamp, SideKind::Video), "named by a notification");
        assert_eq!(passed.end().to_string(), "2 videos");
        passed.begin();
        assert!(!passed.add(b, &stamp, SideKind::Video), "known");
        assert_eq!(passed.end().to_string(), "1 video", "the other one is gone");
        passed.begin();
        assert!(passed.end().is_empty());
    }
}
