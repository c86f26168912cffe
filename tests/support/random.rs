//! Repeatable chance.

/// A generator of numbers that depend on the seed alone.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Returns a number from 0 to `bound` - 1, uniformly.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        super::seeded::splitmix(self.0) % bound.max(1)
    }
}
