//! Draws from a stream that the seed determines.

use bridgeclip::random::Random;

/// Returns a number from 0 to `end` - 1, uniformly.
pub fn below(random: &mut Random, end: u64) -> u64 {
    random.bits() % end.max(1)
}

/// Returns true with a chance of `percent` in a hundred.
pub fn chance(random: &mut Random, percent: u64) -> bool {
    below(random, 100) < percent
}
