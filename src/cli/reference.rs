//! `bridgeclip reference`: the database of labelled photos.

mod build;
mod transfer;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::Outcome;
use crate::domain::Category;
use crate::encoder::files;
use crate::reference::Info;

/// Make and inspect the database of labelled photos that a new photo is compared with.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Build(build::Args),
    Import(transfer::ImportArgs),
    Export(transfer::ExportArgs),
    Merge(transfer::MergeArgs),
    /// Show what a reference was made with and how many photos each class has.
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
        Command::Info(args) => info(args),
    }
}

/// The reference that a path means: that of a package folder, or the file itself.
fn reference_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(files::REFERENCE) } else { path.to_owned() }
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
    Ok(Outcome::Good)
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
    })
}
