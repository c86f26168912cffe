//! Logs generated from known fixes, and their fate on a bad line.

use std::fmt::Write;
use std::time::Instant;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use bridgeclip_domain::{FixQuality, PositionSource};
use bridgeclip_random::Random;

use super::*;
use crate::Fix;

/// Content of one epoch, as the log writes it.
struct Truth {
    utc: Timestamp,
    /// Degrees, minutes and millionths of a minute. The degrees carry the sign.
    latitude: (i32, u32, u32),
    longitude: (i32, u32, u32),
    altitude_dm: i64,
    /// Digit of GGA, letter of GNS and RMC, and the quality that they mean.
    quality: (u8, char, FixQuality),
    hdop_centi: u64,
    satellites: u64,
    speed_centiknots: u64,
    course_deci: u64,
    /// Standard deviations of latitude and longitude in millimetres.
    std_mm: (u64, u64),
}

const QUALITIES: [(u8, char, FixQuality); 5] = [
    (1, 'A', FixQuality::Autonomous),
    (2, 'D', FixQuality::Differential),
    (4, 'R', FixQuality::RtkFixed),
    (5, 'F', FixQuality::RtkFloat),
    (6, 'E', FixQuality::Estimated),
];

/// Sentences that together give a complete fix, in the orders of common receivers.
const ORDERS: [&[&str]; 4] = [
    &["RMC", "VTG", "GGA", "GSA", "GST", "ZDA"],
    &["GGA", "GSA", "GST", "RMC", "VTG"],
    &["GNS", "GSA", "GST", "ZDA", "VTG"],
    &["ZDA", "GST", "GNS", "RMC"],
];

impl Truth {
    fn new(random: &mut Random, utc: Timestamp) -> Self {
        let mut below = |end: u64| random.bits() % end;
        let mut angle = |degrees: u64| (below(degrees) as i32, below(60) as u32, below(1_000_000) as u32);
        let (north, east) = (angle(90), angle(180));
        let mut signed = |angle: (i32, u32, u32)| match below(2) {
            0 => angle,
            // Minus zero degrees would lose its sign.
            _ => (-angle.0.max(1), angle.1, angle.2),
        };
        let (latitude, longitude) = (signed(north), signed(east));
        Truth {
            utc,
            latitude,
            longitude,
            altitude_dm: below(30_000) as i64 - 5_000,
            quality: QUALITIES[below(5) as usize],
            hdop_centi: 50 + below(900),
            satellites: 4 + below(20),
            speed_centiknots: below(5_000),
            course_deci: below(3_600),
            std_mm: (1 + below(9_000), 1 + below(9_000)),
        }
    }

    fn sentence(&self, talker: &str, kind: &str) -> String {
        let civil = Offset::UTC.to_datetime(self.utc);
        let time =
            format!("{:02}{:02}{:02}.{:02}", civil.hour(), civil.minute(), civil.second(), civil.millisecond() / 10);
        let at = format!("{},{}", written(self.latitude, 2, ["N", "S"]), written(self.longitude, 3, ["E", "W"]));
        let (digit, letter, _) = self.quality;
        let hdop = decimal(self.hdop_centi, 2);
        let altitude =
            format!("{}{}", if self.altitude_dm < 0 { "-" } else { "" }, decimal(self.altitude_dm.unsigned_abs(), 1));
        let (knots, course) = (decimal(self.speed_centiknots, 2), decimal(self.course_deci, 1));
        let satellites = self.satellites;
        let (day, month, year) = (civil.day(), civil.month(), civil.year());
        let fields = match kind {
            "GGA" => format!("{time},{at},{digit},{satellites:02},{hdop},{altitude},M,36.0,M,,"),
            "GNS" => format!("{time},{at},{letter}N,{satellites:02},{hdop},{altitude},36.0,,"),
            "RMC" => format!("{time},A,{at},{knots},{course},{day:02}{month:02}{:02},,,{letter}", year % 100),
            "ZDA" => format!("{time},{day:02},{month:02},{year},-09,00"),
            "GSA" => format!("A,3,04,05,,09,12,,,24,,,,,2.5,{hdop},2.1"),
            "GST" => format!("{time},6.1,4.2,2.1,34.0,{},{},5.5", decimal(self.std_mm.0, 3), decimal(self.std_mm.1, 3)),
            "VTG" => format!("{course},T,,M,{knots},N,,K,{letter}"),
            _ => unreachable!("no such sentence"),
        };
        with_checksum(&format!("{talker}{kind},{fields}"))
    }

    fn assert_is(&self, fix: &Fix, order: &[&str]) {
        let place = order.iter().any(|kind| matches!(*kind, "GGA" | "GNS"));
        let near = |found: Option<f64>, expected: f64, within: f64| {
            assert!(
                found.is_some_and(|found| (found - expected).abs() <= within),
                "{found:?} for {expected}: {order:?}"
            );
        };
        // A nanodegree is a tenth of a millimetre.
        near(Some(fix.position.latitude_deg), degrees(self.latitude), 1e-9);
        near(Some(fix.position.longitude_deg), degrees(self.longitude), 1e-9);
        assert_eq!(fix.utc, Some(self.utc), "{order:?}");
        assert_eq!(fix.position.quality, Some(self.quality.2));
        let rtk = self.quality.2 == FixQuality::RtkFixed;
        assert_eq!(fix.position.source, if rtk { PositionSource::Rtk } else { PositionSource::SerialGps });
        near(fix.position.std_m, (self.std_mm.0 as f64).hypot(self.std_mm.1 as f64) / 1e3, 1e-6);
        near(fix.speed_mps, self.speed_centiknots as f64 / 100.0 * 1852.0 / 3600.0, 1e-9);
        near(fix.course_deg, self.course_deci as f64 / 10.0, 1e-9);
        if place {
            near(fix.position.altitude_m, self.altitude_dm as f64 / 10.0, 1e-9);
            near(fix.position.hdop, self.hdop_centi as f64 / 100.0, 1e-9);
            assert_eq!(fix.satellites.map(u64::from), Some(self.satellites));
        }
    }
}

fn degrees((degrees, minutes, millionths): (i32, u32, u32)) -> f64 {
    let minutes = f64::from(minutes) + f64::from(millionths) / 1e6;
    (f64::from(degrees.abs()) + minutes / 60.0).copysign(f64::from(degrees))
}

fn written((degrees, minutes, millionths): (i32, u32, u32), width: usize, letters: [&str; 2]) -> String {
    let letter = letters[usize::from(degrees < 0)];
    format!("{:0width$}{minutes:02}.{millionths:06},{letter}", degrees.abs())
}

fn decimal(value: u64, places: u32) -> String {
    let unit = 10_u64.pow(places);
    format!("{}.{:0width$}", value / unit, value % unit, width = places as usize)
}

fn with_checksum(text: &str) -> String {
    let sum = text.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${text}*{sum:02X}\r\n")
}

/// Epochs, and the order of each epoch's sentences.
type Log = Vec<(Truth, &'static [&'static str])>;

/// A log across midnight at the end of a year, one epoch a second, and its bytes.
fn log(seed: u64, epochs: usize) -> (Log, Vec<u8>) {
    let mut random = Random::new(&[seed]);
    let start: Timestamp = "2026-12-31T23:59:30.25Z".parse().expect("a moment");
    let (mut truths, mut text) = (Vec::new(), String::new());
    for second in 0..epochs {
        let truth = Truth::new(&mut random, start + SignedDuration::from_secs(second as i64));
        // RMC or ZDA gives the date first; then orders without a date may follow.
        let order = ORDERS[second % ORDERS.len()];
        let talker = ["GP", "GN", "GL", "GA", "GB", "BD", "GQ", "QZ"][random.bits() as usize % 8];
        order.iter().for_each(|kind| text += &truth.sentence(talker, kind));
        truths.push((truth, order));
    }
    (truths, text.into_bytes())
}

/// Last, most complete fix of each epoch.
fn fixes(chunks: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Fix> {
    let (mut decoder, mut fixes) = (Decoder::default(), Vec::<Fix>::new());
    for (index, chunk) in chunks.into_iter().enumerate() {
        decoder.push(chunk.as_ref(), index as u64, |arrival| match arrival {
            Arrival::Fix(fix) if fixes.last().is_some_and(|last| last.utc.is_some() && last.utc == fix.utc) => {
                *fixes.last_mut().expect("one") = fix;
            }
            Arrival::Fix(fix) => fixes.push(fix),
            _ => (),
        });
    }
    fixes
}

fn assert_all(truths: &Log, fixes: &[Fix]) {
    assert_eq!(truths.len(), fixes.len());
    truths.iter().zip(fixes).for_each(|((truth, order), fix)| truth.assert_is(fix, order));
}

#[test]
fn generated_logs_give_the_fixes_they_were_made_from() {
    for seed in 0..20 {
        let (truths, bytes) = log(seed, 100);
        assert_all(&truths, &fixes([&bytes]));
    }
}

#[test]
fn a_log_may_be_cut_at_every_byte() {
    let (truths, bytes) = log(1, 8);
    for at in 0..=bytes.len() {
        assert_all(&truths, &fixes([&bytes[..at], &bytes[at..]]));
    }
    assert_all(&truths, &fixes(bytes.chunks(1)));
}

#[test]
fn noise_between_sentences_and_broken_copies_change_nothing() {
    let mut random = Random::new(&[2]);
    let (truths, bytes) = log(2, 40);
    let mut noisy = Vec::new();
    for sentence in bytes.split_inclusive(|byte| *byte == b'\n') {
        noisy.extend((0..random.bits() % 200).map(|_| random.bits() as u8));
        let mut broken = sentence.to_vec();
        // A changed digit in the middle, so that the checksum is wrong.
        let at = 10 + random.bits() as usize % (broken.len() - 16);
        broken[at] ^= 1;
        noisy.extend(broken);
        noisy.extend(sentence);
    }
    assert_all(&truths, &fixes([&noisy]));
}

#[test]
fn an_epoch_without_a_date_takes_it_from_the_one_before() {
    let mut random = Random::new(&[3]);
    let mut text = String::new();
    let moments = ["2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z"];
    for (moment, kinds) in moments.into_iter().zip([&["RMC"][..], &["GGA"], &["GNS"]]) {
        let truth = Truth::new(&mut random, moment.parse().expect("a moment"));
        kinds.iter().for_each(|kind| text += &truth.sentence("GP", kind));
    }
    let found: Vec<_> = fixes([text]).into_iter().map(|fix| fix.utc.expect("a date").to_string()).collect();
    assert_eq!(found, moments);
}

#[test]
fn without_a_valid_place_there_is_no_fix() {
    let sentences = [
        "GPRMC,120000.00,V,,,,,,,060180,,,N",
        "GPGGA,120000.00,,,,,0,00,99.99,,,,,,",
        "GPZDA,120000.00,06,01,1980,00,00",
        "GPGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99",
    ];
    let text = sentences.into_iter().fold(String::new(), |mut text, sentence| {
        write!(text, "{}", with_checksum(sentence)).expect("a string");
        text
    });
    assert_eq!(fixes([text]), []);
}

/// Bytes that resemble sentences more often than pure chance would.
fn almost_sentences(random: &mut Random, length: usize) -> Vec<u8> {
    const PARTS: [&[u8]; 16] = [
        b"$",
        b"*",
        b",",
        b"\r\n",
        b"GPGGA,",
        b"GNRMC,",
        b"A,",
        b"235960",
        b"9999.99999,N,",
        b"-",
        b"*4",
        b"F",
        b"GPZDA,",
        b"18000.0,W,",
        b"99999999999999999999",
        b"!",
    ];
    let mut bytes = Vec::with_capacity(length + 32);
    while bytes.len() < length {
        match random.bits() % 20 {
            part @ 0..16 => bytes.extend(PARTS[part as usize]),
            _ => bytes.push(random.bits() as u8),
        }
    }
    bytes
}

/// Number of fixes of bytes that arrive at the same time in pieces of this length.
fn fixes_at_once(bytes: &[u8], length: usize) -> usize {
    let (mut decoder, mut count) = (Decoder::default(), 0);
    for piece in bytes.chunks(length) {
        decoder.push(piece, 0, |arrival| count += usize::from(matches!(arrival, Arrival::Fix(_))));
    }
    count
}

#[test]
fn any_bytes_are_fine() {
    let mut random = Random::new(&[4]);
    for _ in 0..2_000 {
        let noise = almost_sentences(&mut random, 500);
        fixes([noise]);
        // The same bytes with correct checksums, so that the fields are read.
        let inner: Vec<u8> =
            almost_sentences(&mut random, 60).into_iter().filter(|byte| (b' '..=b'~').contains(byte)).collect();
        let inner = String::from_utf8(inner).expect("ASCII").replace(['$', '!', '*'], "1");
        let kinds = ["", "GPGGA,", "GNRMC,", "INGLL,", "PUBX,00,", "PUBX,04,", "GPDTM,", "GPGSV,", "GPTXT,", "GPZDA,"];
        let sentences: Vec<_> = kinds.iter().map(|kind| with_checksum(&format!("{kind}{inner}"))).collect();
        let bytes = sentences.concat().into_bytes();
        let whole = fixes_at_once(&bytes, bytes.len());
        assert_eq!(fixes_at_once(&bytes, 1), whole);
        assert_eq!(fixes_at_once(&bytes, 7), whole);
    }
}

#[test]
fn a_megabyte_without_a_line_end_leaves_the_decoder_as_it_was() {
    let (truths, bytes) = log(5, 4);
    let endless = [&b"$GPGGA,"[..], &vec![b'9'; 1_000_000]].concat();
    assert_all(&truths, &fixes([&endless, &bytes]));
    assert!(size_of::<Decoder>() < 1_000, "no heap, and little of its own");
}

/// Measures the throughput: `cargo test --release -- --ignored nmea_throughput --nocapture`.
#[test]
#[ignore = "a measurement; needs a quiet machine"]
fn nmea_throughput() {
    let (_, bytes) = log(6, 20_000);
    let start = Instant::now();
    let count = fixes(bytes.chunks(4_096)).len();
    let rate = bytes.len() as f64 / 1e6 / start.elapsed().as_secs_f64();
    println!("{rate:.0} MB/s, {count} fixes in {} bytes", bytes.len());
    assert!(rate >= 10.0);
}
