//! `bridgeclip bench`: how fast decoding, the encoders and the search run on this machine.

mod answers;
mod times;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use self::answers::{AnswersReport, RuleReport};
use self::times::{Times, queries, timed};
use super::decode::{self, DecodeArgs};
use super::outcome::Outcome;
use super::package_args::PackageArgs;
use super::{npy, progress};
use crate::classify::Params;
use crate::domain::Evidence;
use crate::encoder::{EncodeImage, ImageEncoder, TextEncoder, pictures};
use crate::kernels::{self, Kernel, Threads};
use crate::package::Package;
use crate::pipeline::{Classifier, read_file};
use crate::reference::{Reference, Search};

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
    /// Answers: an embedding to its verdict by each rule that the reference has, and 50 photos to their member's answer.
    Answers,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<AnswersReport>,
    /// Peak memory of the process.
    memory_peak_bytes: Option<u64>,
}

#[derive(Serialize)]
struct EncoderReport {
    encoder: &'static str,
    /// Time from the opened package until the encoder is ready.
    load_ms: f64,
    #[serde(flatten)]
    times: Times,
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
    #[serde(flatten)]
    times: Times,
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

pub fn run(args: &Args) -> Result<Outcome> {
    let (package, open_ms) = timed(|| args.package.open())?;
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
    let answers =
        (args.what == What::Answers).then(|| threads.run(|| answers::report(args.repeat, &package))).transpose()?;
    let report = Report {
        package: format!("{} {}", package.manifest().name, package.manifest().version),
        precision: package.manifest().precision.clone(),
        kernel: kernels::selected()?.name,
        threads: args.threads,
        encoders,
        search,
        photo,
        answers,
        memory_peak_bytes: memory_peak(),
    };
    print(args, &report, open_ms)?;
    Ok(Outcome::Good)
}

fn image(args: &Args, package: &Package, threads: &Threads) -> Result<EncoderReport> {
    let (encoder, load_ms) = timed(|| Ok(ImageEncoder::load(package, threads)?))?;
    let picture = pictures(1, package.preprocess().size as usize).remove(0);
    measure(args, "image", load_ms, encoder.multiply_adds()?, || Ok(encoder.encode(&picture)?))
}

fn text(args: &Args, package: &Package, threads: &Threads) -> Result<EncoderReport> {
    const CAPTION: &str = "Cracking is observed in the main girder. The soundness rating is Ⅲ.";
    let (encoder, load_ms) = timed(|| Ok(TextEncoder::load(package, threads)?))?;
    measure(args, "text", load_ms, encoder.multiply_adds()?, || Ok(encoder.encode(CAPTION)?))
}

fn photo_report(args: &Args, package: &Package, threads: &Threads, path: &Path) -> Result<PhotoReport> {
    let limits = args.decode.limits();
    let classifier = Classifier::load(package, limits, Params::default(), threads)?;
    let bytes = read_file(path, &limits)?;
    let input = || Ok(decode::input(&bytes, package, &limits)?);
    let verdict = || Ok(classifier.classify(&read_file(path, &limits)?)?);
    let first = input()?;
    Ok(PhotoReport {
        bytes: bytes.len(),
        pixels: first.pixels,
        eighths: first.raster.eighths,
        input: Times::measure(args.repeat, input, || ())?,
        verdict: Times::measure(args.repeat, verdict, || ())?,
    })
}

fn search(args: &Args, package: &Package) -> Result<SearchReport> {
    let (reference, open_ms) = timed(|| Ok(Reference::open(&package.reference()?, package)?))?;
    let queries = match &args.queries {
        Some(file) => npy::read_embeddings(file, package.manifest().embedding_dim)?,
        None => queries(&reference, QUERIES)?,
    };
    let (_, first_ms) = timed(|| Ok(reference.evidence(&queries[0], NEIGHBOURS)?))?;
    let mut turns = queries.iter().cycle();
    let mut next = || turns.next().expect("at least one query");
    let times = Times::measure(args.repeat, || Ok(reference.evidence(next(), NEIGHBOURS)?), || ())?;
    let (mut batches, mut found) = (Vec::new(), Vec::new());
    for _ in 0..BATCHES {
        let batch = timed(|| Ok(reference.search_all(&queries, &Search::nearest(NEIGHBOURS))?))?;
        // The results of one batch are kept, because the report has the peak of the memory.
        found = batch.0;
        batches.push(batch.1);
    }
    let rows = |evidence: &Vec<Evidence>| evidence.iter().map(|photo| photo.reference_id - 1).collect();
    Ok(SearchReport {
        photos: reference.len(),
        neighbours: NEIGHBOURS,
        load_ms: open_ms + first_ms,
        times,
        batch_queries: queries.len(),
        batch_ms_per_query: Times::of(batches).median_ms / queries.len() as f64,
        found: args.queries.is_some().then(|| found.iter().map(rows).collect()),
    })
}

fn measure<T>(
    args: &Args,
    encoder: &'static str,
    load_ms: f64,
    multiply_adds: u64,
    run: impl Fn() -> Result<T>,
) -> Result<EncoderReport> {
    let kernel: Kernel = kernels::selected()?;
    let measure_peak = || if args.no_peak { 0.0 } else { kernel.int8_peak(PEAK) };
    let peak_before = measure_peak();
    let bar = progress::bar(args.repeat as usize, encoder);
    let times = Times::measure(args.repeat, run, || bar.inc(1))?;
    bar.finish_and_clear();
    let peak = peak_before.max(measure_peak()) * f64::from(args.threads);
    let floor_ms = multiply_adds as f64 / peak * 1e3;
    let peak = PeakReport { int8_peak_per_s: peak, times_floor: times.median_ms / floor_ms };
    Ok(EncoderReport {
        encoder,
        load_ms,
        multiply_adds,
        multiply_adds_per_s: multiply_adds as f64 / times.median_ms * 1e3,
        times,
        peak: (!args.no_peak).then_some(peak),
    })
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
        let EncoderReport { encoder: name, times, load_ms, .. } = encoder;
        writeln!(out, "  {name:<5}  {times}; loaded in {load_ms:.0} ms")?;
        let (work, speed) = (encoder.multiply_adds as f64 / 1e9, encoder.multiply_adds_per_s / 1e9);
        write!(out, "         {work:.2} G multiply-adds, {speed:.0} G/s")?;
        if let Some(PeakReport { int8_peak_per_s, times_floor }) = encoder.peak {
            let peak = int8_peak_per_s / 1e9;
            write!(out, " of {peak:.0} G/s int8 peak: {times_floor:.2} times the least time possible")?;
        }
        writeln!(out)?;
    }
    if let Some(search) = &report.search {
        let SearchReport { photos, neighbours, times, load_ms, batch_queries, batch_ms_per_query, .. } = search;
        writeln!(out, "  search  {times}; first answer after {load_ms:.0} ms")?;
        writeln!(
            out,
            "          {neighbours} of {photos} photos; {batch_queries} at once take {batch_ms_per_query:.3} ms each"
        )?;
    }
    if let Some(PhotoReport { bytes, pixels: [width, height], eighths, input, verdict }) = &report.photo {
        writeln!(out, "  photo  {width} x {height}, {:.1} MB, decoded at {eighths}/8", *bytes as f64 / 1e6)?;
        for (name, times) in [("to the encoder's input", input), ("file to verdict", verdict)] {
            writeln!(out, "         {name}: {times}")?;
        }
    }
    if let Some(AnswersReport { photos, rules, member_photos, member }) = &report.answers {
        for RuleReport { rule, times, ratio } in rules {
            let rule = rule.name();
            writeln!(out, "  {rule:<9}  {times}; {ratio:.3} x published, of {photos} labelled photos")?;
        }
        writeln!(out, "  member     {member}; of {member_photos} photos")?;
    }
    if let Some(bytes) = report.memory_peak_bytes {
        writeln!(out, "  memory at most {:.1} MB", bytes as f64 / 1e6)?;
    }
    Ok(())
}
