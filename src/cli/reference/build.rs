//! `bridgeclip reference build`: photos and labels to a reference.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::cli::decode::DecodeArgs;
use crate::cli::{Outcome, progress};
use crate::encoder::{Package, files};
use crate::kernels::Threads;
use crate::pipeline::Embedder;
use crate::reference::{Build, Record, Rejected, Source, Stamp, build, photo_path, read_records};

/// Embed the photos of a CSV and put them into the package as reference.db.
///
/// Only rows whose four categories are valid are taken. Photos that cannot be read are named and left out. If it is
/// stopped by Ctrl-C or killed, the same command goes on where it was.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rows with the published columns: image, text, kenzenudo, taisaku, damage_type, damage_loc and *_valid.
    #[arg(long, value_name = "CSV")]
    csv: PathBuf,
    /// Replaces the folder part of the image column; otherwise paths start at the CSV's folder.
    #[arg(long, value_name = "DIR")]
    image_root: Option<PathBuf>,
    /// The model package.
    #[arg(long, value_name = "DIR")]
    package: PathBuf,
    /// Photos embedded at once; all processors if not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    decode: DecodeArgs,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let mut package = Package::open(&args.package)?;
    let (records, skipped) = read_records(&args.csv)?;
    let source =
        |record: Record| Source { path: photo_path(&args.csv, args.image_root.as_deref(), &record.image), record };
    let sources: Vec<Source> = records.into_iter().map(source).collect();
    let embedder = Embedder::load(&package, args.decode.limits(), &Threads::default())?;
    let embed =
        |path: &Path| embedder.embed_file(path).map(|embedded| embedded.embedding).map_err(|error| error.to_string());
    let threads = args.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    let stop = stop_flag()?;
    let bar = progress::bar(sources.len(), "photos");
    let path = package.path(files::REFERENCE);
    let outcome = build(&path, &Stamp::of(&package), &sources, threads, &stop, embed, |done| {
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    match outcome {
        Build::Complete { photos, rejected } => {
            package.add_file(files::REFERENCE)?;
            report(args, photos, &rejected, skipped)?;
            Ok(Outcome::from_failures(rejected.len()))
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

/// Set by the first Ctrl-C or SIGTERM; the second one ends the process.
fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, stop.clone()).context("cannot listen for signals")?;
        flag::register(signal, stop.clone()).context("cannot listen for signals")?;
    }
    Ok(stop)
}

fn report(args: &Args, photos: usize, rejected: &[Rejected], skipped: usize) -> Result<()> {
    let csv = args.csv.display();
    for Rejected { line, path, reason } in rejected {
        eprintln!("bridgeclip: {csv}, line {line}: {}: {reason}", path.display());
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let rejected = rejected
            .iter()
            .map(|Rejected { line, path, reason }| json!({ "line": line, "path": path, "reason": reason }));
        let rejected: Vec<Value> = rejected.collect();
        writeln!(out, "{}", json!({ "photos": photos, "incomplete_rows": skipped, "rejected": rejected }))?;
    } else {
        writeln!(
            out,
            "{photos} photos in the reference; {skipped} rows without all four labels, {} unreadable photos left out",
            rejected.len()
        )?;
    }
    Ok(())
}
