//! `bridgeclip retry`: has files that gave no result tried again.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::device::{DeviceArgs, reader, with_journal};
use super::outcome::Outcome;
use crate::domain::Failure;

/// Try files again that gave no result (see `bridgeclip status --failed`); the daemon may be running.
///
/// Their failures are forgotten, and the daemon treats the files as new at its next rescan. Files that have grown or
/// changed are tried again without this.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Files, or folders with all that is below them.
    #[arg(value_name = "PATH", required_unless_present = "all")]
    paths: Vec<PathBuf>,
    /// All files that gave no result.
    #[arg(long, conflicts_with = "paths")]
    all: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    let failures = reader(&config)?.failures()?;
    let files = if args.all { files(&failures).collect() } else { below(&args.paths, &failures)? };
    let forgotten = with_journal(&config, |journal| Ok(journal.forget_failures(files)?))?;
    writeln!(std::io::stdout(), "{forgotten} files will be tried again")?;
    Ok(Outcome::Good)
}

/// Returns the failed files at or below the paths. Fails for a path without any, as it is likely misspelt.
fn below(paths: &[PathBuf], failures: &[Failure]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        found.extend(files(failures).filter(|file| is_below(path, file)));
        if found.len() == before {
            bail!("{}: no failure is recorded here; bridgeclip status --failed lists them", path.display());
        }
    }
    Ok(found)
}

fn files(failures: &[Failure]) -> impl Iterator<Item = PathBuf> {
    failures.iter().map(|failure| failure.path.clone())
}

/// Reports whether a file is at or below a path. The database has paths as the settings give them, which may be
/// relative to another folder.
fn is_below(path: &Path, file: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    file.starts_with(path) || real(path).is_ok_and(|path| real(file).is_ok_and(|file| file.starts_with(path)))
}
