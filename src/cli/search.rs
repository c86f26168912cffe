//! `bridgeclip search`: photos by a text or by a photo.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::json;

use super::decode::DecodeArgs;
use super::{Outcome, demo};
use crate::domain::{Embedding, Evidence};
use crate::encoder::{Package, TextEncoder};
use crate::kernels::Threads;
use crate::pipeline::Embedder;
use crate::reference::Reference;
use crate::search::{Condition, Filter, in_reference};

/// Find the labelled photos that fit a text, or that look like a photo.
///
/// A text works best as a finding is written: "Cracking is observed in the main girder." Conditions on labels can be given
/// in English or Japanese, and all of them must hold.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("query").required(true))]
pub struct Args {
    /// What to look for, in words, in the language of the package's captions.
    #[arg(long, value_name = "TEXT", group = "query")]
    text: Option<String>,
    /// Look for photos like this one.
    #[arg(long, value_name = "PHOTO", group = "query")]
    image: Option<PathBuf>,
    /// Photos to show.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,
    /// Only photos that carry this label, as in damage_type=cracking; can be given several times.
    #[arg(long = "where", value_name = "CATEGORY=LABEL")]
    conditions: Vec<Condition>,
    #[command(flatten)]
    package: demo::PackageArgs,
    #[command(flatten)]
    decode: DecodeArgs,
    /// One JSON object per photo and line.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let package = args.package.open()?;
    let query = query(args, &package)?;
    let reference = Reference::open(&package.reference()?, &package)?;
    let filter = Filter(args.conditions.clone());
    let found = in_reference(&reference, &query, args.top.into(), &filter)?;
    print(args, &found)?;
    if found.is_empty() {
        eprintln!("bridgeclip: no photo of the reference fulfils the conditions");
    }
    Ok(Outcome::Good)
}

fn query(args: &Args, package: &Package) -> Result<Embedding> {
    match (&args.text, &args.image) {
        (Some(text), _) => {
            ensure!(!text.trim().is_empty(), "--text is empty; say what to look for");
            Ok(TextEncoder::load(package, &Threads::default())?.encode(text)?)
        }
        (None, Some(photo)) => {
            let embedder = Embedder::load(package, args.decode.limits(), &Threads::default())?;
            let embedded = embedder.embed_file(photo);
            Ok(embedded.map_err(|error| anyhow::anyhow!("{}: {error}", photo.display()))?.embedding)
        }
        (None, None) => unreachable!("clap asks for one of the two"),
    }
}

fn print(args: &Args, found: &[Evidence]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for photo in found {
        if args.json {
            writeln!(out, "{}", json!(photo))?;
        } else {
            writeln!(out, "{:.4}  {}  {}", photo.similarity, photo.source, photo.caption)?;
        }
    }
    Ok(())
}
