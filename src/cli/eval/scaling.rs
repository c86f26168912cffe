//! `bridgeclip eval scaling`: k-NN classification with parts of the reference.

use std::str::FromStr;

use anyhow::{Result, ensure};

use super::output;
use crate::classify::Params;
use crate::cli::inputs::{CsvArgs, EmbeddingsArgs};
use crate::cli::method::{NeighboursArgs, describe};
use crate::cli::outcome::Outcome;
use crate::cli::package_args::PackageArgs;
use crate::domain::{Embedding, Labels};
use crate::evaluate::{Run, ScalingPoint, scaling};
use crate::reference::{LabelledVectors, Rows, Stamp};

/// Score k-NN classification with random parts of the reference, to see what more labelled photos would bring.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    rows: CsvArgs,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    vectors: EmbeddingsArgs,
    /// Photos of the reference to take, for example 10k,20k,all.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "all")]
    subsets: Vec<Size>,
    #[command(flatten)]
    neighbours: NeighboursArgs,
    #[command(flatten)]
    output: output::Args,
}

/// A number of reference photos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Photos(usize),
    All,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Size::All);
        }
        let (digits, factor) = text.strip_suffix('k').map_or((text, 1), |thousands| (thousands, 1000));
        let count = digits.parse().ok().and_then(|number: usize| number.checked_mul(factor));
        count.filter(|count| *count > 0).map(Size::Photos).ok_or_else(|| format!("`{text}`: expected 5000, 5k or all"))
    }
}

pub fn run(args: &Args) -> Result<Outcome> {
    let csv = &args.rows.csv;
    let Rows { rows, report, .. } = args.rows.rows()?;
    let package = args.package.open()?;
    let path = package.reference()?;
    let reference = LabelledVectors::read(&path, &Stamp::of(&package))?;
    let sizes = sizes(&args.subsets, reference.len())?;
    let embeddings = args.rows.photos().embeddings(args.vectors.embeddings.as_deref(), &rows, &package)?;
    let usable = rows.iter().zip(embeddings).filter_map(|(row, embedding)| Some((row.labels.clone(), embedding?)));
    let (truth, queries): (Vec<Labels>, Vec<Embedding>) = usable.unzip();
    let run = output::run_on_rows(csv, &package, rows.len(), queries.len())?;
    let neighbours = args.neighbours.count();
    let points = scaling(&reference, &queries, &truth, &sizes, neighbours);
    args.output.present(Run {
        method: Some(describe(&Params { neighbours, ..Params::default() })),
        classification: points.last().map(|ScalingPoint { classification, .. }| classification.clone()),
        scaling: points,
        reading: Some(report),
        ..run
    })
}

/// Returns the wanted sizes in ascending order, without duplicates.
fn sizes(wanted: &[Size], available: usize) -> Result<Vec<usize>> {
    let mut sizes = Vec::new();
    for size in wanted {
        let size = match size {
            Size::Photos(size) => *size,
            Size::All => available,
        };
        ensure!(
            (1..=available).contains(&size),
            "--subsets: {size} photos are wanted, the reference has {available}; ask for fewer or for `all`"
        );
        sizes.push(size);
    }
    sizes.sort_unstable();
    sizes.dedup();
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_thousands_or_all() {
        assert_eq!("10k".parse(), Ok(Size::Photos(10_000)));
        assert_eq!("2500".parse(), Ok(Size::Photos(2_500)));
        assert_eq!("all".parse(), Ok(Size::All));
        for wrong in ["", "k", "0", "-1", "1.5k", "99999999999999999999k"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
        assert_eq!(sizes(&[Size::All, Size::Photos(5), Size::Photos(9)], 9).unwrap(), [5, 9]);
        assert!(sizes(&[Size::Photos(10)], 9).is_err());
    }
}
