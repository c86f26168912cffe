//! How good answers and rankings are: the published metrics as pure functions, and a report of them for people.

mod calibration;
mod classification;
mod retrieval;
mod run;
mod similarity;

pub use calibration::{BINS, Bin, Calibration, Confidence};
pub use classification::{CategoryScores, ClassScores, Classification, Judged, classification};
pub use retrieval::{AttributeScores, CUTOFFS, Direction, DirectionScores, retrieval};
pub use run::{Run, ScalingPoint};
