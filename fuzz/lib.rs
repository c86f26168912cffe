//! The modules of the main crate that take bytes from outside, compiled on their own.

#[path = "../src/domain/mod.rs"]
pub mod domain;
#[path = "../src/photo/mod.rs"]
pub mod photo;
#[path = "modules/position.rs"]
pub mod position;
