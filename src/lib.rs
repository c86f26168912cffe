//! BridgeCLIP Edge: classifies bridge inspection photos on the device and forwards every result.
//!
//! ARCHITECTURE.md shows how a photo flows through the crates and through these modules.

pub use bridgeclip_bundle as bundle;
pub use bridgeclip_collect as collect;
pub use bridgeclip_domain as domain;
pub use bridgeclip_engine::{classify, encoder, heads, pipeline, rated, reference};
pub use bridgeclip_journal as journal;
pub use bridgeclip_kernels as kernels;
pub use bridgeclip_package as package;
pub use bridgeclip_photo as photo;
pub use bridgeclip_position as position;
pub use bridgeclip_random as random;
pub use bridgeclip_storage::{drive, durable, plain_file};
pub use bridgeclip_tracks as tracks;
pub use bridgeclip_uplink as uplink;
pub use bridgeclip_workbook as workbook;

pub mod search;

pub mod evaluate;

pub mod fit;

pub mod suggest;

pub mod config;

pub mod intake;

pub mod learn;

pub mod members;

pub mod places;

pub mod reclassify;

pub mod texts;

mod markup;

pub mod export;

pub mod forms;

pub mod packages;

pub mod service;

pub mod web;

mod assembly;

pub mod daemon;

pub mod cli;
