//! Weights and pixels from a counter, the same as `models/bridgeclip_models/seeded.py` makes.

/// Returns `count` values in [offset - scale, offset + scale], which `name` alone determines.
pub fn seeded_values(name: &str, count: usize, offset: f32, scale: f32) -> impl Iterator<Item = f32> {
    let start = fnv1a(name.as_bytes());
    (1..=count as u64).map(move |index| {
        let bits = splitmix(start.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let uniform = (bits >> 40) as f32 / 16_777_216.0;
        offset + scale * (2.0 * uniform - 1.0)
    })
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

pub fn splitmix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
