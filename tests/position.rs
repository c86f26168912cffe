//! Checks time, position and tags: a receiver on a pseudo-terminal, and tags by command and by a code on paper.

use std::fs;
use std::io::Write;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use qrcode::{Color, QrCode};
use serde_json::{Value, json};
use serialport::{SerialPort, TTYPort};

use crate::support::results::waiting;
use crate::support::{Device, bridgeclip, eventually};

#[path = "../fuzz/position.rs"]
mod fuzzed;

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
    for (name, target) in [("nmea", fuzzed::nmea as fn(&[u8])), ("mavlink", fuzzed::mavlink)] {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/").to_owned() + name;
        let files: Vec<_> = fs::read_dir(&dir).expect(&dir).map(|entry| entry.expect("an entry").path()).collect();
        assert!(files.len() >= 3, "{dir}");
        files.iter().for_each(|file| target(&fs::read(file).expect("read")));
    }
}
