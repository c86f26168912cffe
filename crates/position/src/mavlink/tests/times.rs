//! Which time is believed, and for how long.

use super::*;

fn place(boot_ms: u32) -> Vec<u8> {
    position(boot_ms, 350_000_000, 1_390_000_000, 0, [0, 0])
}

#[test]
fn a_time_of_somebody_else_is_no_time() {
    let off_by_minutes = UNIX_US + 1_200_000_000;
    // mavros, as a bridge of the vehicle's system; a ground station; another vehicle; a sender that does not count.
    for (sender, boot_ms) in [([1, 240], 0), ([1, 191], 60_200), ([255, 190], 692_000), ([2, 1], 60_200), (VEHICLE, 0)]
    {
        for mut line in [Line::in_flight(), Line::default()] {
            line.hear(VEHICLE, 0, &heartbeat(2, 3));
            let had_time = line.decoder.report().has_time;
            for _ in 0..20 {
                line.hear(sender, 2, &system_time(off_by_minutes, boot_ms));
            }
            let fix = line.fixes(VEHICLE, 33, &place(60_000)).expect("a fix");
            assert_eq!(utc(&fix).as_deref(), had_time.then_some("2026-11-25T00:01:00Z"), "{sender:?}");
        }
    }
}

#[test]
fn a_time_that_cannot_be_is_no_time() {
    for unix_us in [0, 1, 946_684_800_000_000, 1_175_000_000_000_000, 4_102_444_800_000_000, u64::MAX] {
        let mut line = Line::default();
        line.hear(VEHICLE, 0, &heartbeat(2, 3));
        line.hear(VEHICLE, 2, &system_time(unix_us, 5_000));
        assert_eq!(line.fixes(VEHICLE, 33, &place(5_000)).and_then(|fix| fix.utc), None, "{unix_us}");
    }
}

#[test]
fn a_time_without_a_fix_is_that_of_a_clock_which_somebody_has_set() {
    let mut line = Line::default();
    line.hear(VEHICLE, 0, &heartbeat(2, 3));
    line.hear(VEHICLE, 24, &gps_raw(1, 9_999, 3, 0));
    line.hear(VEHICLE, 2, &system_time(UNIX_US, 5_000));
    assert!(!line.decoder.report().has_time);
    line.hear(VEHICLE, 24, &gps_raw(3, 90, 9, 0));
    line.hear(VEHICLE, 2, &system_time(UNIX_US, 5_000));
    assert!(line.decoder.report().has_time);
}

#[test]
fn a_wrong_time_is_replaced_when_several_agree() {
    let mut line = Line::default();
    line.hear(VEHICLE, 0, &heartbeat(2, 3));
    let mut told = Vec::new();
    for second in 0..6_u32 {
        line.now_ms = u64::from(second) * 1_000;
        // The controller's battery clock was 20 minutes fast until the receiver knew better.
        let off_us = if second < 2 { 1_200_000_000 } else { 0 };
        let boot_ms = 5_000 + second * 1_000;
        line.hear(VEHICLE, 2, &system_time(UNIX_US + off_us + u64::from(second) * 1_000_000, boot_ms));
        told.push(line.fixes(VEHICLE, 33, &place(boot_ms)).and_then(|fix| utc(&fix)));
    }
    let told: Vec<Option<&str>> = told.iter().map(Option::as_deref).collect();
    assert_eq!(
        told,
        [
            Some("2026-11-25T00:20:00Z"),
            Some("2026-11-25T00:20:01Z"),
            None,
            None,
            Some("2026-11-25T00:00:04Z"),
            Some("2026-11-25T00:00:05Z"),
        ]
    );
}

#[test]
fn a_controller_that_restarts_takes_nothing_with_it() {
    let mut line = Line::default();
    // It has been on for half an hour.
    let before = line.fly(VEHICLE, 1_840_000..1_850_000, 40_000);
    assert_eq!(before.last().and_then(utc).as_deref(), Some("2026-11-25T00:30:09.8Z"));
    // It starts at 1,853 s, sends from 1,855 s on, and knows the time from 1,858 s on.
    let mut after = Vec::new();
    for now_ms in (1_855_000..1_860_000).step_by(200) {
        line.now_ms = now_ms;
        let boot_ms = (now_ms - 1_853_000) as u32;
        if now_ms.is_multiple_of(1_000) {
            line.hear(VEHICLE, 0, &heartbeat(2, 3));
        }
        if now_ms == 1_858_000 {
            line.hear(VEHICLE, 2, &system_time(UNIX_US + 1_818_000_000, boot_ms));
        }
        after.push(line.fixes(VEHICLE, 33, &place(boot_ms)));
    }
    assert_eq!(after.iter().position(Option::is_some), Some(2), "the third one that agrees is believed");
    let fixes: Vec<&Fix> = after.iter().flatten().collect();
    assert!(fixes[..13].iter().all(|fix| fix.utc.is_none() && fix.position.quality.is_none()), "{fixes:?}");
    let times: Vec<String> = fixes[13..].iter().filter_map(|fix| utc(fix)).collect();
    assert_eq!((times.len(), times[0].as_str()), (10, "2026-11-25T00:30:18Z"));
}

#[test]
fn time_goes_on_when_the_controllers_counter_begins_again() {
    let mut line = Line::default();
    line.hear(VEHICLE, 0, &heartbeat(2, 3));
    let first = u32::MAX - 999;
    line.hear(VEHICLE, 2, &system_time(UNIX_US, first));
    let mut times = Vec::new();
    for step in 0..10_u32 {
        line.now_ms = 200 * u64::from(step);
        times.extend(line.fixes(VEHICLE, 33, &place(first.wrapping_add(200 * step))).and_then(|fix| utc(&fix)));
    }
    assert_eq!(times.len(), 9, "the one that tells 0 tells no time");
    assert_eq!(times[8], "2026-11-25T00:00:01.8Z");
    line.now_ms = 2_000;
    line.hear(VEHICLE, 2, &system_time(UNIX_US + 2_000_000, first.wrapping_add(2_000)));
    let fix = line.fixes(VEHICLE, 33, &place(first.wrapping_add(2_000))).expect("a fix");
    assert_eq!(utc(&fix).as_deref(), Some("2026-11-25T00:00:02Z"));
}

#[test]
fn messages_that_waited_keep_their_own_moment() {
    let mut line = Line::in_flight();
    // This device paused for four seconds; then it reads what the serial driver kept.
    line.now_ms = 104_000;
    for boot_ms in (60_000..=64_000).step_by(1_000) {
        let fix = line.fixes(VEHICLE, 33, &place(boot_ms)).expect("a fix");
        assert_eq!(utc(&fix), Some(format!("2026-11-25T00:01:0{}Z", boot_ms / 1_000 - 60)));
        let moments = (fix.measured_ns / 1_000_000, fix.received_ns / 1_000_000);
        assert_eq!(moments, (40_000 + u64::from(boot_ms), 104_000));
    }
    let picture = line.image(VEHICLE, 112, &trigger(60_000_000, 1)).expect("a picture");
    assert_eq!((picture.exposed_ns, picture.error_s), (100_000_000_000, 0.4));
}

#[test]
fn over_a_slow_radio_a_position_keeps_its_moment() {
    let mut random = Random::new(&[8]);
    let mut line = Line::default();
    line.hear(VEHICLE, 0, &heartbeat(2, 3));
    let (mut off_ms, mut late_ms) = (Vec::new(), Vec::new());
    let mut arrived_ms = 0;
    for measured_ms in (100_000_u64..400_000).step_by(250) {
        // A queue keeps the order.
        arrived_ms = arrived_ms.max(measured_ms + 60 + random.bits() % 640);
        line.now_ms = arrived_ms;
        let fix = line.fixes(VEHICLE, 33, &place((measured_ms - 90_000) as u32)).expect("a fix");
        off_ms.push((fix.measured_ns / 1_000_000).abs_diff(measured_ms));
        late_ms.push(fix.received_ns / 1_000_000 - measured_ms);
    }
    off_ms.sort_unstable();
    late_ms.sort_unstable();
    let share = |sorted: &[u64], tenths: usize| sorted[sorted.len() * tenths / 10];
    // The least delay of the radio itself cannot be seen, and the first messages have no faster ones before them.
    let (half, most) = (share(&off_ms, 5), share(&off_ms, 9));
    assert!((60..=90).contains(&half) && most <= 100, "{half} {most}");
    assert!(share(&late_ms, 5) > 350, "{}", share(&late_ms, 5));
}

#[test]
fn a_position_without_a_clock_is_measured_when_it_arrives() {
    let mut line = Line::in_flight();
    line.now_ms = 101_000;
    let fix = line.fixes(VEHICLE, 33, &place(0)).expect("a fix");
    assert_eq!((fix.measured_ns, fix.received_ns), (101_000_000_000, 101_000_000_000));
}

#[test]
fn an_older_position_after_a_newer_one_is_left_out() {
    let mut line = Line::in_flight();
    for (now_ms, boot_ms, is_news) in
        [(100_000, 60_000, true), (100_200, 60_200, true), (100_250, 60_000, false), (100_300, 60_400, true)]
    {
        line.now_ms = now_ms;
        assert_eq!(line.fixes(VEHICLE, 33, &place(boot_ms)).is_some(), is_news, "{now_ms}");
    }
}
