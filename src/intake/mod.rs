//! Finds photo files in the watched folders and offers each once it is at rest, in the order of capture.
//!
//! inotify tells of most changes at once; a periodic rescan finds what it cannot see (mounted cards, network folders).
//! Nothing is ever moved, changed or deleted here.

mod bursts;
mod pending;
mod settled;
mod watch;

pub use bursts::{BurstParams, Bursts};
pub use pending::Candidate;
pub use watch::{Arrivals, Intake, IntakeStop, Look, LookAgain, Params, Records};
