//! What the controller's receiver adds to its filter, and what it gives alone.

use bridgeclip_domain::{AltitudeAbove, FixQuality, PositionSource};

use super::*;

fn place(line: &Line) -> Vec<u8> {
    position(line.now_ms as u32, 350_000_000, 1_390_000_000, 40_000, [0, 0])
}

/// Returns a line on which a quadrotor was heard at the moment 0.
fn line() -> Line {
    let mut line = Line::default();
    line.hear(VEHICLE, 0, &heartbeat(2, 3));
    line
}

#[test]
fn the_receivers_own_fix_stands_in_for_the_filter() {
    let mut line = line();
    let raw = |line: &Line, fix_type| {
        gps_raw_at(line.now_ms * 1_000, [356_897_000, 1_396_917_000], fix_type, [70, 500, 9_000], 12, 800)
    };
    let fix = |line: &mut Line, now_ms: u64, fix_type: u8| {
        line.now_ms = now_ms;
        let raw = raw(line, fix_type);
        line.fixes(VEHICLE, 24, &raw)
    };
    assert_eq!((fix(&mut line, 1_000, 3), fix(&mut line, 2_900, 3)), (None, None), "the filter may still speak");
    line.hear(VEHICLE, 2, &system_time(UNIX_US + 2_900_000, 2_900));
    let found = fix(&mut line, 3_000, 3).expect("a fix");
    assert_eq!(utc(&found).as_deref(), Some("2026-11-25T00:00:03Z"));
    assert_eq!((found.measured_ns, found.received_ns), (3_000_000_000, 3_000_000_000));
    assert_eq!((found.speed_mps, found.course_deg, found.satellites), (Some(5.0), Some(90.0), Some(12)));
    let at = &found.position;
    assert_eq!((at.latitude_deg, at.longitude_deg, at.altitude_m), (35.6897, 139.6917, Some(40.0)));
    assert_eq!((at.hdop, at.std_m, at.quality), (Some(0.7), Some(0.8), Some(FixQuality::Autonomous)));
    assert_eq!((at.source, at.altitude_above), (PositionSource::Mavlink, Some(AltitudeAbove::Sea)));
    assert_eq!((fix(&mut line, 4_000, 0), fix(&mut line, 5_000, 1)), (None, None), "no fix");
    let flat = fix(&mut line, 6_000, 2).expect("a fix").position;
    assert_eq!((flat.altitude_m, flat.altitude_above), (None, None), "a flat fix has no altitude");
    assert_eq!(fix(&mut line, 7_000, 6).map(|fix| fix.position.source), Some(PositionSource::Rtk));
    // The filter speaks again.
    let told = place(&line);
    assert!(line.fixes(VEHICLE, 33, &told).is_some());
    assert_eq!((fix(&mut line, 8_000, 3), fix(&mut line, 9_900, 3)), (None, None));
    assert!(fix(&mut line, 10_000, 3).is_some(), "three seconds after its last word");
}

#[test]
fn unknown_figures_of_the_receiver_stay_unknown() {
    let mut line = line();
    line.now_ms = 5_000;
    let raw = gps_raw_at(UNIX_US, [1, 1], 3, [u16::MAX; 3], u8::MAX, 0);
    let fix = line.fixes(VEHICLE, 24, &raw).expect("a fix");
    assert_eq!((fix.speed_mps, fix.course_deg, fix.satellites), (None, None, None));
    assert_eq!((fix.position.hdop, fix.position.std_m), (None, None));
    assert_eq!(utc(&fix).as_deref(), Some("2026-11-25T00:00:00Z"), "some count from 1970");
    assert_eq!(line.fixes(VEHICLE, 24, &gps_raw_at(0, [0, 0], 3, [90, 0, 0], 9, 0)), None, "0/0 is nowhere");
}

#[test]
fn other_receivers_give_no_fix() {
    let mut line = line();
    line.now_ms = 5_000;
    // HIL_GPS and GPS2_RAW: of a simulation, and of a second antenna.
    assert_eq!((line.hear(VEHICLE, 113, &[1; 39]), line.hear(VEHICLE, 124, &[1; 57])), (vec![], vec![]));
}

#[test]
fn the_loss_of_rtk_shows_at_once() {
    let mut line = line();
    let mut of = |now_ms: u64, gps: Option<Vec<u8>>| {
        line.now_ms = now_ms;
        if let Some(gps) = gps {
            line.hear(VEHICLE, 24, &gps);
        }
        let told = place(&line);
        let at = line.fixes(VEHICLE, 33, &told).expect("a fix").position;
        (at.quality.expect("a quality"), at.source, at.hdop, at.std_m)
    };
    let fixed = (FixQuality::RtkFixed, PositionSource::Rtk, Some(0.7), Some(0.014));
    let estimated = (FixQuality::Estimated, PositionSource::Mavlink, None, None);
    assert_eq!(of(1_000, Some(gps_raw(6, 70, 18, 14))), fixed);
    assert_eq!(of(6_000, None), fixed);
    let autonomous = (FixQuality::Autonomous, PositionSource::Mavlink, Some(1.2), Some(1.9));
    assert_eq!(of(7_000, Some(gps_raw(3, 120, 9, 1_900))), autonomous, "the newest state counts");
    // A receiver without a fix repeats the figures of its last one.
    assert_eq!(of(8_000, Some(gps_raw(1, 70, 2, 14))), estimated);
    assert_eq!(of(9_000, Some(gps_raw(6, 70, 18, 14))), fixed);
    assert_eq!((of(14_200, None), of(60_000, None)), (estimated, estimated), "a silent receiver has no quality");
}

#[test]
fn an_altitude_that_cannot_be_is_left_out() {
    let mut line = line();
    for (altitude_mm, expected) in
        [(i32::MAX, None), (i32::MIN, None), (8_848_000, Some(8_848.0)), (-430_000, Some(-430.0))]
    {
        line.now_ms += 1_000;
        let told = position(line.now_ms as u32, 1, 1, altitude_mm, [0, 0]);
        let at = line.fixes(VEHICLE, 33, &told).expect("a fix").position;
        assert_eq!((at.altitude_m, at.altitude_above.is_some()), (expected, expected.is_some()));
    }
}
