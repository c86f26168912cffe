//! `bridgeclip reference import|export|merge`: references exchanged with other tools and machines.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::args::{LabelsArgs, reference_file};
use crate::cli::outcome::Outcome;
use crate::cli::reading::ReadingArgs;
use crate::cli::{npy, progress};
use crate::domain::Category;
use crate::package::{Package, files};
use crate::reference::{self, Info, Record, Reference, Stamp};

/// File name of an exported reference's vectors.
const EMBEDDINGS: &str = "embeddings.npy";
/// File name of an exported reference's captions and labels.
const ROWS: &str = "rows.csv";

/// Message of the spinner, for the step that takes the time.
const WRITING: &str = "writing the vectors and dividing them into clusters";

/// Make the package's reference from embeddings that were made elsewhere.
///
/// They must be of the same model: image features of its fp32 encoder, photos prepared as the package says. Rows need
/// not have length 1.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// A NumPy file of f32 or f64, [rows][dim]: a row for each row of the CSV, in the same order.
    #[arg(long, value_name = "FILE.npy")]
    embeddings: PathBuf,
    /// Rows with the published columns, or some of them. Only those whose categories are known are taken.
    #[arg(long, value_name = "CSV")]
    csv: PathBuf,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    labels: LabelsArgs,
    /// The model package.
    #[arg(long, value_name = "DIR")]
    package: PathBuf,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
}

/// Write a reference as embeddings.npy and rows.csv, which `reference import` and NumPy read.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// A package folder or a reference.db file.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The folder to write to; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    npy: PathBuf,
}

/// Join references that were built in parts, on one or several machines.
///
/// All must be made with the same model. A photo that is in two of them is refused.
#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// reference.db files or package folders, in the order that their photos should have.
    #[arg(required = true, value_name = "PART")]
    parts: Vec<PathBuf>,
    /// The package to put the result into.
    #[arg(long, value_name = "DIR")]
    package: PathBuf,
}

pub fn import(args: &ImportArgs) -> Result<Outcome> {
    let mut package = Package::open(&args.package)?;
    let records = args.labels.read(&args.csv, &args.reading)?;
    let (stamp, incomplete) = (Stamp::of(&package), records.incomplete.len());
    let rows = records.complete.len() + incomplete;
    let matrix = npy::read_for(&args.embeddings, &args.csv, rows, stamp.embedding_dim)?;
    let spinner = progress::spinner(WRITING);
    let photos = reference::import(&package.path(files::REFERENCE), &stamp, &records.complete, &matrix.values)?;
    spinner.finish_and_clear();
    package.add_file(files::REFERENCE)?;
    let mut out = std::io::stdout().lock();
    match args.json {
        true => {
            let report = &records.report;
            writeln!(out, "{}", json!({ "photos": photos, "incomplete_rows": incomplete, "reading": report }))?;
        }
        false => writeln!(out, "{photos} photos in the reference; {incomplete} rows left out")?,
    }
    Ok(Outcome::Good)
}

pub fn export(args: &ExportArgs) -> Result<Outcome> {
    let path = reference_file(&args.path);
    let reference = Reference::open_stamped(&path, &Info::read(&path)?.stamp)?;
    fs::create_dir_all(&args.npy).with_context(|| format!("{}: cannot make the folder", args.npy.display()))?;
    let mut rows = csv::Writer::from_path(args.npy.join(ROWS))?;
    rows.write_record(header())?;
    let mut embeddings = Vec::new();
    for row in reference.rows() {
        let (record, embedding) = row?;
        rows.write_record(fields(&record))?;
        embeddings.push(embedding);
    }
    rows.flush()?;
    npy::write(&args.npy.join(EMBEDDINGS), &embeddings)?;
    writeln!(std::io::stdout().lock(), "{} photos in {}", reference.len(), args.npy.display())?;
    Ok(Outcome::Good)
}

fn header() -> Vec<String> {
    let columns = Category::ALL.map(|category| category.column().to_owned());
    let valid = Category::ALL.map(|category| format!("{}_valid", category.column()));
    ["image", "text"].map(str::to_owned).into_iter().chain(columns).chain(valid).collect()
}

fn fields(record: &Record) -> Vec<String> {
    let labels = Category::ALL.map(|category| record.labels.get(category).to_cell(category));
    [record.image.clone(), record.caption.clone()]
        .into_iter()
        .chain(labels)
        .chain(["1"; 4].map(str::to_owned))
        .collect()
}

pub fn merge(args: &MergeArgs) -> Result<Outcome> {
    let mut package = Package::open(&args.package)?;
    let parts: Vec<PathBuf> = args.parts.iter().map(|part| reference_file(part)).collect();
    for part in &parts {
        let found = Info::read(part)?.stamp;
        if found != Stamp::of(&package) {
            bail!("{}: was made with another model than {}", part.display(), args.package.display());
        }
    }
    let target = package.path(files::REFERENCE);
    refuse_target(&parts, &target)?;
    let spinner = progress::spinner(WRITING);
    let photos = reference::merge(&target, &parts)?;
    spinner.finish_and_clear();
    package.add_file(files::REFERENCE)?;
    writeln!(std::io::stdout().lock(), "{photos} photos of {} parts in the reference", parts.len())?;
    Ok(Outcome::Good)
}

/// Fails if a part is the target: the result replaces the target, so a failed merge would lose that part.
fn refuse_target(parts: &[PathBuf], target: &Path) -> Result<()> {
    let is_target = |part: &&PathBuf| part.canonicalize().ok() == target.canonicalize().ok();
    match parts.iter().find(is_target).filter(|_| target.exists()) {
        Some(part) => bail!("{}: is the package's own reference; copy it elsewhere first", part.display()),
        None => Ok(()),
    }
}
