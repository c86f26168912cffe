//! Commands that work through many captures and take long: `resend` and `reclassify`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::assembly;
use crate::config::Config;
use crate::domain::Sha256;
use crate::journal::{DeviceIdentity, Journal, Reader};
use crate::packages;
use crate::reclassify::{reclassify, store};
use crate::uplink::{Captures, Link};

/// Number of events that are queued with one commit.
const GROUP: usize = 256;
/// Answer to a command that a stop of the daemon interrupts.
const STOPPED: &str = "the daemon stops; give the command again";

/// Parts of the daemon that these commands use.
#[derive(Clone)]
pub struct LongWorkParts {
    pub config: Config,
    /// Folder of the package that the daemon uses.
    pub package_dir: PathBuf,
    pub identity: Arc<DeviceIdentity>,
    pub journal: Journal,
    pub link: Link,
}

/// Queues the events of captures again. `goes_on` returns `false` once the daemon stops.
pub fn resend(parts: &LongWorkParts, captures: &Captures, goes_on: &dyn Fn() -> bool) -> Result<Value> {
    let captures = find(&parts.journal.reader()?, captures)?;
    let mut queued = 0;
    for group in captures.chunks(GROUP) {
        if !goes_on() {
            bail!(STOPPED);
        }
        queued += parts.journal.resend(group.to_vec(), Timestamp::now())?;
    }
    Ok(json!({ "captures": captures.len(), "queued": queued }))
}

/// Judges captures again. It loads a reference of its own, so that photos that arrive meanwhile need not wait.
/// `goes_on` returns `false` once the daemon stops.
pub fn judge_again(parts: &LongWorkParts, captures: &Captures, goes_on: &dyn Fn() -> bool) -> Result<Value> {
    let LongWorkParts { config, package_dir, identity, journal, link } = parts;
    let package = packages::open(package_dir, &config.package.trusted_keys)?;
    let identity = Arc::new(assembly::identity(config, &package, &identity.boot_id));
    let reader = journal.reader()?;
    let answerer = assembly::answerer(config, &package, &reader)?;
    let captures = find(&reader, captures)?;
    let tally = reclassify(reader.results_of(&captures), &answerer, package.embedding_space(), |_, changed| {
        let made = store(journal, &identity, &changed, !link.is_online())?;
        if goes_on() { Ok((made.len(), ControlFlow::Continue(()))) } else { bail!(STOPPED) }
    })?;
    Ok(json!(tally))
}

fn find(reader: &Reader, captures: &Captures) -> Result<Vec<i64>> {
    match captures.sequence {
        Some((first, last)) => Ok(reader.captures_between(first, last)?),
        None => captures_of(reader, &captures.photos),
    }
}

/// Returns the ids of the captures of those photos that this device has.
pub fn captures_of(reader: &Reader, photos: &[Sha256]) -> Result<Vec<i64>> {
    let found = photos.iter().map(|photo| reader.capture_of(photo)).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}
