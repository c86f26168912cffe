//! Events that the daemon reports to its observer.

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::Verdict;
use crate::intake::SideFile;
use crate::uplink::LinkEvent;

/// Event that the daemon reports to its observer.
#[derive(Clone, Debug)]
pub enum DaemonEvent {
    /// A file is being read, and `waiting` other files are queued after it.
    Started { path: PathBuf, waiting: usize },
    /// A photo was classified, and its result is durable.
    Captured { path: PathBuf, capture: i64, sequence: i64, verdict: Box<Verdict> },
    /// A file holds a photo that was classified before.
    Known { path: PathBuf },
    /// A file beside photos is no photo of its own, and was passed over.
    PassedOver { path: PathBuf, side: SideFile },
    /// A file gave no result. This is recorded, unless the file has vanished.
    Failed { path: PathBuf, reason: String },
    /// Facts about these captures have changed, in any process: verdict, inspection, tag, time or place.
    Changed { captures: Vec<i64> },
    /// Events were queued, in any process.
    QueueChanged,
    /// The link to the broker has changed.
    Link(LinkEvent),
}

/// Function that receives events, from several threads.
pub type Observer = Arc<dyn Fn(DaemonEvent) + Send + Sync>;
