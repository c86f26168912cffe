//! Output of scores: a table or JSON on standard output, and files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::cli::outcome::Outcome;
use crate::cli::present;
use crate::domain::Category;
use crate::evaluate::{Classification, Direction, DirectionScores, DoubtScores, Run, Ties, decimals, html};
use crate::package::Package;

/// What every evaluation can write.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The name of this run in the report; the package's name or that of the file if not given.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write all scores as JSON.
    #[arg(long, value_name = "FILE.json")]
    out: Option<PathBuf>,
    /// Write a report for people: one HTML file that needs nothing else.
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Writes and prints `run`. The outcome reports whether rows were left out.
    pub fn present(&self, mut run: Run) -> Result<Outcome> {
        run.name = self.name.clone().unwrap_or(run.name);
        if let Some(path) = &self.out {
            write(path, &(serde_json::to_string_pretty(&run)? + "\n"))?;
        }
        if let Some(path) = &self.html {
            write(path, &html(std::slice::from_ref(&run)))?;
        }
        let text = if self.json { serde_json::to_string(&run)? + "\n" } else { table(&run) };
        std::io::stdout().lock().write_all(text.as_bytes())?;
        Ok(Outcome::from_failures(run.left_out))
    }
}

/// Writes a text file. Errors name the file.
pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{}: cannot write", path.display()))
}

/// Returns a run on `data` without scores.
pub fn new_run(data: &Path, package: Option<&Package>) -> Run {
    let name = package.map(|package| package.manifest().name.clone());
    let described = |package: &Package| {
        let manifest = package.manifest();
        format!("{} {} ({})", manifest.name, manifest.version, package.hash())
    };
    Run {
        name: name.unwrap_or_else(|| data.file_stem().unwrap_or_default().to_string_lossy().into_owned()),
        data: present::file_name(data).into_owned(),
        package: package.map(described),
        ..Run::default()
    }
}

/// Returns a run on a CSV without scores. `used` of its `rows` rows could be used. Fails if there is none.
pub fn run_on_rows(csv: &Path, package: &Package, rows: usize, used: usize) -> Result<Run> {
    ensure!(used > 0, "{}: no photo of it could be used; see --image-root", csv.display());
    Ok(Run { photos: used, left_out: rows - used, ..new_run(csv, Some(package)) })
}

fn table(run: &Run) -> String {
    let mut text = format!("{}: {} rows of {}, {} left out\n", run.name, run.photos, run.data, run.left_out);
    if let Some(method) = &run.method {
        text += &format!("{method}\n");
    }
    if let Some(classification) = &run.classification {
        text += &classification_table(classification);
    }
    text += &run.urgency.as_ref().map(present::urgency_scores).unwrap_or_default();
    text += &run.second_look.as_ref().map(second_look_table).unwrap_or_default();
    for (direction, scores) in &run.retrieval {
        text += &retrieval_table(*direction, scores);
    }
    for point in &run.scaling {
        let mean = point.classification.mean_macro_f1;
        text += &format!("{:>8} photos in the reference: mean macro-F1 {mean:.4}\n", point.reference_photos);
    }
    text
}

fn second_look_table(scores: &DoubtScores) -> String {
    let head = format!("{:<20} {:>7} {:>9}\n", "second look", "photos", "wrong");
    scores.rows().fold(head, |text, [name, photos, share]| text + &format!("  {name:<18} {photos:>7} {share:>9}\n"))
}

fn retrieval_table(direction: Direction, scores: &DirectionScores) -> String {
    let title = match direction {
        Direction::ImageToText => "photo finds text",
        Direction::TextToImage => "text finds photo",
        Direction::ImageToImage => "photo finds other photos",
    };
    let at =
        |figures: &BTreeMap<usize, f64>| figures.values().map(|value| format!(" {value:>8.4}")).collect::<String>();
    let mut text = format!("{title:<32} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "@1", "@5", "@10", "mAP", "NDCG@10");
    if !scores.recall.is_empty() {
        text += &format!("  {:<30}{}\n", "R", at(&scores.recall));
    }
    if scores.tied_queries > 0 {
        let bound = |index: usize| scores.recall_bounds.iter().map(|(k, bounds)| (*k, bounds[index])).collect();
        text += &format!("  {:<30}{}\n", "R, own pair last among ties", at(&bound(0)));
        text += &format!("  {:<30}{}\n", "R, own pair first among ties", at(&bound(1)));
        let order = if scores.ties == Some(Ties::Random) { "; scores are expected values" } else { "" };
        text +=
            &format!("  for {} of {} queries, others are equally similar{order}\n", scores.tied_queries, scores.pairs);
    }
    if scores.attributes.is_empty() {
        text += "  no labels, so nothing about how they agree\n";
    }
    for (category, scores) in &scores.attributes {
        let (matched, precision, gain) = (at(&scores.attr_match), scores.mean_average_precision, scores.ndcg_at_10);
        text += &format!("  {:<30}{matched} {precision:>8.4} {gain:>8.4}\n", format!("AttrMatch {category}"));
    }
    text
}

fn classification_table(classification: &Classification) -> String {
    let mut text = format!(
        "{:<16} {:>7} {:>9} {:>9} {:>12} {:>9} {:>12} {:>12}\n",
        "", "photos", "macro-F1", "micro-F1", "weighted-F1", "mAP", "exact match", "calib. error"
    );
    for (category, scores) in &classification.categories {
        let error = decimals(scores.calibration.as_ref().map(|calibration| calibration.expected_error), 4);
        text += &format!(
            "{:<16} {:>7} {:>9.4} {:>9.4} {:>12.4} {:>9.4} {:>12.4} {error:>12}\n",
            Category::id(*category),
            scores.photos,
            scores.macro_f1,
            scores.micro_f1,
            scores.weighted_f1,
            scores.mean_average_precision,
            scores.exact_match,
        );
    }
    for (category, reason) in &classification.not_scored {
        text += &format!("{:<16} not scored: {reason}\n", Category::id(*category));
    }
    let over = format!("mean of {}", classification.categories.len());
    text + &format!("{over:<16} {:>7} {:>9.4}\n", "", classification.mean_macro_f1)
}
