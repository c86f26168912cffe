//! `bridgeclip eval classify`: answers against true labels.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use super::super::decode::DecodeArgs;
use super::super::{Outcome, demo, progress};
use super::{inputs, output};
use crate::classify::classify;
use crate::domain::{Category, CategoryLabels, Embedding, Labels, Verdict};
use crate::encoder::Package;
use crate::evaluate::{Judged, Run, classification};
use crate::reference::{Reference, Row, RowForm, write_predictions};

/// Classify the photos of a CSV, or take the answers of a predictions file, and score them by the published metrics.
///
/// Each category is scored over the rows that are valid for it. Photos that cannot be read are named and left out.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("input").required(true))]
pub struct Args {
    /// Rows with the published columns: image, text, kenzenudo, taisaku, damage_type, damage_loc and *_valid.
    #[arg(long, value_name = "CSV", group = "input")]
    csv: Option<PathBuf>,
    /// Score a file of the published form, with the columns pred_kenzenudo, pred_taisaku and so on; needs no model.
    #[arg(long, value_name = "CSV", group = "input")]
    predictions: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    output: output::Args,
}

#[derive(Debug, clap::Args)]
struct ModelArgs {
    /// Replaces the folder part of the image column; otherwise paths start at the CSV's folder.
    #[arg(long, value_name = "DIR", conflicts_with = "predictions")]
    image_root: Option<PathBuf>,
    /// The model package; the synthetic demo package if not given.
    #[arg(long, value_name = "DIR", conflicts_with = "predictions")]
    package: Option<PathBuf>,
    /// Embeddings of the photos, one row for each row of the CSV (float32); otherwise the photos are embedded.
    #[arg(long, value_name = "FILE.npy", conflicts_with = "predictions")]
    embeddings: Option<PathBuf>,
    #[command(flatten)]
    decode: DecodeArgs,
    /// How photos are classified.
    #[arg(long, value_enum, default_value_t = Method::Knn, conflicts_with = "predictions")]
    method: Method,
    /// Labelled photos that vote.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with = "predictions")]
    neighbours: u16,
    /// Write the CSV's rows with the answers as pred_* columns.
    #[arg(long, value_name = "CSV", conflicts_with = "predictions")]
    out_csv: Option<PathBuf>,
}

/// How photos are classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Vote of the nearest labelled photos, by the published rule.
    Knn,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let run = match (&args.csv, &args.predictions) {
        (Some(csv), _) => answered(csv, &args.model)?,
        (None, Some(predictions)) => predicted(predictions)?,
        (None, None) => unreachable!("clap asks for one of the two"),
    };
    args.output.present(run)
}

/// Scores the answers of a file.
fn predicted(path: &Path) -> Result<Run> {
    let rows = inputs::rows(path, RowForm::Predicted)?;
    let judged: Vec<Judged> = rows.into_iter().map(|row| Judged::by_labels(row.labels, &row.predicted)).collect();
    Ok(Run { photos: judged.len(), classification: Some(classification(&judged)), ..output::new_run(path, None) })
}

/// Classifies and scores.
fn answered(csv: &Path, args: &ModelArgs) -> Result<Run> {
    let rows = inputs::rows(csv, RowForm::Labelled)?;
    if let Some(out) = &args.out_csv {
        // Rows that are left out would be lost.
        let same = fs::canonicalize(out).is_ok_and(|out| fs::canonicalize(csv).is_ok_and(|csv| csv == out));
        ensure!(!same, "{}: --out-csv would replace the CSV that is read; name another file", out.display());
    }
    let package = demo::package_or_demo(args.package.as_deref())?;
    let reference = Reference::open(&package.reference()?, &package)?;
    let photos = inputs::Photos { csv, root: args.image_root.as_deref(), limits: args.decode.limits() };
    let embeddings = photos.embeddings(args.embeddings.as_deref(), &rows, &package)?;
    let verdicts = verdicts(&reference, &embeddings, args)?;
    if let Some(out) = &args.out_csv {
        write_answers(csv, &verdicts, out)?;
    }
    score(csv, &package, &rows, &verdicts, args)
}

fn verdicts(reference: &Reference, embeddings: &[Option<Embedding>], args: &ModelArgs) -> Result<Vec<Option<Verdict>>> {
    let bar = progress::bar(embeddings.len(), "searches");
    let verdict = |embedding: &Option<Embedding>| {
        bar.inc(1);
        let Some(embedding) = embedding else { return Ok(None) };
        match args.method {
            Method::Knn => Ok(Some(classify(reference.evidence(embedding, args.neighbours.into())?))),
        }
    };
    let verdicts = embeddings.iter().map(verdict).collect();
    bar.finish_and_clear();
    verdicts
}

fn score(csv: &Path, package: &Package, rows: &[Row], verdicts: &[Option<Verdict>], args: &ModelArgs) -> Result<Run> {
    let answered = rows.iter().zip(verdicts).filter_map(|(row, verdict)| Some((row, verdict.as_ref()?)));
    let judged: Vec<Judged> = answered.map(|(row, verdict)| Judged::by_verdict(row.labels.clone(), verdict)).collect();
    ensure!(!judged.is_empty(), "{}: no photo of it could be used; see --image-root", csv.display());
    Ok(Run {
        photos: judged.len(),
        left_out: rows.len() - judged.len(),
        method: Some(match args.method {
            Method::Knn => format!("k-NN, {} neighbours, published rule", args.neighbours),
        }),
        classification: Some(classification(&judged)),
        ..output::new_run(csv, Some(package))
    })
}

fn write_answers(csv: &Path, verdicts: &[Option<Verdict>], out: &Path) -> Result<()> {
    let labels: Vec<Option<Labels>> = verdicts.iter().map(|verdict| verdict.as_ref().map(labels)).collect();
    let mut table = Vec::new();
    write_predictions(csv, &labels, &mut table).with_context(|| format!("{}: cannot copy", csv.display()))?;
    fs::write(out, table).with_context(|| format!("{}: cannot write", out.display()))
}

fn labels(verdict: &Verdict) -> Labels {
    let indexes = |category: Category| verdict.get(category).classes.iter().map(|class| class.index);
    Labels::new(|category| CategoryLabels::new(category, indexes(category)))
}
