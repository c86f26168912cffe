//! `bridgeclip reference fit-heads`: fits linear heads to the reference's own photos.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::cli::outcome::Outcome;
use crate::cli::progress;
use crate::cli::stop::stop_flag;
use crate::domain::Category;
use crate::heads::{EpochEnd, FitError, FitParams, Heads, Preparation, fit};
use crate::kernels::{self, processors};
use crate::package::Package;
use crate::reference::{FittedKind, LabelledVectors, Revision, Stamp};

/// Train linear heads on the reference's photos, for `--method linear`, and keep them in the reference.
///
/// By the published recipe unless told otherwise: a layer norm and a linear layer per category, AdamW, 30 epochs on
/// batches of 64, dropout 0.3. The same seed gives the same heads. Ctrl-C leaves the reference as it was.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model package.
    #[arg(long, value_name = "DIR")]
    package: PathBuf,
    /// Seed of the initial weights, the order of the photos and the dropout.
    #[arg(long, value_name = "N", default_value_t = FitParams::default().seed)]
    seed: u64,
    /// Passes over the photos. More than the published number takes longer, and fits the photos more closely.
    #[arg(long, value_name = "N", default_value_t = FitParams::default().epochs)]
    epochs: usize,
    /// Photos in a step.
    #[arg(long, value_name = "N", default_value_t = FitParams::default().batch)]
    batch: usize,
    /// Learning rate of the first epoch; it falls along half a cosine.
    #[arg(long, value_name = "RATE", default_value_t = FitParams::default().learning_rate)]
    learning_rate: f32,
    /// Share of every weight, times the learning rate, that a step removes.
    #[arg(long, value_name = "SHARE", default_value_t = FitParams::default().weight_decay)]
    weight_decay: f32,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let mut package = Package::open(&args.package)?;
    let revision = Revision::start(&package)?;
    let vectors = LabelledVectors::read(&package.reference()?, &Stamp::of(&package))?;
    let Args { seed, epochs, batch, learning_rate, weight_decay, .. } = *args;
    let params = FitParams { seed, epochs, batch, learning_rate, weight_decay, ..FitParams::default() };
    let stop = stop_flag()?;
    let (begin, losses) = (Instant::now(), Mutex::new(Map::new()));
    let heads = match train(&vectors, &params, &stop, &losses) {
        Err(FitError::Stopped) => {
            eprintln!("bridgeclip: stopped; {} is as it was", package.reference()?.display());
            return Ok(Outcome::Stopped);
        }
        trained => trained?.prepared(Preparation::from(&package.preprocess())),
    };
    let seconds = begin.elapsed().as_secs_f64();
    let losses = losses.into_inner().expect("no thread panicked");
    let note = note(&params, vectors.len(), &losses);
    revision.put(&mut package, FittedKind::Heads, &note, &heads.to_bytes())?;
    report(args, vectors.len(), seconds, note)?;
    Ok(Outcome::Good)
}

/// Trains the heads. `losses` receives the loss of each category's last epoch.
fn train(
    vectors: &LabelledVectors,
    params: &FitParams,
    stop: &AtomicBool,
    losses: &Mutex<Map<String, Value>>,
) -> Result<Heads, FitError> {
    let bar = progress::bar(Category::ALL.len() * params.epochs, "epochs");
    let progress = |end: &EpochEnd| {
        let EpochEnd { category, epoch, loss } = end;
        bar.inc(1);
        bar.set_message(format!("{category}: epoch {epoch}, loss {loss:.4}"));
        losses.lock().expect("no thread panics while it holds the lock").insert(category.to_string(), json!(loss));
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let kernel = kernels::selected().expect("the kernel was selected when the reference was read");
    let heads = fit(&vectors.values, vectors.dim, &vectors.labels, params, kernel, processors(), &progress);
    bar.finish_and_clear();
    heads
}

/// Returns the note about the heads that the reference stores.
fn note(params: &FitParams, photos: usize, losses: &Map<String, Value>) -> Value {
    json!({
        "by": "fit-heads",
        "photos": photos,
        "seed": params.seed,
        "epochs": params.epochs,
        "learning_rate": decimal(params.learning_rate),
        "weight_decay": decimal(params.weight_decay),
        "dropout": decimal(params.dropout),
        "batch": params.batch,
        "loss": losses,
    })
}

/// Returns the number with the decimals of its shortest f32 form, without the digits that a conversion to f64 would
/// add.
fn decimal(value: f32) -> Option<f64> {
    value.to_string().parse().ok()
}

fn report(args: &Args, photos: usize, seconds: f64, mut note: Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let kernel = kernels::selected()?.name;
    if args.json {
        (note["seconds"], note["kernel"]) = (json!(seconds), json!(kernel));
        writeln!(out, "{note}")?;
        return Ok(());
    }
    writeln!(out, "linear heads trained on {photos} photos in {seconds:.1} s ({kernel}); loss of the last epoch:")?;
    for (category, loss) in note["loss"].as_object().into_iter().flatten() {
        writeln!(out, "  {category:<16} {:.4}", loss.as_f64().unwrap_or(f64::NAN))?;
    }
    Ok(())
}
