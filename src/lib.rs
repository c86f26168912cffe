//! BridgeCLIP Edge: classifies bridge inspection photos on the device and forwards every result.
//!
//! ARCHITECTURE.md shows how a photo flows through these modules, in this order.

pub mod domain;

pub mod photo;

pub mod random;

pub mod secret;

pub mod drive;
/// Files that survive a power cut, and small files that did not.
pub mod durable;
/// Files that come from outside: a path may name anything.
pub mod plain_file;

mod sqlite;

pub mod kernels;

pub mod encoder;

pub mod reference;

pub mod heads;

pub mod classify;

pub mod search;

pub mod evaluate;

pub mod fit;

pub mod journal;

pub mod bundle;

pub mod config;

pub mod intake;

pub mod position;

pub mod uplink;

pub mod collect;

pub mod learn;

pub mod pipeline;

pub mod reclassify;

pub mod texts;

mod markup;

pub mod export;

pub mod packages;

pub mod service;

pub mod web;

pub mod daemon;

pub mod cli;
