//! Groups near-identical frames into bursts.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Burst, Embedding, Sha256};

/// Limits within which a frame belongs to the burst before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurstParams {
    /// Least cosine similarity to the representative.
    pub similarity_min: f32,
    /// Greatest time from the representative, before or after it.
    pub span_max: SignedDuration,
}

/// The current burst of a sequence of frames.
#[derive(Debug)]
pub struct Bursts {
    params: BurstParams,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    representative: Sha256,
    embedding: Embedding,
    taken: Timestamp,
    frames: u32,
}

impl Bursts {
    /// Starts without a burst.
    pub fn new(params: BurstParams) -> Self {
        Bursts { params, running: None }
    }

    /// Returns the place of a frame in the current burst. `None` if the frame is unlike the representative or too far
    /// from it in time.
    pub fn place(&self, embedding: &Embedding, taken: Timestamp) -> Option<Burst> {
        let running = self.running.as_ref()?;
        let near = taken.duration_since(running.taken).abs() <= self.params.span_max;
        let alike = near && embedding.cosine(&running.embedding) >= self.params.similarity_min;
        alike.then(|| Burst { representative: running.representative, frame: running.frames + 1 })
    }

    /// Counts a frame that was stored with `place`. A frame without a place becomes the representative of those that
    /// follow.
    pub fn push(&mut self, sha256: Sha256, embedding: Embedding, taken: Timestamp, place: Option<Burst>) {
        match (&mut self.running, place) {
            (Some(running), Some(place)) if running.representative == place.representative => {
                running.frames = place.frame;
            }
            _ => self.running = Some(Running { representative: sha256, embedding, taken, frames: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_grouped_by_likeness_and_time() {
        let params = BurstParams { similarity_min: 0.985, span_max: SignedDuration::from_secs(2) };
        let mut bursts = Bursts::new(params);
        let cases = [
            (0.0, 0, None, "the first frame ever"),
            (0.1, 500, Some((1, 2)), "alike"),
            (0.1, 2_000, Some((1, 3)), "alike, at the last moment"),
            (0.1, 2_001, None, "alike, but too late"),
            (0.3, 2_500, None, "at once, but unlike"),
            (0.3, 1_000, Some((5, 2)), "alike, and a little earlier"),
            (0.1, 1_000, None, "like an older representative only"),
        ];
        for (number, (angle, milliseconds, expected, what)) in (1..).zip(cases) {
            let sha256 = Sha256([number; 32]);
            let embedding = Embedding::normalise(vec![f32::cos(angle), f32::sin(angle)]).expect("a direction");
            let taken = Timestamp::from_millisecond(milliseconds).expect("a moment");
            let place = bursts.place(&embedding, taken);
            bursts.push(sha256, embedding, taken, place);
            let found = place.map(|burst| (burst.representative.0[0], burst.frame));
            assert_eq!(found, expected, "{what}");
        }
    }
}
