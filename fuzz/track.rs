//! Body of the fuzz target for track files. A test of the main crate runs it on every file of the corpus.

use std::io::Read;

use bridgeclip::tracks::{ReadParams, read};
use jiff::Timestamp;

/// Fuzzes a track file: what it gives must not depend on how its bytes arrive, and must be sound.
pub fn track(bytes: &[u8]) {
    let params = ReadParams { fixes_max: 1_000, images_max: 100, latest: Timestamp::MAX };
    let whole = read(bytes, &params);
    let cut = bytes.first().map_or(0, |first| usize::from(*first) % bytes.len());
    let split = read(bytes[..cut].chain(&bytes[cut..]), &params);
    assert_eq!(format!("{whole:?}"), format!("{split:?}"));
    let Ok(file) = whole else { return };
    assert!(!file.fixes.is_empty() && file.fixes.len() <= params.fixes_max);
    assert!(file.images.len() <= params.images_max);
    assert!(file.fixes.windows(2).all(|pair| pair[0].utc < pair[1].utc));
    for position in file.fixes.iter().map(|fix| &fix.position).chain(file.images.iter().map(|image| &image.position)) {
        assert!(position.latitude_deg.abs() <= 90.0 && position.longitude_deg.abs() <= 180.0);
    }
}
