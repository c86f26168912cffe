//! `bridgeclip search`: finds photos by a text or by a photo.

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::decode::DecodeArgs;
use super::device::reader;
use super::outcome::Outcome;
use super::package_args::PackageArgs;
use super::present;
use crate::assembly;
use crate::config::Config;
use crate::domain::{Embedding, Evidence, Sha256, Tag, Time, Verdict};
use crate::encoder::TextEncoder;
use crate::kernels::Threads;
use crate::package::Package;
use crate::packages;
use crate::pipeline::{Embedder, Limits};
use crate::reference::Reference;
use crate::search::{Condition, Filter, FoundCapture, in_captures, in_reference};

/// Find photos that fit a text, or that look like a photo: labelled ones, or those that this device has taken.
///
/// A text works best as a finding is written: "Cracking is observed in the main girder." Conditions on labels can be
/// given in English or Japanese, and all of them must hold; for the device's own photos the labels are those of their
/// verdicts.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("query").required(true))]
pub struct Args {
    /// What to look for, in words, in the language of the package's captions.
    #[arg(long, value_name = "TEXT", group = "query")]
    text: Option<String>,
    /// Look for photos like this one.
    #[arg(long, value_name = "PHOTO", group = "query")]
    image: Option<PathBuf>,
    /// Where to look.
    #[arg(long = "in", value_enum, value_name = "WHERE", default_value = "reference")]
    search_in: SearchIn,
    /// Photos to show.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,
    /// Only photos that carry this label, as in damage_type=cracking; can be given several times.
    #[arg(long = "where", value_name = "CATEGORY=LABEL")]
    conditions: Vec<Condition>,
    #[command(flatten)]
    package: PackageArgs,
    /// The settings file of the daemon, which names the package and the data folder; needed for captures.
    #[arg(long, value_name = "FILE", conflicts_with = "package", required_if_eq("search_in", "captures"))]
    config: Option<PathBuf>,
    #[command(flatten)]
    decode: DecodeArgs,
    /// One JSON object per photo and line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SearchIn {
    /// The labelled photos of the package.
    Reference,
    /// The photos that this device has classified.
    Captures,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.config.as_deref().map(Config::read).transpose()?;
    let package = match &config {
        Some(config) => packages::open_in_use(&assembly::package_source(&config.package))?,
        None => args.package.open()?,
    };
    let limits = config.as_ref().map_or_else(|| args.decode.limits(), assembly::limits);
    let query = query(args, &package, limits)?;
    let filter = Filter(args.conditions.clone());
    let lines = match (args.search_in, &config) {
        (SearchIn::Captures, Some(config)) => {
            let reader = reader(config)?;
            let (pages, space) = (reader.result_pages(), package.embedding_space());
            let found = in_captures(pages, &query, space, args.top.into(), &filter)?;
            found.iter().map(|found| if args.json { json_of(found) } else { Ok(line_of(found)) }).collect()
        }
        _ => labelled(args, &package, &query, &filter),
    };
    let lines: Vec<String> = lines?;

    let mut out = std::io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    if lines.is_empty() {
        eprintln!("bridgeclip: no photo fulfils the conditions");
    }
    Ok(Outcome::Good)
}

fn query(args: &Args, package: &Package, limits: Limits) -> Result<Embedding> {
    match (&args.text, &args.image) {
        (Some(text), _) => {
            ensure!(!text.trim().is_empty(), "--text is empty; say what to look for");
            Ok(TextEncoder::load(package, &Threads::default())?.encode(text)?)
        }
        (None, Some(photo)) => {
            let embedded = Embedder::load(package, limits, &Threads::default())?.embed_file(photo);
            Ok(embedded.map_err(|error| anyhow::anyhow!("{}: {error}", photo.display()))?.embedding)
        }
        (None, None) => unreachable!("clap asks for one of the two"),
    }
}

fn labelled(args: &Args, package: &Package, query: &Embedding, filter: &Filter) -> Result<Vec<String>> {
    let reference = Reference::open(&package.reference()?, package)?;
    let found = in_reference(&reference, query, args.top.into(), filter)?;
    let line = |photo: &Evidence| match args.json {
        true => Ok(serde_json::to_string(photo)?),
        false => Ok(format!("{:.4}  {}  {}", photo.similarity, photo.source, photo.caption)),
    };
    found.iter().map(line).collect()
}

fn line_of(FoundCapture { similarity, result }: &FoundCapture) -> String {
    let tag = result.tag.as_ref().map(|tag| format!("  [{tag}]")).unwrap_or_default();
    let (taken, verdict) = (result.taken.at, present::line(&result.verdict));
    format!("{similarity:.4}  {}  {taken}{tag}  {verdict}", result.path.display())
}

/// One line of `--json`: a found capture.
#[derive(Serialize)]
struct FoundLine<'a> {
    capture: i64,
    similarity: f32,
    path: Cow<'a, str>,
    sha256: Sha256,
    taken: &'a Time,
    tag: Option<&'a Tag>,
    verdict: &'a Verdict,
}

fn json_of(FoundCapture { similarity, result }: &FoundCapture) -> Result<String> {
    let line = FoundLine {
        capture: result.capture,
        similarity: *similarity,
        path: result.path.to_string_lossy(),
        sha256: result.sha256,
        taken: &result.taken,
        tag: result.tag.as_ref(),
        verdict: &result.verdict,
    };
    Ok(serde_json::to_string(&line)?)
}
