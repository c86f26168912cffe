//! Finds photo files in the watched folders and offers each one once it is at rest, in the order of capture.
//!
//! inotify reports most changes at once. A periodic rescan finds the files that inotify cannot see (mounted cards,
//! network folders). The intake never moves, changes or deletes a file.

mod bursts;
mod handles;
mod listing;
mod passed;
mod pending;
mod settled;
mod side_files;
mod watch;

pub use bursts::{BurstParams, Bursts};
pub use handles::{Arrivals, IntakeStop, LookAgain};
pub use listing::photo_files;
pub use pending::Candidate;
pub use side_files::SideFile;
pub use watch::{Intake, Look, Params, Records};
