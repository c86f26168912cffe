//! `bridgeclip eval classify`: answers compared with true labels.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::output;
use crate::classify::{MEMBER_PHOTOS_MAX, Observation};
use crate::cli::inputs::{self, EmbeddingsArgs, RootArgs, Seen};
use crate::cli::method::{MethodArgs, describe};
use crate::cli::outcome::Outcome;
use crate::cli::package_args::PackageArgs;
use crate::cli::progress;
use crate::cli::reading::ReadingArgs;
use crate::domain::{Category, Embedding, Labels, SecondLook, Sha256, Verdict};
use crate::evaluate::{Classification, Judged, Run, classification, doubts, urgency};
use crate::package::Package;
use crate::pipeline::Answerer;
use crate::reference::{self, Row, RowForm, Rows, write_predictions};

/// Classify the photos of a CSV, or take the answers of a predictions file, and score them by the published metrics.
///
/// Each category is scored over the rows that are valid for it; one without any labels is left out of the mean. Photos
/// that cannot be read are named and left out.
/// Also scored: how well confidences are calibrated, how many urgent photos are found and at how many
/// false alarms, and how often answers with a reason for a second look are wrong.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("input").required(true))]
pub struct Args {
    /// Rows with the published columns: image, kenzenudo, taisaku, damage_type, damage_loc and *_valid; or with some of
    /// them.
    #[arg(long, value_name = "CSV", group = "input")]
    csv: Option<PathBuf>,
    /// Score a file of the published form, with the columns pred_kenzenudo, pred_taisaku and so on; needs no model.
    #[arg(long, value_name = "CSV", group = "input", conflicts_with_all = MODEL_ARGS)]
    predictions: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    output: output::Args,
}

/// What answers are made with; a predictions file has its own.
#[derive(Debug, clap::Args)]
struct ModelArgs {
    #[command(flatten)]
    root: RootArgs,
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    vectors: EmbeddingsArgs,
    #[command(flatten)]
    method: MethodArgs,
    /// Give the photos that have the same value in this column one answer, as the photos of one member.
    #[arg(long, value_name = "COLUMN")]
    members: Option<String>,
    /// Write the CSV's rows with the answers as pred_* columns.
    #[arg(long, value_name = "CSV")]
    out_csv: Option<PathBuf>,
}

/// Number of photos that share a scan of the reference.
const SEARCHES: usize = 256;

const MODEL_ARGS: [&str; 8] =
    ["image_root", "package", "embeddings", "method", "rule", "neighbours", "members", "out_csv"];

pub fn run(args: &Args) -> Result<Outcome> {
    let run = match (&args.csv, &args.predictions) {
        (Some(csv), _) => answered(csv, args)?,
        (None, Some(predictions)) => predicted(predictions, &args.reading)?,
        (None, None) => unreachable!("clap asks for one of the two"),
    };
    args.output.present(run)
}

/// Scores the answers of a predictions file.
fn predicted(path: &Path, how: &ReadingArgs) -> Result<Run> {
    let Rows { rows, present, report } = inputs::rows(path, RowForm::Predicted, how)?;
    let judged: Vec<Judged> = rows.into_iter().map(|row| Judged::by_labels(row.labels, &row.predicted)).collect();
    let mut scores = classification(&judged);
    for category in Category::ALL.into_iter().filter(|category| !present.predictions[*category as usize]) {
        scores.leave_out(category, &format!("there is no column `pred_{}`", category.column()));
    }
    ensure_scored(path, &scores)?;
    Ok(Run { photos: judged.len(), reading: Some(report), classification: Some(scores), ..output::new_run(path, None) })
}

fn ensure_scored(csv: &Path, scores: &Classification) -> Result<()> {
    let reasons: Vec<String> =
        scores.not_scored.iter().map(|(category, reason)| format!("{category}: {reason}")).collect();
    ensure!(!scores.categories.is_empty(), "{}: no category can be scored; {}", csv.display(), reasons.join("; "));
    Ok(())
}

/// Classifies the photos of a CSV and scores the answers.
fn answered(csv: &Path, Args { model: args, reading, .. }: &Args) -> Result<Run> {
    let Rows { rows, report, .. } = inputs::rows(csv, RowForm::Labelled, reading)?;
    if let Some(out) = &args.out_csv {
        // Replacing the input would lose the rows that are left out of the output.
        let same = fs::canonicalize(out).is_ok_and(|out| fs::canonicalize(csv).is_ok_and(|csv| csv == out));
        ensure!(!same, "{}: --out-csv would replace the CSV that is read; name another file", out.display());
    }
    let package = args.package.open()?;
    let answerer = Answerer::load(&package, args.method.params())?;
    let photos = args.root.photos(csv);
    let seen = photos.seen(args.vectors.embeddings.as_deref(), &rows, &package)?;
    let verdicts = match &args.members {
        None => verdicts(&answerer, &seen)?,
        Some(column) => of_members(csv, column, &answerer, &seen)?,
    };
    if let Some(out) = &args.out_csv {
        write_answers(csv, &verdicts, out)?;
    }
    let run = score(csv, &package, &rows, &verdicts)?;
    let mut method = describe(&args.method.params());
    if let Some(column) = &args.members {
        method += &format!(", photos with the same `{column}` joined");
    }
    Ok(Run { method: Some(method), reading: Some(report), ..run })
}

/// Returns a verdict for each photo that can be used.
fn verdicts(answerer: &Answerer, photos: &[Option<Seen>]) -> Result<Vec<Option<Verdict>>> {
    let bar = progress::bar(photos.len(), "searches");
    let mut verdicts = Vec::with_capacity(photos.len());
    for group in photos.chunks(SEARCHES) {
        let mut found = answerer.verdicts(&group.iter().flatten().cloned().collect::<Vec<_>>())?.into_iter();
        verdicts.extend(group.iter().map(|seen| seen.as_ref().and_then(|_| found.next())));
        bar.inc(group.len() as u64);
    }
    bar.finish_and_clear();
    Ok(verdicts)
}

/// Returns each usable photo's own verdict, with the classes and sets of its member. Photos without a value in the
/// column are members of their own.
fn of_members(csv: &Path, column: &str, answerer: &Answerer, photos: &[Option<Seen>]) -> Result<Vec<Option<Verdict>>> {
    let names = reference::column(csv, column).with_context(|| format!("{}: cannot read", csv.display()))?;
    let names = names.with_context(|| format!("{}: there is no column `{column}`", csv.display()))?;
    let mut members: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
    for (index, _) in photos.iter().enumerate().filter(|(_, photo)| photo.is_some()) {
        let name = names.get(index).map_or("", String::as_str);
        members.entry((name, if name.is_empty() { index } else { 0 })).or_default().push(index);
    }
    let mut verdicts = vec![None; photos.len()];
    let bar = progress::bar(members.len(), "members");
    for group in members.values() {
        ensure!(
            group.len() <= MEMBER_PHOTOS_MAX,
            "{column} `{}`: more than {MEMBER_PHOTOS_MAX} photos",
            names[group[0]]
        );
        let seen: Vec<&Seen> = group.iter().filter_map(|&index| photos[index].as_ref()).collect();
        let embeddings: Vec<Embedding> = seen.iter().map(|(embedding, _)| embedding.clone()).collect();
        let evidence = answerer.evidence(&embeddings)?;
        let observations = group.iter().zip(embeddings.iter().zip(&evidence));
        let observations = observations.map(|(&index, (embedding, evidence))| Observation {
            capture: index as i64,
            sha256: Sha256([0; 32]),
            embedding,
            evidence,
            inspected: None,
        });
        let answer = answerer.engine.member(&observations.collect::<Vec<_>>());
        for ((&index, (embedding, quality)), evidence) in group.iter().zip(seen).zip(evidence) {
            let own = answerer.engine.verdict(embedding, evidence, quality.as_ref());
            let (categories, not_excluded) = (answer.categories.clone(), answer.not_excluded.clone());
            verdicts[index] = Some(Verdict { categories, not_excluded, ..own });
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(verdicts)
}

fn score(csv: &Path, package: &Package, rows: &[Row], verdicts: &[Option<Verdict>]) -> Result<Run> {
    let answered: Vec<(&Row, &Verdict)> =
        rows.iter().zip(verdicts).filter_map(|(row, verdict)| Some((row, verdict.as_ref()?))).collect();
    let run = output::run_on_rows(csv, package, rows.len(), answered.len())?;
    let judge = |(row, verdict): &(&Row, &Verdict)| Judged::by_verdict(row.labels.clone(), verdict);
    let judged: Vec<Judged> = answered.iter().map(judge).collect();
    let reasons = answered.iter().map(|(_, verdict)| -> &[SecondLook] { &verdict.second_look });
    let scores = classification(&judged);
    ensure_scored(csv, &scores)?;
    Ok(Run {
        classification: Some(scores),
        urgency: Some(urgency(answered.iter().map(|(row, verdict)| (&row.labels, verdict.urgency.review)))),
        second_look: Some(doubts(judged.iter().zip(reasons))),
        ..run
    })
}

fn write_answers(csv: &Path, verdicts: &[Option<Verdict>], out: &Path) -> Result<()> {
    let labels: Vec<Option<Labels>> = verdicts.iter().map(|verdict| verdict.as_ref().map(Verdict::labels)).collect();
    let mut table = Vec::new();
    write_predictions(csv, &labels, &mut table).with_context(|| format!("{}: cannot copy", csv.display()))?;
    fs::write(out, table).with_context(|| format!("{}: cannot write", out.display()))
}
