//! Helpers of the tests: reading, and files that are damaged in every way.

use jiff::Timestamp;

use bridgeclip_random::Random;

use crate::{ReadParams, TrackError, TrackFile, TrackFix, read};

/// Latest moment that the tests accept: 2030-01-01T00:00:00Z.
pub fn params() -> ReadParams {
    ReadParams::until(Timestamp::from_second(1_893_456_000).expect("in range"))
}

pub fn read_all(bytes: &[u8]) -> Result<TrackFile, TrackError> {
    read(bytes, &params())
}

/// Returns the message with which a file is refused.
pub fn expect_error(bytes: &[u8]) -> String {
    match read_all(bytes) {
        Ok(file) => panic!("accepted: {file:?}"),
        Err(error) => error.to_string(),
    }
}

/// Returns an NMEA sentence with its checksum.
pub fn sentence(text: &str) -> String {
    let sum = text.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${text}*{sum:02X}\r\n")
}

/// Asserts what holds for every file, however it is damaged: moments increase and lie in the range, places are on the
/// globe, and numbers are finite.
pub fn assert_sound(file: &TrackFile) {
    assert!(!file.fixes.is_empty());
    assert!(file.fixes.windows(2).all(|pair| pair[0].utc < pair[1].utc), "{file:?}");
    assert!(file.images.windows(2).all(|pair| pair[0].utc <= pair[1].utc), "{file:?}");
    let bounds = Timestamp::from_second(946_684_800).expect("in range")..=params().latest;
    let fixes = file.fixes.iter().map(|fix| (fix.utc, &fix.position, fix.speed_mps));
    for (utc, position, speed) in fixes.chain(file.images.iter().map(|image| (image.utc, &image.position, None))) {
        assert!(bounds.contains(&utc), "{utc}");
        assert!(position.latitude_deg.abs() <= 90.0 && position.longitude_deg.abs() <= 180.0, "{position:?}");
        let numbers = [position.altitude_m, position.hdop, position.std_m, speed];
        assert!(numbers.into_iter().flatten().all(f64::is_finite), "{position:?}");
    }
}

/// Reads a file `rounds` times with up to `faults_max` random faults: bytes that are changed, removed, repeated or
/// exchanged for others of the file.
pub fn mutate(bytes: &[u8], rounds: u64, faults_max: usize) {
    let mut accepted = 0;
    for round in 0..rounds {
        let mut random = Random::new(&[round, bytes.len() as u64]);
        let mut broken = bytes.to_vec();
        for _ in 0..=random.below(faults_max) {
            damage(&mut broken, &mut random);
        }
        if let Ok(file) = read(&broken[..], &params()) {
            assert_sound(&file);
            accepted += 1;
        }
    }
    assert!(accepted > rounds / 20, "hardly a file was accepted: {accepted} of {rounds}");
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let length = (1 + random.below(16)).min(bytes.len() - at);
    match random.below(6) {
        0 => bytes[at] = random.bits() as u8,
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = [0, 0xFF, 0x7F, 0x80][random.below(4)],
        3 if bytes.len() > 64 => drop(bytes.drain(at..at + length)),
        4 => {
            let piece = bytes[at..at + length].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        _ => {
            let to = random.below(bytes.len() - length + 1);
            bytes.copy_within(at..at + length, to);
        }
    }
}

/// Reads every beginning of a file, which must never give a place that the whole file does not have.
pub fn truncate(bytes: &[u8]) {
    let whole = read_all(bytes).expect("a good file");
    assert_sound(&whole);
    let mut most = 0;
    for length in 0..bytes.len() {
        let Ok(file) = read_all(&bytes[..length]) else {
            assert_eq!(most, 0, "{length} bytes give nothing, and fewer gave {most} fixes");
            continue;
        };
        assert_sound(&file);
        assert!(file.fixes.len() >= most, "{length}");
        let near = |fix: &TrackFix| whole.fixes.iter().any(|known| known.position.distance_m(&fix.position) < 500.0);
        assert!(file.fixes.iter().all(near), "{length} bytes give a place that the file does not have: {file:?}");
        most = file.fixes.len();
    }
    assert!(most <= whole.fixes.len() && most + 1 >= whole.fixes.len(), "{most} of {}", whole.fixes.len());
}
