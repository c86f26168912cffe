//! Seeded stream of random numbers.

/// Stream of random numbers that its key determines, equal on every machine. The generator is splitmix64 (Steele, Lea
/// and Flood, "Fast splittable pseudorandom number generators", 2014). It must not be used for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts the stream of this key. Keys that differ in any number give unrelated streams.
    pub fn new(key: &[u64]) -> Self {
        Random(key.iter().fold(0, |state, &number| scramble(state ^ number).wrapping_add(GOLDEN)))
    }

    /// Starts splitmix64 as it is published, with `seed` as its first state. Other programs with that generator draw
    /// the same numbers.
    pub fn splitmix64(seed: u64) -> Self {
        Random(seed)
    }

    /// Draws 64 uniform bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        scramble(self.0)
    }

    /// Draws a uniform number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        // A double holds 53 bits exactly.
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws a uniform number in [-end, end).
    pub fn within(&mut self, end: f32) -> f32 {
        let uniform = (self.bits() >> 40) as f32 / 16_777_216.0;
        end * (2.0 * uniform - 1.0)
    }

    /// Draws a whole number from 0 to `end` - 1.
    ///
    /// # Panics
    /// If `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// Draws a roughly normal number with mean 0 and variance 1: the sum of twelve uniform ones.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| (self.bits() >> 40) as f32 / 16_777_216.0).sum::<f32>() - 6.0
    }

    /// Draws a quantised weight from -127 to 127. A quarter of them are the two extremes, where a saturating kernel
    /// goes wrong.
    pub fn int8(&mut self) -> i8 {
        match self.below(8) {
            0 => 127,
            1 => -127,
            _ => (self.below(255) as i16 - 127) as i8,
        }
    }

    /// Puts items into a uniformly random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

/// 2^64 divided by the golden ratio, which is the step of splitmix64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Finaliser of splitmix64.
#[inline]
fn scramble(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_seed_gives_the_published_numbers() {
        let mut random = Random::splitmix64(1_234_567);
        let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(published.map(|_| random.bits()), published);
    }
}
