//! `bridgeclip reference`: the database of labelled photos.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::{Outcome, progress};
use crate::domain::Category;
use crate::encoder::{Package, files};
use crate::kernels::Threads;
use crate::pipeline::{Embedder, Limits};
use crate::reference::{BuildReport, Info, Source, Stamp, build, read_records};

/// Make and inspect the database of labelled photos that a new photo is compared with.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Embed the photos of a CSV and put them into the package as reference.db.
    ///
    /// Only rows whose four categories are valid are taken. Photos that cannot be read are named and left out.
    Build(BuildArgs),
    /// Show what a reference was made with and how many photos each class has.
    Info(InfoArgs),
}

#[derive(Debug, clap::Args)]
pub struct BuildArgs {
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
    /// The result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// A package folder or a reference.db file.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::Build(args) => run_build(args),
        Command::Info(args) => info(args),
    }
}

fn run_build(args: &BuildArgs) -> Result<Outcome> {
    let mut package = Package::open(&args.package)?;
    let (records, skipped) = read_records(&args.csv)?;
    let source = |record: crate::reference::Record| Source { path: image_path(args, &record.image), record };
    let sources: Vec<Source> = records.into_iter().map(source).collect();
    let embedder = Embedder::load(&package, Limits::default(), &Threads::default())?;
    let embed =
        |path: &Path| embedder.embed_file(path).map(|embedded| embedded.embedding).map_err(|error| error.to_string());
    let threads = args.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    let bar = progress::bar(sources.len(), "photos");
    let path = package.path(files::REFERENCE);
    let report = build(&path, &Stamp::of(&package), &sources, threads, embed, |done| bar.inc(done as u64))?;
    bar.finish_and_clear();
    package.add_file(files::REFERENCE)?;
    print_report(args, &report, skipped)?;
    Ok(Outcome::from_failures(report.rejected.len()))
}

/// With an image root, only the file name of the image column counts.
fn image_path(args: &BuildArgs, image: &str) -> PathBuf {
    match &args.image_root {
        Some(root) => root.join(Path::new(image).file_name().unwrap_or_default()),
        None => args.csv.parent().unwrap_or(Path::new("")).join(image),
    }
}

fn print_report(args: &BuildArgs, report: &BuildReport, skipped: usize) -> Result<()> {
    let csv = args.csv.display();
    for rejected in &report.rejected {
        eprintln!("bridgeclip: {csv}, line {}: {}: {}", rejected.line, rejected.path.display(), rejected.reason);
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let rejected = report
            .rejected
            .iter()
            .map(|rejected| json!({ "line": rejected.line, "path": rejected.path, "reason": rejected.reason }));
        let rejected: Vec<Value> = rejected.collect();
        let result = json!({ "photos": report.photos, "incomplete_rows": skipped, "rejected": rejected });
        writeln!(out, "{result}")?;
    } else {
        let rejected = report.rejected.len();
        writeln!(
            out,
            "{} photos in the reference; {skipped} rows without all four labels, {rejected} unreadable photos left out",
            report.photos
        )?;
    }
    Ok(())
}

fn info(args: &InfoArgs) -> Result<Outcome> {
    let path = if args.path.is_dir() { args.path.join(files::REFERENCE) } else { args.path.clone() };
    let info = Info::read(&path).with_context(|| "cannot show the reference")?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&info_json(&info))?)?;
        return Ok(Outcome::Good);
    }
    writeln!(out, "{} photos, {} values each", info.photos, info.stamp.embedding_dim)?;
    writeln!(out, "  labels {}, embedding space {}", info.stamp.label_version, info.stamp.embedding_space)?;
    for (category, counts) in &info.counts {
        writeln!(out, "{category}")?;
        for (class, count) in category.classes().iter().zip(counts) {
            writeln!(out, "  {count:>7}  {}", class.en)?;
        }
    }
    Ok(Outcome::Good)
}

fn info_json(info: &Info) -> Value {
    let counts = info.counts.iter().map(|(category, counts): &(Category, Vec<usize>)| {
        let classes = category.classes().iter().zip(counts).map(|(class, count)| (class.en.to_owned(), json!(count)));
        (category.id().to_owned(), Value::Object(classes.collect()))
    });
    json!({
        "photos": info.photos,
        "embedding_dim": info.stamp.embedding_dim,
        "embedding_space": info.stamp.embedding_space,
        "label_version": info.stamp.label_version,
        "counts": counts.collect::<Map<_, _>>(),
    })
}
