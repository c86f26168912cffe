//! `bridgeclip package install|rollback|list`: the packages of this device.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::classify::Params;
use crate::cli::outcome::Outcome;
use crate::config::{Config, PackageConfig};
use crate::kernels::Threads;
use crate::package::Package;
use crate::packages::{Download, Install, InstallError, Installed, NewPackage, Role, Store, fetch, self_test};
use crate::pipeline::{Classifier, Limits};

/// Install a model package and switch to it; the daemon uses it from its next start on.
///
/// It is verified and tried first. If the daemon cannot start with it, the last good one is used again.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// A folder, an archive of `package pack`, or the https:// address of one.
    source: String,
    /// Take a version that is older than one that was in use.
    #[arg(long)]
    allow_downgrade: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Go back to the package that was in use before.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    store: StoreArgs,
}

/// Show the installed packages.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, clap::Args)]
struct StoreArgs {
    /// The settings file; its [package] section names store and trusted keys.
    #[arg(long, value_name = "FILE", default_value = "/etc/bridgeclip/config.toml")]
    config: PathBuf,
}

impl StoreArgs {
    fn open(&self) -> Result<(Store, PackageConfig)> {
        let package = Config::read(&self.config)?.package;
        let store = package.store.as_deref().map(Store::at);
        let missing = || format!("{}: [package] store is not set; give a folder there", self.config.display());
        Ok((store.with_context(missing)?, package))
    }
}

pub fn install(args: &InstallArgs) -> Result<Outcome> {
    let (store, config) = args.store.open()?;
    let bytes_max = u64::from(config.megabytes_max.get()) * 1_000_000;
    let params = Install { keys: config.trusted_keys.clone(), bytes_max, allow_downgrade: args.allow_downgrade };
    let id = match args.source.contains("://") {
        false => store.install(&NewPackage::at(Path::new(&args.source)), &params, try_out)?,
        true => install_from_web(args, &store, &config, &params)?,
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{id}: installed; restart the daemon to use it (systemctl restart bridgeclip)")?;
    Ok(Outcome::Good)
}

/// Downloads and installs a package. The archive is removed in any case, so that the next attempt downloads a bad one
/// anew.
fn install_from_web(args: &InstallArgs, store: &Store, config: &PackageConfig, params: &Install) -> Result<String> {
    let download = Download {
        url: args.source.clone(),
        // Allows for the archive's headers.
        bytes_max: params.bytes_max + (1 << 20),
        ca: config.ca.clone(),
        signed: !params.keys.is_empty(),
    };
    let path = fetch(&download, &store.root().join(".download"))?;
    let installed = store.install(&NewPackage::Archive(path.clone()), params, try_out);
    let _ = std::fs::remove_file(path);
    Ok(installed?)
}

fn try_out(package: &Package) -> Result<(), InstallError> {
    Ok(self_test(package, &classifier(package)?)?)
}

/// Loads a classifier with the default settings.
pub fn classifier(package: &Package) -> Result<Classifier, InstallError> {
    let loaded = Classifier::load(package, Limits::default(), Params::default(), &Threads::default());
    Ok(loaded.map_err(crate::packages::GoldenError::from)?)
}

pub fn roll_back(args: &RollbackArgs) -> Result<Outcome> {
    let id = args.store.open()?.0.roll_back()?;
    writeln!(std::io::stdout(), "{id}: in use again from the next start of the daemon on")?;
    Ok(Outcome::Good)
}

pub fn list(args: &ListArgs) -> Result<Outcome> {
    let store = args.store.open()?.0;
    let (packages, given_up) = (store.list()?, store.given_up());
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "packages": packages, "given_up": given_up }))?;
        return Ok(Outcome::Good);
    }
    for package in &packages {
        writeln!(out, "{:<20} {}", words(package), package.id)?;
    }
    if let Some(given_up) = given_up {
        writeln!(out, "{:<20} {} at {}: {}", "given up", given_up.package, given_up.at, given_up.reason)?;
    }
    Ok(Outcome::Good)
}

fn words(package: &Installed) -> &'static str {
    match (package.role, package.on_trial) {
        (Some(Role::Current), true) => "current, on trial",
        (Some(Role::Current), false) => "current",
        (Some(Role::Previous), _) => "previous",
        (None, _) => "unused",
    }
}
