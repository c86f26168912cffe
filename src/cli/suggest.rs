//! `bridgeclip suggest`: the photos whose labels would help most.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::decode::DecodeArgs;
use super::device::reader;
use super::inputs::{nearest, on_all_cores};
use super::new_file::NewFile;
use super::outcome::Outcome;
use super::package_args::PackageArgs;
use super::{npy, progress};
use crate::assembly;
use crate::classify::Neighbour;
use crate::config::Config;
use crate::domain::{Category, Embedding};
use crate::intake::photo_files;
use crate::kernels::Threads;
use crate::package::Package;
use crate::packages;
use crate::pipeline::Embedder;
use crate::reference::{Hit, Reference};
use crate::suggest::{NEIGHBOURHOOD, Suggestion, Unlabelled, doubt, suggest};

/// Most photos that a search considers.
const PHOTOS_MAX: usize = 200_000;

/// Name the photos whose labels would improve the reference most, for an office that has photos without labels.
///
/// A photo is worth its label if the labelled photos disagree about photos like it, if there are many of these, and if no
/// labelled photo resembles them. The photos come from files and folders, or from a device's captures that no inspector has
/// judged. Let an engineer label them in the file that --out writes, then add them with `bridgeclip reference build`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("photos").required(true))]
pub struct Args {
    /// Number of photos to name.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    count: u16,
    /// Photos, and folders to look through.
    #[arg(value_name = "PATH", group = "photos")]
    paths: Vec<PathBuf>,
    /// The settings file of a device, whose captures are considered with its own package.
    #[arg(long, value_name = "FILE", group = "photos", conflicts_with = "package")]
    config: Option<PathBuf>,
    /// Names of photos, one a line, whose embeddings --embeddings has.
    #[arg(long, value_name = "FILE", group = "photos", requires = "embeddings")]
    names: Option<PathBuf>,
    /// Embeddings of the photos in --names, one row for each line (f32 or f64).
    #[arg(long, value_name = "FILE.npy", requires = "names")]
    embeddings: Option<PathBuf>,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    decode: DecodeArgs,
    /// Write a CSV with the columns that a reference is built from, and empty labels to fill in.
    #[arg(long, value_name = "CSV")]
    out: Option<PathBuf>,
    /// One JSON object per photo and line.
    #[arg(long)]
    json: bool,
}

/// Photos with their embeddings, and how many could not be read.
struct Photos {
    found: Vec<(PathBuf, Embedding)>,
    failed: usize,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    photo: &'a str,
    gain: f32,
    doubt: f32,
    nearest_similarity: f32,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.config.as_deref().map(Config::read).transpose()?;
    let package = match &config {
        Some(config) => packages::open_in_use(&assembly::package_source(&config.package))?,
        None => args.package.open()?,
    };
    let draft = args.out.as_deref().map(|path| NewFile::create(path, false)).transpose()?;
    let Photos { found, failed } = match (&config, &args.names) {
        (Some(config), _) => captures(config, &package)?,
        (None, Some(names)) => listed(names, args, &package)?,
        (None, None) => files(args, &package)?,
    };
    ensure!(!found.is_empty(), "no photo to choose from");
    ensure!(found.len() <= PHOTOS_MAX, "{} photos are more than {PHOTOS_MAX}; name some of the folders", found.len());
    let (paths, embeddings): (Vec<PathBuf>, Vec<Embedding>) = found.into_iter().unzip();
    let photos = unlabelled(embeddings, &package)?;
    let bar = progress::bar(args.count.into(), "choices");
    let chosen = suggest(&photos, args.count.into(), || bar.inc(1));
    bar.finish_and_clear();
    print(&chosen, &photos, &paths, args.json)?;
    if let Some(draft) = draft {
        write_form(draft, chosen.iter().map(|found| &paths[found.index]))?;
    }
    Ok(Outcome::from_failures(failed))
}

/// Embeds the photos of the command line.
fn files(args: &Args, package: &Package) -> Result<Photos> {
    let paths = photo_files(&args.paths)?;
    let embedder = Embedder::load(package, args.decode.limits(), &Threads::default())?;
    let embedded = on_all_cores(&paths, "photos", |path| embedder.embed_file(path).map(|found| found.embedding));
    let mut photos = Photos { found: Vec::new(), failed: 0 };
    for (path, embedded) in paths.into_iter().zip(embedded) {
        match embedded {
            Ok(embedding) => photos.found.push((path, embedding)),
            Err(error) => {
                photos.failed += 1;
                eprintln!("bridgeclip: {}: {error}", path.display());
            }
        }
    }
    Ok(photos)
}

/// Reads the captures of a device that no inspector has judged and whose embeddings are of the package.
fn captures(config: &Config, package: &Package) -> Result<Photos> {
    let space = package.embedding_space();
    let mut found = Vec::new();
    for page in reader(config)?.result_pages() {
        let usable =
            |photo: &crate::journal::StoredResult| photo.inspection.is_none() && photo.embedding_space == Some(space);
        found.extend(page?.into_iter().filter(usable).map(|photo| (photo.path, photo.embedding)));
    }
    Ok(Photos { found, failed: 0 })
}

/// Reads names and embeddings that were made before.
fn listed(names: &Path, args: &Args, package: &Package) -> Result<Photos> {
    let text = fs::read_to_string(names).with_context(|| names.display().to_string())?;
    let paths: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
    let file = args.embeddings.as_deref().context("--names needs --embeddings")?;
    let embeddings = npy::read_embeddings(file, package.manifest().embedding_dim)?;
    ensure!(
        embeddings.len() == paths.len(),
        "{}: {} rows, {} has {} lines; the embeddings must have a row for each, in the same order",
        file.display(),
        embeddings.len(),
        names.display(),
        paths.len()
    );
    Ok(Photos { found: paths.into_iter().zip(embeddings).collect(), failed: 0 })
}

fn unlabelled(embeddings: Vec<Embedding>, package: &Package) -> Result<Vec<Unlabelled>> {
    let reference = Reference::open(&package.reference()?, package)?;
    let (labels, found) = (reference.labels()?, nearest(&reference, &embeddings, NEIGHBOURHOOD)?);
    let photo = |(embedding, hits): (Embedding, &Vec<Hit>)| {
        let neighbour = |hit: &Hit| Neighbour { similarity: hit.similarity, labels: &labels[hit.position] };
        let neighbours: Vec<Neighbour> = hits.iter().map(neighbour).collect();
        let nearest = hits.first().map_or(-1.0, |hit| hit.similarity);
        Unlabelled { embedding, doubt: doubt(&neighbours), nearest }
    };
    Ok(embeddings.into_iter().zip(&found).map(photo).collect())
}

fn print(chosen: &[Suggestion], photos: &[Unlabelled], paths: &[PathBuf], json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for Suggestion { index, gain } in chosen {
        let (Unlabelled { doubt, nearest, .. }, path) = (&photos[*index], &paths[*index]);
        if json {
            let photo = &path.to_string_lossy();
            let [gain, doubt, nearest_similarity] = [*gain, *doubt, *nearest].map(decimals);
            let line = Line { photo, gain, doubt, nearest_similarity };
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        } else {
            writeln!(out, "{gain:>9.3}  doubt {doubt:.2}  nearest {nearest:.3}  {}", path.display())?;
        }
    }
    if chosen.is_empty() {
        eprintln!("bridgeclip: labels of these photos would add nothing: labelled photos equal them");
    }
    Ok(())
}

/// Rounds to four decimals.
fn decimals(value: f32) -> f32 {
    (value * 1e4).round() / 1e4
}

/// Writes a CSV in the published form with empty labels. It has no flags of validity: without them, what is filled in
/// counts.
fn write_form<'a>(mut draft: NewFile, photos: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    let mut writer = csv::Writer::from_writer(draft.file());
    let columns = Category::ALL.map(Category::column);
    writer.write_record(["image", "text"].into_iter().chain(columns))?;
    for photo in photos {
        let photo = photo.to_string_lossy();
        writer.write_record([&*photo, ""].into_iter().chain(columns.map(|_| "")))?;
    }
    writer.flush()?;
    drop(writer);
    draft.keep()
}
