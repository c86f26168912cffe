//! `bridgeclip eval`: the quality of answers on labelled photos.

mod classify;
mod compare;
mod output;
mod retrieval;
mod scaling;

use anyhow::Result;

use super::outcome::Outcome;

/// Measure a model on labelled photos: classification, retrieval, and the effect of the reference's size.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Classify(classify::Args),
    Retrieval(retrieval::Args),
    Scaling(scaling::Args),
    Compare(compare::Args),
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::Classify(args) => classify::run(args),
        Command::Retrieval(args) => retrieval::run(args),
        Command::Scaling(args) => scaling::run(args),
        Command::Compare(args) => compare::run(args),
    }
}
