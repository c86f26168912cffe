//! `bridgeclip eval`: how good the answers are on labelled photos.

mod classify;
mod inputs;
mod numpy;
mod output;

use anyhow::Result;

use super::Outcome;

/// Measure a model on labelled photos: classification, retrieval, and the effect of the reference's size.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Classify(classify::Args),
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::Classify(args) => classify::run(args),
    }
}
