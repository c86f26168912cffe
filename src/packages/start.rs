//! Chooses the package that the daemon works with, and handles one that does not load.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use log::{error, info, warn};

use super::{InstallError, Store, TrustedKeys, record, self_test};
use crate::package::Package;
use crate::pipeline::Classifier;

/// Locations of packages, and the keys that must have signed them.
pub struct PackageSource<'a> {
    /// Folder of the package that is used while the store has none.
    pub dir: &'a Path,
    /// Store of installed packages, if the settings name one.
    pub store: Option<Store>,
    /// Trusted keys. One of them must have signed a package.
    pub keys: &'a TrustedKeys,
}

impl PackageSource<'_> {
    /// Returns the folder of the package in use.
    pub fn in_use(&self) -> PathBuf {
        self.store.as_ref().and_then(Store::current).unwrap_or_else(|| self.dir.to_owned())
    }
}

/// A loaded package.
pub struct Loaded {
    pub package: Package,
    pub classifier: Classifier,
}

/// Opens a package if a trusted key signed it. Files that have not changed since the installation are not hashed again.
pub fn open(dir: &Path, keys: &TrustedKeys) -> Result<Package, InstallError> {
    keys.verify_folder(dir)?;
    Ok(record::open(dir)?)
}

/// Opens the package in use if a trusted key signed it.
pub fn open_in_use(source: &PackageSource) -> Result<Package, InstallError> {
    open(&source.in_use(), source.keys)
}

/// Loads the installed package, or the one in the settings' folder if none is installed. If that package fails, loads
/// the last good one, or else the one in the settings' folder. A package that fails on trial is given up for good; one
/// that worked before is left out for this run only.
pub fn load(source: &PackageSource, classifier: impl Fn(&Package) -> Result<Classifier>) -> Result<Loaded> {
    let load = |dir: &Path| -> Result<Loaded> {
        let package = open(dir, source.keys)?;
        let classifier = classifier(&package)?;
        Ok(Loaded { package, classifier })
    };
    let Some(store) = &source.store else { return load(source.dir) };
    let Some(first) = begin(store) else { return load(source.dir) };
    let on_trial = store.is_trying(&first);
    let loaded = load(&first).and_then(|loaded| {
        if on_trial {
            self_test(&loaded.package, &loaded.classifier)?;
        }
        Ok(loaded)
    });
    match loaded {
        Ok(loaded) => {
            if on_trial {
                info!("{}: the new package answers and is kept", first.display());
                noted(store.confirm(loaded.package.manifest()));
            }
            Ok(loaded)
        }
        Err(failed) => {
            error!("{}: {failed:#}", first.display());
            fall_back(source, store, &first, on_trial, &failed, load)
        }
    }
}

fn fall_back(
    source: &PackageSource,
    store: &Store,
    first: &Path,
    on_trial: bool,
    failed: &anyhow::Error,
    load: impl Fn(&Path) -> Result<Loaded>,
) -> Result<Loaded> {
    if on_trial {
        noted(store.give_up(&format!("{failed:#}")));
    }
    let others = store.previous().into_iter().chain([source.dir.to_owned()]).filter(|other| other != first);
    let mut reasons = vec![format!("{failed:#}")];
    for other in others {
        match load(&other) {
            Ok(loaded) => {
                warn!("{}: working with this package instead", other.display());
                return Ok(loaded);
            }
            Err(error) => reasons.push(format!("{}: {error:#}", other.display())),
        }
    }
    bail!("no package works: {}", reasons.join("; "))
}

/// Returns the folder to start with. None if nothing is installed.
fn begin(store: &Store) -> Option<PathBuf> {
    store.begin_start().unwrap_or_else(|error| {
        warn!("{error}; the start is not counted");
        store.current().or_else(|| store.previous())
    })
}

/// Logs an error of the store. A store that cannot be written, for example on a full disk, must not keep the device
/// from its work.
fn noted(outcome: Result<(), InstallError>) {
    if let Err(error) = outcome {
        warn!("{error}; at the next start it is tried again");
    }
}
