//! Sentences as receivers write them, and their meaning.

use super::super::fields::SECOND;
use super::*;

const NOON: DayTime = DayTime(12 * 3600 * SECOND);

fn parse(text: &str) -> Option<Sentence> {
    Sentence::parse(text.as_bytes())
}

fn fix(text: &str) -> Option<(f64, f64, FixQuality)> {
    let Some(Sentence::FixData(FixData { fix, .. })) = parse(text) else { panic!("refused: {text}") };
    fix.map(|(at, quality)| (at.latitude_deg, at.longitude_deg, quality))
}

#[test]
fn hemispheres_have_signs() {
    let cases = [
        ("4807.038,N,01131.000,E", 48.1173, 11.0 + 31.0 / 60.0),
        ("3330.0,S,07045.0,W", -33.5, -70.75),
        ("0000.0000,N,00000.0000,E", 0.0, 0.0),
        ("9000.0,S,18000.0,W", -90.0, -180.0),
    ];
    for (text, latitude, longitude) in cases {
        let (lat, lon, quality) = fix(&format!("GPGGA,120000,{text},1,08,0.9,545.4,M,46.9,M,,")).expect("a fix");
        assert!((lat - latitude).abs() < 1e-9 && (lon - longitude).abs() < 1e-9, "{text}: {lat} {lon}");
        assert_eq!(quality, FixQuality::Autonomous);
    }
}

#[test]
fn places_out_of_range_are_refused() {
    for at in [
        "9000.1,N,01131.0,E",
        "4807.0,N,18000.1,E",
        "4860.0,N,01131.0,E",
        "4807.0,E,01131.0,E",
        "4807.0,,01131.0,E",
        "-4807.0,N,01131.0,E",
        "nan,N,01131.0,E",
        "4e1,N,01131.0,E",
        ",,,",
    ] {
        assert_eq!(parse(&format!("GPGGA,120000,{at},1,08,0.9,,M,,M,,")), None, "{at}");
    }
}

#[test]
fn qualities_are_told_apart() {
    use FixQuality::*;
    let at = "4807.038,N,01131.000,E";
    let digits = [None, Some(Autonomous), Some(Differential), Some(Autonomous), Some(RtkFixed), Some(RtkFloat)];
    let all = digits.into_iter().chain([Some(Estimated), Some(Estimated), None, Some(Differential)]);
    for (digit, expected) in all.enumerate() {
        let found = fix(&format!("GNGGA,120000,{at},{digit},08,0.9,,M,,M,,")).map(|(.., quality)| quality);
        assert_eq!(found, expected, "GGA {digit}");
    }
    assert_eq!(parse(&format!("GNGGA,120000,{at},A,08,0.9,,M,,M,,")), None);
    let letters = [("NN", None), ("AN", Some(Autonomous)), ("ADN", Some(Differential)), ("RF", Some(RtkFixed))];
    for (letters, expected) in letters.into_iter().chain([("F", Some(RtkFloat)), ("E", Some(Estimated)), ("S", None)]) {
        let found = fix(&format!("GNGNS,120000,{at},{letters},08,0.9,545.4,46.9,,")).map(|(.., quality)| quality);
        assert_eq!(found, expected, "GNS {letters}");
    }
    assert_eq!(parse(&format!("GNGNS,120000,{at},AX,08,0.9,545.4,46.9,,")), None);
}

#[test]
fn a_receiver_that_warns_gives_no_place_and_no_date() {
    let rmc = |text: &str| match parse(text) {
        Some(Sentence::Rmc(rmc)) => rmc.fix.map(|fix| (fix, rmc.date)),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(rmc("GPRMC,120000,V,,,,,,,060180,,,N"), None);
    assert_eq!(rmc("GPRMC,120000,V,4807.038,N,01131.000,E,0.0,0.0,251126,,"), None);
    assert_eq!(rmc("GPRMC,120000,A,4807.038,N,01131.000,E,0.0,0.0,251126,,,N"), None);
    let ((_, quality), date) = rmc("GPRMC,120000,A,4807.038,N,01131.000,E,022.4,084.4,251126,,").expect("a fix");
    assert_eq!((quality, date), (FixQuality::Autonomous, Some(Date::constant(2026, 11, 25))));
    let (_, date) =
        rmc("GPRMC,120000,A,4807.038,N,01131.000,E,022.4,084.4,,,").expect("a fix before the date is known");
    assert_eq!(date, None);
    for wrong in ["310226", "251326", "25112", "2511260", "0"] {
        let text = format!("GPRMC,120000,A,4807.038,N,01131.000,E,022.4,084.4,{wrong},,");
        assert_eq!(parse(&text), None, "{wrong}");
    }
}

#[test]
fn centuries_and_zones() {
    assert_eq!(short_date(b"050980"), Some(Date::constant(1980, 9, 5)));
    assert_eq!(short_date(b"050979"), Some(Date::constant(2079, 9, 5)));
    // 21:00 UTC is the next day in Japan, but neither time nor date moves.
    let date = Date::constant(2026, 12, 31);
    let time = DayTime(21 * 3600 * SECOND);
    assert_eq!(parse("GPZDA,210000.00,31,12,2026,-09,00"), Some(Sentence::Date { time, date }));
    assert_eq!(parse("GPZDA,210000.00,31,11,2026,,"), None);
}

#[test]
fn the_other_sentences() {
    let gst = Sentence::Gst { time: NOON, std_m: Some(5.0) };
    assert_eq!(parse("GPGST,120000.00,6.1,4.2,2.1,34.0,3.0,4.0,5.5"), Some(gst));
    assert_eq!(parse("GPGST,120000.00,,,,,,,"), Some(Sentence::Gst { time: NOON, std_m: None }));
    let gsa = |text: &str| parse(text).expect("GSA");
    assert_eq!(gsa("GNGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1,1"), Sentence::Gsa { hdop: Some(1.3) });
    assert_eq!(gsa("GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99"), Sentence::Gsa { hdop: None });
    assert_eq!(parse("GPGSA,A,3,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,2.5,1.3,2.1"), None);
    let vtg = |text: &str| match parse(text) {
        Some(Sentence::Vtg(movement)) => movement,
        other => panic!("{text}: {other:?}"),
    };
    let movement = vtg("GPVTG,054.7,T,034.4,M,010.0,N,,K,A");
    assert_eq!((movement.course_deg, movement.speed_mps), (Some(54.7), Some(10.0 * KNOT)));
    assert_eq!(vtg("GPVTG,360.0,T,,M,,N,036.0,K").speed_mps, Some(10.0));
    assert_eq!(vtg("GPVTG,,T,,M,,N,,K,N"), Movement::default());
}

#[test]
fn other_talkers_and_kinds_are_left_alone() {
    let own = "PGGGA,120000,4807.038,N,01131.000,E,1,08,0.9,5.0,M,46.9,M,,";
    for text in ["PUBX,00", "PUBX", "PUBX,03,11,23", "PGRME,15.0,M", own, "GPGSV,1,1,00", "GP", "G", "", "GPGGA"] {
        assert_eq!(parse(text), None, "{text}");
    }
    for talker in ["GP", "GN", "GL", "GA", "GB", "BD", "GQ", "QZ", "GI", "IN", "II", "EC", "HC", "SN", "U1"] {
        assert!(parse(&format!("{talker}VTG,,T,,M,,N,,K")).is_some(), "{talker}");
    }
}

#[test]
fn gll_of_old_and_new_receivers() {
    let gll = |text: &str| match parse(text) {
        Some(Sentence::Gll { time, fix }) => {
            assert_eq!(time, NOON);
            fix.map(|(at, quality)| (at.latitude_deg, at.longitude_deg, quality))
        }
        other => panic!("{text}: {other:?}"),
    };
    let at = "3330.0,S,07045.0,W,120000.00";
    // Without a mode, and with each of them.
    assert_eq!(gll(&format!("GPGLL,{at},A")), Some((-33.5, -70.75, FixQuality::Autonomous)));
    assert_eq!(gll(&format!("GPGLL,{at},A,")), Some((-33.5, -70.75, FixQuality::Autonomous)));
    assert_eq!(gll(&format!("GNGLL,{at},A,D")), Some((-33.5, -70.75, FixQuality::Differential)));
    assert_eq!(gll(&format!("INGLL,{at},A,E")), Some((-33.5, -70.75, FixQuality::Estimated)));
    for none in ["V", "V,A", "A,N", "V,N", "A,S"] {
        assert_eq!(gll(&format!("GPGLL,{at},{none}")), None, "{none}");
    }
    assert_eq!(gll("GPGLL,,,,,120000.00,V,N"), None);
    for wrong in [",A,X", ",X,A", "", ",,A"] {
        assert_eq!(parse(&format!("GPGLL,{at}{wrong}")), None, "{wrong}");
    }
    assert_eq!(parse("GPGLL,3330.0,S,07045.0,W,,A,A"), None, "a place of no moment");
    assert_eq!(parse("GPGLL,3330.0,S,07045.0,W"), None, "as before version 1.5");
}

#[test]
fn a_receiver_that_knows_nothing_says_so() {
    for text in [
        "GPGGA,,,,,,0,00,99.99,,,,,,",
        "GNGNS,,,,,,NN,00,99.99,,,,",
        "GPRMC,,V,,,,,,,,,,N",
        "GPGLL,,,,,,V,N",
        "PUBX,00,,,,,,,NF,5303316,3750010,0.000,0.00,0.000,,99.99,99.99,99.99,0,0,0",
    ] {
        assert_eq!(parse(text), Some(Sentence::NoFix), "{text}");
    }
}

#[test]
fn the_sentences_of_ublox() {
    let ublox = |text: &str| match parse(text) {
        Some(Sentence::Ublox(ublox)) => ublox,
        other => panic!("{text}: {other:?}"),
    };
    // From u-blox's description.
    let position = "PUBX,00,081350.00,4717.113210,N,00833.915187,E,546.589,G3,2.1,2.0,0.007,77.52,0.007,,0.92,1.19,\
                    0.77,9,0,0";
    let Ublox { fix_data, accuracy_m, movement } = ublox(position);
    let (at, quality) = fix_data.fix.expect("a fix");
    assert!((at.latitude_deg - 47.285_220_167).abs() < 1e-9 && (at.longitude_deg - 8.565_253_117).abs() < 1e-9);
    assert_eq!(quality, FixQuality::Autonomous);
    assert_eq!((fix_data.satellites, fix_data.hdop, fix_data.altitude_m), (Some(9), Some(0.92), Some(546.589)));
    assert_eq!(accuracy_m, Some(2.1));
    assert_eq!((movement.speed_mps, movement.course_deg), (Some(0.007 * KMH), Some(77.52)));
    for (status, expected) in [
        ("G2", Some(FixQuality::Autonomous)),
        ("D2", Some(FixQuality::Differential)),
        ("D3", Some(FixQuality::Differential)),
        ("RK", Some(FixQuality::Autonomous)),
        ("DR", Some(FixQuality::Estimated)),
        ("NF", None),
        ("TT", None),
    ] {
        let found = ublox(&position.replace("G3", status)).fix_data.fix.map(|(_, quality)| quality);
        assert_eq!(found, expected, "{status}");
    }
    assert_eq!(parse(&position.replace("G3", "G9")), None);
    let time = DayTime((7 * 3600 + 37 * 60 + 31) * SECOND);
    let date = Date::constant(2002, 12, 9);
    let told = "PUBX,04,073731.00,091202,113851.00,1196,15,1930035,-2660.664,43,";
    assert_eq!(parse(told), Some(Sentence::Date { time, date }));
    assert_eq!(parse(&told.replace(",15,", ",15D,")), None, "leap seconds by the firmware");
}

#[test]
fn errors_of_nothing_are_not_stated() {
    assert_eq!(parse("GPGST,120000.00,0,0,0,0,0,0,0"), Some(Sentence::Gst { time: NOON, std_m: None }));
    let Some(Sentence::FixData(told)) = parse("GPGGA,120000,4807.038,N,01131.000,E,1,08,0.0,,M,,M,,") else {
        panic!("refused")
    };
    assert_eq!(told.hdop, None);
}
