//! Frames of both versions, and their fate on a bad line.

use std::time::Instant;

use bridgeclip_domain::{FixQuality, PositionSource};

use super::*;

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
            Arrival::Image(image) => Some((image.file_name, image.number, image.position.map(|at| at.latitude_deg))),
            _ => None,
        });
        assert_eq!(image, (count == 2).then(|| (Some("DSC_0007.JPG".to_owned()), Some(7), Some(-35.6897003))));
    }
}

/// Frames as packed by pymavlink 2.4.50: HEARTBEAT of a quadrotor, CAMERA_TRIGGER, CAMERA_FEEDBACK.
const PICTURES: [[&str; 3]; 2] = [
    [
        "fe0900010100050000000203510403c641",
        "fe0c000101703013a5030000000007000000ad29",
        "fe2d000101b4403aa50300000000152fbaea0c43435300002242000040410000c03f000000c00000b4420000000007000000003437",
    ],
    [
        "fd0900000001010000000500000002035104035c82",
        "fd0900000001017000003013a50300000000077c01",
        "fd290000000101b40000403aa50300000000152fbaea0c43435300002242000040410000c03f000000c00000b44200000000079ed1",
    ],
];

#[test]
fn pictures_of_another_implementation_are_read() {
    for packed in PICTURES {
        let all = arrivals(packed.iter().map(|frame| bytes(frame)));
        assert_eq!(all.iter().filter(|arrival| **arrival == Arrival::Valid).count(), packed.len());
        let images: Vec<TakenImage> = all
            .into_iter()
            .filter_map(|arrival| match arrival {
                Arrival::Image(image) => Some(image),
                _ => None,
            })
            .collect();
        let [trigger, feedback] = &images[..] else { panic!("{images:?}") };
        assert_eq!((trigger.kind, trigger.number, &trigger.position), (ImageReport::Trigger, Some(7), &None));
        assert_eq!((feedback.kind, feedback.number), (ImageReport::Feedback, Some(7)));
        let at = feedback.position.as_ref().expect("a place");
        assert_eq!((at.latitude_deg, at.longitude_deg, at.altitude_m), (-35.6897003, 139.6917004, Some(40.5)));
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
        let id = KINDS[random.bits() as usize % KINDS.len()].id;
        let sender = [random.bits() as u8 % 3, random.bits() as u8 % 2];
        let payload: Vec<u8> = (0..1 + random.bits() % 255).map(|_| random.bits() as u8).collect();
        let bytes = [sent(sender, Version::Two, id, &payload), vec![0; 300]].concat();
        assert!(!arrivals([bytes]).is_empty(), "{id}");
    }
    assert!(size_of::<Decoder>() < 1_500, "no heap, and little of its own");
}

#[test]
fn one_line_may_carry_anything_for_days() {
    let mut random = Random::new(&[6]);
    let (mut decoder, mut now_ns) = (Decoder::default(), 0_u64);
    let read = [0, 2, 24, 33, 112, 180, 263];
    for _ in 0..100_000 {
        now_ns = now_ns.saturating_add(random.bits() >> (random.bits() % 64));
        let sender = [random.bits() as u8 % 3, 1 + random.bits() as u8 % 2];
        let payload: Vec<u8> = match random.bits() % 3 {
            0 => heartbeat(random.bits() as u8 % 8, random.bits() as u8 % 10),
            1 => (0..1 + random.bits() % 60).map(|_| random.bits() as u8).collect(),
            _ => told_time(100_000 + random.bits() % 1_000_000, random.bits() % 100_000),
        };
        let bytes = sent(sender, Version::Two, read[random.bits() as usize % read.len()], &payload);
        decoder.push(&bytes, now_ns, |arrival| match arrival {
            Arrival::Fix(fix) => assert!(fix.position.latitude_deg.abs() <= 90.0 && fix.received_ns == now_ns),
            Arrival::Image(image) => assert!(image.exposed_ns <= now_ns && image.error_s > 0.0, "{image:?}"),
            Arrival::Valid => (),
        });
    }
    let report = decoder.report();
    assert!(report.systems.len() <= 6 && report.messages.len() == read.len(), "{report:?}");
}

#[test]
fn noise_makes_no_senders() {
    let mut random = Random::new(&[7]);
    let mut decoder = Decoder::default();
    // Half of it is magic bytes, small lengths and numbers of messages, as after a header.
    for round in 0..2_000 {
        let chunk: Vec<u8> = (0..4_096)
            .map(|_| match (round % 2, random.bits() % 8) {
                (1, 0 | 1) => 0xFE,
                (1, 2 | 3) => 0xFD,
                (1, 4) => random.bits() as u8 % 40,
                (1, 5) => 0,
                _ => random.bits() as u8,
            })
            .collect();
        decoder.push(&chunk, round, |arrival| panic!("{arrival:?}"));
    }
    assert_eq!((decoder.report().systems, decoder.report().unknown), (vec![], 0));
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
