//! Which package the daemon works with, and what happens when it does not load.

use std::path::Path;

use anyhow::{Context, Result};
use log::{error, info, warn};

use super::{Store, TrustedKeys, record, self_test};
use crate::encoder::Package;
use crate::pipeline::Classifier;

/// A package that answers.
pub struct Loaded {
    pub package: Package,
    pub classifier: Classifier,
}

/// Loads the package that is installed, or the one in `dir` if none is. One that fails gives way to the last good one:
/// for good if it is on trial, for this run if it worked before.
pub fn load(
    dir: &Path,
    store: Option<&Store>,
    keys: &TrustedKeys,
    classifier: impl Fn(&Package) -> Result<Classifier>,
) -> Result<Loaded> {
    let open = |dir: &Path, on_trial: bool| -> Result<Loaded> {
        keys.verify_folder(dir)?;
        let package = record::open(dir)?;
        let classifier = classifier(&package)?;
        if on_trial {
            self_test(&package, &classifier)?;
        }
        Ok(Loaded { package, classifier })
    };
    let Some(store) = store else { return open(dir, false) };
    let Some(first) = store.begin_start()? else { return open(dir, false) };
    let on_trial = store.tries(&first);
    let failed = match open(&first, on_trial) {
        Ok(loaded) => {
            if on_trial {
                store.confirm(loaded.package.manifest())?;
                info!("{}: the new package answers and is kept", first.display());
            }
            return Ok(loaded);
        }
        Err(failed) => failed,
    };
    let last_good = match on_trial {
        true => store.give_up(&format!("{failed:#}"))?,
        false => store.previous().filter(|previous| *previous != first),
    };
    error!("{}: {failed:#}", first.display());
    match last_good {
        Some(last_good) => {
            warn!("{}: working with this package instead", last_good.display());
            open(&last_good, false)
        }
        None if on_trial => open(dir, false).with_context(|| format!("{failed:#}; and no other package works")),
        None => Err(failed),
    }
}
