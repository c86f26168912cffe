//! Finds what is missing on a line, and says what to do.

use super::params::Protocol;
use super::watch::{LineState, Nmea, Watch};
use crate::nmea::{Antenna, DateState, Datum, Heard, Kind};

/// Number of broken sentences from which on they are worth a word, and their least share of all: one in ten. A line
/// that is opened in the middle of a sentence has one.
const BROKEN_MIN: u64 = 10;

/// Number of satellites without which no position can be computed.
const SATELLITES_MIN: u32 = 4;

/// Returns what is missing at this monotonic time, the most important first.
pub fn missing(watch: &Watch, now_ns: u64) -> Vec<String> {
    match watch.state {
        LineState::Searching => Vec::new(),
        LineState::Lost => watch.reason.iter().cloned().collect(),
        LineState::Following => {
            let nmea = watch.nmea.filter(|_| watch.protocol == Some(Protocol::Nmea));
            let mavlink = watch.mavlink.iter().flat_map(|report| &report.missing).map(ToString::to_string);
            let nmea = nmea.into_iter().flat_map(|nmea| said(watch, &nmea, now_ns));
            broken(watch).into_iter().chain(nmea).chain(mavlink).collect()
        }
    }
}

fn broken(watch: &Watch) -> Option<String> {
    let all = watch.valid + watch.broken;
    (watch.broken >= BROKEN_MIN && watch.broken * 10 >= all).then(|| {
        format!(
            "{} of {all} sentences are broken: check the wiring and the baud rate, and that only one device sends",
            watch.broken
        )
    })
}

/// Returns what an NMEA receiver does not say.
fn said(watch: &Watch, nmea: &Nmea, now_ns: u64) -> Vec<String> {
    let Nmea { heard, date, datum } = nmea;
    let is_heard = |kinds: &[Kind]| kinds.iter().any(|kind| heard.is_recent(*kind, now_ns));
    if !is_heard(&Kind::PLACES) {
        return vec![no_place(heard, now_ns)];
    }
    let fix = match datum {
        Datum::Unknown(code) => Some(unknown_datum(*code)),
        _ => (!watch.has_fix(now_ns)).then(|| no_fix(heard, now_ns)),
    };
    let details = (!is_heard(&Kind::DETAILS)).then(|| {
        format!(
            "{} only: no altitude, satellites or HDOP; switch on GGA in the receiver",
            names(heard, &Kind::PLACES, now_ns)
        )
    });
    [fix, no_date(heard, *date, now_ns), details].into_iter().flatten().collect()
}

fn unknown_datum(code: [u8; 3]) -> String {
    let code = String::from_utf8_lossy(&code);
    format!("the receiver's positions refer to the datum {code} and are not used; set it to WGS 84 (W84)")
}

fn no_date(heard: &Heard, date: DateState, now_ns: u64) -> Option<String> {
    let is_told = Kind::DATES.iter().any(|kind| heard.is_recent(*kind, now_ns));
    match date {
        DateState::Known | DateState::RolledOver => None,
        DateState::Impossible(date) => Some(format!(
            "the receiver's date {date} cannot be right, so its time is not used; update the receiver's firmware"
        )),
        DateState::MaybeRolledOver => {
            Some("the receiver has lost count of the weeks; its date is used after half a minute with a fix".to_owned())
        }
        DateState::Nothing | DateState::TimeOfDay if !is_told => {
            let names = names(heard, &Kind::PLACES, now_ns);
            Some(format!("{names} only: no date, so no time; switch on RMC or ZDA in the receiver"))
        }
        DateState::TimeOfDay => Some("the receiver does not know the date yet, so there is no time".to_owned()),
        DateState::Nothing => None,
    }
}

fn no_place(heard: &Heard, now_ns: u64) -> String {
    match names(heard, &Kind::ALL, now_ns).as_str() {
        "" => "nothing has been heard for a while: is the receiver still connected?".to_owned(),
        names => format!("{names} only: no position; switch on GGA or RMC in the receiver"),
    }
}

fn no_fix(heard: &Heard, now_ns: u64) -> String {
    match (heard.antenna(), heard.in_view(now_ns)) {
        (Some(Antenna::Open), _) => "no fix: the receiver reports that no antenna is connected".to_owned(),
        (Some(Antenna::Short), _) => "no fix: the receiver reports a short circuit of its antenna".to_owned(),
        (None, Some(in_view)) if in_view < SATELLITES_MIN => {
            format!(
                "no fix: {in_view} satellites in view, and {SATELLITES_MIN} are needed; check the antenna and its view \
                 of the sky"
            )
        }
        (None, Some(in_view)) => format!(
            "no fix: {in_view} satellites in view; after a start it can take some minutes, with a free view of the sky"
        ),
        (None, None) => "no fix: check the antenna and its view of the sky".to_owned(),
    }
}

/// Returns the names of those kinds that were heard recently: "GSV and GSA".
fn names(heard: &Heard, kinds: &[Kind], now_ns: u64) -> String {
    let names: Vec<_> = kinds.iter().filter(|kind| heard.is_recent(**kind, now_ns)).map(|kind| kind.name()).collect();
    match names.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::watch::LastFix;
    use super::*;
    use crate::Arrival;
    use crate::nmea::Decoder;

    const S: u64 = 1_000_000_000;

    /// What a line has seen on which these sentences arrive each second, for a minute.
    fn minute(sentences: &[&str]) -> Watch {
        let mut decoder = Decoder::default();
        let mut watch = Watch { state: LineState::Following, protocol: Some(Protocol::Nmea), ..Watch::default() };
        for second in 0..60 {
            for text in sentences {
                let text = text.replace("SS", &format!("{second:02}"));
                let sum = text.bytes().fold(0, |sum, byte| sum ^ byte);
                decoder.push(format!("${text}*{sum:02X}").as_bytes(), second * S, |arrival| match arrival {
                    Arrival::Fix(fix) => watch.last_fix = Some(LastFix::of(&fix)),
                    _ => watch.valid += 1,
                });
            }
        }
        watch.nmea = Some(Nmea::of(&decoder));
        watch
    }

    const GGA: &str = "GPGGA,1200SS.00,3500.0,N,13900.0,E,1,08,0.9,5.0,M,46.9,M,,";
    const RMC: &str = "GPRMC,1200SS.00,A,3500.0,N,13900.0,E,0.0,0.0,301126,,,A";
    const GLL: &str = "GPGLL,3500.0,N,13900.0,E,1200SS.00,A";
    const GSA: &str = "GPGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99";
    const NO_FIX: &str = "GPGGA,,,,,,0,00,99.99,,,,,,";
    const NO_RMC: &str = "GPRMC,,V,,,,,,,,,,N";

    #[test]
    fn a_line_on_which_all_is_well_lacks_nothing() {
        for sentences in [[GGA, RMC], [GGA, "GPZDA,1200SS.00,30,11,2026,00,00"]] {
            assert_eq!(missing(&minute(&sentences), 60 * S), Vec::<String>::new(), "{sentences:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_remedy() {
        let cases: [(&[&str], &[&str]); 13] = [
            (&["GPGSV,1,1,03,01,,,", GSA], &["GSA and GSV only: no position; switch on GGA or RMC in the receiver"]),
            (&["GPTXT,01,01,02,u-blox"], &["TXT only: no position"]),
            (&["HCHDG,101.1,,,7.1,W"], &["other only: no position"]),
            (
                &[GLL],
                &["GLL only: no date, so no time; switch on RMC or ZDA", "GLL only: no altitude, satellites or HDOP"],
            ),
            (&[GGA, GLL], &["GGA and GLL only: no date, so no time"]),
            (&[RMC], &["RMC only: no altitude, satellites or HDOP; switch on GGA"]),
            (&[NO_FIX, NO_RMC, "GPGSV,1,1,03,01,,,"], &["no fix: 3 satellites in view, and 4 are needed"]),
            (&[NO_FIX, NO_RMC], &["no fix: check the antenna"]),
            (&[NO_FIX, NO_RMC, "GPTXT,01,01,02,ANTSTATUS=OPEN"], &["no antenna is connected"]),
            (&[GGA, "GPRMC,1200SS.00,A,3500.0,N,13900.0,E,0.0,0.0,,,,A"], &["does not know the date yet"]),
            (&["GPDTM,TOY,,,,,,,W84", GGA, RMC], &["refer to the datum TOY and are not used; set it to WGS 84"]),
            (&[NO_FIX, GSA], &["no fix: check", "GGA only: no date, so no time"]),
            (&[GGA, "GPZDA,1200SS.00,16,07,2046,00,00"], &["the receiver's date 2046-07-16 cannot be right"]),
        ];
        for (sentences, expected) in cases {
            let told = missing(&minute(sentences), 60 * S);
            assert_eq!(told.len(), expected.len(), "{sentences:?}: {told:?}");
            for (told, expected) in told.iter().zip(expected) {
                assert!(told.contains(expected), "{sentences:?}: {told}");
            }
        }
    }

    #[test]
    fn what_was_heard_an_hour_ago_does_not_count() {
        let watch = minute(&[GGA, RMC]);
        assert!(missing(&watch, 3_600 * S)[0].contains("nothing has been heard for a while"));
    }

    #[test]
    fn broken_sentences_are_worth_a_word_when_they_are_many() {
        let told = |broken: u64, valid: u64| missing(&Watch { broken, valid, ..minute(&[GGA, RMC]) }, 60 * S).len();
        assert_eq!((told(1, 2), told(9, 20), told(10, 20), told(10, 90), told(10, 91)), (0, 0, 1, 1, 0));
    }

    #[test]
    fn a_lost_line_tells_why() {
        let lost = Watch { state: LineState::Lost, reason: Some("gone".into()), ..minute(&[GGA, RMC]) };
        assert_eq!(missing(&lost, 60 * S), ["gone"]);
        assert!(missing(&Watch::default(), 60 * S).is_empty());
    }
}
