//! Which package the daemon works with, and what happens when it does not load.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use log::{error, info, warn};

use super::{InstallError, Store, TrustedKeys, record, self_test};
use crate::package::Package;
use crate::pipeline::Classifier;

/// Where packages are, and whose.
pub struct Place<'a> {
    /// Used while nothing is installed in the store.
    pub dir: &'a Path,
    pub store: Option<Store>,
    pub keys: &'a TrustedKeys,
}

impl Place<'_> {
    /// The folder of the package that is in use.
    pub fn in_use(&self) -> PathBuf {
        self.store.as_ref().and_then(Store::current).unwrap_or_else(|| self.dir.to_owned())
    }
}

/// A package that answers.
pub struct Loaded {
    pub package: Package,
    pub classifier: Classifier,
}

/// Opens a package if a trusted key signed it. What is unchanged since its installation is not hashed again.
pub fn open(dir: &Path, keys: &TrustedKeys) -> Result<Package, InstallError> {
    keys.verify_folder(dir)?;
    Ok(record::open(dir)?)
}

/// Likewise the one that is in use.
pub fn open_in_use(place: &Place) -> Result<Package, InstallError> {
    open(&place.in_use(), place.keys)
}

/// Loads the package that is installed, or the one in the place's folder if none is. One that fails gives way to the
/// last good one, or else to the one in the place's folder: for good if it is on trial, for this run if it worked before.
pub fn load(place: &Place, classifier: impl Fn(&Package) -> Result<Classifier>) -> Result<Loaded> {
    let load = |dir: &Path| -> Result<Loaded> {
        let package = open(dir, place.keys)?;
        let classifier = classifier(&package)?;
        Ok(Loaded { package, classifier })
    };
    let Some(store) = &place.store else { return load(place.dir) };
    let Some(first) = begin(store) else { return load(place.dir) };
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
            fall_back(place, store, &first, on_trial, &failed, load)
        }
    }
}

fn fall_back(
    place: &Place,
    store: &Store,
    first: &Path,
    on_trial: bool,
    failed: &anyhow::Error,
    load: impl Fn(&Path) -> Result<Loaded>,
) -> Result<Loaded> {
    if on_trial {
        noted(store.give_up(&format!("{failed:#}")));
    }
    let others = store.previous().into_iter().chain([place.dir.to_owned()]).filter(|other| other != first);
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

/// The folder to start with.
fn begin(store: &Store) -> Option<PathBuf> {
    store.begin_start().unwrap_or_else(|error| {
        warn!("{error}; the start is not counted");
        store.current().or_else(|| store.previous())
    })
}

/// A store that cannot be written, on a full disk say, must not keep the device from its work.
fn noted(outcome: Result<(), InstallError>) {
    if let Err(error) = outcome {
        warn!("{error}; at the next start it is tried again");
    }
}
