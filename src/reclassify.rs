//! Classifies stored captures again after the reference or the rule has changed, from their embeddings and without
//! their photos.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{Change, Sha256, Verdict};
use crate::journal::{DeviceIdentity, Expect, Journal, JournalError, StoredResult, Superseded};
use crate::pipeline::Answerer;
use crate::reference::ReferenceError;

/// Capture whose verdict has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejudged {
    pub capture: i64,
    pub path: PathBuf,
    /// Former verdict, without neighbours.
    pub before: Verdict,
    pub after: Verdict,
}

/// Stores new verdicts in one commit. Skips captures that an inspector has judged since they were read.
pub fn store(
    journal: &Journal,
    identity: &Arc<DeviceIdentity>,
    changed: &[Rejudged],
    queued: bool,
) -> Result<Vec<Superseded>, JournalError> {
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let change = |rejudged: &Rejudged| (rejudged.capture, Change::Verdict(rejudged.after.clone()));
    let changes = changed.iter().map(change).collect();
    journal.supersede_all(identity, changes, Expect::NotInspected, queued, Timestamp::now())
}

/// Counts of a pass over all captures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub captures: u64,
    /// Number of captures whose verdict has changed.
    pub changed: u64,
    /// Number of captures whose embeddings come from another encoder. They cannot be judged again without their photos.
    pub of_other_encoders: u64,
    /// Number of captures that an inspector has judged. Their verdicts stay.
    pub inspected: u64,
}

/// Error that ended the pass. Everything found before it has been handed over.
#[derive(Debug, thiserror::Error)]
pub enum ReclassifyError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// Classifies captures again, page by page, as a [`crate::journal::Reader`] returns them. `space` is the embedding
/// space of the answerer's package.
///
/// After each page, `hand_over` receives the number of captures examined and those whose verdict has changed. It
/// returns how many of these it stored, and whether to go on. An inspector has meanwhile judged those that it did not
/// store.
pub fn reclassify<E: From<ReclassifyError>>(
    pages: impl Iterator<Item = Result<Vec<StoredResult>, JournalError>>,
    answerer: &Answerer,
    space: Sha256,
    mut hand_over: impl FnMut(u64, Vec<Rejudged>) -> Result<(usize, ControlFlow<()>), E>,
) -> Result<Tally, E> {
    let mut tally = Tally::default();
    for page in pages {
        let page = page.map_err(ReclassifyError::from)?;
        let looked_at = page.len() as u64;
        let (open, inspected): (Vec<_>, Vec<_>) = page.into_iter().partition(|result| result.inspection.is_none());
        let (comparable, others): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|result| result.embedding_space == Some(space));
        tally.inspected += inspected.len() as u64;
        tally.of_other_encoders += others.len() as u64;
        let changed = rejudge(comparable, answerer).map_err(ReclassifyError::from)?;
        let found = changed.len();
        let (stored, go_on) = hand_over(looked_at, changed)?;
        tally.captures += looked_at;
        tally.changed += stored as u64;
        tally.inspected += found.saturating_sub(stored) as u64;
        if go_on.is_break() {
            break;
        }
    }
    Ok(tally)
}

/// Returns the captures whose verdict has changed.
fn rejudge(captures: Vec<StoredResult>, answerer: &Answerer) -> Result<Vec<Rejudged>, ReferenceError> {
    let photos: Vec<_> = captures.iter().map(|capture| (capture.embedding.clone(), capture.quality)).collect();
    let verdicts = answerer.verdicts(&photos)?;
    let changed = captures.into_iter().zip(verdicts).filter(|(stored, after)| after.differs_from(&stored.verdict));
    let rejudged = changed.map(|(StoredResult { capture, path, verdict: before, .. }, after)| Rejudged {
        capture,
        path,
        before,
        after,
    });
    Ok(rejudged.collect())
}
