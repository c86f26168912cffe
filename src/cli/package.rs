//! `bridgeclip package`: shows and verifies model packages, signs them, and installs them on a device.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

mod install;
mod quantize;
mod sign;

use self::install::{InstallArgs, ListArgs, RollbackArgs};
use self::quantize::QuantizeArgs;
use self::sign::{AddGoldenArgs, KeygenArgs, PackArgs, SignArgs};
use super::outcome::Outcome;
use crate::encoder::{ImageEncoder, TextEncoder};
use crate::kernels::Threads;
use crate::package::{Manifest, Package};
use crate::packages::TrustedKeys;
use crate::reference::Reference;

/// Look at model packages, sign them, and install them on this device.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show what a package says of itself, after checking every file's hash.
    Info(Args),
    /// Check every file's hash and, with --key, the signature; load both encoders and open the reference.
    Verify(VerifyArgs),
    Quantize(QuantizeArgs),
    AddGolden(AddGoldenArgs),
    Keygen(KeygenArgs),
    Sign(SignArgs),
    Pack(PackArgs),
    Install(InstallArgs),
    Rollback(RollbackArgs),
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder that holds package.toml.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    package: Args,
    /// A minisign public key that must have signed the package; if several are given, one of them.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::Info(args) => info(args)?,
        Command::Verify(args) => verify(args)?,
        Command::Quantize(args) => return quantize::run(args),
        Command::AddGolden(args) => return sign::add_golden(args),
        Command::Keygen(args) => return sign::keygen(args),
        Command::Sign(args) => return sign::sign(args),
        Command::Pack(args) => return sign::pack(args),
        Command::Install(args) => return install::install(args),
        Command::Rollback(args) => return install::roll_back(args),
        Command::List(args) => return install::list(args),
    }
    Ok(Outcome::Good)
}

#[derive(Serialize)]
struct Info<'a> {
    hash: String,
    embedding_space: String,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

fn info(args: &Args) -> Result<()> {
    let package = Package::open(&args.dir)?;
    let manifest = package.manifest();
    let mut out = std::io::stdout().lock();
    if args.json {
        let info =
            Info { hash: package.hash().to_string(), embedding_space: package.embedding_space().to_string(), manifest };
        writeln!(out, "{}", serde_json::to_string_pretty(&info)?)?;
        return Ok(());
    }
    writeln!(out, "{} {}", manifest.name, manifest.version)?;
    writeln!(out, "{}", manifest.description)?;
    let rows = [
        ("architecture", format!("{}, {}", manifest.architecture, manifest.precision)),
        ("input", format!("{0} x {0} pixels", manifest.image.size)),
        ("embedding", format!("{} values", manifest.embedding_dim)),
        ("captions", manifest.caption_language.clone()),
        ("labels", manifest.label_version.clone()),
        ("licence", manifest.licence.clone()),
        ("checkpoint", format!("{} {}", manifest.checkpoint.file, manifest.checkpoint.sha256)),
        ("package hash", package.hash().to_string()),
    ];
    for (key, value) in rows {
        writeln!(out, "  {key:<14} {value}")?;
    }
    for (name, entry) in &manifest.files {
        writeln!(out, "  {name:<14} {:>11} bytes  {}", entry.bytes, entry.sha256)?;
    }
    Ok(())
}

fn verify(VerifyArgs { package: args, key }: &VerifyArgs) -> Result<()> {
    let keys = TrustedKeys::try_from(key.clone()).map_err(anyhow::Error::msg)?;
    keys.verify_folder(&args.dir)?;
    let package = Package::open(&args.dir)?;
    ImageEncoder::load(&package, &Threads::default())?;
    TextEncoder::load(&package, &Threads::default())?;
    let photos = match package.reference() {
        Ok(path) => Some(Reference::open(&path, &package)?.len()),
        Err(_) => None,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let result = serde_json::json!({ "ok": true, "hash": package.hash(), "reference_photos": photos });
        writeln!(out, "{result}")?;
        return Ok(());
    }
    let reference = photos.map_or("no reference yet".to_owned(), |photos| format!("{photos} reference photos"));
    let files = package.manifest().files.len();
    writeln!(out, "{}: good. {files} files as described, both encoders load, {reference}.", args.dir.display())?;
    Ok(())
}
