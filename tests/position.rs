//! Checks time, position and tags: a receiver on a pseudo-terminal, and tags by command and by a code on paper.

use std::fs;
use std::io::Write;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bridgeclip::domain::{Camera, Position, PositionSource};
use bridgeclip::journal::{Journal, NewResult, TrackPiece};
use bridgeclip::places::{TrackHistory, keep, place_again};
use bridgeclip::position::{
    CameraName, CameraReading, Claims, Fix, Locator, LocatorParams, Origin, Photo, Reading, stored,
};
use exif::Value::Ascii;
use exif::experimental::Writer;
use exif::{Field, In, Tag};
use image::{Rgb, RgbImage};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use qrcode::{Color, QrCode};
use serde_json::{Value, json};
use serialport::{SerialPort, TTYPort};

use crate::support::results::{identity, open_journal, result, waiting};
use crate::support::{Device, bridgeclip, demo_photos, eventually, with_exif};

#[path = "../fuzz/position.rs"]
mod fuzzed;
#[path = "../fuzz/track.rs"]
mod fuzzed_track;

/// Returns a photo without metadata, different for each number.
fn photo(number: u32) -> RgbImage {
    RgbImage::from_fn(640, 480, |x, y| Rgb([(x / 3) as u8, (y / 2) as u8, (number * 17) as u8]))
}

/// Writes a photo as a camera does and returns the `data` of its event.
fn take(device: &Device, number: u32, photo: &RgbImage) -> Value {
    let name = format!("{number}.png");
    let growing = device.camera().join(format!("{name}.part"));
    photo.save_with_format(&growing, image::ImageFormat::Png).expect("write");
    fs::rename(growing, device.camera().join(&name)).expect("rename");
    let mut data = None;
    eventually(&format!("an event of {name}"), || {
        let rows = waiting(&device.journal());
        let events = rows.iter().map(|row| serde_json::from_slice::<Value>(&row.payload).expect("JSON"));
        data = events.map(|event| event["data"].clone()).find(|data| data["image"]["file"] == name.as_str());
        data.is_some()
    });
    data.expect("just found")
}

/// A receiver in Tokyo whose clock is years ahead of this machine's. Once it may, it speaks five times a second.
struct Receiver {
    slave: TTYPort,
    silent: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

const START: &str = "2031-05-06T07:08:09Z";

impl Receiver {
    fn start() -> Self {
        let receiver = Self::silent();
        receiver.speak();
        receiver
    }

    fn speak(&self) {
        self.silent.store(false, Ordering::Relaxed);
    }

    fn silent() -> Self {
        let (mut master, slave) = TTYPort::pair().expect("a pseudo-terminal");
        let stopped = Arc::new(AtomicBool::new(false));
        let silent = Arc::new(AtomicBool::new(true));
        let (is_stopped, is_silent) = (Arc::clone(&stopped), Arc::clone(&silent));
        let begin = Instant::now();
        let speak = move || {
            while !is_stopped.load(Ordering::Relaxed) {
                if !is_silent.load(Ordering::Relaxed) {
                    // Nobody may be listening.
                    let _ = master.write_all(sentences(begin.elapsed()).as_bytes());
                }
                thread::sleep(Duration::from_millis(200));
            }
        };
        Receiver { slave, silent, stopped, thread: Some(thread::spawn(speak)) }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
    }
}

fn sentences(elapsed: Duration) -> String {
    let now = START.parse::<Timestamp>().expect("a moment") + SignedDuration::try_from(elapsed).expect("short");
    let civil = Offset::UTC.to_datetime(now);
    let time = civil.strftime("%H%M%S").to_string() + &format!(".{:02}", civil.millisecond() / 10);
    let date = civil.strftime("%d%m%y");
    let place = "3541.3820,N,13941.5020,E";
    [
        format!("GNRMC,{time},A,{place},000.0,,{date},,,D"),
        format!("GNGGA,{time},{place},2,12,0.8,40.5,M,36.0,M,,"),
        format!("GNGST,{time},6.1,4.2,2.1,34.0,0.3,0.4,5.5"),
    ]
    .map(|text| {
        let sum = text.bytes().fold(0, |sum, byte| sum ^ byte);
        format!("${text}*{sum:02X}\r\n")
    })
    .concat()
}

#[test]
fn a_receiver_gives_captures_their_time_and_place() {
    let receiver = Receiver::start();
    let mut device = Device::new(None);
    device.configure(&format!("[position]\ndevice = {:?}\n", receiver.slave.name().expect("a name")));
    device.start();
    let mut number = 0;
    let mut data = Value::Null;
    eventually("a capture with a place", || {
        number += 1;
        data = take(&device, number, &photo(number));
        data["position"].is_object() && data["taken"]["quality"] == "gps"
    });
    let position = &data["position"];
    let near = |key: &str, expected: f64| (position[key].as_f64().expect(key) - expected).abs() < 1e-6;
    assert!(near("latitude_deg", 35.689_7) && near("longitude_deg", 139.691_7) && near("altitude_m", 40.5), "{data}");
    assert!(near("hdop", 0.8) && near("std_m", 0.5), "{data}");
    assert_eq!((&position["source"], &position["quality"]), (&json!("serial_gps"), &json!("differential")));
    assert!(position["age_s"].as_f64().is_some_and(|age| age < 5.0), "{data}");
    let taken: Timestamp = data["taken"]["at"].as_str().and_then(|at| at.parse().ok()).expect("a moment");
    let since = taken.duration_since(START.parse().expect("a moment"));
    assert!((0..120).contains(&since.as_secs()), "{data}");
    assert!(data["monotonic_ms"].as_u64().is_some_and(|ms| ms > 0), "{data}");
}

#[test]
fn what_was_taken_before_the_first_fix_learns_its_time_and_place() {
    let receiver = Receiver::silent();
    let mut device = Device::new(None);
    device.configure(&format!("[position]\ndevice = {:?}\n", receiver.slave.name().expect("a name")));
    device.start();
    let data = take(&device, 1, &photo(1));
    assert_eq!(data["position"], Value::Null);
    // The daemon that learns the time need not be the one that saw the photo.
    assert!(device.terminate().success());
    device.start();
    receiver.speak();
    let mut events = Vec::new();
    eventually("a correction", || {
        events = device.events();
        events.len() > 1
    });
    let [result, correction] = &events[..] else { panic!("{events:?}") };
    assert_eq!(result["data"], data, "what waits stays as it was");
    let learned = &correction["data"];
    assert_eq!((&learned["supersedes"], &learned["verdict"]), (&result["id"], &data["verdict"]));
    assert!((learned["position"]["latitude_deg"].as_f64().expect("a place") - 35.689_7).abs() < 1e-6, "{learned}");
    assert!(learned["position"]["age_s"].as_f64().is_some_and(|age| age > 0.0 && age < 120.0), "{learned}");
    // If NTP keeps this machine's clock, the time was right from the start.
    if data["taken"]["quality"] == "unsynced" {
        assert_eq!(learned["taken"]["quality"], "gps");
        let taken: Timestamp = learned["taken"]["at"].as_str().and_then(|at| at.parse().ok()).expect("a moment");
        assert!(taken.duration_since(START.parse().expect("a moment")).as_secs().abs() < 120, "{learned}");
    } else {
        assert_eq!((&data["taken"]["quality"], &learned["taken"]), (&json!("ntp"), &data["taken"]));
    }
    let stored = device.journal().last_results(1).expect("a capture").remove(0);
    assert_eq!(json!(stored.taken), learned["taken"]);
}

/// Returns a photo of a camera that states its model and the time on its display.
fn of_camera(number: usize, shown: &str) -> Vec<u8> {
    let ascii = |tag, text: &str| Field { tag, ifd_num: In::PRIMARY, value: Ascii(vec![text.as_bytes().to_vec()]) };
    let fields = [ascii(Tag::Model, "FIELD-1"), ascii(Tag::DateTimeOriginal, shown)];
    let mut writer = Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut exif = std::io::Cursor::new(Vec::new());
    writer.write(&mut exif, false).expect("a block");
    let jpeg = fs::read(&demo_photos()[number]).expect("a JPEG");
    with_exif(&jpeg, &[&b"Exif\0\0"[..], exif.get_ref()].concat())
}

#[test]
fn a_card_finds_its_place_on_the_track_of_an_earlier_start() {
    let receiver = Receiver::start();
    let mut device = Device::new(None);
    device.configure(&format!("[position]\ndevice = {:?}\n", receiver.slave.name().expect("a name")));
    device.start();
    let mut number = 0;
    eventually("a fix", || {
        number += 1;
        take(&device, number, &photo(number))["position"].is_object()
    });
    assert!(device.terminate().success(), "the track is stored at the end");
    let config = device.config();
    let with = |args: &[&str]| bridgeclip(&[args, &["--config", config.to_str().expect("UTF-8")]].concat());
    let card = tempfile::tempdir().expect("a folder");
    // The camera is in Japan, as the settings say, and twelve seconds fast.
    fs::write(card.path().join("A.JPG"), of_camera(0, "2031:05:06 16:08:23")).expect("written");
    let ingested = device.bridgeclip("ingest", &[card.path().to_str().expect("UTF-8")]);
    assert!(ingested.status.success(), "{ingested:?}");
    let of_card = |device: &Device| {
        let events = device.events();
        let of = |event: &&Value| event["data"]["image"]["file"] == "A.JPG";
        events.iter().filter(of).map(|event| event["data"].clone()).collect::<Vec<_>>()
    };
    let [first] = &of_card(&device)[..] else { panic!("one event") };
    assert_eq!((&first["taken"]["quality"], &first["taken"]["error_s"]), (&json!("exif"), &json!(300.0)));
    let doubted = &first["position"];
    assert_eq!(doubted["age_s"], 300.0, "its clock is not known: {first}");
    assert!(doubted["error_m"].as_f64().is_some_and(|error_m| error_m > 100.0), "{first}");
    let tracks = String::from_utf8(with(&["track", "list"]).stdout).expect("text");
    assert!(tracks.starts_with("receiver  2031-05-06T07:08:"), "{tracks}");
    let set = with(&["camera", "set", "FIELD-1", "--zone", "+09:00", "--ahead", "12", "--within", "1"]);
    assert!(set.status.success(), "{set:?}");
    let events = of_card(&device);
    let [_, placed] = &events[..] else { panic!("a correction: {events:?}") };
    assert_eq!(placed["taken"]["at"], "2031-05-06T07:08:11.5Z");
    assert!((placed["position"]["latitude_deg"].as_f64().expect("a place") - 35.689_7).abs() < 1e-6, "{placed}");
    assert!(placed["position"]["error_m"].as_f64().is_some_and(|error_m| error_m < 30.0), "{placed}");
    let list = String::from_utf8(with(&["camera", "list"]).stdout).expect("text");
    assert!(list.starts_with("FIELD-1  12.0 s ahead of +09:00 within 1.0 s, set by hand"), "{list}");
    let again = String::from_utf8(device.bridgeclip("place", &[]).stdout).expect("text");
    assert!(again.contains(" 0 get another time or place"), "{again}");
}

const S: u64 = 1_000_000_000;

fn seconds_after_start(second: f64) -> Timestamp {
    START.parse::<Timestamp>().expect("a moment") + SignedDuration::from_millis((second * 1e3) as i64)
}

/// Returns a locator of one boot, at a moment in seconds after [`START`] that the test sets. NTP keeps its clock.
fn locator(boot_id: &str, second: &Arc<AtomicU64>) -> Locator {
    let second = Arc::clone(second);
    let clock = move || {
        let second = second.load(Ordering::Relaxed);
        Reading { monotonic_ns: second * S, wall: seconds_after_start(second as f64), ntp: true }
    };
    Locator::with_clock(LocatorParams { age_s_max: 60.0, zone: Offset::UTC }, boot_id.to_owned(), Box::new(clock))
}

/// Returns a photo of a camera that is twelve seconds fast, taken and first seen at these seconds.
fn fast_photo(origin: Origin, taken: f64, seen: f64) -> Photo {
    let shown = Offset::UTC.to_datetime(seconds_after_start(taken + 12.0));
    let written = seconds_after_start(taken + 0.5);
    let seen_ns = (seen * 1e9) as u64;
    let live = matches!(origin, Origin::Watched).then_some(seen_ns - S / 10);
    let camera = Some(CameraReading { civil: shown, offset: None, step_s: 0.01 });
    let claims = Claims { written_ns: live, camera, ..Claims::of_file(origin, seen_ns, written) };
    Photo { file_name: None, camera: Some(CameraName::from("FIELD-1".to_owned())), claims }
}

/// Stores a photo with the time and place that it has now, and returns the number of its capture.
fn store_photo(journal: &Journal, locator: &Locator, number: u64, photo: &Photo) -> i64 {
    let reader = journal.reader().expect("a reader");
    let located = locator.locate(photo, &TrackHistory { reader: &reader });
    let mut new = result(number);
    new.capture.taken = located.taken;
    new.capture.position = located.position;
    new.capture.image.camera = Camera { model: Some("FIELD-1".to_owned()), ..Camera::default() };
    let claims = Some(serde_json::to_string(&photo.claims).expect("JSON"));
    journal.record(&identity(), NewResult { claims, ..new }).expect("stored");
    reader.last_results(1).expect("a capture").remove(0).capture
}

#[test]
fn photos_of_an_earlier_start_learn_from_live_ones() {
    let dir = tempfile::tempdir().expect("a folder");
    let journal = open_journal(dir.path());
    let second = Arc::new(AtomicU64::new(7_200));
    // A walk along a bridge, 1.1 m in a second, an hour before.
    let fixes: Vec<Fix> = (3_500..3_700)
        .map(|second| {
            let place = Position::at(35.0 + 1e-5 * f64::from(second), 139.0, PositionSource::SerialGps);
            Fix::new(Position { hdop: Some(1.0), ..place }, Some(seconds_after_start(second.into())), 0)
        })
        .collect();
    let (first_ms, last_ms, fixes) = stored::pack(&fixes).expect("fixes");
    journal.keep_track(vec![TrackPiece { first_ms, last_ms, source: "walk.gpx".to_owned(), fixes }]).expect("stored");
    let capture = store_photo(&journal, &locator("first", &second), 1, &fast_photo(Origin::Imported, 3_600.0, 7_100.0));
    let reader = journal.reader().expect("a reader");
    let before = reader.capture(capture).expect("read").expect("a capture").facts;
    assert!(before.taken.error_s.is_some_and(|error_s| error_s >= 60.0), "its clock is not known: {:?}", before.taken);

    let here = locator("second", &second);
    for live in 0..6 {
        let taken = 90_000 + 10 * live;
        second.store(taken + 1, Ordering::Relaxed);
        let photo = fast_photo(Origin::Watched, taken as f64, taken as f64 + 0.6);
        here.locate(&photo, &TrackHistory { reader: &reader });
    }
    let camera = CameraName::from("FIELD-1".to_owned());
    assert_eq!(keep(&here, &journal).expect("stored"), std::slice::from_ref(&camera));
    let place = || place_again(&reader, &journal, &here, &identity(), &camera, false).expect("placed");
    assert_eq!((place().changed, place().changed), (1, 0));

    let after = reader.capture(capture).expect("read").expect("a capture").facts;
    let error_s = |taken: &bridgeclip::domain::Time| taken.error_s.expect("an error");
    assert!(error_s(&after.taken) < 10.0, "{:?}", after.taken);
    let off_s = after.taken.at.duration_since(seconds_after_start(3_600.0)).as_secs_f64().abs();
    assert!(off_s <= error_s(&after.taken), "{off_s} s off: {:?}", after.taken);
    let place = after.position.expect("a place");
    let off_m = (place.latitude_deg - 35.036).abs() * 111_195.0;
    assert!(off_m <= place.error_m.expect("an error"), "{off_m} m off: {place:?}");
    let corrections =
        waiting(&reader).into_iter().filter(|row| String::from_utf8_lossy(&row.payload).contains("supersedes"));
    assert_eq!(corrections.count(), 1, "the central system hears of it");
}

/// Puts a code on white paper in the middle of the photo.
fn with_code(mut photo: RgbImage, text: &str) -> RgbImage {
    let code = QrCode::new(text).expect("it fits");
    let (side, colors) = (code.width() as u32, code.to_colors());
    for y in 0..(side + 8) * 6 {
        for x in 0..(side + 8) * 6 {
            let [column, row] = [x, y].map(|at| (at / 6).wrapping_sub(4));
            let dark = column < side && row < side && colors[(row * side + column) as usize] == Color::Dark;
            photo.put_pixel(150 + x, 80 + y, Rgb([if dark { 30 } else { 230 }; 3]));
        }
    }
    photo
}

#[test]
fn tags_hold_for_the_captures_that_follow() {
    let mut device = Device::new(None);
    let config = device.config();
    let tag = |args: &[&str]| -> Output {
        bridgeclip(&[&["tag", "--config", config.to_str().expect("a name")], args].concat())
    };
    let said = |output: Output| String::from_utf8(output.stdout).expect("text");
    assert_eq!(said(tag(&[])), "none\n");
    // The daemon has never run.
    assert_eq!(said(tag(&["--bridge", "B-11"])), "bridge B-11\n");
    device.start();
    assert_eq!(take(&device, 1, &photo(1))["tag"], json!({"bridge": "B-11"}));
    assert_eq!(said(tag(&["--bridge", "B-12", "--span", "3"])), "bridge B-12, span 3\n");
    assert_eq!(take(&device, 2, &photo(2))["tag"], json!({"bridge": "B-12", "span": "3"}));
    let coded = with_code(photo(3), "bridgeclip:bridge=B-13;span=4;member=Girder 2");
    let expected = json!({"bridge": "B-13", "span": "4", "member": "Girder 2"});
    assert_eq!(take(&device, 3, &coded)["tag"], expected);
    assert_eq!(take(&device, 4, &photo(4))["tag"], expected);
    assert_eq!(said(tag(&[])), "bridge B-13, span 4, member Girder 2\n");
    assert_eq!(said(tag(&["--clear"])), "none\n");
    assert_eq!(take(&device, 5, &photo(5))["tag"], Value::Null);
    let refused = tag(&["--span", ""]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[test]
fn the_corpus_of_the_fuzz_targets_holds() {
    let targets = [("nmea", fuzzed::nmea as fn(&[u8])), ("mavlink", fuzzed::mavlink), ("track", fuzzed_track::track)];
    for (name, target) in targets {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/").to_owned() + name;
        let files: Vec<_> = fs::read_dir(&dir).expect(&dir).map(|entry| entry.expect("an entry").path()).collect();
        assert!(files.len() >= 3, "{dir}");
        files.iter().for_each(|file| target(&fs::read(file).expect("read")));
    }
}
