//! `bridgeclip bench`: how fast decoding, the encoders and the search run on this machine.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::decode::DecodeArgs;
use super::outcome::Outcome;
use super::package_args::PackageArgs;
use super::{npy, progress};
use crate::classify::Params;
use crate::domain::{Embedding, Evidence};
use crate::encoder::{EncodeImage, ImageEncoder, TextEncoder, pictures};
use crate::kernels::{self, Kernel, Threads};
use crate::package::Package;
use crate::photo::{self, encoder_input};
use crate::pipeline::{Classifier, read_file};
use crate::random::Random;
use crate::reference::{Reference, Search};

/// Number of runs before the first one that counts.
const WARM_UP: usize = 5;
/// Time for which the peak of the processor is measured, before and after the encoder.
const PEAK: Duration = Duration::from_millis(150);
/// Number of queries in a batch.
const QUERIES: usize = 256;
/// Number of batches that are searched.
const BATCHES: usize = 5;
/// Number of neighbours of a search, as in the published pipeline.
const NEIGHBOURS: usize = 10;

/// Measure how fast decoding, the encoders and the search run on this machine.
///
/// Shown are the median time of one photo or text and the times that 5 % and 95 % stay below, the multiply-adds per
/// second, their share of the processor's int8 peak (measured in the same run, for as many cores), and the peak memory
/// of the whole process. Pin the process to a core and let nothing else run: `taskset -c 1 bridgeclip bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum, default_value = "encode")]
    what: What,
    /// The file for `bench photo`.
    #[arg(long, value_name = "FILE", required_if_eq("what", "photo"))]
    photo: Option<PathBuf>,
    #[command(flatten)]
    decode: DecodeArgs,
    #[command(flatten)]
    package: PackageArgs,
    /// Cores that one photo or text is split over.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    threads: u8,
    /// How often each encoder runs.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Search for these embeddings (float32, a row each) instead of some made from the reference; --json then tells
    /// which photos were found, by their row in the reference from 0.
    #[arg(long, value_name = "FILE.npy")]
    queries: Option<PathBuf>,
    /// Leave out the int8 peak: then the process does the same work in every run, and its instructions can be counted.
    #[arg(long)]
    no_peak: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The image encoder: a photo's tensor to its embedding.
    Encode,
    /// The text encoder: a text to its embedding.
    Text,
    /// The nearest labelled photos of an embedding, in the package's reference.
    Search,
    /// A photo file: its bytes to the encoder's input, and the file to its verdict. Needs --photo.
    Photo,
    /// Everything that needs no photo.
    All,
}

#[derive(Serialize)]
struct Report {
    package: String,
    precision: String,
    kernel: &'static str,
    threads: u8,
    encoders: Vec<EncoderReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<SearchReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    photo: Option<PhotoReport>,
    /// Peak memory of the process.
    memory_peak_bytes: Option<u64>,
}

#[derive(Serialize)]
struct EncoderReport {
    encoder: &'static str,
    /// Time from the opened package until the encoder is ready.
    load_ms: f64,
    median_ms: f64,
    percentile_5_ms: f64,
    percentile_95_ms: f64,
    multiply_adds: u64,
    multiply_adds_per_s: f64,
    #[serde(flatten)]
    peak: Option<PeakReport>,
}

#[derive(Serialize)]
struct PeakReport {
    /// Int8 peak of one core, times the number of threads.
    int8_peak_per_s: f64,
    /// Time as a multiple of the time that the multiply-adds alone take at the peak.
    times_floor: f64,
}

#[derive(Serialize)]
struct SearchReport {
    photos: usize,
    neighbours: usize,
    /// Time from the opened package to the first answer.
    load_ms: f64,
    median_ms: f64,
    percentile_5_ms: f64,
    percentile_95_ms: f64,
    /// Number of queries in a search for many queries together.
    batch_queries: usize,
    /// Time per query of a search for many queries together.
    batch_ms_per_query: f64,
    /// For each given query: the positions of the photos found, most similar first.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Vec<Vec<i64>>>,
}

#[derive(Serialize)]
struct PhotoReport {
    bytes: usize,
    pixels: [u32; 2],
    /// Scale of the decoding in eighths; 8 is full size.
    eighths: u8,
    /// Times from the bytes to the encoder's input.
    input: Times,
    /// Times from the file to the verdict.
    verdict: Times,
}

#[derive(Serialize)]
struct Times {
    median_ms: f64,
    percentile_5_ms: f64,
    percentile_95_ms: f64,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let begin = Instant::now();
    let package = args.package.open()?;
    let open_ms = milliseconds(begin.elapsed());
    let threads = Threads::new(args.threads.into())?;
    let mut encoders = Vec::new();
    if matches!(args.what, What::Encode | What::All) {
        encoders.push(image(args, &package, &threads)?);
    }
    if matches!(args.what, What::Text | What::All) {
        encoders.push(text(args, &package, &threads)?);
    }
    let search =
        matches!(args.what, What::Search | What::All).then(|| threads.run(|| search(args, &package))).transpose()?;
    let photo = args.photo.as_deref().filter(|_| args.what == What::Photo);
    let photo = photo.map(|path| photo_report(args, &package, &threads, path)).transpose()?;
    let report = Report {
        package: format!("{} {}", package.manifest().name, package.manifest().version),
        precision: package.manifest().precision.clone(),
        kernel: kernels::selected()?.name,
        threads: args.threads,
        encoders,
        search,
        photo,
        memory_peak_bytes: memory_peak(),
    };
    print(args, &report, open_ms)?;
    Ok(Outcome::Good)
}

fn image(args: &Args, package: &Package, threads: &Threads) -> Result<EncoderReport> {
    let begin = Instant::now();
    let encoder = ImageEncoder::load(package, threads)?;
    let load = begin.elapsed();
    let picture = pictures(1, package.preprocess().size as usize).remove(0);
    let run = || encoder.encode(&picture).map(drop);
    measure(args, "image", load, encoder.multiply_adds()?, run)
}

fn text(args: &Args, package: &Package, threads: &Threads) -> Result<EncoderReport> {
    const CAPTION: &str = "Cracking is observed in the main girder. The soundness rating is Ⅲ.";
    let begin = Instant::now();
    let encoder = TextEncoder::load(package, threads)?;
    let load = begin.elapsed();
    let run = || encoder.encode(CAPTION).map(drop);
    measure(args, "text", load, encoder.multiply_adds()?, run)
}

fn photo_report(args: &Args, package: &Package, threads: &Threads, path: &Path) -> Result<PhotoReport> {
    let limits = args.decode.limits();
    let classifier = Classifier::load(package, limits, Params::default(), threads)?;
    let bytes = read_file(path, &limits)?;
    let input = || {
        let preprocess = package.preprocess();
        Ok(encoder_input(&photo::open(&bytes, &preprocess, &limits.photo)?, &preprocess)?)
    };
    let verdict = || Ok(classifier.classify(&read_file(path, &limits)?)?);
    let first = input()?;
    Ok(PhotoReport {
        bytes: bytes.len(),
        pixels: first.pixels,
        eighths: first.raster.eighths,
        input: times(args, input)?,
        verdict: times(args, verdict)?,
    })
}

fn times<T>(args: &Args, run: impl Fn() -> Result<T>) -> Result<Times> {
    let mut times = Vec::new();
    for _ in 0..args.repeat as usize + WARM_UP {
        let begin = Instant::now();
        run()?;
        times.push(milliseconds(begin.elapsed()));
    }
    times.drain(..WARM_UP);
    times.sort_by(f64::total_cmp);
    Ok(Times {
        median_ms: percentile(&times, 50),
        percentile_5_ms: percentile(&times, 5),
        percentile_95_ms: percentile(&times, 95),
    })
}

fn search(args: &Args, package: &Package) -> Result<SearchReport> {
    let begin = Instant::now();
    let reference = Reference::open(&package.reference()?, package)?;
    let opened = begin.elapsed();
    let queries = match &args.queries {
        Some(file) => npy::read_embeddings(file, package.manifest().embedding_dim)?,
        None => queries(&reference, QUERIES)?,
    };
    let begin = Instant::now();
    reference.evidence(&queries[0], NEIGHBOURS)?;
    let load_ms = milliseconds(opened + begin.elapsed());
    let mut times = Vec::new();
    for query in queries.iter().cycle().take(args.repeat as usize + WARM_UP) {
        let begin = Instant::now();
        reference.evidence(query, NEIGHBOURS)?;
        times.push(milliseconds(begin.elapsed()));
    }
    times.drain(..WARM_UP);
    times.sort_by(f64::total_cmp);
    let (mut batches, mut found) = (Vec::new(), Vec::new());
    for _ in 0..BATCHES {
        let begin = Instant::now();
        found = reference.search_all(&queries, &Search::nearest(NEIGHBOURS))?;
        batches.push(milliseconds(begin.elapsed()));
    }
    let rows = |evidence: &Vec<Evidence>| evidence.iter().map(|photo| photo.reference_id - 1).collect();
    batches.sort_by(f64::total_cmp);
    Ok(SearchReport {
        photos: reference.len(),
        neighbours: NEIGHBOURS,
        load_ms,
        median_ms: percentile(&times, 50),
        percentile_5_ms: percentile(&times, 5),
        percentile_95_ms: percentile(&times, 95),
        batch_queries: queries.len(),
        batch_ms_per_query: percentile(&batches, 50) / queries.len() as f64,
        found: args.queries.is_some().then(|| found.iter().map(rows).collect()),
    })
}

/// Returns stored vectors, spread evenly over the reference, with noise of a tenth of their length. They are as near to
/// their neighbours as a new photo is.
fn queries(reference: &Reference, count: usize) -> Result<Vec<Embedding>> {
    ensure!(!reference.is_empty(), "the reference has no photos");
    let query = |index: usize| {
        let (_, embedding) = reference.row(index * reference.len() / count)?;
        let dim = embedding.values().len();
        let values = embedding.values().iter().zip(noise(index, dim)).map(|(value, noise)| value + noise);
        Ok(Embedding::normalise(values.collect())?)
    };
    (0..count).map(query).collect()
}

/// Returns a vector of a length of about 0.1, the same on every run.
fn noise(index: usize, dim: usize) -> impl Iterator<Item = f32> {
    let (end, mut random) = (0.17 / (dim as f32).sqrt(), Random::new(&[index as u64]));
    (0..dim).map(move |_| random.within(end))
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn measure<E: std::error::Error + Send + Sync + 'static>(
    args: &Args,
    encoder: &'static str,
    load: Duration,
    multiply_adds: u64,
    run: impl Fn() -> Result<(), E>,
) -> Result<EncoderReport> {
    let kernel: Kernel = kernels::selected()?;
    let measure_peak = || if args.no_peak { 0.0 } else { kernel.int8_peak(PEAK) };
    let peak_before = measure_peak();
    for _ in 0..WARM_UP {
        run()?;
    }
    let bar = progress::bar(args.repeat as usize, encoder);
    let mut times = Vec::new();
    for _ in 0..args.repeat {
        let begin = Instant::now();
        run()?;
        times.push(milliseconds(begin.elapsed()));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let peak = peak_before.max(measure_peak()) * f64::from(args.threads);
    times.sort_by(f64::total_cmp);
    let median_ms = percentile(&times, 50);
    let floor_ms = multiply_adds as f64 / peak * 1e3;
    let peak = PeakReport { int8_peak_per_s: peak, times_floor: median_ms / floor_ms };
    Ok(EncoderReport {
        encoder,
        load_ms: milliseconds(load),
        median_ms,
        percentile_5_ms: percentile(&times, 5),
        percentile_95_ms: percentile(&times, 95),
        multiply_adds,
        multiply_adds_per_s: multiply_adds as f64 / median_ms * 1e3,
        peak: (!args.no_peak).then_some(peak),
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Returns the high-water mark of this process's resident memory, which Linux keeps.
fn memory_peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn print(args: &Args, report: &Report, open_ms: f64) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut value = serde_json::to_value(report)?;
        value["open_ms"] = open_ms.into();
        writeln!(out, "{value}")?;
        return Ok(());
    }
    let Report { package, precision, kernel, threads, .. } = report;
    writeln!(out, "{package}, {precision}, kernel {kernel}, threads {threads}; package verified in {open_ms:.0} ms")?;
    for encoder in &report.encoders {
        writeln!(
            out,
            "  {:<5}  median {:.2} ms, 5 % {:.2} ms, 95 % {:.2} ms; loaded in {:.0} ms",
            encoder.encoder, encoder.median_ms, encoder.percentile_5_ms, encoder.percentile_95_ms, encoder.load_ms
        )?;
        let (work, speed) = (encoder.multiply_adds as f64 / 1e9, encoder.multiply_adds_per_s / 1e9);
        write!(out, "         {work:.2} G multiply-adds, {speed:.0} G/s")?;
        if let Some(PeakReport { int8_peak_per_s, times_floor }) = encoder.peak {
            let peak = int8_peak_per_s / 1e9;
            write!(out, " of {peak:.0} G/s int8 peak: {times_floor:.2} times the least time possible")?;
        }
        writeln!(out)?;
    }
    if let Some(search) = &report.search {
        let SearchReport { photos, neighbours, median_ms, percentile_5_ms, percentile_95_ms, .. } = search;
        writeln!(
            out,
            "  search  median {median_ms:.2} ms, 5 % {percentile_5_ms:.2} ms, 95 % {percentile_95_ms:.2} ms; first answer \
             after {:.0} ms\n          {neighbours} of {photos} photos; {} at once take {:.3} ms each",
            search.load_ms, search.batch_queries, search.batch_ms_per_query
        )?;
    }
    if let Some(PhotoReport { bytes, pixels: [width, height], eighths, input, verdict }) = &report.photo {
        writeln!(out, "  photo  {width} x {height}, {:.1} MB, decoded at {eighths}/8", *bytes as f64 / 1e6)?;
        for (name, times) in [("to the encoder's input", input), ("file to verdict", verdict)] {
            let Times { median_ms, percentile_5_ms, percentile_95_ms } = times;
            writeln!(
                out,
                "         {name}: median {median_ms:.2} ms, 5 % {percentile_5_ms:.2} ms, 95 % {percentile_95_ms:.2} ms"
            )?;
        }
    }
    if let Some(bytes) = report.memory_peak_bytes {
        writeln!(out, "  memory at most {:.1} MB", bytes as f64 / 1e6)?;
    }
    Ok(())
}
