//! Joins what captures show to one answer.

use crate::classify::Observation;
use crate::domain::MemberAnswer;
use crate::journal::{JournalError, StoredResult};
use crate::pipeline::Answerer;
use crate::reference::ReferenceError;

/// Reason why members cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// Joins what captures show to one answer. Their embeddings must be of the reference's space.
pub fn join(answerer: &Answerer, results: &[StoredResult]) -> Result<MemberAnswer, ReferenceError> {
    let photos: Vec<_> = results.iter().map(|result| result.embedding.clone()).collect();
    let evidence = answerer.evidence(&photos)?;
    let observations = results.iter().zip(&evidence).map(|(result, evidence)| Observation {
        capture: result.capture,
        sha256: result.sha256,
        embedding: &result.embedding,
        evidence,
        inspected: result.inspection.as_ref().map(|inspection| &inspection.labels),
    });
    Ok(answerer.engine.member(&observations.collect::<Vec<_>>()))
}

#[cfg(test)]
pub mod tests {
    use crate::domain::{CategoryVerdict, Embedding, ScoredClass, Sha256, Time, TimeQuality, Verdict};

    use super::*;

    pub const SPACE: Sha256 = Sha256([1; 32]);

    pub fn result(capture: i64, rating: u8) -> StoredResult {
        let mut verdict = Verdict::default();
        verdict.categories[0] = CategoryVerdict { classes: vec![ScoredClass { index: rating, confidence: 0.5 }] };
        StoredResult {
            capture,
            sha256: Sha256([0; 32]),
            path: "photo.jpg".into(),
            taken: Time::new(jiff::Timestamp::UNIX_EPOCH, TimeQuality::Gps),
            tag: None,
            position: None,
            embedding: Embedding::normalise(vec![1.0; 4]).expect("a direction"),
            embedding_space: Some(SPACE),
            quality: None,
            verdict,
            inspection: None,
        }
    }
}
