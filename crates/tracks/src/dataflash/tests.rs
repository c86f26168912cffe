//! Logs built here from the public definitions of their messages.

use bridgeclip_domain::{AltitudeAbove, FixQuality, PositionSource};

use crate::report::{Note, Skip, TrackFile, TrackFormat};
use crate::testing::{expect_error, mutate, read_all, truncate};

/// Name, letters and fields of the messages, as ArduPilot 4.5 defines them.
const GPS: (u8, &str, &str, &str) =
    (130, "GPS", "QBBIHBcLLeffffB", "TimeUS,I,Status,GMS,GWk,NSats,HDop,Lat,Lng,Alt,Spd,GCrs,VZ,Yaw,U");
const GPA: (u8, &str, &str, &str) = (131, "GPA", "QBCCCCfBIH", "TimeUS,I,VDop,HAcc,VAcc,SAcc,YAcc,VV,SMS,Delta");
const POS: (u8, &str, &str, &str) = (132, "POS", "QLLfff", "TimeUS,Lat,Lng,Alt,RelHomeAlt,RelOriginAlt");
const CAM: (u8, &str, &str, &str) =
    (133, "CAM", "QBHIHLLeeeccC", "TimeUS,I,Img,GPSTime,GPSWeek,Lat,Lng,Alt,RelAlt,GPSAlt,R,P,Y");
const TRIG: (u8, &str, &str, &str) =
    (134, "TRIG", "QBHIHLLeeeccC", "TimeUS,I,Img,GPSTime,GPSWeek,Lat,Lng,Alt,RelAlt,GPSAlt,R,P,Y");

/// Week and milliseconds of 2026-05-09T10:11:12Z in GPS time.
const WEEK: u16 = 2417;
const MS: u32 = 555_090_000;

fn width(letter: char) -> usize {
    match letter {
        'b' | 'B' | 'M' => 1,
        'h' | 'H' | 'c' | 'C' => 2,
        'q' | 'Q' | 'd' => 8,
        _ => 4,
    }
}

fn define((number, name, letters, names): (u8, &str, &str, &str)) -> Vec<u8> {
    let length = 3 + letters.chars().map(width).sum::<usize>();
    let mut bytes = vec![0xA3, 0x95, 128, number, length as u8];
    for (text, width) in [(name, 4), (letters, 16), (names, 64)] {
        bytes.extend(text.bytes());
        bytes.resize(bytes.len() + width - text.len(), 0);
    }
    bytes
}

fn message(number: u8, fields: &[&[u8]]) -> Vec<u8> {
    [&[0xA3, 0x95, number][..], &fields.concat()].concat()
}

fn gps(second: u32, instance: u8, status: u8, latitude: i32, used: u8) -> Vec<u8> {
    let time_us = u64::from(second) * 1_000_000 + 5_120_000;
    message(
        130,
        &[
            &time_us.to_le_bytes(),
            &[instance, status],
            &(MS + second * 1_000).to_le_bytes(),
            &WEEK.to_le_bytes(),
            &[14],
            &77_i16.to_le_bytes(),
            &latitude.to_le_bytes(),
            &1_396_917_000_i32.to_le_bytes(),
            &58_882_i32.to_le_bytes(),
            &2.5_f32.to_le_bytes(),
            &[0; 12],
            &[used],
        ],
    )
}

fn gpa(second: u32, instance: u8, accuracy_cm: u16) -> Vec<u8> {
    let time_us = u64::from(second) * 1_000_000 + 5_120_000;
    message(131, &[&time_us.to_le_bytes(), &[instance], &[120, 0], &accuracy_cm.to_le_bytes(), &[0; 4 + 4 + 1 + 4 + 2]])
}

fn pos(time_us: u64, latitude: i32) -> Vec<u8> {
    let place = [latitude.to_le_bytes(), 1_396_917_000_i32.to_le_bytes(), 584.38_f32.to_le_bytes()].concat();
    message(132, &[&time_us.to_le_bytes(), &place, &[0; 8]])
}

fn cam(number: u8, time_us: u64, image: u16, latitude: i32) -> Vec<u8> {
    let place = [latitude, 1_396_917_000, 58_000, 100, 200].map(i32::to_le_bytes).concat();
    let time = [&MS.to_le_bytes()[..], &WEEK.to_le_bytes()].concat();
    message(number, &[&time_us.to_le_bytes(), &[0], &image.to_le_bytes(), &time, &place, &[0; 6]])
}

fn log(messages: &[Vec<u8>]) -> Vec<u8> {
    let fmt = (128, "FMT", "BBnNZ", "Type,Length,Name,Format,Columns");
    let mut definition = define(fmt);
    definition[4] = 89;
    [definition, [GPS, GPA, POS, CAM, TRIG].map(define).concat(), messages.concat()].concat()
}

fn moments(file: &TrackFile) -> Vec<String> {
    file.fixes.iter().map(|fix| fix.utc.to_string()).collect()
}

#[test]
fn fixes_of_the_receiver_have_satellite_time_and_quality() {
    let messages = [
        gpa(0, 0, 161),
        gps(0, 0, 4, -353_626_277, 1),
        gps(0, 1, 6, 100_000_000, 0),
        gpa(0, 1, 1),
        gps(1, 0, 6, -353_626_278, 1),
    ];
    let file = read_all(&log(&messages)).expect("fixes");
    assert_eq!(file.format, TrackFormat::DataFlash);
    assert_eq!(moments(&file), ["2026-05-09T10:11:12Z", "2026-05-09T10:11:13Z"]);
    let first = &file.fixes[0];
    let position = &first.position;
    assert_eq!((position.latitude_deg, position.longitude_deg), (-35.362_627_7, 139.691_7));
    assert_eq!((position.altitude_m, position.altitude_above), (Some(588.82), Some(AltitudeAbove::Sea)));
    assert_eq!((position.hdop, position.std_m, first.speed_mps), (Some(0.77), Some(1.61), Some(2.5)));
    assert_eq!((position.quality, position.source), (Some(FixQuality::Differential), PositionSource::Mavlink));
    let second = &file.fixes[1].position;
    assert_eq!((second.quality, second.source), (Some(FixQuality::RtkFixed), PositionSource::Rtk));
    assert_eq!(second.std_m, Some(1.61), "of the receiver that is used");
    assert!(file.skipped.is_empty() && file.notes.is_empty(), "{file:?}");
}

#[test]
fn the_receiver_in_use_may_change() {
    let messages = [gps(0, 0, 3, 350_000_000, 1), gps(1, 0, 1, 0, 0), gps(1, 1, 3, 350_000_010, 1)];
    let file = read_all(&log(&messages)).expect("fixes");
    let latitudes: Vec<f64> = file.fixes.iter().map(|fix| fix.position.latitude_deg).collect();
    assert_eq!(latitudes, [35.0, 35.000_001]);
}

#[test]
fn estimates_and_pictures_are_tied_to_utc_by_the_boot_clock() {
    let messages = [
        pos(5_000_000, 350_000_001),
        gps(0, 0, 3, 350_000_000, 1),
        pos(5_500_000, 350_000_002),
        cam(133, 5_600_000, 7, 350_000_003),
        cam(134, 5_590_000, 7, 350_000_003),
        pos(6_000_000, 350_000_004),
    ];
    let file = read_all(&log(&messages)).expect("fixes");
    // The receiver's fix of 10:11:12 was logged at 5.12 s.
    assert_eq!(moments(&file), ["2026-05-09T10:11:11.88Z", "2026-05-09T10:11:12.38Z", "2026-05-09T10:11:12.88Z"]);
    let quality = |index: usize| (file.fixes[index].position.quality, file.fixes[index].position.hdop);
    assert_eq!(quality(0), (Some(FixQuality::Estimated), None), "no fix was known yet");
    assert_eq!(quality(1), (Some(FixQuality::Autonomous), Some(0.77)));
    assert_eq!(file.fixes[1].position.altitude_m, Some(584.38));
    let [image] = &file.images[..] else { panic!("{:?}", file.images) };
    assert_eq!((image.utc.to_string().as_str(), image.number), ("2026-05-09T10:11:12.48Z", Some(7)));
    assert_eq!(image.position.latitude_deg, 35.000_000_3);
    assert_eq!(image.position.altitude_m, Some(580.0));
}

#[test]
fn triggers_count_if_the_camera_gives_no_signal() {
    let file = read_all(&log(&[gps(0, 0, 3, 350_000_000, 1), cam(134, 5_600_000, 1, 350_000_003)])).expect("fixes");
    assert_eq!((file.images.len(), file.notes.into_iter().collect()), (1, vec![Note::TriggersOnly]));
}

#[test]
fn a_restart_is_an_interruption_with_a_clock_of_its_own() {
    let messages = [
        gps(0, 0, 3, 350_000_000, 1),
        pos(9_000_000, 350_000_001),
        pos(100_000, 350_000_002),
        gps(60, 0, 3, 350_000_003, 1),
    ];
    // The second start is at 10:12:00: a fix of 10:12:12 is logged at 12.12 s.
    let mut restarted = messages.to_vec();
    restarted[3] = gps(60, 0, 3, 350_000_003, 1);
    restarted[3][3..11].copy_from_slice(&12_120_000_u64.to_le_bytes());
    let file = read_all(&log(&restarted)).expect("fixes");
    let expected =
        ["2026-05-09T10:11:12Z", "2026-05-09T10:11:15.88Z", "2026-05-09T10:11:59.98Z", "2026-05-09T10:12:12Z"];
    assert_eq!(moments(&file), expected);
    let gaps: Vec<bool> = file.fixes.iter().map(|fix| fix.gap_before).collect();
    assert_eq!(gaps, [true, false, true, true]);
}

#[test]
fn logs_of_2014_are_read() {
    let definition = (130, "GPS", "BIHBcLLeeEefI", "Status,TimeMS,Week,NSats,HDop,Lat,Lng,RelAlt,Alt,Spd,GCrs,VZ,T");
    let camera = (133, "CAM", "IHLLeccC", "GPSTime,GPSWeek,Lat,Lng,Alt,Roll,Pitch,Yaw");
    let place = [430_000_000_i32, -26_000_000].map(i32::to_le_bytes).concat();
    let time = [&137_000_200_u32.to_le_bytes()[..], &1_816_u16.to_le_bytes()].concat();
    let fix = message(
        130,
        &[
            &[3],
            &time,
            &[9],
            &150_i16.to_le_bytes(),
            &place,
            &[0; 4],
            &5_250_i32.to_le_bytes(),
            &320_u32.to_le_bytes(),
            &[0; 8],
            &60_000_u32.to_le_bytes(),
        ],
    );
    let picture = message(133, &[&time, &place, &5_300_i32.to_le_bytes(), &[0; 6]]);
    let file = read_all(&[define(definition), define(camera), fix, picture].concat()).expect("a fix");
    // 2014-10-27T14:03:20.2 in GPS time, which was 16 seconds ahead.
    assert_eq!(moments(&file), ["2014-10-27T14:03:04.2Z"]);
    let fix = &file.fixes[0];
    assert_eq!((fix.position.latitude_deg, fix.position.longitude_deg), (43.0, -2.6));
    assert_eq!((fix.position.altitude_m, fix.speed_mps), (Some(52.5), Some(3.2)));
    let [image] = &file.images[..] else { panic!("{:?}", file.images) };
    assert_eq!((image.utc, image.number, image.position.altitude_m), (fix.utc, None, Some(53.0)));
}

#[test]
fn text_has_the_same_contents() {
    let text = "\
ArduCopter V3.6\r
FMT, 128, 89, FMT, BBnNZ, Type,Length,Name,Format,Columns\r
FMT, 130, 50, GPS, QBBIHBcLLeffffB, TimeUS,I,Status,GMS,GWk,NSats,HDop,Lat,Lng,Alt,Spd,GCrs,VZ,Yaw,U\r
FMT, 132, 31, POS, QLLfff, TimeUS,Lat,Lng,Alt,RelHomeAlt,RelOriginAlt\r
FMT, 133, 46, CAM, QBHIHLLeeeccC, TimeUS,I,Img,GPSTime,GPSWeek,Lat,Lng,Alt,RelAlt,GPSAlt,R,P,Y\r
PARM, 60000, GPS_TYPE, 1\r
GPS, 5120000, 0, 3, 555090000, 2417, 14, 0.77, 35.0000000, 139.6917000, 588.82, 2.5, 0, 0, 0, 1\r
POS, 5500000, 35.0000002, 139.6917000, 584.38, 0, 0\r
CAM, 5600000, 0, 7, 555090000, 2417, 35.0000003, 139.6917, 580.00, 1, 2, 0, 0, 0\r
";
    let file = read_all(text.as_bytes()).expect("fixes");
    let binary = [gps(0, 0, 3, 350_000_000, 1), pos(5_500_000, 350_000_002), cam(133, 5_600_000, 7, 350_000_003)];
    let binary = read_all(&log(&binary)).expect("fixes");
    assert_eq!(file.format, TrackFormat::DataFlashText);
    assert_eq!((file.fixes, file.images), (binary.fixes, binary.images));
    mutate(text.as_bytes(), 2_000, 10);
    truncate(text.as_bytes());
}

#[test]
fn a_log_without_satellite_time_is_refused_with_the_reason() {
    assert!(expect_error(&log(&[pos(5_000_000, 350_000_000)])).contains("no satellite time"));
    let no_fix = log(&[gps(0, 0, 1, 0, 1)]);
    assert!(expect_error(&no_fix).contains("1 records of a receiver without a fix"), "{}", expect_error(&no_fix));
}

#[test]
fn noise_between_messages_is_passed_over() {
    let messages =
        [gps(0, 0, 3, 350_000_000, 1), vec![1, 2, 0xA3, 0x95, 99, 7], gps(1, 0, 3, 350_000_001, 1), vec![0xFF; 300]];
    let mut bytes = log(&messages);
    let file = read_all(&bytes).expect("fixes");
    assert_eq!((file.fixes.len(), file.skipped.into_iter().collect()), (2, vec![(Skip::Unreadable, 1)]));
    bytes.truncate(bytes.len() - 310);
    let file = read_all(&bytes).expect("fixes");
    assert_eq!((file.fixes.len(), file.notes.contains(&Note::EndsEarly)), (1, true));
}

#[test]
fn definitions_that_contradict_themselves_are_not_used() {
    let mut wrong = define(GPS);
    wrong[4] -= 1;
    let bytes = [define(POS), wrong, gps(0, 0, 3, 350_000_000, 1)].concat();
    assert!(expect_error(&bytes).contains("no fix"));
    // A message of length 0 would never end.
    let endless = [define(POS), vec![0xA3, 0x95, 128, 7, 0], vec![0; 84], vec![0xA3, 0x95, 7, 0xA3, 0x95, 7]].concat();
    assert!(expect_error(&endless).contains("no fix"));
}

#[test]
fn any_bytes_are_fine() {
    let messages: Vec<Vec<u8>> = (0..6)
        .flat_map(|second| {
            let time_us = u64::from(second) * 1_000_000 + 5_300_000;
            let latitude = 350_000_000 + second as i32;
            [gps(second, 0, 3, latitude, 1), gpa(second, 0, 90), pos(time_us, latitude), cam(133, time_us, 1, latitude)]
        })
        .collect();
    let bytes = log(&messages);
    mutate(&bytes, 3_000, 20);
    truncate(&log(&[gps(0, 0, 3, 350_000_000, 1), pos(5_500_000, 350_000_001), cam(133, 5_600_000, 1, 1)]));
}
