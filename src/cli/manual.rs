//! `bridgeclip man` and `completions`: files for the system package, generated from the definition of the command line.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;

use super::outcome::Outcome;

/// Write the manual pages of all commands.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The folder for them.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Write a shell's completions to standard output.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    shell: Shell,
}

/// Writes the manual pages of `program` and of all its commands.
pub fn man(args: &ManArgs, program: Command) -> Result<Outcome> {
    clap_mangen::generate_to(program, &args.out).with_context(|| format!("{}: cannot write", args.out.display()))?;
    Ok(Outcome::Good)
}

/// Writes the completions of `program` for a shell.
pub fn completions(args: &CompletionsArgs, mut program: Command) -> Result<Outcome> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut program, "bridgeclip", &mut text);
    std::io::stdout().write_all(&text)?;
    Ok(Outcome::Good)
}
