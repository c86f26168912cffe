//! `bridgeclip eval compare`: several runs side by side.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::output;
use crate::cli::outcome::Outcome;
use crate::cli::present;
use crate::evaluate::{Run, html};

/// Put runs that were written with --out side by side in one HTML report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files of `bridgeclip eval … --out`; runs are told apart by their names (--name).
    #[arg(required = true, value_name = "FILE.json")]
    runs: Vec<PathBuf>,
    /// The report to write.
    #[arg(long, value_name = "FILE.html")]
    html: PathBuf,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let mut runs = args.runs.iter().map(|path| read(path)).collect::<Result<Vec<Run>>>()?;
    tell_apart(&mut runs, &args.runs);
    output::write(&args.html, &html(&runs))?;
    Ok(Outcome::Good)
}

fn read(path: &Path) -> Result<Run> {
    let bytes = fs::read(path).with_context(|| format!("{}: cannot read", path.display()))?;
    let foreign = || format!("{}: no scores in it; make it with `bridgeclip eval classify --out`", path.display());
    let run: Run = serde_json::from_slice(&bytes).with_context(foreign)?;
    ensure!(run.has_scores(), foreign());
    Ok(run)
}

/// Appends the file name to names that occur more than once.
fn tell_apart(runs: &mut [Run], paths: &[PathBuf]) {
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    for (run, path) in runs.iter_mut().zip(paths) {
        if names.iter().filter(|name| **name == run.name).count() > 1 {
            run.name = format!("{} ({})", run.name, present::file_name(path));
        }
    }
}
