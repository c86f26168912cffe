//! Frames of both versions, built here from the public layouts, and lines on which senders speak in turn.

use bridgeclip_random::Random;

use super::frame::checksum;
use super::kinds::find;
use super::*;
use crate::{Fix, ImageReport, TakenImage};

mod captures;
mod explained;
mod frames;
mod receiver;
mod senders;
mod times;

#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
    Signed,
}

/// Flight controller of the first system.
const VEHICLE: [u8; 2] = [1, 1];

fn frame(version: Version, id: u32, payload: &[u8]) -> Vec<u8> {
    sent(VEHICLE, version, id, payload)
}

/// Returns a frame of a sender, which is a system and a component.
fn sent([system, component]: [u8; 2], version: Version, id: u32, payload: &[u8]) -> Vec<u8> {
    let seed = find(id).map_or(0, |kind| KINDS[kind].seed);
    let mut frame = match version {
        Version::One => vec![0xFE, payload.len() as u8, 7, system, component, id as u8],
        Version::Two | Version::Signed => {
            let [low, middle, high, _] = id.to_le_bytes();
            let signed = u8::from(matches!(version, Version::Signed));
            let sent = payload.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
            let mut head = vec![0xFD, sent as u8, signed, 0, 7, system, component, low, middle, high];
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

/// Returns the payload of a HEARTBEAT with a `MAV_TYPE` and a `MAV_AUTOPILOT`.
fn heartbeat(kind: u8, autopilot: u8) -> Vec<u8> {
    vec![5, 0, 0, 0, kind, autopilot, 81, 4, 3]
}

/// Returns a quadrotor's HEARTBEAT.
fn alive(version: Version) -> Vec<u8> {
    frame(version, 0, &heartbeat(2, 3))
}

fn system_time(unix_us: u64, boot_ms: u32) -> Vec<u8> {
    [&unix_us.to_le_bytes()[..], &boot_ms.to_le_bytes()].concat()
}

fn gps_raw(fix_type: u8, hdop_centi: u16, satellites: u8, accuracy_mm: u32) -> Vec<u8> {
    gps_raw_at(0, [350_000_000, 1_390_000_000], fix_type, [hdop_centi, 500, 9_000], satellites, accuracy_mm)
}

/// Returns the payload of a GPS_RAW_INT. The words are HDOP, speed and course.
fn gps_raw_at(
    time_us: u64,
    place: [i32; 2],
    fix_type: u8,
    [hdop_centi, speed_cms, course_centi]: [u16; 3],
    satellites: u8,
    accuracy_mm: u32,
) -> Vec<u8> {
    let mut payload = time_us.to_le_bytes().to_vec();
    [place[0], place[1], 40_000].iter().for_each(|value| payload.extend(value.to_le_bytes()));
    [hdop_centi, 90, speed_cms, course_centi].iter().for_each(|value| payload.extend(value.to_le_bytes()));
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

/// Returns the payload of a CAMERA_IMAGE_CAPTURED.
fn image(unix_us: u64, boot_ms: u32, [latitude, longitude]: [i32; 2], index: i32, result: i8, url: &str) -> Vec<u8> {
    let mut payload = unix_us.to_le_bytes().to_vec();
    payload.extend(boot_ms.to_le_bytes());
    [latitude, longitude, 12_000, 9_000].iter().for_each(|value| payload.extend(value.to_le_bytes()));
    payload.extend([0; 16]);
    payload.extend(index.to_le_bytes());
    payload.extend([0, result as u8]);
    payload.extend(url.bytes());
    payload.resize(255, 0);
    payload
}

/// Returns the payload of a CAMERA_TRIGGER.
fn trigger(time_us: u64, sequence: u32) -> Vec<u8> {
    [&time_us.to_le_bytes()[..], &sequence.to_le_bytes()].concat()
}

/// Returns the payload of a CAMERA_FEEDBACK.
fn feedback(time_us: u64, [latitude, longitude]: [i32; 2], altitude_m: f32, index: u16, flags: u8) -> Vec<u8> {
    let mut payload = time_us.to_le_bytes().to_vec();
    [latitude, longitude].iter().for_each(|value| payload.extend(value.to_le_bytes()));
    [altitude_m, 10.0, 1.0, 2.0, 3.0, 0.0].iter().for_each(|value| payload.extend(value.to_le_bytes()));
    payload.extend(index.to_le_bytes());
    payload.extend([0, 0, flags]);
    payload
}

/// A line on which frames arrive at moments of the monotonic clock.
#[derive(Default)]
struct Line {
    decoder: Decoder,
    now_ms: u64,
}

impl Line {
    fn of_system(system: u8) -> Self {
        Line { decoder: Decoder::new(Params { system: Some(system) }), now_ms: 0 }
    }

    /// Returns a line on which a quadrotor has been heard for 20 s until 100 s, with its positions and its time. It was
    /// started at 40 s, which was [`UNIX_US`].
    fn in_flight() -> Self {
        let mut line = Line::default();
        line.fly(VEHICLE, 80_000..100_000, 40_000);
        line
    }

    /// Hears a vehicle five times a second, its heartbeat and its time once a second.
    fn fly(&mut self, sender: [u8; 2], now_ms: std::ops::Range<u64>, start_ms: u64) -> Vec<Fix> {
        let mut fixes = Vec::new();
        for now_ms in now_ms.step_by(200) {
            self.now_ms = now_ms;
            if now_ms.is_multiple_of(1_000) {
                self.hear(sender, 0, &heartbeat(2, 3));
                self.hear(sender, 2, &told_time(now_ms, start_ms));
                self.hear(sender, 24, &gps_raw(6, 70, 18, 14));
            }
            fixes.extend(self.fixes(sender, 33, &position((now_ms - start_ms) as u32, 350_000_000, 1, 1, [300, 400])));
        }
        fixes
    }

    /// Hears a message now, and returns what it gives.
    fn hear(&mut self, sender: [u8; 2], id: u32, payload: &[u8]) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        let bytes = sent(sender, Version::Two, id, payload);
        self.decoder.push(&bytes, self.now_ms * 1_000_000, |arrival| arrivals.push(arrival));
        assert_eq!(arrivals.first(), Some(&Arrival::Valid), "message {id}");
        arrivals.split_off(1)
    }

    fn fixes(&mut self, sender: [u8; 2], id: u32, payload: &[u8]) -> Option<Fix> {
        self.hear(sender, id, payload).into_iter().find_map(|arrival| match arrival {
            Arrival::Fix(fix) => Some(fix),
            _ => None,
        })
    }

    fn image(&mut self, sender: [u8; 2], id: u32, payload: &[u8]) -> Option<TakenImage> {
        self.hear(sender, id, payload).into_iter().find_map(|arrival| match arrival {
            Arrival::Image(image) => Some(image),
            _ => None,
        })
    }
}

/// Returns the payload of the SYSTEM_TIME of a controller that was started at `start_ms`, which was [`UNIX_US`].
fn told_time(now_ms: u64, start_ms: u64) -> Vec<u8> {
    system_time(UNIX_US + (now_ms - start_ms) * 1_000, (now_ms - start_ms) as u32)
}

fn utc(fix: &Fix) -> Option<String> {
    fix.utc.map(|utc| utc.to_string())
}

/// Returns the arrivals from a line on which a quadrotor has just been heard.
fn arrivals(chunks: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Arrival> {
    let (mut decoder, mut arrivals) = (Decoder::default(), Vec::new());
    decoder.push(&alive(Version::Two), 0, |_| ());
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
        bytes.extend(alive(version));
        // A message that is unknown here, full of magic bytes.
        bytes.extend(frame(version, 3, &[0xFE; 28]));
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
