//! Embedding to verdict, three ways, all pure: the vote of the nearest reference photos, linear heads, and texts that
//! describe the classes (zero-shot).

mod decide;
mod knn;
mod prompts;
mod zero_shot;

pub use decide::{decide, linear_verdict};
pub use knn::classify;
pub use prompts::{Prompts, PromptsError};
pub use zero_shot::ZeroShot;
