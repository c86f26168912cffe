//! `bridgeclip package keygen|sign|pack|add-golden`: commands for the place where packages are made.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::install::classifier;
use crate::cli::new_file::write_secret;
use crate::cli::outcome::Outcome;
use crate::package::Package;
use crate::packages;

/// Make a key pair that packages are signed with.
///
/// The secret key stays where packages are made; the public key goes into [package] trusted_keys of the devices.
#[derive(Debug, clap::Args)]
pub struct KeygenArgs {
    /// The new file of the secret key.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
}

/// Sign a package: writes package.toml.minisig, which minisign can verify too.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The folder that holds package.toml.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The file of the secret key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Debug, clap::Args)]
struct PasswordArgs {
    /// The secret key is encrypted with the first line of this file.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Write a package into one file, for a USB stick or a web server.
#[derive(Debug, clap::Args)]
pub struct PackArgs {
    /// The folder that holds package.toml.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The archive; it is a plain tar file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Take photos into a package as golden ones: a device installs it only if it gives the answers that it gives here.
///
/// Sign the package afterwards.
#[derive(Debug, clap::Args)]
pub struct AddGoldenArgs {
    /// The folder that holds package.toml.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[arg(value_name = "PHOTO", required = true)]
    photos: Vec<PathBuf>,
}

impl PasswordArgs {
    fn read(&self) -> Result<Option<String>> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let text = read(path)?;
        Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()))
}

pub fn keygen(args: &KeygenArgs) -> Result<Outcome> {
    let (secret, public) = packages::new_key(args.password.read()?)?;
    write_secret(&args.out, &secret)?;
    writeln!(std::io::stdout(), "{public}")?;
    Ok(Outcome::Good)
}

pub fn sign(args: &SignArgs) -> Result<Outcome> {
    let package = Package::open(&args.dir)?;
    packages::sign(&package, &read(&args.key)?, args.password.read()?)
        .with_context(|| format!("{}: cannot sign with this key", args.key.display()))?;
    writeln!(std::io::stdout(), "{}", package.path(packages::SIGNATURE).display())?;
    Ok(Outcome::Good)
}

pub fn pack(args: &PackArgs) -> Result<Outcome> {
    let package = Package::open(&args.dir)?;
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(&args.out)?);
        packages::pack(&package, &mut file)?;
        file.into_inner()?.sync_all()
    };
    write().with_context(|| format!("{}: cannot write", args.out.display()))?;
    Ok(Outcome::Good)
}

pub fn add_golden(args: &AddGoldenArgs) -> Result<Outcome> {
    let mut package = Package::open(&args.dir)?;
    let classifier = classifier(&package)?;
    packages::add_golden(&mut package, &classifier, &args.photos)?;
    Ok(Outcome::Good)
}
