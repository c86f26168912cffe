//! `bridgeclip embed`: embeddings as a NumPy file.

use std::path::PathBuf;

use anyhow::Result;

use super::decode::DecodeArgs;
use super::outcome::Outcome;
use super::package_args::PackageArgs;
use super::{npy, progress};
use crate::domain::Embedding;
use crate::encoder::TextEncoder;
use crate::kernels::Threads;
use crate::package::Package;
use crate::pipeline::Embedder;

/// Write the embeddings of photos or texts: unit-length rows of f32, in the order of the arguments.
///
/// If one input fails, all failures are named and no file is written, so that rows and arguments always match.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("input").required(true))]
pub struct Args {
    /// Photo files: JPEG, PNG, TIFF, WebP and HEIC, and raw files (DNG, CR3, NEF, ARW, ...) by their JPEG preview.
    #[arg(value_name = "PHOTO", group = "input")]
    photos: Vec<PathBuf>,
    /// A text; can be given several times.
    #[arg(long, value_name = "TEXT", group = "input", num_args = 1..)]
    text: Vec<String>,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    decode: DecodeArgs,
    /// The NumPy file to write.
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let package = args.package.open()?;
    let results = if args.photos.is_empty() { texts(&package, &args.text)? } else { photos(&package, args)? };
    let failures: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    for failure in &failures {
        eprintln!("bridgeclip: {failure}");
    }
    if failures.is_empty() {
        let rows: Vec<Embedding> = results.into_iter().flatten().collect();
        npy::write(&args.out, &rows)?;
        return Ok(Outcome::Good);
    }
    eprintln!("bridgeclip: {} of {} inputs failed, {} not written", failures.len(), results.len(), args.out.display());
    Ok(Outcome::SomeFailed)
}

type Row = Result<Embedding, String>;

fn texts(package: &Package, texts: &[String]) -> Result<Vec<Row>> {
    let encoder = TextEncoder::load(package, &Threads::default())?;
    let row = |text: &String| encoder.encode(text).map_err(|error| format!("{text:?}: {error}"));
    Ok(texts.iter().map(row).collect())
}

fn photos(package: &Package, args: &Args) -> Result<Vec<Row>> {
    let paths = &args.photos;
    let embedder = Embedder::load(package, args.decode.limits(), &Threads::default())?;
    let bar = progress::bar(paths.len(), "photos");
    let row = |path: &PathBuf| {
        embedder
            .embed_file(path)
            .map(|embedded| embedded.embedding)
            .map_err(|error| format!("{}: {error}", path.display()))
    };
    let rows = paths.iter().map(row).inspect(|_| bar.inc(1)).collect();
    bar.finish_and_clear();
    Ok(rows)
}
