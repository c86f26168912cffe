//! Frames of both versions, built here from the public layouts, and their fate on a bad line.

use std::time::Instant;

use jiff::Timestamp;

use bridgeclip_domain::{FixQuality, PositionSource};
use bridgeclip_random::Random;

use super::frame::checksum;
use super::*;
use crate::{Fix, TakenImage};

/// Seeds of the messages (CRC_EXTRA) as the public generators write them in `common.h`.
const SEEDS: [(u32, u8); 5] = [(0, 50), (2, 137), (24, 24), (33, 104), (263, 133)];

#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
    Signed,
}

fn frame(version: Version, id: u32, payload: &[u8]) -> Vec<u8> {
    let seed = SEEDS.iter().find(|(known, _)| *known == id).map_or(0, |(_, seed)| *seed);
    let mut frame = match version {
        Version::One => vec![0xFE, payload.len() as u8, 7, 1, 1, id as u8],
        Version::Two | Version::Signed => {
            let [low, middle, high, _] = id.to_le_bytes();
            let signed = u8::from(matches!(version, Version::Signed));
            let sent = payload.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
            let mut head = vec![0xFD, sent as u8, signed, 0, 7, 1, 1, low, middle, high];
            head.extend(&payload[..sent]);
            let sum = checksum(&head[1..], seed);
            head.extend(sum.to_le_bytes());
            // The signature may contain magic bytes.
            head.extend(if signed == 1 { &[0xFE, 0xFD, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xFE][..] } else { &[] });
            return head;
        }
    };
    frame.extend(payload);
    let sum = checksum(&frame[1..], seed);
    frame.extend(sum.to_le_bytes());
    frame
}

fn system_time(unix_us: u64, boot_ms: u32) -> Vec<u8> {
    [&unix_us.to_le_bytes()[..], &boot_ms.to_le_bytes()].concat()
}

fn gps_raw(fix_type: u8, hdop_centi: u16, satellites: u8, accuracy_mm: u32) -> Vec<u8> {
    let mut payload = vec![1; 20];
    payload.extend(hdop_centi.to_le_bytes());
    payload.extend([2; 6]);
    payload.extend([fix_type, satellites]);
    payload.extend([3; 4]);
    payload.extend(accuracy_mm.to_le_bytes());
    payload.extend([0; 14]);
    payload
}

fn position(boot_ms: u32, latitude: i32, longitude: i32, altitude_mm: i32, speed_cms: [i16; 2]) -> Vec<u8> {
    let mut payload = boot_ms.to_le_bytes().to_vec();
    [latitude, longitude, altitude_mm, 1_000].iter().for_each(|value| payload.extend(value.to_le_bytes()));
    [speed_cms[0], speed_cms[1], 5, 9_000].iter().for_each(|value| payload.extend(value.to_le_bytes()));
    payload
}

fn image(unix_us: u64, latitude: i32, longitude: i32, result: i8, url: &str) -> Vec<u8> {
    let mut payload = unix_us.to_le_bytes().to_vec();
    payload.extend(5_000_u32.to_le_bytes());
    [latitude, longitude, 12_000, 9_000].iter().for_each(|value| payload.extend(value.to_le_bytes()));
    payload.extend([0; 16 + 4 + 1]);
    payload.push(result as u8);
    payload.extend(url.bytes());
    payload.resize(255, 0);
    payload
}

fn arrivals(chunks: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Arrival> {
    let (mut decoder, mut arrivals) = (Decoder::default(), Vec::new());
    chunks.into_iter().for_each(|chunk| decoder.push(chunk.as_ref(), 0, |arrival| arrivals.push(arrival)));
    arrivals
}

fn fixes(chunks: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Fix> {
    let fix = |arrival| match arrival {
        Arrival::Fix(fix) => Some(fix),
        _ => None,
    };
    arrivals(chunks).into_iter().filter_map(fix).collect()
}

/// 2026-11-25T00:00:00Z.
const UNIX_US: u64 = 1_795_564_800_000_000;

/// Positions 200 ms apart between other messages of a controller, and their latitudes in order.
fn log(seed: u64, count: u32) -> (Vec<i32>, Vec<u8>) {
    let mut random = Random::new(&[seed]);
    let (mut latitudes, mut bytes) = (Vec::new(), Vec::new());
    for index in 0..count {
        let version = [Version::One, Version::Two, Version::Signed][random.bits() as usize % 3];
        let boot_ms = 1_000 + 200 * index;
        bytes.extend(frame(version, 0, &[1, 2, 3, 4, 5, 6, 7, 8, 3]));
        // ATTITUDE, which is unknown here, full of magic bytes.
        bytes.extend(frame(version, 30, &[0xFE; 28]));
        bytes.extend(frame(Version::Two, 2, &system_time(UNIX_US + u64::from(boot_ms) * 1_000, boot_ms)));
        let raw = gps_raw(6, 70, 18, 14);
        bytes.extend(frame(version, 24, if matches!(version, Version::One) { &raw[..30] } else { &raw }));
        let latitude = (random.bits() % 1_800_000_000) as i32 - 900_000_000;
        bytes.extend(frame(version, 33, &position(boot_ms, latitude, 1_396_917_000, 40_000, [300, 400])));
        latitudes.push(latitude);
    }
    (latitudes, bytes)
}

fn assert_all(latitudes: &[i32], fixes: &[Fix]) {
    let found: Vec<i32> = fixes.iter().map(|fix| (fix.position.latitude_deg * 1e7).round() as i32).collect();
    assert_eq!(found, latitudes);
}

#[test]
fn a_controller_gives_fixes_with_time_and_quality() {
    let (latitudes, bytes) = log(1, 200);
    let fixes = fixes([&bytes]);
    assert_all(&latitudes, &fixes);
    let fix = &fixes[5];
    assert_eq!(fix.utc.map(|utc| utc.to_string()).as_deref(), Some("2026-11-25T00:00:02Z"));
    assert_eq!((fix.speed_mps, fix.satellites), (Some(5.0), Some(18)));
    assert!((fix.course_deg.expect("it moves") - 53.130_102).abs() < 1e-5);
    let at = &fix.position;
    assert_eq!((at.longitude_deg, at.altitude_m, at.hdop), (139.6917, Some(40.0), Some(0.7)));
    assert_eq!((at.quality, at.source), (Some(FixQuality::RtkFixed), PositionSource::Rtk));
}

/// Frames as packed by pymavlink 2.4.50: SYSTEM_TIME, GPS_RAW_INT, GLOBAL_POSITION_INT; in version 2 also
/// CAMERA_IMAGE_CAPTURED and a signed GLOBAL_POSITION_INT.
const PACKED: [&[&str]; 2] = [
    &[
        "fe0c000101024009b6850e61060048ee00000f85",
        "fe1e000101184009b6850e610600e8d0451508434353349e00004b007800f401c1140611d4b4",
        "fe1c0001012110ef0000172fbaea0a434353349e0000e02e00002c0170fe0a00df7769df",
    ],
    &[
        "fd0a00000001010200004009b6850e61060048eed072",
        "fd2700000001011800004009b6850e610600e8d0451508434353349e00004b007800f401c1140611803801000e00000019e4c4",
        "fd1c000000010121000010ef0000172fbaea0a434353349e0000e02e00002c0170fe0a00df776ab3",
        "fd4b0000000101070100c023bc850e610600d8ef0000152fbaea0c434353989e0000442f00000000803f000000000000000000000000\
         0700000000016d6674703a2f2f2f4443494d2f4453435f303030372e4a5047b580",
        "fd1c010000010121000010ef0000172fbaea0a434353349e0000e02e00002c0170fe0a00df773509010100000000005989071ca759",
    ],
];

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("a byte")).collect()
}

#[test]
fn frames_of_another_implementation_are_read() {
    for (packed, count) in PACKED.into_iter().zip([1, 2]) {
        let all = arrivals(packed.iter().map(|frame| bytes(frame)));
        assert_eq!(all.iter().filter(|arrival| **arrival == Arrival::Valid).count(), packed.len());
        let fixes: Vec<Fix> = fixes(packed.iter().map(|frame| bytes(frame)));
        assert_eq!(fixes.len(), count);
        for fix in fixes {
            let at = &fix.position;
            assert_eq!((at.latitude_deg, at.longitude_deg, at.altitude_m), (-35.6897001, 139.6917002, Some(40.5)));
            assert_eq!((at.hdop, at.quality), (Some(0.75), Some(FixQuality::RtkFixed)));
            assert_eq!(at.std_m, (count == 2).then_some(0.014));
            assert_eq!(fix.utc.map(|utc| utc.to_string()).as_deref(), Some("2026-11-25T00:01:01.2Z"));
            assert_eq!((fix.speed_mps, fix.satellites), (Some(5.0), Some(17)));
        }
        let image = all.into_iter().find_map(|arrival| match arrival {
            Arrival::Image(TakenImage { file_name, fix }) => Some((file_name, fix.position.latitude_deg)),
            _ => None,
        });
        assert_eq!(image, (count == 2).then(|| ("DSC_0007.JPG".to_owned(), -35.6897003)));
    }
}

#[test]
fn accuracy_comes_with_version_2_only() {
    let raw = gps_raw(3, u16::MAX, u8::MAX, 1_500);
    let place = frame(Version::One, 33, &position(1, 1, 1, 0, [0, 0]));
    let of = |gps: Vec<u8>| fixes([[gps, place.clone()].concat()]).remove(0);
    let (first, second) = (of(frame(Version::One, 24, &raw[..30])), of(frame(Version::Two, 24, &raw)));
    assert_eq!((first.position.std_m, second.position.std_m), (None, Some(1.5)));
    assert_eq!((second.position.hdop, second.satellites, second.course_deg), (None, None, None));
    assert_eq!(second.position.source, PositionSource::Mavlink);
}

#[test]
fn a_log_may_be_cut_at_every_byte() {
    let (latitudes, bytes) = log(2, 6);
    for at in 0..=bytes.len() {
        assert_all(&latitudes, &fixes([&bytes[..at], &bytes[at..]]));
    }
    assert_all(&latitudes, &fixes(bytes.chunks(1)));
}

#[test]
fn noise_and_wrong_checksums_change_nothing() {
    let mut random = Random::new(&[3]);
    let mut noisy = Vec::new();
    let mut latitudes = Vec::new();
    for index in 0..300 {
        // Without magic bytes at the end, which would claim bytes of the next frame.
        noisy.extend((0..random.bits() % 100).map(|_| random.bits() as u8 % 0xFD));
        let good = frame(Version::Two, 33, &position(index, index as i32 + 1, 1, 1, [0, 0]));
        let mut broken = good.clone();
        let at = 1 + random.bits() as usize % (broken.len() - 1);
        broken[at] ^= 1 << (random.bits() % 8);
        noisy.extend(broken);
        noisy.extend(&good);
        latitudes.push(index as i32 + 1);
    }
    noisy.extend([0; 300]);
    assert_all(&latitudes, &fixes([&noisy]));
}

#[test]
fn places_that_cannot_be_are_refused() {
    let position = |latitude, longitude| frame(Version::One, 33, &position(1, latitude, longitude, 0, [0, 0]));
    let wrong = [position(0, 0), position(900_000_001, 0), position(1, i32::MIN), position(i32::MAX, 5)];
    assert_eq!(fixes(wrong), []);
    assert_eq!(fixes([position(900_000_000, -1_800_000_000)]).len(), 1);
}

#[test]
fn pictures_come_with_the_name_of_their_file() {
    let names = |url: &str, result| {
        let arrivals = arrivals([frame(Version::Two, 263, &image(UNIX_US, 5, 6, result, url))]);
        arrivals.into_iter().find_map(|arrival| match arrival {
            Arrival::Image(TakenImage { file_name, fix }) => Some((file_name, fix.utc)),
            _ => None,
        })
    };
    let utc = Timestamp::from_microsecond(UNIX_US as i64).ok();
    let taken = |name: &str| Some((name.to_owned(), utc));
    assert_eq!(names("http://camera/DCIM/100/DSC_0001.JPG", 1), taken("DSC_0001.JPG"));
    assert_eq!(names("C:\\DCIM\\a.jpg", 1), taken("a.jpg"));
    assert_eq!(names(&"n".repeat(205), 1), taken(&"n".repeat(205)));
    assert_eq!(names("DSC_0001.JPG", 0), None);
    assert_eq!(names("DCIM/", 1), None);
}

#[test]
fn any_bytes_are_fine() {
    let mut random = Random::new(&[4]);
    for _ in 0..5_000 {
        let length = random.bits() % 600;
        let byte = |random: &mut Random| match random.bits() % 8 {
            0 => 0xFE,
            1 => 0xFD,
            2 => 0,
            _ => random.bits() as u8,
        };
        arrivals([(0..length).map(|_| byte(&mut random)).collect::<Vec<_>>()]);
        let (id, _) = SEEDS[random.bits() as usize % 5];
        let payload: Vec<u8> = (0..1 + random.bits() % 255).map(|_| random.bits() as u8).collect();
        assert!(!arrivals([[frame(Version::Two, id, &payload), vec![0; 300]].concat()]).is_empty(), "{id}");
    }
    assert!(size_of::<Decoder>() < 1_000, "no heap, and little of its own");
}

/// Measures the throughput: `cargo test --release -- --ignored mavlink_throughput --nocapture`.
#[test]
#[ignore = "a measurement; needs a quiet machine"]
fn mavlink_throughput() {
    let (latitudes, bytes) = log(5, 20_000);
    let start = Instant::now();
    assert_all(&latitudes, &fixes(bytes.chunks(4_096)));
    let rate = bytes.len() as f64 / 1e6 / start.elapsed().as_secs_f64();
    println!("{rate:.0} MB/s, {} bytes", bytes.len());
    assert!(rate >= 10.0);
}
