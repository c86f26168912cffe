//! `bridgeclip classify`: verdicts for photos on the command line.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::decode::DecodeArgs;
use super::method::MethodArgs;
use super::outcome::Outcome;
use super::package_args::PackageArgs;
use super::present;
use crate::domain::{Sha256, Verdict};
use crate::kernels::Threads;
use crate::pipeline::{Classifier, PipelineError, read_file};

/// Classify photos: the four categories with confidence, whether an engineer should look first or again, and the most
/// similar labelled photos as evidence.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Photo files: JPEG, PNG, TIFF, WebP and HEIC, and raw files (DNG, CR3, NEF, ARW, ...) by their JPEG preview.
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    method: MethodArgs,
    #[command(flatten)]
    decode: DecodeArgs,
    /// One JSON object per photo and line.
    #[arg(long)]
    json: bool,
}

/// One line of `--json`.
#[derive(Serialize)]
struct VerdictLine<'a> {
    photo: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Sha256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let package = args.package.open()?;
    let classifier = Classifier::load(&package, args.decode.limits(), args.method.params(), &Threads::default())?;
    let mut failures = 0;
    for photo in &args.photos {
        let result = classify(&classifier, photo);
        failures += usize::from(result.is_err());
        if args.json { print_json(photo, &result)? } else { print_text(photo, &result)? }
    }
    Ok(Outcome::from_failures(failures))
}

fn classify(classifier: &Classifier, photo: &Path) -> Result<(Sha256, Verdict), PipelineError> {
    let bytes = read_file(photo, &classifier.embedder.limits)?;
    let (_, verdict) = classifier.classify(&bytes)?;
    Ok((Sha256::of(&bytes), verdict))
}

fn print_text(photo: &Path, result: &Result<(Sha256, Verdict), PipelineError>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match result {
        Ok((_, verdict)) => write!(out, "{}\n{}", photo.display(), present::paragraph(verdict))?,
        Err(error) => eprintln!("bridgeclip: {}: {error}", photo.display()),
    }
    Ok(())
}

fn print_json(photo: &Path, result: &Result<(Sha256, Verdict), PipelineError>) -> Result<()> {
    let line = match result {
        Ok((sha256, verdict)) => VerdictLine { photo, sha256: Some(*sha256), verdict: Some(verdict), error: None },
        Err(error) => VerdictLine { photo, sha256: None, verdict: None, error: Some(error.to_string()) },
    };
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(&line)?)?;
    Ok(())
}
