//! One photo of a member, with what speaks about it.

use bridgeclip_domain::{Embedding, Evidence, Labels, Sha256};

/// A photo of the member.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// Id of the photo's capture.
    pub capture: i64,
    pub sha256: Sha256,
    pub embedding: &'a Embedding,
    /// The photo's neighbourhood, most similar first.
    pub evidence: &'a [Evidence],
    /// Labels of an inspector's judgement that applies.
    pub inspected: Option<&'a Labels>,
}
