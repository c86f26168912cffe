//! What the daemon reports to whoever watches it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::Verdict;
use crate::uplink::LinkEvent;

/// What the daemon tells whoever watches it.
#[derive(Clone, Debug)]
pub enum DaemonEvent {
    /// A file is being read, and so many wait behind it.
    Started {
        path: PathBuf,
        waiting: usize,
    },
    /// A photo was classified, and its result is durable.
    Captured {
        path: PathBuf,
        capture: i64,
        sequence: i64,
        verdict: Box<Verdict>,
    },
    /// A file holds a photo that was classified before.
    Known {
        path: PathBuf,
    },
    /// A file gave no result. This is recorded, unless the file has vanished.
    Failed {
        path: PathBuf,
        reason: String,
    },
    /// What is known of these captures has changed, by whatever process: verdict, inspection, tag, time or place.
    Changed {
        captures: Vec<i64>,
    },
    /// Events were queued, by whatever process.
    QueueChanged,
    Link(LinkEvent),
}

/// Called from several threads.
pub type Observer = Arc<dyn Fn(DaemonEvent) + Send + Sync>;
