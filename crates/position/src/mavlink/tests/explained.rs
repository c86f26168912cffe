//! What a line's report says.

use super::super::report::{MessageCount, SystemReport};
use super::super::systems::SystemKind;
use super::super::{MavlinkReport, Missing};
use super::*;

fn report(line: &Line) -> MavlinkReport {
    line.decoder.report()
}

fn missing(line: &Line) -> Vec<Missing> {
    report(line).missing
}

#[test]
fn a_good_line_lacks_nothing() {
    let mut line = Line::in_flight();
    line.hear([255, 190], 0, &heartbeat(6, 8));
    line.hear(CAMERA, 0, &heartbeat(30, 8));
    let report = report(&line);
    let system =
        |id, component, kind, messages, is_followed| SystemReport { id, component, kind, messages, is_followed };
    assert_eq!(
        report.systems,
        [
            system(1, 1, SystemKind::Autopilot, 160, true),
            system(255, 190, SystemKind::GroundStation, 1, false),
            system(1, 100, SystemKind::Other, 1, false),
        ]
    );
    let count = |id, name, count| MessageCount { id, name, count };
    assert_eq!(
        report.messages,
        [
            count(0, "HEARTBEAT", 22),
            count(2, "SYSTEM_TIME", 20),
            count(24, "GPS_RAW_INT", 20),
            count(33, "GLOBAL_POSITION_INT", 100),
        ]
    );
    assert_eq!((report.boot_s, report.has_time, report.missing, report.unknown), (Some(59), true, vec![], 0));
}

const CAMERA: [u8; 2] = [1, 100];

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let mut line = Line::default();
    assert_eq!(missing(&line), [Missing::FlightController]);
    line.hear([255, 190], 0, &heartbeat(6, 8));
    assert_eq!(missing(&line), [Missing::OnlyGroundStations]);
    line.hear(CAMERA, 0, &heartbeat(30, 8));
    assert_eq!(missing(&line), [Missing::FlightController]);
    line.hear(VEHICLE, 0, &heartbeat(2, 3));
    assert_eq!(missing(&line), [Missing::Position, Missing::Receiver, Missing::Time]);
    line.hear(VEHICLE, 24, &gps_raw(1, 9_999, 2, 0));
    assert_eq!(missing(&line), [Missing::Position, Missing::Fix, Missing::Time]);
    line.hear(VEHICLE, 24, &gps_raw(3, 90, 9, 0));
    line.hear(VEHICLE, 33, &position(5_000, 1, 1, 1, [0, 0]));
    assert_eq!(missing(&line), [Missing::Time]);
    line.hear(VEHICLE, 2, &system_time(UNIX_US, 5_000));
    assert_eq!(missing(&line), []);
    line.hear([2, 1], 0, &heartbeat(2, 3));
    assert_eq!(missing(&line), [Missing::Choice]);
    assert!(Missing::Position.to_string().starts_with("no GLOBAL_POSITION_INT: set its message rate"));
    // The other one alone goes on, until it is followed itself.
    line.now_ms = 9_900;
    line.hear([2, 1], 33, &position(5_000, 1, 1, 1, [0, 0]));
    assert_eq!(missing(&line), [Missing::Receiver, Missing::Choice]);
    line.now_ms = 10_100;
    line.hear([255, 190], 0, &heartbeat(6, 8));
    assert_eq!(missing(&line), [Missing::Silent]);
}

#[test]
fn a_named_system_that_is_not_there_is_said() {
    let mut line = Line::of_system(9);
    line.fly(VEHICLE, 80_000..82_000, 40_000);
    assert_eq!(missing(&line), [Missing::NamedSystem]);
    let mut line = Line::of_system(1);
    line.fly(VEHICLE, 80_000..82_000, 40_000);
    line.hear([2, 1], 0, &heartbeat(2, 3));
    assert_eq!(missing(&line), [], "the choice is made");
}

#[test]
fn two_controllers_under_one_id_are_told() {
    let mut line = Line::in_flight();
    line.hear(VEHICLE, 33, &position(900_000, 1, 1, 1, [0, 0]));
    assert_eq!(missing(&line), [], "it may have restarted");
    line.fly(VEHICLE, 100_000..100_200, 40_000);
    assert_eq!(missing(&line), [Missing::OwnSystem]);
    line.fly(VEHICLE, 100_200..112_000, 40_000);
    assert_eq!(missing(&line), []);
}

#[test]
fn messages_that_are_unknown_are_counted_together() {
    let mut line = Line::in_flight();
    let unknown = |version, id: u32| frame(version, id, &[7; 20]);
    let bytes = [
        alive(Version::Two),
        unknown(Version::Two, 40_000),
        unknown(Version::One, 3),
        unknown(Version::Signed, 40_001),
        alive(Version::One),
        // After noise, nobody can tell.
        vec![1, 2, 3],
        unknown(Version::Two, 40_000),
        alive(Version::Signed),
        unknown(Version::Two, 40_000),
    ]
    .concat();
    for size in [1, 7, bytes.len()] {
        let before = report(&line);
        bytes.chunks(size).for_each(|chunk| line.decoder.push(chunk, 100_000_000_000, |_| ()));
        let after = report(&line);
        assert_eq!((after.unknown - before.unknown, after.messages[0].count - before.messages[0].count), (4, 3));
    }
}
