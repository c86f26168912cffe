//! A simulated flight and its photos.

pub mod camera;
pub mod flight;
pub mod path;
