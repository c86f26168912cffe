//! `bridgeclip eval retrieval`: photos and texts that should find each other.

use std::path::PathBuf;

use anyhow::Result;

use super::output;
use crate::cli::inputs::CsvArgs;
use crate::cli::outcome::Outcome;
use crate::cli::package_args::PackageArgs;
use crate::domain::{Embedding, Labels};
use crate::evaluate::{Run, retrieval};

/// Score retrieval on the rows of a CSV: R@1/5/10 between photo and text, and how well the labels of the results agree.
///
/// Work grows with the square of the number of rows.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    rows: CsvArgs,
    #[command(flatten)]
    package: PackageArgs,
    /// Embeddings of the photos, one row for each row of the CSV; otherwise the photos are embedded.
    #[arg(long, value_name = "FILE.npy")]
    image_embeddings: Option<PathBuf>,
    /// Embeddings of the texts; otherwise the texts are embedded.
    #[arg(long, value_name = "FILE.npy")]
    text_embeddings: Option<PathBuf>,
    #[command(flatten)]
    output: output::Args,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let csv = &args.rows.csv;
    let rows = args.rows.rows()?;
    let package = args.package.open()?;
    let source = args.rows.photos();
    let images = source.embeddings(args.image_embeddings.as_deref(), &rows, &package)?;
    let texts = source.text_embeddings(args.text_embeddings.as_deref(), &rows, &package)?;
    let pairs = rows.iter().zip(images.into_iter().zip(texts));
    let pairs = pairs.filter_map(|(row, (image, text))| Some((row.labels.clone(), (image?, text?))));
    let (labels, (images, texts)): (Vec<Labels>, (Vec<Embedding>, Vec<Embedding>)) = pairs.unzip();
    let run = output::run_on_rows(csv, &package, rows.len(), labels.len())?;
    args.output.present(Run { retrieval: retrieval(&images, &texts, &labels), ..run })
}
