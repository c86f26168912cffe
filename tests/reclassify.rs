//! Checks `bridgeclip reclassify` and `bridgeclip search --in captures`: stored captures are judged again and found
//! again.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bridgeclip::journal::{EventClass, OutboxRow};
use serde_json::{Value, json};

use crate::support::results::{identity, open_journal, result, waiting_of};
use crate::support::{Device, Random, bridgeclip, demo_photos};

fn device_with(photos: &[PathBuf]) -> Device {
    let mut device = Device::new(None);
    device.start();
    photos.iter().for_each(|photo| device.take(photo));
    device.wait_for_captures(photos.len() as u64);
    device
}

fn on(device: &Device, args: &[&str]) -> Output {
    let config = device.config();
    bridgeclip(&[args, &["--config", config.to_str().expect("text"), "--json"]].concat())
}

fn json_lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn corrections(device: &Device) -> Vec<Value> {
    let json = |row: OutboxRow| serde_json::from_slice(&row.payload).expect("JSON");
    waiting_of(&device.journal(), EventClass::Correction).into_iter().map(json).collect()
}

#[test]
fn another_rule_supersedes_what_it_changes_and_nothing_else() {
    let photos = &demo_photos()[..8];
    let mut device = device_with(photos);
    let same = json_lines(&on(&device, &["reclassify"]));
    assert_eq!(same, [serde_json::json!({"captures": 8, "changed": 0, "of_other_encoders": 0, "inspected": 0})]);
    device.terminate();
    device.configure("[classify]\nneighbours = 5\n");
    let foreseen = json_lines(&on(&device, &["reclassify", "--dry-run"]));
    assert!(corrections(&device).is_empty(), "a dry run changes nothing");
    let done = json_lines(&on(&device, &["reclassify"]));
    let (changed, totals) = done.split_at(done.len() - 1);
    assert_eq!(totals, &foreseen[foreseen.len() - 1..]);
    assert!(!changed.is_empty() && changed.len() < photos.len(), "{} changed", changed.len());
    let events = corrections(&device);
    assert_eq!(events.len(), changed.len());
    for (event, line) in events.iter().zip(changed) {
        assert_eq!(event["id"], line["event_id"]);
        assert_eq!(event["data"]["verdict"]["neighbours"].as_array().expect("evidence").len(), 5);
        assert!(event["data"]["supersedes"].is_string());
        assert_eq!(event["data"]["verdict"]["soundness"], line["after"]["soundness"]);
    }
    assert_eq!(json_lines(&on(&device, &["reclassify"])).len(), 1, "a second time nothing changes");
}

/// Lets four inspectors correct verdicts through the API as fast as they can, while another process runs `reclassify`
/// with two settings in turn. BRIDGECLIP_CORRECTIONS=N has each inspector make N corrections.
#[test]
fn no_correction_that_was_answered_is_lost_to_reclassify() {
    let photos = &demo_photos()[..12];
    let device = &device_with(photos);
    let number = std::env::var("BRIDGECLIP_CORRECTIONS").ok().map(|text| text.parse().expect("a number"));
    let (each, captures, done) = (number.unwrap_or(500), photos.len() as u64, AtomicBool::new(false));
    let config = fs::read_to_string(device.config()).expect("read");
    let settings = [5, 10].map(|neighbours| {
        let path = device.config().with_file_name(format!("{neighbours}.toml"));
        fs::write(&path, format!("{config}[classify]\nneighbours = {neighbours}\n")).expect("written");
        path
    });
    let (answered, rounds) = thread::scope(|scope| {
        let done = &done;
        let rejudging = scope.spawn(move || {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) {
                let config = settings[rounds % 2].to_str().expect("text");
                let output = bridgeclip(&["reclassify", "--config", config]);
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                rounds += 1;
            }
            rounds
        });
        let end = End(done);
        let inspectors: Vec<_> =
            (0..4).map(|seed| scope.spawn(move || correct(device, seed, captures, each))).collect();
        let answered: Vec<_> =
            inspectors.into_iter().flat_map(|inspector| inspector.join().expect("no panic")).collect();
        drop(end);
        (answered, rejudging.join().expect("no panic"))
    });
    assert!(rounds >= 2, "{rounds} rounds of reclassify");
    println!("{} of {} corrections answered with 200, {rounds} rounds of reclassify", answered.len(), 4 * each);
    let database = rusqlite::Connection::open(device.data_dir().join("device.db")).expect("the database");
    let kept: usize = database.query_row("SELECT count(*) FROM judgement", [], |row| row.get(0)).expect("a count");
    assert_eq!(kept, answered.len(), "each that was answered with 200 is in the history, and no other");
    for capture in 1..=captures {
        let last = answered.iter().filter(|made| made.capture == capture).max_by_key(|made| made.sequence);
        let shown = device.api("GET", &format!("/api/v1/captures/{capture}"), &Value::Null);
        let last = last.map(|last| last.soundness);
        let stands = shown["inspection"]["labels"]["soundness"][0].as_str();
        assert_eq!(stands, last, "capture {capture}: the last word stands");
        assert!(last.is_none() || shown["verdict"]["soundness"][0]["label"].as_str() == last);
    }
}

/// Stops the other side when this is dropped, even by a panic.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A correction that was answered with 200.
struct Made {
    capture: u64,
    /// Sequence number of the correction's event.
    sequence: u64,
    soundness: &'static str,
}

fn correct(device: &Device, seed: u64, captures: u64, count: u64) -> Vec<Made> {
    let mut random = Random::new(seed);
    let mut made = Vec::new();
    for _ in 0..count {
        let (capture, soundness) = (1 + random.below(captures), ["I", "II", "III", "IV"][random.below(4) as usize]);
        let path = format!("/api/v1/captures/{capture}");
        let seen = device.api("GET", &path, &Value::Null)["sequence"].clone();
        let labels = json!({
            "soundness": [soundness], "measure": ["B"], "damage_type": ["corrosion"], "damage_location": ["pier"],
        });
        let word = json!({ "sequence": seen, "labels": labels, "name": format!("inspector {seed}") });
        match device.ask("POST", &format!("{path}/inspection"), &word) {
            (200, answer) => {
                made.push(Made { capture, sequence: answer["sequence"].as_u64().expect("a number"), soundness });
            }
            (409, _) => (),
            (status, answer) => panic!("{status}: {answer}"),
        }
    }
    made
}

#[test]
fn captures_of_another_encoder_are_counted_and_left_alone() {
    let device = Device::new(None);
    let journal = open_journal(&device.data_dir());
    for number in 1..=2 {
        journal.record(&identity(), result(number)).expect("stored");
    }
    let totals = json_lines(&on(&device, &["reclassify"]));
    assert_eq!(totals, [serde_json::json!({"captures": 2, "changed": 0, "of_other_encoders": 2, "inspected": 0})]);
    let photo = demo_photos()[0].clone();
    let found = on(&device, &["search", "--in", "captures", "--image", photo.to_str().expect("text")]);
    assert!(json_lines(&found).is_empty());
}

#[test]
fn a_photo_and_a_text_find_what_the_device_has_taken() {
    let photos = &demo_photos()[..6];
    let device = device_with(photos);
    let photo = photos[2].to_str().expect("text");
    let found = json_lines(&on(&device, &["search", "--in", "captures", "--image", photo, "--top", "3"]));
    assert_eq!(found.len(), 3);
    assert!(found[0]["similarity"].as_f64() > Some(0.999), "itself first");
    let name = photos[2].file_name().expect("a name").to_str().expect("text");
    assert!(found[0]["path"].as_str().expect("a path").ends_with(name));
    let soundness = found[0]["verdict"]["soundness"][0]["label"].as_str().expect("a rating");
    let condition = format!("soundness={soundness}");
    let text = "Cracking is observed in the main girder.";
    let by_text = json_lines(&on(&device, &["search", "--in", "captures", "--text", text, "--where", &condition]));
    assert!(!by_text.is_empty() && by_text.iter().all(|found| found["verdict"]["soundness"][0]["label"] == soundness));
    let without = bridgeclip(&["search", "--in", "captures", "--text", text]);
    assert_eq!(without.status.code(), Some(2), "the data folder must be named");
}
