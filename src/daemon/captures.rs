//! Commands that go through many captures and take long: `resend` and `reclassify`.

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

/// Events that are put into the queue with one commit.
const GROUP: usize = 256;
const STOPPED: &str = "the daemon stops; give the command again";

/// What the work is done with.
#[derive(Clone)]
pub struct Tools {
    pub config: Config,
    /// Of the package that the daemon works with.
    pub package_dir: PathBuf,
    pub identity: Arc<DeviceIdentity>,
    pub journal: Journal,
    pub link: Link,
}

/// Queues the events of captures once more.
pub fn resend(tools: &Tools, captures: &Captures, goes_on: &dyn Fn() -> bool) -> Result<Value> {
    let captures = find(&tools.journal.reader()?, captures)?;
    let mut queued = 0;
    for group in captures.chunks(GROUP) {
        if !goes_on() {
            bail!(STOPPED);
        }
        queued += tools.journal.resend(group.to_vec(), Timestamp::now())?;
    }
    Ok(json!({ "captures": captures.len(), "queued": queued }))
}

/// Judges captures again. The reference is loaded for it once more, so that photos that come meanwhile need not wait.
pub fn judge_again(tools: &Tools, captures: &Captures, goes_on: &dyn Fn() -> bool) -> Result<Value> {
    let Tools { config, package_dir, identity, journal, link } = tools;
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

/// Those of the photos that this device has.
pub fn captures_of(reader: &Reader, photos: &[Sha256]) -> Result<Vec<i64>> {
    let found = photos.iter().map(|photo| reader.capture_of(photo)).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}
