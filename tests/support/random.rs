//! Repeatable chance.

/// A generator of numbers that depend on the seed alone.
pub struct Random(bridgeclip_random::Random);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(bridgeclip_random::Random::splitmix64(seed))
    }

    /// Returns a uniform number of 0 to `bound` - 1; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.bits() % bound.max(1)
    }
}
