//! Finds photo files in the watched folders and offers each one once it is at rest, in the order of capture.
//!
//! inotify reports most changes at once. A periodic rescan finds the files that inotify cannot see (mounted cards,
//! network folders). The intake never moves, changes or deletes a file.

mod bursts;
mod pending;
mod settled;
mod watch;

pub use bursts::{BurstParams, Bursts};
pub use pending::Candidate;
pub use watch::{Arrivals, Intake, IntakeStop, Look, LookAgain, Params, Records};
