//! The quality of answers and rankings: the published metrics as pure functions, and a report for people.

mod calibration;
mod classification;
mod decimals;
mod doubts;
mod ranking;
mod report;
mod retrieval;
mod run;
mod scaling;
mod similarity;
mod urgency;

pub use calibration::{BINS, Bin, Calibration, Confidence};
pub use classification::{CategoryScores, ClassScores, Classification, Judged, classification};
pub use decimals::decimals;
pub use doubts::{DoubtScores, Flagged, doubts};
pub use ranking::Ties;
pub use report::html;
pub use retrieval::{AttributeScores, CUTOFFS, Direction, DirectionScores, retrieval};
pub use run::{Run, ScalingPoint};
pub use scaling::scaling;
pub use urgency::{UrgencyScores, true_urgency, urgency};
