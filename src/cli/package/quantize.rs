//! `bridgeclip package quantize`: an int8 package from a float one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::cli::decode::input;
use crate::cli::outcome::Outcome;
use crate::cli::progress;
use crate::encoder::{self, Aim, Progress, Report, TowerReport};
use crate::evaluate::decimals;
use crate::kernels::Threads;
use crate::package::{Fidelity, Package};
use crate::pipeline::{Limits, read_file};

/// Maximum number of calibration photos, taken evenly from the sorted list. More photos add nothing.
const PHOTOS_MAX: usize = 200;
/// Number of synthetic pictures that are used without photos.
const PICTURES: usize = 32;

/// Make an int8 package from a float one: a quarter of the size, and faster.
///
/// Weights become int8 with a scale for each output, activations will be int8 with a scale for each token. Outlier
/// channels are smoothed by what calibration photos show; some photos of the kind that the device will see are best, 50
/// to 200 are enough. If the embeddings then differ too much from those of the float package, the layers that cost most
/// stay in float. The report shows each layer's error and the cosine of the embeddings to those of the float package.
#[derive(Debug, clap::Args)]
pub struct QuantizeArgs {
    /// The float package.
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The folder to make for the int8 package.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Photos to calibrate with, searched for in this folder and below. Without it, synthetic pictures are used.
    #[arg(long, value_name = "PHOTOS_DIR")]
    calibrate: Option<PathBuf>,
    /// Target for the mean cosine to the float package. A higher one keeps more layers in float.
    #[arg(long, value_name = "COSINE", default_value_t = Aim::default().mean, value_parser = cosine)]
    cosine_mean: f64,
    /// Target for the cosine of the worst calibration photo or caption.
    #[arg(long, value_name = "COSINE", default_value_t = Aim::default().worst, value_parser = cosine)]
    cosine_worst: f64,
    /// Threads; all cores if not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &QuantizeArgs) -> Result<Outcome> {
    let package = Package::open(&args.source)?;
    let threads = args.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    let pictures = match &args.calibrate {
        Some(dir) => photos(&package, dir)?,
        None => encoder::pictures(PICTURES, package.preprocess().size as usize),
    };
    let bar = progress::bar(0, "steps");
    let show = |progress: Progress| {
        bar.set_message(progress.stage);
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
    };
    let aim = Aim { mean: args.cosine_mean, worst: args.cosine_worst };
    let report = encoder::quantize(&package, &args.out, pictures, aim, &Threads::new(threads)?, &show)?;
    bar.finish_and_clear();
    print(args, &report)?;
    Ok(Outcome::Good)
}

fn cosine(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("expected 0 to 1".to_owned()),
    }
}

/// Returns the tensors of the photos in a folder. Unreadable photos are named on standard error and left out.
fn photos(package: &Package, dir: &Path) -> Result<Vec<Vec<f32>>> {
    let mut paths = Vec::new();
    list(dir, &mut paths).with_context(|| format!("{}: cannot be listed", dir.display()))?;
    paths.sort();
    let step = paths.len().div_ceil(PHOTOS_MAX).max(1);
    let bar = progress::bar(paths.len().div_ceil(step), "photos");
    let limits = Limits::default();
    let mut tensors = Vec::new();
    for path in paths.iter().step_by(step) {
        match read_file(path, &limits).and_then(|bytes| Ok(input(&bytes, package, &limits)?)) {
            Ok(input) => tensors.push(input.tensor),
            Err(error) => bar.suspend(|| eprintln!("bridgeclip: {}: {error}; left out", path.display())),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    ensure!(!tensors.is_empty(), "{}: no photo there that can be read", dir.display());
    Ok(tensors)
}

/// Lists all files with a photo's extension, in a folder and below. Does not follow links to folders.
fn list(dir: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "png", "tif", "tiff", "dng", "webp", "heic", "heif", "hif"];
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if entry.file_type()?.is_dir() {
            list(&path, paths)?;
        } else if EXTENSIONS.contains(&&*extension.to_ascii_lowercase()) {
            paths.push(path);
        }
    }
    Ok(())
}

fn print(args: &QuantizeArgs, report: &Report) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let calibration = if args.calibrate.is_some() { "photos" } else { "synthetic pictures" };
    if args.json {
        writeln!(out, "{}", json!({ "out": args.out, "calibration": calibration, "report": report }))?;
        return Ok(());
    }
    for (name, tower) in [("image", &report.image), ("text", &report.text)] {
        print_tower(&mut out, name, tower)?;
    }
    let samples = report.image.fidelity.samples;
    writeln!(out, "{}: calibrated with {samples} {calibration}", args.out.display())?;
    if args.calibrate.is_none() {
        writeln!(out, "  give photos with --calibrate to fit the smoothing to what the device will see")?;
    }
    for (name, tower) in [("image", &report.image), ("text", &report.text)] {
        let Fidelity { mean, percentile_1, worst, .. } = tower.fidelity;
        let float = tower.layers.iter().filter(|layer| layer.precision == "float").count();
        writeln!(
            out,
            "  {name:<5} {:>6.1} MB -> {:>5.1} MB, cosine to float: mean {mean:.5}, 1 % {percentile_1:.5}, worst \
             {worst:.5}; {float} of {} layers stay in float",
            tower.bytes_before as f64 / 1e6,
            tower.bytes_after as f64 / 1e6,
            tower.layers.len(),
        )?;
    }
    Ok(())
}

fn print_tower(out: &mut impl Write, name: &str, tower: &TowerReport) -> Result<()> {
    writeln!(out, "{name} encoder: error of each layer, and what it alone costs the embedding")?;
    let width = tower.layers.iter().map(|layer| layer.name.len()).max().unwrap_or_default();
    writeln!(
        out,
        "  {:<width$} {:>13}  {:<5} {:>5} {:>8} {:>10}",
        "layer", "size", "as", "alpha", "error", "1 - cosine"
    )?;
    for layer in &tower.layers {
        writeln!(
            out,
            "  {:<width$} {:>5} x {:>5}  {:<5} {:>5} {:>7.3}% {:>10}",
            layer.name,
            layer.outputs,
            layer.depth,
            layer.precision,
            decimals(layer.alpha.map(f64::from), 2),
            100.0 * layer.relative_error,
            layer.cosine_loss.map_or("-".to_owned(), |loss| format!("{loss:.2e}")),
        )?;
    }
    Ok(())
}
