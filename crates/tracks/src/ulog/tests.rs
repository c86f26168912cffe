//! Logs built here from the public definition of the format.

use bridgeclip_domain::{AltitudeAbove, FixQuality, PositionSource};

use super::*;
use crate::report::{TrackFile, TrackFormat};
use crate::testing::{expect_error, mutate, read_all, truncate};

/// 2026-05-09T10:11:12Z in microseconds since 1970.
const UTC_US: u64 = 1_778_321_472_000_000;

const OLD_GPS: &str = "vehicle_gps_position:uint64_t timestamp;uint64_t time_utc_usec;int32_t lat;int32_t lon;\
    int32_t alt;float eph;float hdop;float vel_m_s;int32_t timestamp_time_relative;uint8_t fix_type;uint8_t[7] _padding0;";
const NEW_GPS: &str = "sensor_gps:uint64_t timestamp;double latitude_deg;double longitude_deg;double altitude_msl_m;\
    uint64_t time_utc_usec;float eph;uint8_t fix_type;";
const ESTIMATE: &str = "vehicle_global_position:uint64_t timestamp;double lat;double lon;float alt;float eph;\
    bool dead_reckoning;uint8_t[3] _padding0;";
const CAPTURE: &str = "camera_capture:uint64_t timestamp;uint64_t timestamp_utc;double lat;double lon;uint32_t seq;\
    float alt;float[4] q;int8_t result;";
const TRIGGER: &str = "camera_trigger:uint64_t timestamp;uint64_t timestamp_utc;uint32_t seq;bool feedback;";

fn message(letter: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    [&(content.len() as u16).to_le_bytes()[..], &[letter], &content].concat()
}

fn flags(incompatible: u8, appended: u64) -> Vec<u8> {
    let mut content = [0; 40];
    content[8] = incompatible;
    content[16..24].copy_from_slice(&appended.to_le_bytes());
    message(b'B', &[&content])
}

fn subscribe(instance: u8, number: u16, name: &str) -> Vec<u8> {
    message(b'A', &[&[instance], &number.to_le_bytes(), name.as_bytes()])
}

fn data(number: u16, fields: &[&[u8]]) -> Vec<u8> {
    message(b'D', &[&number.to_le_bytes(), &fields.concat()])
}

/// A fix `second` seconds after the first, which came 5 s after the start.
fn gps(number: u16, second: u64, latitude: i32, fix_type: u8) -> Vec<u8> {
    let time = [second * 1_000_000 + 5_080_000, UTC_US + second * 1_000_000].map(u64::to_le_bytes).concat();
    let place = [latitude, 1_396_917_000, 588_820].map(i32::to_le_bytes).concat();
    let numbers = [1.5_f32, 0.8, 2.5].map(f32::to_le_bytes).concat();
    data(number, &[&time, &place, &numbers, &0_i32.to_le_bytes(), &[fix_type]])
}

fn estimate(clock_us: u64, latitude: f64, reckoned: u8) -> Vec<u8> {
    let place = [latitude, 139.691_7].map(f64::to_le_bytes).concat();
    let numbers = [584.38_f32, 0.25].map(f32::to_le_bytes).concat();
    data(3, &[&clock_us.to_le_bytes(), &place, &numbers, &[reckoned]])
}

fn capture(clock_us: u64, sequence: u32, result: i8) -> Vec<u8> {
    let place = [35.5_f64, 139.5].map(f64::to_le_bytes).concat();
    data(4, &[&clock_us.to_le_bytes(), &[0; 8], &place, &sequence.to_le_bytes(), &[0; 20], &result.to_le_bytes()])
}

fn trigger(clock_us: u64, sequence: u32, feedback: u8) -> Vec<u8> {
    data(5, &[&clock_us.to_le_bytes(), &[0; 8], &sequence.to_le_bytes(), &[feedback]])
}

fn head(flags: &[u8]) -> Vec<u8> {
    let formats = [OLD_GPS, NEW_GPS, ESTIMATE, CAPTURE, TRIGGER].map(|text| message(b'F', &[text.as_bytes()])).concat();
    let topics = [
        subscribe(0, 1, "vehicle_gps_position"),
        subscribe(0, 2, "sensor_gps"),
        subscribe(0, 3, "vehicle_global_position"),
        subscribe(0, 4, "camera_capture"),
        subscribe(0, 5, "camera_trigger"),
        subscribe(1, 6, "vehicle_gps_position"),
    ];
    [&MAGIC[..], &[1], &7_u64.to_le_bytes(), flags, &formats, &topics.concat()].concat()
}

fn log(messages: &[Vec<u8>]) -> Vec<u8> {
    [head(&flags(0, 0)), messages.concat()].concat()
}

fn moments(file: &TrackFile) -> Vec<String> {
    file.fixes.iter().map(|fix| fix.utc.to_string()).collect()
}

#[test]
fn fixes_of_the_receiver_have_satellite_time_and_quality() {
    let file =
        read_all(&log(&[gps(1, 0, -353_626_277, 3), gps(6, 0, 100, 3), gps(1, 1, -353_626_278, 6)])).expect("fixes");
    assert_eq!(
        (file.format, moments(&file)),
        (TrackFormat::Ulog, vec!["2026-05-09T10:11:12Z".to_owned(), "2026-05-09T10:11:13Z".to_owned()])
    );
    let position = &file.fixes[0].position;
    assert_eq!((position.latitude_deg, position.longitude_deg), (-35.362_627_7, 139.691_7));
    assert_eq!((position.altitude_m, position.altitude_above), (Some(588.82), Some(AltitudeAbove::Sea)));
    assert_eq!((position.std_m, position.hdop, file.fixes[0].speed_mps), (Some(1.5), Some(0.8), Some(2.5)));
    assert_eq!((position.quality, position.source), (Some(FixQuality::Autonomous), PositionSource::Mavlink));
    assert_eq!(file.fixes[1].position.source, PositionSource::Rtk);
    assert!(file.skipped.is_empty() && file.notes.is_empty(), "{file:?}");
}

#[test]
fn newer_receivers_have_degrees() {
    let place = [47.397_742_2_f64, 8.545_594_1, 488.1].map(f64::to_le_bytes).concat();
    let fix = data(2, &[&5_080_000_u64.to_le_bytes(), &place, &UTC_US.to_le_bytes(), &0.3_f32.to_le_bytes(), &[3]]);
    let file = read_all(&log(&[fix])).expect("a fix");
    let position = &file.fixes[0].position;
    assert_eq!((position.latitude_deg, position.altitude_m, position.std_m), (47.397_742_2, Some(488.1), Some(0.3)));
}

#[test]
fn estimates_are_tied_to_utc_by_the_boot_clock() {
    let messages = [
        estimate(5_000_000, 35.0, 0),
        gps(1, 0, 350_000_000, 3),
        estimate(5_180_000, 35.1, 0),
        estimate(5_280_000, 35.2, 1),
        gps(1, 9, 350_000_000, 3),
    ];
    let file = read_all(&log(&messages)).expect("fixes");
    let expected =
        ["2026-05-09T10:11:11.92Z", "2026-05-09T10:11:12.1Z", "2026-05-09T10:11:12.2Z", "2026-05-09T10:11:21Z"];
    assert_eq!(moments(&file), expected);
    let state = |index: usize| (file.fixes[index].position.quality, file.fixes[index].position.std_m);
    assert_eq!(state(1), (Some(FixQuality::Autonomous), Some(0.25)));
    assert_eq!(state(2), (Some(FixQuality::Estimated), Some(0.25)));
    assert_eq!(state(3), (Some(FixQuality::Autonomous), Some(1.5)), "the receiver fills the silence");
}

#[test]
fn pictures_are_those_of_the_best_witness() {
    let track = [gps(1, 0, 350_000_000, 3), gps(1, 1, 350_000_100, 3)];
    let pictures = |messages: &[Vec<u8>]| {
        let file = read_all(&log(&[&track, messages].concat())).expect("fixes");
        let found = file.images.iter().map(|image| (image.number, image.position.latitude_deg));
        (found.collect::<Vec<_>>(), file.notes.contains(&Note::TriggersOnly))
    };
    let [shot, failed] = [capture(5_580_000, 7, -1), capture(5_590_000, 8, 0)];
    let [triggered, signalled] = [trigger(5_580_000, 3, 0), trigger(5_580_000, 4, 1)];
    assert_eq!(pictures(&[shot, failed, triggered.clone(), signalled.clone()]), (vec![(Some(7), 35.5)], false));
    assert_eq!(pictures(&[triggered.clone(), signalled]), (vec![(Some(4), 35.000_005)], false));
    assert_eq!(pictures(&[triggered]), (vec![(Some(3), 35.000_005)], true));
    assert_eq!(pictures(&[trigger(9_000_000, 3, 1)]), (vec![], false));
}

#[test]
fn appended_data_follow_a_torn_message() {
    let mut bytes = [head(&flags(1, 0)), gps(1, 0, 350_000_000, 3)].concat();
    let torn = gps(1, 1, 350_000_001, 3);
    bytes.extend(&torn[..20]);
    let start = bytes.len() as u64;
    bytes.extend(gps(1, 2, 350_000_002, 3));
    let place = HEADER + BEFORE + 16;
    bytes[place..place + 8].copy_from_slice(&start.to_le_bytes());
    let file = read_all(&bytes).expect("fixes");
    assert_eq!(moments(&file), ["2026-05-09T10:11:12Z", "2026-05-09T10:11:14Z"]);
    assert!(expect_error(&[head(&flags(2, 0)), gps(1, 0, 1, 3)].concat()).contains("newer version"));
}

#[test]
fn a_damaged_stretch_ends_at_the_next_sync_message() {
    let broken = vec![9, 9, 0xEE, 0, 0, 1];
    let messages = [
        gps(1, 0, 350_000_000, 3),
        broken.clone(),
        gps(1, 1, 350_000_000, 3),
        SYNC.to_vec(),
        gps(1, 2, 350_000_000, 3),
    ];
    let file = read_all(&log(&messages)).expect("fixes");
    assert_eq!(moments(&file), ["2026-05-09T10:11:12Z", "2026-05-09T10:11:14Z"]);
    assert_eq!(file.skipped.into_iter().collect::<Vec<_>>(), [(Skip::Unreadable, 1)]);
    let lost = read_all(&log(&[gps(1, 0, 350_000_000, 3), broken, vec![0x77; 10_000]])).expect("a fix");
    assert_eq!(lost.fixes.len(), 1);
}

#[test]
fn what_has_no_fix_or_no_time_is_refused_with_the_reason() {
    assert!(expect_error(&log(&[gps(1, 0, 350_000_000, 1)])).contains("receiver without a fix"));
    assert!(expect_error(&log(&[estimate(5_000_000, 35.0, 0)])).contains("no satellite time"));
    assert!(expect_error(&MAGIC).contains("no fix"));
}

#[test]
fn any_bytes_are_fine() {
    let messages: Vec<Vec<u8>> = (0..5)
        .flat_map(|second| {
            let clock_us = second * 1_000_000 + 5_300_000;
            [gps(1, second, 350_000_000, 3), estimate(clock_us, 35.0, 0), capture(clock_us, 1, 1), SYNC.to_vec()]
        })
        .collect();
    mutate(&log(&messages), 3_000, 15);
    truncate(&log(&[gps(1, 0, 350_000_000, 3), estimate(5_300_000, 35.0, 0), capture(5_400_000, 1, 1)]));
}
