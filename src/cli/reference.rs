//! `bridgeclip reference`: the database of labelled photos.

mod args;
mod build;
mod fit_heads;
mod fit_prompts;
mod fit_rules;
mod import_heads;
mod transfer;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use self::args::reference_file;
use super::outcome::Outcome;
use crate::domain::Category;
use crate::reference::{FittedNote, Info};

/// Make and inspect the database of labelled photos that a new photo is compared with.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Build(build::Args),
    Import(transfer::ImportArgs),
    Export(transfer::ExportArgs),
    Merge(transfer::MergeArgs),
    FitHeads(fit_heads::Args),
    ImportHeads(import_heads::Args),
    FitPrompts(fit_prompts::Args),
    FitRules(fit_rules::Args),
    /// Show what a reference was made with, how many photos each class has, and what is fitted.
    Info(InfoArgs),
}

#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// A package folder or a reference.db file.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::Build(args) => build::run(args),
        Command::Import(args) => transfer::import(args),
        Command::Export(args) => transfer::export(args),
        Command::Merge(args) => transfer::merge(args),
        Command::FitHeads(args) => fit_heads::run(args),
        Command::ImportHeads(args) => import_heads::run(args),
        Command::FitPrompts(args) => fit_prompts::run(args),
        Command::FitRules(args) => fit_rules::run(args),
        Command::Info(args) => info(args),
    }
}

fn info(args: &InfoArgs) -> Result<Outcome> {
    let info = Info::read(&reference_file(&args.path)).with_context(|| "cannot show the reference")?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&info_json(&info))?)?;
        return Ok(Outcome::Good);
    }
    writeln!(out, "{} photos, {} values each", info.photos, info.stamp.embedding_dim)?;
    writeln!(out, "  labels {}, embedding space {}", info.stamp.label_version, info.stamp.embedding_space)?;
    writeln!(out, "  photos as {}", info.stamp.preprocessing)?;
    for (category, counts) in &info.counts {
        writeln!(out, "{category}")?;
        for (class, count) in category.classes().iter().zip(counts) {
            writeln!(out, "  {count:>7}  {}", class.en)?;
        }
    }
    if info.fitted.is_empty() {
        writeln!(out, "nothing fitted: no linear heads, no prompts, no rules")?;
    }
    for FittedNote { name, bytes, made_with } in &info.fitted {
        writeln!(out, "fitted {name}, {bytes} bytes: {}", facts(made_with))?;
    }
    Ok(Outcome::Good)
}

/// Returns the plain values of a JSON object, as in `seed 42, photos 2500`.
fn facts(made_with: &Value) -> String {
    let plain = made_with.as_object().into_iter().flatten().filter_map(|(key, value)| match value {
        Value::String(text) => Some(format!("{key} {text}")),
        Value::Number(number) => Some(format!("{key} {number}")),
        _ => None,
    });
    plain.collect::<Vec<_>>().join(", ")
}

fn info_json(info: &Info) -> Value {
    let counts = info.counts.iter().map(|(category, counts): &(Category, Vec<usize>)| {
        let classes = category.classes().iter().zip(counts).map(|(class, count)| (class.en.to_owned(), json!(count)));
        (category.id().to_owned(), Value::Object(classes.collect()))
    });
    json!({
        "photos": info.photos,
        "embedding_dim": info.stamp.embedding_dim,
        "embedding_space": info.stamp.embedding_space,
        "preprocessing": info.stamp.preprocessing,
        "label_version": info.stamp.label_version,
        "counts": counts.collect::<Map<_, _>>(),
        "fitted": info.fitted.iter().map(|note| (note.name.clone(), note.made_with.clone())).collect::<Map<_, _>>(),
    })
}
