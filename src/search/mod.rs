//! Finds photos by a text or by another photo, among the labelled photos of the reference or among this device's own.

mod captures;
mod filter;
mod nearest;

pub use captures::{FoundCapture, in_captures};
pub use filter::{Condition, ConditionError, Filter};
pub use nearest::{Nearest, in_reference};
