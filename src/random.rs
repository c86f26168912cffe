//! Seeded numbers: initial weights, orders and dropout of the heads, and the logs that tests make up.

/// A stream of numbers that its key determines.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of this key. Keys that differ in any number give streams that have nothing in common.
    pub fn new(key: &[u64]) -> Self {
        Random(key.iter().fold(0, |state, &number| scramble(state ^ number).wrapping_add(GOLDEN)))
    }

    /// splitmix64
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        scramble(self.0)
    }

    /// Evenly within [0, 1).
    pub fn unit(&mut self) -> f64 {
        // As many bits as a double holds exactly.
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly within [-end, end).
    pub fn within(&mut self, end: f32) -> f32 {
        let uniform = (self.bits() >> 40) as f32 / 16_777_216.0;
        end * (2.0 * uniform - 1.0)
    }

    /// Fisher and Yates.
    pub fn shuffle(&mut self, items: &mut [u32]) {
        for last in (1..items.len()).rev() {
            let other = self.bits() % (last as u64 + 1);
            items.swap(last, other as usize);
        }
    }
}

/// 2^64 over the golden ratio, as in splitmix64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

#[inline]
fn scramble(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
