//! `bridgeclip reference build`: builds a reference from photos and labels.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::args::LabelsArgs;
use crate::cli::inputs::CsvArgs;
use crate::cli::outcome::Outcome;
use crate::cli::progress;
use crate::cli::stop::stop_flag;
use crate::kernels::{Threads, processors};
use crate::package::{Package, files};
use crate::pipeline::Embedder;
use crate::reference::{Build, BuildInput, Record, Records, Rejected, Source, Stamp, build, photo_path};

/// Embed the photos of a CSV and put them into the package as reference.db.
///
/// Only rows whose categories are known are taken; words that are no labels are mapped to classes as far as they are
/// known, and a report tells how. Photos that cannot be read are named and left out. If it is
/// stopped by Ctrl-C or killed, the same command goes on where it was.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    rows: CsvArgs,
    #[command(flatten)]
    labels: LabelsArgs,
    /// The model package.
    #[arg(long, value_name = "DIR")]
    package: PathBuf,
    /// Photos embedded at once; all processors if not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let mut package = Package::open(&args.package)?;
    let records = args.labels.read(&args.rows.csv, &args.rows.reading)?;
    let (csv, root) = (&args.rows.csv, args.rows.root.image_root.as_deref());
    let source = |record: &Record| Source { path: photo_path(csv, root, &record.image), record: record.clone() };
    let sources: Vec<Source> = records.complete.iter().map(source).collect();
    let limits = args.rows.root.decode.limits();
    let embedder = Embedder::load(&package, limits, &Threads::default())?;
    let embed =
        |path: &Path| embedder.embed_file(path).map(|embedded| embedded.embedding).map_err(|error| error.to_string());
    let threads = args.threads.unwrap_or_else(processors);
    let stop = stop_flag()?;
    let bar = progress::bar(sources.len(), "photos");
    let path = package.path(files::REFERENCE);
    let input = BuildInput { sources: &sources, decoding: limits.photo.decoding };
    let outcome = build(&path, &Stamp::of(&package), input, threads, &stop, embed, |done| {
        bar.set_position(done as u64);
        if done == sources.len() {
            bar.set_message("dividing them into clusters");
        }
    })?;
    bar.finish_and_clear();
    match outcome {
        Build::Complete { photos, rejected } => {
            package.add_file(files::REFERENCE)?;
            report(args, photos, &rejected, &records)?;
            Ok(Outcome::from_failures(rejected.len()))
        }
        Build::Empty { rejected } => {
            name_rejected(args, &rejected);
            let rows = records.incomplete.len();
            bail!(
                "{}: no row could be used: {rows} are left out, {} photos are unreadable; {} is as it was",
                csv.display(),
                rejected.len(),
                path.display()
            )
        }
        Build::Stopped { done } => {
            eprintln!(
                "bridgeclip: stopped after {done} of {} photos; the same command goes on from here",
                sources.len()
            );
            Ok(Outcome::Stopped)
        }
    }
}

fn name_rejected(args: &Args, rejected: &[Rejected]) {
    let csv = args.rows.csv.display();
    for Rejected { line, path, reason } in rejected {
        eprintln!("bridgeclip: {csv}, line {line}: {}: {reason}", path.display());
    }
}

fn report(args: &Args, photos: usize, rejected: &[Rejected], records: &Records) -> Result<()> {
    name_rejected(args, rejected);
    let incomplete = records.incomplete.len();
    let mut out = std::io::stdout().lock();
    if args.json {
        let rejected = rejected
            .iter()
            .map(|Rejected { line, path, reason }| json!({ "line": line, "path": path, "reason": reason }));
        let rejected: Vec<Value> = rejected.collect();
        let report = &records.report;
        let result =
            json!({ "photos": photos, "incomplete_rows": incomplete, "rejected": rejected, "reading": report });
        writeln!(out, "{result}")?;
    } else {
        writeln!(
            out,
            "{photos} photos in the reference; {incomplete} rows and {} unreadable photos left out",
            rejected.len()
        )?;
    }
    Ok(())
}
