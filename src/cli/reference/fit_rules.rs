//! `bridgeclip reference fit-rules`: fits the balanced vote, calibration and thresholds to labelled photos.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::json;

use crate::classify::{Engine, Neighbour, Params, Rules};
use crate::cli::inputs::{CsvArgs, EmbeddingsArgs};
use crate::cli::method::{NeighboursArgs, describe};
use crate::cli::outcome::Outcome;
use crate::cli::{present, progress};
use crate::domain::{Category, Embedding, Labels, Rule};
use crate::evaluate::decimals;
use crate::fit::{ClassShares, NEIGHBOURHOOD, RulesCheck, Sample, WayCheck, fit_rules};
use crate::package::Package;
use crate::pipeline::fitted;
use crate::reference::{FittedKind, Hit, Reference, Revision, Row, Search, refuse_duplicates};

/// Number of photos that share a scan of the reference.
const QUERIES: usize = 256;
/// Similarity from which a photo and its nearest neighbour count as one photo if they have the same name. The value
/// leaves room for embeddings by another encoder.
const SAME_PHOTO: f32 = 0.99;

/// Fit the balanced vote, the calibration of confidences and the thresholds of review_urgent and second_look on
/// labelled photos that are not in the reference, and keep them there.
///
/// Fit linear heads and prompts first: their confidences are calibrated too. What is printed was measured by
/// cross-validation: each fifth of the photos is answered by rules fitted to the other four.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    rows: CsvArgs,
    #[command(flatten)]
    vectors: EmbeddingsArgs,
    /// The model package.
    #[arg(long, value_name = "DIR")]
    package: PathBuf,
    #[command(flatten)]
    neighbours: NeighboursArgs,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let mut package = Package::open(&args.package)?;
    let revision = Revision::start(&package)?;
    let rows = args.rows.rows()?;
    refuse_duplicates(rows.iter().map(|row| (&*row.image, format!("line {}", row.line))))?;
    let embeddings = args.rows.photos().embeddings(args.vectors.embeddings.as_deref(), &rows, &package)?;
    let usable = rows.into_iter().zip(embeddings).filter_map(|(row, embedding)| Some((row, embedding?)));
    let (rows, photos): (Vec<Row>, Vec<Embedding>) = usable.unzip();
    let (rules, check) = fit(args, &package, &rows, &photos)?;
    let csv = present::file_name(&args.rows.csv);
    let neighbours = args.neighbours.count();
    let note = json!({
        "by": "fit-rules",
        "csv": csv,
        "photos": check.photos,
        "neighbours": neighbours,
        "cross_validation": check,
    });
    revision.put(&mut package, FittedKind::Rules, &note, &rules.to_bytes())?;
    let text = if args.json { format!("{note}\n") } else { table(&csv, &check, neighbours) };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Outcome::Good)
}

fn fit(args: &Args, package: &Package, rows: &[Row], photos: &[Embedding]) -> Result<(Rules, RulesCheck)> {
    let reference = Reference::open(&package.reference()?, package)?;
    let params = Params { neighbours: args.neighbours.count(), ..Params::default() };
    let engine = Engine::new(params, fitted(&reference)?, reference.dim())?;
    let found = search(&reference, photos, params.neighbours.max(NEIGHBOURHOOD))?;
    refuse_own_photos(&args.rows.csv, rows, &found, &reference)?;
    let labels = reference.labels()?;
    let samples = samples(rows, photos, &found, &labels, &engine);
    Ok(fit_rules(&samples, &ClassShares::of(&labels), &engine.judge().source)?)
}

/// Returns the nearest reference photos of each photo.
fn search(reference: &Reference, photos: &[Embedding], count: usize) -> Result<Vec<Vec<Hit>>> {
    let bar = progress::bar(photos.len(), "searches");
    let mut found = Vec::with_capacity(photos.len());
    for photos in photos.chunks(QUERIES) {
        found.extend(reference.hits(photos, &Search::nearest(count))?);
        bar.inc(photos.len() as u64);
    }
    bar.finish_and_clear();
    Ok(found)
}

/// Fails if a photo is in the reference. Such a photo finds itself, so rules fitted to it would trust the nearest
/// neighbour alone.
fn refuse_own_photos(csv: &Path, rows: &[Row], found: &[Vec<Hit>], reference: &Reference) -> Result<()> {
    for (row, hits) in rows.iter().zip(found) {
        let Some(nearest) = hits.first().filter(|hit| hit.similarity >= SAME_PHOTO) else { continue };
        if reference.row(nearest.position)?.0.image == row.image {
            bail!(
                "{}, line {}: {} is a photo of the reference; fit the rules on photos that are not in it",
                csv.display(),
                row.line,
                row.image
            );
        }
    }
    Ok(())
}

fn samples<'a>(
    rows: &[Row],
    photos: &[Embedding],
    found: &[Vec<Hit>],
    labels: &'a [Labels],
    engine: &Engine,
) -> Vec<Sample<'a>> {
    let neighbour = |hit: &Hit| Neighbour { similarity: hit.similarity, labels: &labels[hit.position] };
    let sample = |(row, (photo, hits)): (&Row, (&Embedding, &Vec<Hit>))| Sample {
        truth: row.labels.clone(),
        neighbours: hits.iter().map(neighbour).collect(),
        opinions: engine.opinions(photo),
    };
    rows.iter().zip(photos.iter().zip(found)).map(sample).collect()
}

fn table(csv: &str, check: &RulesCheck, neighbours: usize) -> String {
    let RulesCheck { photos, folds, ways, urgency } = check;
    let mut text = format!(
        "rules fitted to {photos} photos of {csv}\n\
         by cross-validation ({folds} parts, each answered by rules fitted to the others):\n"
    );
    let heads = Category::ALL.map(|category| format!(" {:>15}", category.id())).concat();
    text += &format!("{:<38}{heads} {:>8}\n", "macro-F1", "mean");
    for way in ways {
        let figures = Category::ALL
            .map(|category| format!(" {:>15}", decimals(way.macro_f1.get(&category).copied(), 4)))
            .concat();
        text += &format!("  {:<36}{figures} {:>8.4}\n", name(way, neighbours), way.mean_macro_f1);
    }
    text += &format!("{:<38}{heads}\n", "calibration error, before and after");
    for way in ways {
        let of = |category| [&way.own_calibration_error, &way.calibration_error].map(|errors| errors.get(&category));
        let pair = |category| format!(" {:>15}", of(category).map(|error| decimals(error.copied(), 3)).join(" > "));
        text += &format!("  {:<36}{}\n", name(way, neighbours), Category::ALL.map(pair).concat());
    }
    text + &present::urgency_scores(urgency)
}

fn name(way: &WayCheck, neighbours: usize) -> String {
    let rule = way.rule.unwrap_or(Rule::Published);
    describe(&Params { method: way.method, rule, neighbours })
}
