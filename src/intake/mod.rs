//! Finds photo files in the watched folders and offers each once it is at rest.
//!
//! inotify tells of most changes at once; a periodic rescan finds what it cannot see (mounted cards, network folders).
//! Nothing is ever moved, changed or deleted here.

mod pending;
mod watch;

pub use pending::Candidate;
pub use watch::{Intake, IntakeStop, LookAgain, Params};
