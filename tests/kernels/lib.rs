//! The module of the main crate, compiled on its own.

#[path = "../../src/kernels/mod.rs"]
pub mod kernels;
