//! `bridgeclip reference fit-prompts`: embeds texts that describe the classes.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;

use crate::classify::{PromptEmbeddings, Prompts};
use crate::cli::inputs::on_all_cores;
use crate::cli::outcome::Outcome;
use crate::cli::present;
use crate::domain::Sha256;
use crate::encoder::TextEncoder;
use crate::kernels::Threads;
use crate::package::Package;
use crate::reference::{FittedKind, Revision};

/// Embed texts that describe the classes, for `--method zero-shot`, and keep them in the reference.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model package.
    #[arg(long, value_name = "DIR")]
    package: PathBuf,
    /// Texts for every class; deploy/prompts.toml is the file that is built in and used if none is given.
    #[arg(long, value_name = "FILE.toml")]
    prompts: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let mut package = Package::open(&args.package)?;
    let revision = Revision::start(&package)?;
    let (name, text) = prompts_file(args)?;
    let prompts = Prompts::parse(&text).with_context(|| name.clone())?;
    let encoder = TextEncoder::load(&package, &Threads::default())?;
    let texts: Vec<&str> = prompts.texts().collect();
    let embedded =
        on_all_cores(&texts, "texts", |text| encoder.encode(text).with_context(|| format!("{name}: {text:?}")));
    let mut embedded = embedded.into_iter();
    let embeddings = PromptEmbeddings::new(&prompts, |_| embedded.next().expect("an embedding for each text"))?;
    embeddings.zero_shot().with_context(|| format!("{name}: the texts of a class cancel out"))?;
    let note = json!({
        "by": "fit-prompts",
        "file": name,
        "sha256": Sha256::of(text.as_bytes()),
        "texts": embeddings.len(),
    });
    revision.put(&mut package, FittedKind::Prompts, &note, &embeddings.to_bytes())?;
    writeln!(std::io::stdout().lock(), "{} texts of {name} are in the reference", embeddings.len())?;
    Ok(Outcome::Good)
}

/// Returns the name and the content of the file of prompts.
fn prompts_file(args: &Args) -> Result<(String, String)> {
    match &args.prompts {
        None => Ok(("the built-in prompts".to_owned(), Prompts::BUILT_IN.to_owned())),
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()))?;
            Ok((present::file_name(path).into_owned(), text))
        }
    }
}
