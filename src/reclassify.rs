//! Judging stored captures again, from their embeddings and without their photos: after another reference came, or another
//! rule was chosen.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{Change, Sha256, Verdict};
use crate::journal::{DeviceIdentity, Expect, Journal, JournalError, StoredResult, Superseded};
use crate::pipeline::Answerer;
use crate::reference::ReferenceError;

/// A capture that is judged otherwise now.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejudged {
    pub capture: i64,
    pub path: PathBuf,
    /// Without neighbours.
    pub before: Verdict,
    pub after: Verdict,
}

/// Stores new verdicts in one commit. Captures that an inspector has judged since they were read are passed over.
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

/// What a look at all captures found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub captures: u64,
    /// Judged otherwise now.
    pub changed: u64,
    /// Of these nothing can be said without their photos: other encoders made their embeddings.
    pub of_other_encoders: u64,
    /// An inspector has judged them; that stands.
    pub inspected: u64,
}

/// Why captures could not be judged again. What was found before has been handed over.
#[derive(Debug, thiserror::Error)]
pub enum ReclassifyError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// Goes through captures page by page, as a [`crate::journal::Reader`] gives them. `space` is that of the answerer's
/// package. After every page `hand_over` gets the number looked at and those judged otherwise. It answers how many of these
/// it stored, the others having been judged by an inspector meanwhile, and whether to go on.
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

/// Those of the captures that are judged otherwise now.
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
