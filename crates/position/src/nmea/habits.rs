//! Receivers with habits of their own, and the fixes that are right for each.

use bridgeclip_domain::{AltitudeAbove, FixQuality, PositionSource};

use super::*;
use crate::Fix;

const S: u64 = 1_000_000_000;

/// A line on which sentences arrive.
#[derive(Default)]
struct Line(Decoder);

impl Line {
    /// Returns the last fix that the sentences of one second give.
    fn hear<T: AsRef<str>>(&mut self, second: u64, sentences: &[T]) -> Option<Fix> {
        let mut last = None;
        for text in sentences {
            let sum = text.as_ref().bytes().fold(0, |sum, byte| sum ^ byte);
            let bytes = format!("${}*{sum:02X}\r\n", text.as_ref());
            self.0.push(bytes.as_bytes(), second * S, |arrival| match arrival {
                Arrival::Fix(fix) => last = Some(fix),
                other => assert_eq!(other, Arrival::Valid),
            });
        }
        last
    }
}

/// Returns GGA of a second after noon, at 35 degrees and this many thousandths of a minute north.
fn gga(talker: &str, second: u64, thousandths: u64, quality: u8) -> String {
    format!("{talker}GGA,1200{second:02}.00,3500.{thousandths:03},N,13900.000,E,{quality},12,0.6,5.0,M,36.0,M,,")
}

fn rmc(talker: &str, second: u64, thousandths: u64, mode: char, date: &str) -> String {
    format!("{talker}RMC,1200{second:02}.00,A,3500.{thousandths:03},N,13900.000,E,0.0,0.0,{date},,,{mode}")
}

fn thousandths(fix: &Fix) -> f64 {
    ((fix.position.latitude_deg - 35.0) * 60_000.0).round()
}

fn utc(fix: Option<Fix>) -> Option<String> {
    fix.expect("a place").utc.map(|utc| utc.to_string())
}

#[test]
fn other_talkers_give_fixes() {
    for talker in ["IN", "GI", "II", "EC", "SN", "U3"] {
        for sentence in [gga(talker, 1, 7, 1), rmc(talker, 1, 7, 'A', "301126")] {
            let fix = Line::default().hear(1, &[&sentence]).expect("a fix");
            assert_eq!(thousandths(&fix), 7.0, "{sentence}");
        }
    }
    assert_eq!(Line::default().hear(1, &["PGGGA,120000,3500.0,N,13900.0,E,1,12,0.6,5.0,M,36.0,M,,"]), None);
}

#[test]
fn the_more_trusted_talker_gives_the_place_of_a_moment() {
    // Solutions by single systems stand beside the combined one, in any order.
    let mut all = [gga("GN", 1, 1, 4), gga("GP", 1, 2, 1), gga("GL", 1, 3, 1)];
    for turn in 0..6 {
        all.rotate_left(1);
        if turn == 3 {
            all.swap(0, 1);
        }
        let fix = Line::default().hear(1, &all).expect("a fix");
        assert_eq!((thousandths(&fix), fix.position.quality), (1.0, Some(FixQuality::RtkFixed)), "{all:?}");
    }
    // GGA says more than RMC, whichever satellites its talker names.
    let fix = Line::default().hear(1, &[rmc("GN", 1, 1, 'A', "301126"), gga("GP", 1, 2, 1)]).expect("a fix");
    assert_eq!((thousandths(&fix), fix.position.altitude_m), (2.0, Some(5.0)));
    // The later one of equals counts.
    let fix = Line::default().hear(1, &[gga("GP", 1, 1, 1), gga("GP", 1, 2, 1)]).expect("a fix");
    assert_eq!(thousandths(&fix), 2.0);
}

#[test]
fn an_instrument_that_repeats_old_positions_is_not_heard_beside_a_receiver() {
    let mut line = Line::default();
    // Before the receiver has a fix, the instrument's estimate is all there is.
    let fix = line.hear(0, &["GPGGA,,,,,,0,00,99.99,,,,,,".to_owned(), gga("II", 0, 500, 6)]).expect("a fix");
    assert_eq!(thousandths(&fix), 500.0);
    for second in 1..10 {
        // It tells the moment before, with another place.
        let sentences = [rmc("II", second - 1, 500, 'A', "301126"), gga("GP", second, 1, 1), gga("II", second, 500, 1)];
        let fix = line.hear(second, &sentences).expect("a fix");
        assert_eq!(thousandths(&fix), 1.0, "{second}");
        assert_eq!(line.hear(second, &[rmc("II", second, 500, 'A', "301126")]), None);
    }
    // The receiver falls silent.
    assert_eq!(line.hear(14, &[gga("II", 14, 500, 6)]), None);
    assert_eq!(line.hear(15, &[gga("II", 15, 500, 6)]).map(|fix| thousandths(&fix)), Some(500.0));
}

#[test]
fn a_receiver_with_gll_alone_gives_places_without_a_date() {
    let mut line = Line::default();
    for second in 0..20 {
        let gll = format!("GPGLL,3500.{second:03},N,13900.000,E,1200{second:02}.00,A");
        let fix =
            line.hear(second, &[gll.clone(), "GPGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1".into()]).expect("a fix");
        assert_eq!((thousandths(&fix), fix.utc, fix.received_ns), (second as f64, None, second * S));
        assert_eq!((fix.position.quality, fix.position.hdop), (Some(FixQuality::Autonomous), Some(1.3)));
        assert_eq!(
            line.hear(second, &[gll + ",D"]).and_then(|fix| fix.position.quality),
            Some(FixQuality::Differential)
        );
    }
    // ZDA adds the date.
    let gll = "GPGLL,3500.0,N,13900.0,E,120030.00,A";
    assert_eq!(utc(line.hear(30, &[gll, "GPZDA,120030.00,30,11,2026,00,00"])).as_deref(), Some("2026-11-30T12:00:30Z"));
}

#[test]
fn ublox_sentences_alone_give_fixes_with_their_accuracy() {
    let mut line = Line::default();
    let position = |second: u64, status| {
        format!(
            "PUBX,00,1200{second:02}.00,3500.007,N,13900.000,E,46.5,{status},2.1,3.0,36.0,90.0,0.0,,0.9,1.2,0.8,9,0,0"
        )
    };
    let time = "PUBX,04,120001.00,301126,129601.00,2447,18,1930035,-2660.664,43,";
    let fix = line.hear(1, &[position(1, "D3"), time.into()]).expect("a fix");
    assert_eq!((thousandths(&fix), fix.position.quality), (7.0, Some(FixQuality::Differential)));
    assert_eq!((fix.position.std_m, fix.position.hdop, fix.satellites), (Some(2.1), Some(0.9), Some(9)));
    assert_eq!((fix.position.altitude_m, fix.position.altitude_above), (Some(46.5), Some(AltitudeAbove::Ellipsoid)));
    assert_eq!((fix.speed_mps, fix.course_deg), (Some(10.0), Some(90.0)));
    assert_eq!(utc(Some(fix)).as_deref(), Some("2026-11-30T12:00:01Z"));
    assert_eq!(line.hear(2, &[position(2, "NF")]), None);
    // Beside GGA and GST it adds nothing but what they lack.
    let gst = "GNGST,120003.00,6.1,4.2,2.1,34.0,3.0,4.0,5.5".to_owned();
    let fix = line.hear(3, &[gga("GN", 3, 8, 4), position(3, "D3"), gst]).expect("a fix");
    assert_eq!((thousandths(&fix), fix.position.quality), (8.0, Some(FixQuality::RtkFixed)));
    assert_eq!((fix.position.altitude_m, fix.position.altitude_above), (Some(5.0), Some(AltitudeAbove::Sea)));
    assert_eq!((fix.position.std_m, fix.satellites, fix.speed_mps), (Some(5.0), Some(12), Some(10.0)));
}

#[test]
fn what_was_true_with_rtk_ends_with_it() {
    let mut line = Line::default();
    let gst = |second: u64, std: &str| format!("GNGST,1200{second:02}.00,,,,,{std},{std},0.02");
    let gsa = |hdop: &str| format!("GNGSA,A,3,04,05,,09,12,,,24,,,,,2.5,{hdop},2.1,1");
    let fix = line.hear(0, &[gga("GN", 0, 1, 4), gst(0, "0.01"), gsa("0.5")]).expect("a fix");
    assert_eq!((fix.position.source, fix.position.std_m), (PositionSource::Rtk, Some(0.01_f64.hypot(0.01))));
    // The receiver goes on with satellites alone, and its GST stays away or comes empty.
    for second in 1..30 {
        let empty = if second % 2 == 0 { vec![] } else { vec![gst(second, "")] };
        let alone = format!("GNGGA,1200{second:02}.00,3500.001,N,13900.000,E,1,08,,5.0,M,36.0,M,,");
        let fix = line.hear(second, &[vec![alone], empty].concat()).expect("a fix");
        assert_eq!(fix.position.source, PositionSource::SerialGps);
        assert_eq!(fix.position.quality, Some(FixQuality::Autonomous));
        assert_eq!((fix.position.std_m, fix.position.hdop, fix.received_ns), (None, None, second * S));
    }
    // It loses everything: no new fix arises, whatever else is heard.
    let lost = [vec!["GNGGA,,,,,,0,00,99.99,,,,,,".to_owned(), gsa("99.99"), gst(31, "0.01")]].concat();
    assert_eq!(line.hear(31, &lost), None);
    assert_eq!(line.hear(32, &["GNVTG,10.0,T,,M,5.0,N,,K,A"]), None);
}

#[test]
fn a_receiver_that_repeats_its_last_words_has_no_new_fix() {
    let mut line = Line::default();
    let last = [gga("GN", 0, 1, 4), "GNGST,120000.00,,,,,0.01,0.01,0.02".to_owned()];
    for second in 0..60 {
        let fix = line.hear(second, &last).expect("the same fix");
        assert_eq!(fix.received_ns, 0, "its age grows");
    }
    // The same time on the next day is another moment.
    let fix = line.hear(86_400, &[gga("GN", 0, 2, 1)]).expect("a fix");
    assert_eq!((fix.received_ns, fix.position.std_m), (86_400 * S, None));
}

#[test]
fn a_speed_without_a_time_belongs_to_the_epoch_before_it_only_at_once() {
    let mut line = Line::default();
    line.hear(0, &[gga("GP", 0, 1, 1)]);
    let vtg = "GPVTG,90.0,T,,M,010.0,N,,K,A";
    assert_eq!(line.hear(3, &[vtg]).and_then(|fix| fix.course_deg), Some(90.0));
    assert_eq!(line.hear(4, &[vtg]), None);
}

#[test]
fn a_lost_count_of_weeks_is_corrected() {
    let mut line = Line::default();
    for second in 0..30 {
        let fix = line.hear(second, &[gga("GP", second, 1, 1), rmc("GP", second, 1, 'A', "160407")]);
        assert_eq!(utc(fix), None, "not yet");
    }
    for second in 30..40 {
        let moment = format!("2026-11-30T12:00:{second}Z");
        let fix = line.hear(second, &[gga("GP", second, 1, 1), rmc("GP", second, 1, 'A', "160407")]);
        assert_eq!(utc(fix), Some(moment));
    }
    assert_eq!(line.0.date_state(), DateState::RolledOver);
}

#[test]
fn a_date_that_cannot_be_right_costs_the_time_and_not_the_place() {
    for date in ["160746", "060180", "070419", ""] {
        let mut line = Line::default();
        for second in 0..59 {
            let fix = line.hear(second, &[rmc("GP", second, 1, 'A', date)]).expect("a place");
            assert_eq!((thousandths(&fix), fix.utc), (1.0, None), "{date}");
        }
    }
    let mut line = Line::default();
    let zda = "GPZDA,120000.00,16,07,2046,00,00".to_owned();
    assert_eq!(utc(line.hear(0, &[gga("GP", 0, 1, 1), zda])), None);
}

#[test]
fn a_clock_that_tells_whole_seconds_gives_its_date_to_the_positions_between() {
    let mut line = Line::default();
    let zda = |second: u64| format!("GPZDA,1200{second:02}.00,30,11,2026,00,00");
    let between = |second: u64| gga("GP", second, 1, 1).replace(".00,3500", ".20,3500");
    assert_eq!(utc(line.hear(0, &[between(0), zda(0)])).as_deref(), Some("2026-11-30T12:00:00.2Z"));
    let fix = line.hear(1, &[zda(1), between(1), "GPGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1".into()]);
    assert_eq!(utc(fix).as_deref(), Some("2026-11-30T12:00:01.2Z"));
    // Ten days later, the same time of day is not on that date.
    assert_eq!(utc(line.hear(10 * 86_400, &[between(0)])).as_deref(), Some("2026-12-10T12:00:00.2Z"));
}

#[test]
fn positions_of_another_datum_are_converted_or_refused() {
    let mut line = Line::default();
    // 324 m to the south and 293 m to the east of WGS 84, as near Tokyo.
    let told = ["GPDTM,TOY,,0.175,S,0.193,E,0.0,W84".to_owned(), gga("GP", 0, 7, 1), rmc("GP", 0, 7, 'A', "301126")];
    let fix = line.hear(0, &told).expect("a fix");
    assert_eq!(thousandths(&fix), 182.0);
    assert!((fix.position.longitude_deg - (139.0 - 0.193 / 60.0)).abs() < 1e-9);
    // It holds until another one is told.
    assert_eq!(line.hear(1, &[gga("GP", 1, 7, 1)]).map(|fix| thousandths(&fix)), Some(182.0));
    assert_eq!(line.hear(2, &["GPDTM,TOY,,,,,,,W84".to_owned(), gga("GP", 2, 7, 1)]), None);
    assert_eq!(line.hear(3, &[gga("GP", 3, 7, 1)]), None);
    let fix = line.hear(4, &["GPDTM,W84,,0.0,N,0.0,E,0.0,W84".to_owned(), gga("GP", 4, 7, 1)]);
    assert_eq!(fix.map(|fix| thousandths(&fix)), Some(7.0));
}
