//! Weights and pixels from a counter, the same as `models/bridgeclip_models/seeded.py` makes.

use bridgeclip_random::Random;

/// Returns `count` values in [offset - scale, offset + scale], which `name` alone determines.
pub fn seeded_values(name: &str, count: usize, offset: f32, scale: f32) -> impl Iterator<Item = f32> {
    let mut random = Random::splitmix64(fnv1a(name.as_bytes()));
    (0..count).map(move |_| offset + random.within(scale))
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
