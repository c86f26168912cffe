//! `bridgeclip eval retrieval`: photos and texts that should find each other.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use super::output;
use crate::cli::inputs::CsvArgs;
use crate::cli::outcome::Outcome;
use crate::cli::package_args::PackageArgs;
use crate::domain::{Embedding, Labels};
use crate::evaluate::{Run, Ties, retrieval};
use crate::reference::Rows;

/// Score retrieval on the rows of a CSV: R@1/5/10 between photo and text, and how well the labels of the results agree.
///
/// The columns image and text suffice for R@k. Equal texts are equally similar to every photo; scores are those
/// expected if the order of such items is settled by chance, with the least and the greatest R@k beside them.
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
    /// How the order of equally similar items is settled.
    #[arg(long, value_name = "RULE", value_enum, default_value_t)]
    ties: TiesArg,
    #[command(flatten)]
    output: output::Args,
}

/// Names of [`Ties`] on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TiesArg {
    /// Every order is equally likely; scores are expected values.
    #[default]
    Random,
    /// The item of the earlier row first.
    First,
    /// The item of the later row first.
    Last,
    /// As in the published script, with NumPy's portable sort.
    Published,
}

impl From<TiesArg> for Ties {
    fn from(ties: TiesArg) -> Self {
        match ties {
            TiesArg::Random => Ties::Random,
            TiesArg::First => Ties::First,
            TiesArg::Last => Ties::Last,
            TiesArg::Published => Ties::Published,
        }
    }
}

pub fn run(args: &Args) -> Result<Outcome> {
    let csv = &args.rows.csv;
    let Rows { rows, present, report } = args.rows.rows()?;
    let has_texts = present.text || args.text_embeddings.is_some();
    ensure!(has_texts, "{}: no column `text`; give --text-embeddings, or add the column", csv.display());
    let package = args.package.open()?;
    let source = args.rows.photos();
    let images = source.embeddings(args.image_embeddings.as_deref(), &rows, &package)?;
    let texts = source.text_embeddings(args.text_embeddings.as_deref(), &rows, &package)?;
    let pairs = rows.iter().zip(images.into_iter().zip(texts));
    let pairs = pairs.filter_map(|(row, (image, text))| Some((row.labels.clone(), (image?, text?))));
    let (labels, (images, texts)): (Vec<Labels>, (Vec<Embedding>, Vec<Embedding>)) = pairs.unzip();
    let run = output::run_on_rows(csv, &package, rows.len(), labels.len())?;
    args.output.present(Run {
        retrieval: retrieval(&images, &texts, &labels, args.ties.into()),
        reading: Some(report),
        ..run
    })
}
