//! Samples that the tests of all crates share. The program uses none of them.

use jiff::Timestamp;

use super::{
    AltitudeAbove, Camera, Capture, CategoryLabels, Clause, Draft, Exposure, FixQuality, Image, Labels, PhotoQuality,
    Position, PositionSource, Sha256, Time, TimeQuality,
};

/// Returns a capture of which nothing is known except its file of five bytes.
pub fn bare_capture(sha256: Sha256) -> Capture {
    Capture {
        taken: Time::new(Timestamp::UNIX_EPOCH, TimeQuality::Unsynced),
        monotonic_ns: None,
        image: Image {
            sha256,
            path: "/media/DJI_0001.JPG".into(),
            bytes: 5,
            pixels: [4000, 3000],
            camera: Camera::default(),
            exposure: Exposure::default(),
            quality: None,
        },
        position: None,
        drone: None,
        tag: None,
        burst: None,
    }
}

/// Returns a draft of two sentences: cracking of the pier, and rating III.
pub fn draft() -> Draft {
    let clause = |indexes: [Option<u8>; 4], references: &[i64]| Clause {
        says: Labels::new(|category| CategoryLabels::new(category, indexes[category as usize])),
        references: references.to_vec(),
        captures: Vec::new(),
    };
    Draft { clauses: vec![clause([None, None, Some(0), Some(6)], &[7, 12]), clause([Some(2), None, None, None], &[7])] }
}

/// Returns figures of a good photo, all of them known.
pub fn quality() -> PhotoQuality {
    PhotoQuality {
        sharpness: 123.4,
        brightness: 0.42,
        black_share: 0.001,
        white_share: 0.002,
        millimetres_per_pixel: Some(0.83),
    }
}

/// Returns a position of which everything is known that does not contradict it.
pub fn position() -> Position {
    Position {
        altitude_m: Some(12.5),
        altitude_above: Some(AltitudeAbove::Sea),
        hdop: Some(0.8),
        std_m: Some(1.5),
        quality: Some(FixQuality::Differential),
        age_s: Some(0.25),
        error_m: Some(3.7),
        ..Position::at(35.5, 139.25, PositionSource::SerialGps)
    }
}
