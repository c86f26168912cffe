//! Inference: turns a photo into a verdict with its evidence.

pub mod classify;
pub mod encoder;
pub mod heads;
pub mod pipeline;
pub mod rated;
pub mod reference;
