//! Draws from a stream that the seed determines.

use bridgeclip::random::Random;

/// Evenly from 0 to `end` - 1.
pub fn below(random: &mut Random, end: u64) -> u64 {
    random.bits() % end.max(1)
}

/// Whether it happens, in so many of a hundred cases.
pub fn chance(random: &mut Random, percent: u64) -> bool {
    below(random, 100) < percent
}
