//! `bridgeclip reference fit-rules`: fits the balanced vote, calibration and thresholds to labelled photos.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::json;

use crate::classify::{Engine, FusedVote, Neighbour, Params, Rules};
use crate::cli::inputs::{CsvArgs, EmbeddingsArgs, nearest};
use crate::cli::method::{NeighboursArgs, describe};
use crate::cli::outcome::Outcome;
use crate::cli::present;
use crate::domain::{Category, Class, Embedding, Labels, Rule};
use crate::evaluate::decimals;
use crate::fit::{
    CategoryGain, ClassCoverage, ClassShares, FusedGain, Gain, NEIGHBOURHOOD, RulesCheck, Sample, SetsCheck, WayCheck,
    fit_rules,
};
use crate::package::Package;
use crate::pipeline::fitted;
use crate::reference::{FittedKind, Hit, Reference, Revision, Row, refuse_duplicates};

/// Similarity from which a photo and its nearest neighbour count as one photo if they have the same name. The value
/// leaves room for embeddings by another encoder.
const SAME_PHOTO: f32 = 0.99;

/// Fit the balanced vote, the fused rule, the calibration of confidences, the ratings and measures that are not excluded,
/// and the thresholds of review_urgent and second_look on labelled photos that are not in the reference, and keep them there.
///
/// Fit linear heads and prompts first: their confidences are calibrated too. What is printed was measured by
/// cross-validation: each fifth of the photos is answered by rules fitted to the other four. If the CSV has the columns
/// `bridge` and `member`, the photos of a member are in the same fifth.
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
    let rows = args.rows.rows()?.rows;
    refuse_duplicates(rows.iter().map(|row| (&*row.image, format!("line {}", row.line))))?;
    let embeddings = args.rows.photos().embeddings(args.vectors.embeddings.as_deref(), &rows, &package)?;
    let usable = rows.into_iter().zip(embeddings).filter_map(|(row, embedding)| Some((row, embedding?)));
    let (rows, photos): (Vec<Row>, Vec<Embedding>) = usable.unzip();
    let (rules, check) = fit(args, &package, &rows, &photos)?;
    let fused = rules.fused.as_ref().map(|fused| &fused.vote);
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
    let text = if args.json { format!("{note}\n") } else { table(&csv, &check, neighbours, fused) };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Outcome::Good)
}

fn fit(args: &Args, package: &Package, rows: &[Row], photos: &[Embedding]) -> Result<(Rules, RulesCheck)> {
    let reference = Reference::open(&package.reference()?, package)?;
    let params = Params { neighbours: args.neighbours.count(), ..Params::default() };
    let engine = Engine::new(params, fitted(&reference)?, reference.dim())?;
    let found = nearest(&reference, photos, params.neighbours.max(NEIGHBOURHOOD))?;
    refuse_own_photos(&args.rows.csv, rows, &found, &reference)?;
    let labels = reference.labels()?;
    let samples = samples(rows, photos, &found, &labels, &engine);
    Ok(fit_rules(&samples, &ClassShares::of(&labels), &engine.judge().source)?)
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
    let sample = |(group, (row, (photo, hits))): (usize, (&Row, (&Embedding, &Vec<Hit>)))| Sample {
        group,
        truth: row.labels.clone(),
        neighbours: hits.iter().map(neighbour).collect(),
        opinions: engine.opinions(photo),
    };
    groups(rows).into_iter().zip(rows.iter().zip(photos.iter().zip(found))).map(sample).collect()
}

/// Numbers the members that the photos show. A photo of an unknown member is a group of its own.
fn groups(rows: &[Row]) -> Vec<usize> {
    let mut first = HashMap::new();
    let group = |(index, row): (usize, &Row)| match &row.member {
        Some(member) => *first.entry(member.clone()).or_insert(index),
        None => index,
    };
    rows.iter().enumerate().map(group).collect()
}

fn table(csv: &str, check: &RulesCheck, neighbours: usize, vote: Option<&FusedVote>) -> String {
    let RulesCheck { photos, folds, ways, fused, not_excluded, urgency } = check;
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
    text += &fused.as_ref().map(|gain| fused_gains(gain, vote)).unwrap_or_default();
    text += &not_excluded.iter().map(|(category, check)| coverages(*category, check)).collect::<String>();
    text + &present::urgency_scores(urgency)
}

/// Describes the gain of the fused rule.
fn fused_gains(gain: &FusedGain, vote: Option<&FusedVote>) -> String {
    let head = "F1 by the published and by the fused rule, with the interval of 95 % of the difference\n";
    let result = |category: Category| match vote.and_then(|vote| vote.0[category as usize].as_ref()) {
        Some(_) => "",
        None => "  not better: the rule keeps the published vote",
    };
    let of = |category: Category| {
        let CategoryGain { total, classes, .. } = &gain.categories[category as usize];
        let classes = category.classes().iter().zip(classes).map(|(class, gain)| gain_line(4, class.en, gain) + "\n");
        gain_line(2, category.id(), total) + result(category) + "\n" + &classes.collect::<String>()
    };
    format!("{head}{}\n{}", gain_line(2, "mean", &gain.mean), Category::ALL.map(of).concat())
}

/// Describes the prediction sets of a category.
fn coverages(category: Category, check: &SetsCheck) -> String {
    let line = |(class, coverage): (&Class, &ClassCoverage)| {
        let ClassCoverage { photos, coverage, interval: (low, high), mean_size, always } = coverage;
        let figures = match (always, photos) {
            (true, _) => "never excluded: too few labelled photos".to_owned(),
            (false, 0) => "no photos".to_owned(),
            _ => format!("{coverage:.3} [{low:.3}, {high:.3}]  {mean_size:.1} classes"),
        };
        format!("    {:<42} {photos:>6} photos  {figures}\n", class.en)
    };
    let lines = category.classes().iter().zip(&check.classes).map(line);
    let head = "share of the photos of each class whose set of classes that are not excluded holds it";
    format!("{category}: {head}; {:.2} classes on average\n{}", check.mean_size, lines.collect::<String>())
}

fn gain_line(indent: usize, name: &str, gain: &Gain) -> String {
    let Gain { published, fused, interval: (low, high) } = gain;
    let name = format!("{:indent$}{name}", "");
    format!("{name:<46} {published:.3} > {fused:.3}  {:+.3} [{low:+.3}, {high:+.3}]", fused - published)
}

fn name(way: &WayCheck, neighbours: usize) -> String {
    let rule = way.rule.unwrap_or(Rule::Published);
    describe(&Params { method: way.method, rule, neighbours })
}
