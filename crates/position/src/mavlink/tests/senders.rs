//! Which of the senders on a line is followed.

use super::super::systems::SENDERS_MAX;
use super::*;

/// Another vehicle.
const SECOND: [u8; 2] = [2, 1];

fn place(boot_ms: u32, latitude: i32) -> Vec<u8> {
    position(boot_ms, latitude, 1_390_000_000, 0, [0, 0])
}

/// Latitudes, in whole degrees, of the fixes from a position of each sender five times a second.
fn latitudes(line: &mut Line, senders: &[[u8; 2]], seconds: u64) -> Vec<i32> {
    let mut found = Vec::new();
    for _ in 0..5 * seconds {
        line.now_ms += 200;
        for sender in senders {
            // Each vehicle has its own start.
            let boot_ms = line.now_ms as u32 + 1_000_000 * u32::from(sender[0]);
            let latitude = 10_000_000 * i32::from(sender[0]);
            if line.now_ms.is_multiple_of(1_000) {
                line.hear(*sender, 0, &heartbeat(2, 3));
            }
            let fix = line.fixes(*sender, 33, &place(boot_ms, latitude));
            found.extend(fix.map(|fix| fix.position.latitude_deg.round() as i32));
        }
    }
    found
}

#[test]
fn a_second_vehicle_gives_nothing() {
    let mut line = Line::default();
    line.hear(VEHICLE, 0, &heartbeat(2, 3));
    assert_eq!(latitudes(&mut line, &[SECOND, VEHICLE], 10), vec![1; 50]);
    // Its time, its receiver and its pictures neither.
    line.hear(SECOND, 2, &system_time(UNIX_US, 5_000));
    line.hear(SECOND, 24, &gps_raw(6, 70, 18, 14));
    assert_eq!(line.hear(SECOND, 263, &image(UNIX_US, 5_000, [1, 1], 1, 1, "DSC_0001.JPG")), []);
    let fix = line.fixes(VEHICLE, 33, &place(1_010_000, 10_000_000)).expect("a fix");
    assert_eq!((fix.utc, fix.position.quality, fix.satellites), (None, None, None));
    let report = line.decoder.report();
    assert_eq!(
        report.systems.iter().map(|system| (system.id, system.is_followed)).collect::<Vec<_>>(),
        [(1, true), (2, false)]
    );
}

#[test]
fn positions_before_the_first_heartbeat_wait_for_it() {
    let mut line = Line::default();
    for tenth in 1..10 {
        line.now_ms = 100 * tenth;
        assert_eq!(line.hear(SECOND, 33, &place(line.now_ms as u32, 1)), []);
        assert_eq!(line.hear(VEHICLE, 33, &place(line.now_ms as u32, 1)), []);
    }
    line.hear(VEHICLE, 0, &heartbeat(2, 3));
    assert_eq!(latitudes(&mut line, &[SECOND, VEHICLE], 1), [1; 5]);
}

#[test]
fn positions_without_any_heartbeat_are_believed_after_five_seconds() {
    let mut line = Line::default();
    let fixes = |line: &mut Line, sender: [u8; 2], seconds: u64| {
        let end_ms = line.now_ms + seconds * 1_000;
        let mut count = 0;
        while line.now_ms < end_ms {
            line.now_ms += 200;
            count += u32::from(line.fixes(sender, 33, &place(line.now_ms as u32, 1)).is_some());
        }
        count
    };
    assert_eq!(fixes(&mut line, SECOND, 5), 0);
    assert_eq!(fixes(&mut line, SECOND, 5), 25);
    // Somebody who says that it is a flight controller is better.
    line.hear(VEHICLE, 0, &heartbeat(2, 3));
    assert_eq!((fixes(&mut line, SECOND, 1), fixes(&mut line, VEHICLE, 1)), (0, 5));
    // Two that say nothing are one too many.
    let mut line = Line::default();
    for _ in 0..100 {
        assert_eq!((fixes(&mut line, SECOND, 1), fixes(&mut line, VEHICLE, 1)), (0, 0));
    }
    // One that turns out to be a ground station is let go.
    let mut line = Line::default();
    fixes(&mut line, SECOND, 10);
    line.hear(SECOND, 0, &heartbeat(6, 8));
    assert_eq!(fixes(&mut line, SECOND, 10), 0);
}

#[test]
fn another_vehicle_is_followed_after_ten_seconds_of_silence() {
    let mut line = Line::in_flight();
    assert_eq!(latitudes(&mut line, &[SECOND], 9), [0; 0]);
    let found = latitudes(&mut line, &[SECOND], 3);
    assert!(found.len() > 5 && found.iter().all(|latitude| *latitude == 2), "{found:?}");
    let fix = line.fixes(SECOND, 33, &place(line.now_ms as u32 + 2_000_000, 20_000_000)).expect("a fix");
    assert_eq!((fix.utc, fix.position.quality), (None, None), "nothing is left of the first");
    // The first one has to wait now.
    assert_eq!(latitudes(&mut line, &[VEHICLE, SECOND], 3), [2; 15]);
}

#[test]
fn the_settings_name_the_vehicle() {
    let mut line = Line::of_system(2);
    assert_eq!(latitudes(&mut line, &[VEHICLE, SECOND], 4), [2; 20]);
    assert_eq!(latitudes(&mut line, &[VEHICLE], 30), [0; 0], "no other one, however long");
    // Not even a heartbeat is needed.
    let mut line = Line::of_system(2);
    assert!(line.fixes(SECOND, 33, &place(1, 1)).is_some());
}

#[test]
fn two_vehicles_under_one_id_are_told_apart_by_their_clocks() {
    let mut line = Line::in_flight();
    for second in 100..130 {
        line.now_ms = 1_000 * second;
        line.fly(VEHICLE, line.now_ms..line.now_ms + 200, 40_000);
        for tenth in 1..10 {
            line.now_ms = 1_000 * second + 100 * tenth;
            assert_eq!(line.hear(VEHICLE, 33, &place(line.now_ms as u32 + 700_000, 1)), []);
            assert_eq!(line.hear(VEHICLE, 2, &system_time(UNIX_US, line.now_ms as u32 + 700_000)), []);
        }
    }
    let fix = line.fixes(VEHICLE, 33, &place(line.now_ms as u32 - 40_000, 1)).expect("a fix");
    assert_eq!(utc(&fix).as_deref(), Some("2026-11-25T00:01:29.9Z"));
}

#[test]
fn only_a_heartbeat_of_a_flight_controller_makes_one() {
    let follows = |sender: [u8; 2], kind: u8, autopilot: u8| {
        let mut line = Line::default();
        line.hear(sender, 0, &heartbeat(kind, autopilot));
        line.fixes(sender, 33, &place(1_000, 1)).is_some()
    };
    let kinds: Vec<u8> = (0..=255).filter(|kind| follows(VEHICLE, *kind, 3)).collect();
    let vehicles = [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 24, 25, 28, 29, 35, 43];
    assert_eq!(kinds[..vehicles.len()], vehicles);
    assert!(!follows(VEHICLE, 2, 8), "MAV_AUTOPILOT_INVALID");
    let components: Vec<u8> = (0..=255).filter(|component| follows([1, *component], 2, 12)).collect();
    assert_eq!(components, [1]);
}

#[test]
fn other_devices_of_the_same_system_tell_no_place_and_no_time() {
    let mut line = Line::in_flight();
    // A camera, mavros as a bridge, a companion computer, a ground station that uses the vehicle's number.
    for component in [100, 240, 191, 190] {
        line.hear([1, component], 0, &heartbeat(if component == 190 { 6 } else { 18 }, 8));
        for later in 0..10 {
            line.hear([1, component], 2, &system_time(UNIX_US + 692_000_000, 60_000 + later));
            line.hear([1, component], 24, &gps_raw(1, 9_999, 0, 0));
            assert_eq!(line.hear([1, component], 33, &place(60_000, 1)), []);
        }
    }
    let fix = line.fixes(VEHICLE, 33, &place(60_000, 1)).expect("a fix");
    assert_eq!((utc(&fix).as_deref(), fix.position.hdop), (Some("2026-11-25T00:01:00Z"), Some(0.7)));
}

#[test]
fn many_senders_push_nobody_out_who_is_followed() {
    let mut line = Line::in_flight();
    for index in 0..1_000_u32 {
        line.now_ms += 1;
        line.hear([2 + (index % 250) as u8, (index % 7) as u8], 0, &heartbeat(2, 3));
        line.hear([2 + (index % 250) as u8, (index % 7) as u8], 33, &place(index, 1));
    }
    assert_eq!(line.decoder.report().systems.len(), SENDERS_MAX);
    assert!(line.fixes(VEHICLE, 33, &place(61_000, 1)).is_some());
    assert_eq!(line.hear(SECOND, 33, &place(61_000, 1)), []);
}
