//! Reports of pictures, with and without a name, in any order, by every clock.

use super::*;

const HERE: [i32; 2] = [356_897_000, 1_396_917_000];

const CAMERA: [u8; 2] = [1, 100];

/// Returns where a picture lies, in milliseconds of the monotonic clock, with its error in seconds and its UTC.
fn moment(image: &TakenImage) -> (u64, f64, Option<String>) {
    (image.exposed_ns / 1_000_000, image.error_s, image.utc.map(|utc| utc.to_string()))
}

/// Returns the moment of a picture that was taken at 99.5 s of the monotonic clock.
fn at_99_5(error_s: f64) -> (u64, f64, Option<String>) {
    (99_500, error_s, Some("2026-11-25T00:00:59.5Z".into()))
}

/// Milliseconds from the controller's start to the pictures of these tests.
const BOOT_MS: u32 = 59_500;
const BOOT_US: u64 = BOOT_MS as u64 * 1_000;

#[test]
fn every_report_is_placed_at_the_exposure() {
    let mut line = Line::in_flight();
    line.now_ms = 101_000;
    let reports = [
        (112, trigger(BOOT_US, 7), ImageReport::Trigger, 0.4),
        (112, trigger(UNIX_US + BOOT_US, 7), ImageReport::Trigger, 0.4),
        // A pin tells the exposure itself.
        (180, feedback(BOOT_US, HERE, 12.0, 7, 0), ImageReport::Feedback, 0.1),
        (180, feedback(UNIX_US + BOOT_US, HERE, 12.0, 7, 0), ImageReport::Feedback, 0.4),
        (180, feedback(UNIX_US + BOOT_US, HERE, 12.0, 7, 3), ImageReport::Feedback, 0.1),
        (263, image(0, BOOT_MS, HERE, 7, 1, ""), ImageReport::Captured, 0.4),
        (263, image(UNIX_US + BOOT_US, 0, HERE, 7, 1, ""), ImageReport::Captured, 0.4),
        (263, image(UNIX_US + BOOT_US, BOOT_MS, HERE, 7, 1, ""), ImageReport::Captured, 0.4),
    ];
    for (id, payload, kind, error_s) in reports {
        let image = line.image(VEHICLE, id, &payload).expect("a picture");
        assert_eq!((image.kind, image.number, &image.file_name), (kind, Some(7), &None));
        assert_eq!(moment(&image), at_99_5(error_s), "{kind:?}");
        let place = image.position.map(|at| (at.latitude_deg, at.longitude_deg, at.altitude_m, at.age_s));
        assert_eq!(place, (id != 112).then_some((35.6897, 139.6917, Some(12.0), None)));
    }
}

#[test]
fn one_picture_is_known_by_its_number_in_any_order() {
    let reports = [
        (112, trigger(BOOT_US, 7)),
        (180, feedback(BOOT_US + 40_000, HERE, 12.0, 7, 0)),
        (263, image(0, BOOT_MS + 40, HERE, 7, 1, "DCIM/DSC_0007.JPG")),
        (263, image(0, BOOT_MS + 40, HERE, 7, 1, "DCIM/DSC_0007.JPG")),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let mut line = Line::in_flight();
        for index in order {
            line.now_ms += 300;
            let (id, payload) = &reports[index];
            let image = line.image(VEHICLE, *id, payload).expect("a picture");
            assert_eq!(image.number, Some(7));
            assert!(image.exposed_ns.abs_diff(99_520_000_000) <= 20_000_000, "{image:?}");
        }
    }
}

#[test]
fn version_1_and_shortened_payloads_are_read() {
    let mut line = Line::in_flight();
    let mut of = |bytes: Vec<u8>| {
        let mut found = None;
        line.decoder.push(&bytes, 101_000_000_000, |arrival| match arrival {
            Arrival::Image(image) => found = Some((image.number, image.exposed_ns / 1_000_000)),
            Arrival::Valid | Arrival::Fix(_) => (),
        });
        found
    };
    for version in [Version::One, Version::Two, Version::Signed] {
        assert_eq!(of(frame(version, 112, &trigger(BOOT_US, 0))), Some((Some(0), 99_500)));
        // Flags, camera and target are 0, so version 2 ends with the number.
        assert_eq!(of(frame(version, 180, &feedback(BOOT_US, HERE, 0.0, 3, 0))), Some((Some(3), 99_500)));
    }
    // A picture without a name ends with its result.
    let sent = frame(Version::Two, 263, &image(0, BOOT_MS, HERE, 0, 1, ""));
    assert_eq!((sent.len(), of(sent)), (10 + 50 + 2, Some((Some(0), 99_500))));
    // Everything is 0 but the number: it counts with the moment of its arrival.
    assert_eq!(of(frame(Version::Two, 112, &trigger(0, 9))), Some((Some(9), 101_000)));
    // Extensions, of this version and of later ones.
    let longer = [feedback(BOOT_US, HERE, 1.0, 4, 0), vec![4, 0, 9, 9]].concat();
    assert_eq!(of(frame(Version::Two, 180, &longer)), Some((Some(4), 99_500)));
}

#[test]
fn names_come_without_folders() {
    let mut line = Line::in_flight();
    let mut name =
        |url: &str| line.image(VEHICLE, 263, &image(0, BOOT_MS, HERE, 1, 1, url)).expect("a picture").file_name;
    assert_eq!(name("http://camera/DCIM/100/DSC_0001.JPG").as_deref(), Some("DSC_0001.JPG"));
    assert_eq!(name("C:\\DCIM\\a.jpg").as_deref(), Some("a.jpg"));
    assert_eq!(name(&"n".repeat(205)), Some("n".repeat(205)));
    assert_eq!((name("DCIM/"), name("")), (None, None));
}

#[test]
fn what_is_no_picture_is_not_reported() {
    let mut line = Line::in_flight();
    assert_eq!(line.image(VEHICLE, 263, &image(0, BOOT_MS, HERE, 1, 0, "DSC_0001.JPG")), None, "it failed");
    assert_eq!(line.image(VEHICLE, 180, &feedback(BOOT_US, HERE, 1.0, 1, 1)), None, "a video");
    let nowhere = line.image(VEHICLE, 180, &feedback(BOOT_US, [0, 0], f32::NAN, 1, 0)).expect("a picture");
    assert_eq!(nowhere.position, None);
    let flat = line.image(VEHICLE, 180, &feedback(BOOT_US, HERE, f32::INFINITY, 1, 0)).expect("a picture");
    assert_eq!(flat.position.map(|at| at.altitude_m), Some(None));
    let unnumbered = line.image(VEHICLE, 263, &image(0, BOOT_MS, HERE, -1, 1, "")).expect("a picture");
    assert_eq!(unnumbered.number, None);
}

#[test]
fn without_a_clock_the_arrival_counts() {
    let mut line = Line::default();
    line.hear(VEHICLE, 0, &heartbeat(2, 3));
    line.now_ms = 101_000;
    for (id, payload) in
        [(112, trigger(BOOT_US, 1)), (180, feedback(0, HERE, 1.0, 1, 0)), (263, image(0, 0, HERE, 1, 1, ""))]
    {
        let image = line.image(VEHICLE, id, &payload).expect("a picture");
        assert_eq!(moment(&image), (101_000, 1.0, None));
    }
    let told = line.image(VEHICLE, 112, &trigger(UNIX_US, 1)).expect("a picture");
    assert_eq!(moment(&told), (101_000, 1.0, Some("2026-11-25T00:00:00Z".into())));
}

#[test]
fn a_counter_of_32_bits_is_followed_over_its_end() {
    let mut line = Line::default();
    // 72 minutes after its start, ArduPilot's microseconds have begun again, and PX4's have not.
    line.fly(VEHICLE, 4_320_000..4_340_000, 0);
    line.now_ms = 4_340_500;
    let taken_us = 4_340_000_000_u64;
    for told_us in [taken_us, taken_us % (1 << 32)] {
        let image = line.image(VEHICLE, 180, &feedback(told_us, HERE, 1.0, 1, 0)).expect("a picture");
        assert_eq!(image.exposed_ns, taken_us * 1_000);
    }
    assert_eq!(line.image(VEHICLE, 112, &trigger(taken_us % (1 << 32), 1)), None, "45 s after the start");
    // 50 days after its start, milliseconds have begun again too.
    let mut line = Line::default();
    let days = 50 * 24 * 3_600_000;
    line.fly(VEHICLE, days..days + 20_000, 0);
    line.now_ms = days + 20_500;
    for (id, payload) in [
        (112, trigger((days + 20_000) * 1_000, 1)),
        (180, feedback((days + 20_000) * 1_000 % (1 << 32), HERE, 1.0, 1, 0)),
        (263, image(0, (days + 20_000) as u32, HERE, 1, 1, "")),
    ] {
        let image = line.image(VEHICLE, id, &payload).expect("a picture");
        assert_eq!(image.exposed_ns, (days + 20_000) * 1_000_000, "{id}");
    }
}

#[test]
fn a_report_that_is_sent_again_is_believed_if_both_its_times_agree() {
    let mut line = Line::default();
    line.fly(VEHICLE, 1_000_000..1_020_000, 40_000);
    let boot_us = 60_000_000;
    let again = |unix_us, boot_ms| image(unix_us, boot_ms, HERE, 3, 1, "DSC_0003.JPG");
    let found = line.image(VEHICLE, 263, &again(UNIX_US + boot_us, 60_000)).expect("a picture");
    assert_eq!(moment(&found), (100_000, 0.4, Some("2026-11-25T00:01:00Z".into())));
    // With one time alone it may as well be the first picture after a restart.
    assert_eq!(line.image(VEHICLE, 263, &again(0, 60_000)), None);
    assert_eq!(line.image(VEHICLE, 263, &again(UNIX_US + 2 * boot_us, 60_000)), None, "they disagree");
    assert_eq!(line.image(VEHICLE, 263, &again(0, 2_000_000)), None, "it has not been taken yet");
}

#[test]
fn the_first_pictures_after_a_restart_are_not_half_an_hour_old() {
    let mut line = Line::default();
    line.fly(VEHICLE, 1_840_000..1_850_000, 40_000);
    line.now_ms = 1_856_000;
    // It started at 1,853 s, and nothing has told so yet.
    let first = line.image(VEHICLE, 263, &image(UNIX_US + 1_815_500_000, 2_500, HERE, 0, 1, "")).expect("a picture");
    assert_eq!(moment(&first), (1_855_500, 0.4, Some("2026-11-25T00:30:15.5Z".into())), "by satellite time");
    assert_eq!(line.image(VEHICLE, 263, &image(0, 2_500, HERE, 0, 1, "")), None);
    line.hear(VEHICLE, 33, &position(3_000, 1, 1, 1, [0, 0]));
    let doubted = line.image(VEHICLE, 263, &image(0, 3_000, HERE, 1, 1, "")).expect("a picture");
    assert_eq!((doubted.exposed_ns, doubted.error_s), (1_856_000_000_000, 1.0));
    for later in 1..=2 {
        line.now_ms += 200;
        line.hear(VEHICLE, 33, &position(3_000 + 200 * later, 1, 1, 1, [0, 0]));
    }
    line.now_ms += 600;
    let known = line.image(VEHICLE, 263, &image(0, 3_500, HERE, 2, 1, "")).expect("a picture");
    assert_eq!(moment(&known), (1_856_500, 0.8, None));
}

#[test]
fn a_cameras_own_clock_is_not_taken_for_the_controllers() {
    let mut line = Line::in_flight();
    line.now_ms = 101_000;
    line.hear(CAMERA, 0, &heartbeat(30, 8));
    let mut of = |unix_us, boot_ms| {
        let told = image(unix_us, boot_ms, HERE, 4, 1, "/DCIM/DSC_0004.JPG");
        moment(&line.image(CAMERA, 263, &told).expect("a picture"))
    };
    let utc = |text: &str| Some(format!("2026-11-25T00:{text}Z"));
    // Its start is another one.
    assert_eq!(of(0, 60_000), (101_000, 2.0, utc("01:01")));
    // Its calendar is right, or 20 s slow: the exposure lies between.
    assert_eq!(of(UNIX_US + 60_000_000, 60_000), (100_500, 0.8, utc("01:00.5")));
    assert_eq!(of(UNIX_US + 40_000_000, 60_000), (90_500, 10.8, utc("00:50.5")));
    // Its calendar is fast, an hour slow, or in 1970.
    for wrong_us in [UNIX_US + 90_000_000, UNIX_US - 3_539_000_000, 5_000_000] {
        assert_eq!(of(wrong_us, 60_000), (101_000, 2.0, utc("01:01")));
    }
}

#[test]
fn a_ground_stations_pictures_are_not_ours() {
    let mut line = Line::in_flight();
    line.hear([1, 190], 0, &heartbeat(6, 8));
    for sender in [[1, 190], [255, 190], [2, 1], [2, 100]] {
        assert_eq!(line.image(sender, 263, &image(0, BOOT_MS, HERE, 1, 1, "DSC_0001.JPG")), None, "{sender:?}");
        assert_eq!(line.image(sender, 112, &trigger(BOOT_US, 1)), None, "{sender:?}");
    }
}

/// Arrival in milliseconds, sender, message and payload, and for a picture its true exposure in milliseconds.
type Sent = (u64, [u8; 2], u32, Vec<u8>, Option<u64>);

/// Returns a delay in milliseconds as a line has it: mostly 5 to 60, now and then up to half a second.
fn delay_ms(random: &mut Random) -> u64 {
    match random.bits() % 20 {
        0 => 60 + random.bits() % 440,
        _ => 5 + random.bits() % 56,
    }
}

/// Flies for a minute and returns, for each picture, the distance in seconds from its true exposure and the stated
/// error.
fn flight(seed: u64) -> Vec<(f64, f64)> {
    let mut random = Random::new(&[seed]);
    let start_ms = 10_000 + random.bits() % 1_000_000;
    let camera_off_ms = random.bits() as i64 % 20_000;
    let (mut line, mut pictures) = (Line::default(), Vec::new());
    let mut messages: Vec<Sent> = Vec::new();
    for boot_ms in (5_000..65_000).step_by(250) {
        let now_ms = start_ms + boot_ms;
        let mut say = |delay_ms: u64, sender, id, payload, exposed| {
            messages.push((now_ms + delay_ms, sender, id, payload, exposed));
        };
        say(0, VEHICLE, 0, heartbeat(2, 3), None);
        say(delay_ms(&mut random), VEHICLE, 2, told_time(now_ms, start_ms), None);
        say(delay_ms(&mut random), VEHICLE, 33, position(boot_ms as u32, 1, 1, 1, [0, 0]), None);
        let exposed_ms = now_ms + random.bits() % 300;
        let unix_us = UNIX_US + (exposed_ms - start_ms) * 1_000;
        let (sender, id, payload) = match random.bits() % 5 {
            0 => (VEHICLE, 112, trigger(boot_ms * 1_000, 1)),
            1 => (VEHICLE, 180, feedback((exposed_ms - start_ms) * 1_000, HERE, 1.0, 1, 0)),
            2 => (VEHICLE, 180, feedback(UNIX_US + boot_ms * 1_000, HERE, 1.0, 1, 0)),
            3 => (CAMERA, 263, image(unix_us.saturating_add_signed(camera_off_ms * 1_000), 77, HERE, 1, 1, "")),
            _ => (VEHICLE, 263, image(0, boot_ms as u32, HERE, 1, 1, "")),
        };
        let stored_ms = if sender == CAMERA { random.bits() % 1_900 } else { 0 };
        say(300 + stored_ms + delay_ms(&mut random), sender, id, payload, Some(exposed_ms));
    }
    messages.sort_by_key(|message| message.0);
    for (now_ms, sender, id, payload, exposed_ms) in messages {
        line.now_ms = now_ms;
        let image = line.image(sender, id, &payload);
        if let Some(exposed_ms) = exposed_ms {
            let image = image.expect("a picture");
            pictures.push(((image.exposed_ns as f64 / 1e9 - exposed_ms as f64 / 1e3).abs(), image.error_s));
        }
    }
    pictures
}

#[test]
fn the_stated_errors_hold_on_many_flights() {
    let pictures: Vec<(f64, f64)> = (0..100).flat_map(flight).collect();
    let held = pictures.iter().filter(|(off_s, error_s)| off_s <= error_s).count();
    println!("{held} of {} pictures within their stated error", pictures.len());
    assert!(held * 100 >= pictures.len() * 95, "{held} of {}", pictures.len());
}
