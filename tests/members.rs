//! Checks `bridgeclip members`: captures with one tag get one answer.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bridgeclip::domain::{Category, CategoryLabels, Change, Labels, MemberAnswer, Saying, Statement};
use bridgeclip::journal::{EventClass, Expect, Journal, JournalError, NewMemberAnswer};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::results::{identity, journal_params, open_journal, result, waiting_of};
use crate::support::{Device, demo_photos, eventually, run, stderr, taken_at};

fn members(device: &Device, args: &[&str]) -> Vec<Value> {
    let config = device.config();
    let mut words: Vec<&dyn AsRef<Path>> = vec![&"members", &"--config", &config, &"--json"];
    words.extend(args.iter().map(|word| word as &dyn AsRef<Path>));
    let output = run(&words);
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Starts a device and lets it take photos of member G10, of G2 and of nothing named.
fn device() -> Device {
    let mut device = Device::new(None);
    device.start();
    let (photos, mut taken) = (demo_photos(), 0);
    for (tag, count) in [("--member G10", 3), ("--member G2", 2), ("--clear", 1)] {
        let config = device.config();
        let mut words: Vec<&dyn AsRef<Path>> = vec![&"tag", &"--config", &config];
        let named: Vec<&str> = tag.split(' ').collect();
        words.extend(named.iter().map(|word| word as &dyn AsRef<Path>));
        let output = run(&words);
        assert!(output.status.success(), "{}", stderr(&output));
        photos[taken..taken + count].iter().for_each(|photo| device.take(photo));
        taken += count;
        device.wait_for_captures(taken as u64);
    }
    device.terminate();
    device
}

#[test]
fn each_named_member_gets_one_answer_that_names_its_photos() {
    let device = device();
    let found = members(&device, &[]);
    let told = |member: &Value| (member["member"].clone(), member["captures"].clone(), member["photos"].clone());
    let names: Vec<_> = found.iter().map(told).collect();
    assert_eq!(names.len(), 2, "{found:?}");
    assert_eq!((&names[0].0, &names[0].1), (&json!("G2"), &json!(2)), "as people count");
    assert_eq!((&names[1].0, names[1].2.as_array().map(Vec::len)), (&json!("G10"), Some(3)));
    for member in &found {
        assert!(!member["carried_by"].as_array().expect("photos").is_empty());
        assert_eq!(member["soundness"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(members(&device, &["--member", "G2"]), found[..1]);
    let config = device.config();
    let nothing = run(&[&"members", &"--config", &config, &"--bridge", &"B-1"]);
    assert!(nothing.status.success() && String::from_utf8_lossy(&nothing.stdout).contains("bridgeclip tag --member"));
    let words = run(&[&"members", &"--config", &config]);
    let words = String::from_utf8_lossy(&words.stdout);
    assert!(words.starts_with("member G2\n  soundness") && words.contains("3 captures"), "{words}");
}

/// Returns the events about members in the queue.
fn told(device: &Device) -> Vec<Value> {
    let events = device.events().into_iter();
    events.filter(|event| event["type"] == "bridgeclip.member.result.v1").collect()
}

#[test]
fn the_daemon_tells_a_member_once_its_photos_rest_and_again_when_they_change() {
    let mut device = Device::with_settings(None, "[inspection]\nmember_quiet_s = 1\n");
    device.start();
    let (config, photos) = (device.config(), demo_photos());
    let tag = |member: &str| assert!(run(&[&"tag", &"--config", &config, &"--member", &member]).status.success());
    tag("G1");
    photos[..2].iter().for_each(|photo| device.take(photo));
    eventually("an answer", || told(&device).len() == 1);
    let first = told(&device).remove(0);
    assert_eq!((&first["data"]["tag"], &first["data"]["captures"]), (&json!({"member": "G1"}), &json!(2)));
    assert_eq!(first["data"]["answer"]["photos"].as_array().map(Vec::len), Some(2));
    tag("G2");
    device.take(&photos[2]);
    device.wait_for_captures(3);
    tag("G1");
    device.take(&photos[3]);
    eventually("three answers", || told(&device).len() == 3);
    let again = told(&device).into_iter().find(|event| event["data"]["supersedes"] == first["id"]);
    let again = again.expect("an event that supersedes the first");
    assert_eq!((&again["subject"], &again["data"]["captures"]), (&first["subject"], &json!(3)));
    // A photo that moves to another member changes both.
    let capture = again["data"]["answer"]["photos"][0]["capture"].as_i64().expect("a number");
    let moved = Change::Tag("bridgeclip:member=G2".parse().expect("a tag"));
    let status = |key: &str| status(&device)["members"][key].clone();
    assert_eq!((status("answered"), status("waiting")), (json!(2), json!(0)));
    let (journal, _thread) = Journal::join(&device.data_dir(), journal_params()).expect("a journal");
    journal.supersede(&identity(), capture, moved, Expect::Any, true, Timestamp::now()).expect("stored");
    drop(journal);
    eventually("five answers", || told(&device).len() == 5);
    let counts: Vec<Value> = told(&device)[3..].iter().map(|event| event["data"]["captures"].clone()).collect();
    assert!(counts.iter().all(|count| *count == json!(2)), "{counts:?}");
    // Nothing is told again without a change, also after a start.
    device.terminate();
    device.start();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(told(&device).len(), 5);
    let csv = device.bridgeclip("export", &["--format", "csv"]);
    let csv = String::from_utf8(csv.stdout).expect("UTF-8");
    let head: Vec<&str> = csv.lines().next().expect("a head").split(',').collect();
    assert!(["member_soundness", "draft_finding"].iter().all(|name| head.contains(name)));
    let sheet = device.bridgeclip("export", &["--format", "html"]);
    assert!(String::from_utf8_lossy(&sheet.stdout).contains("One answer for the member"));
}

fn status(device: &Device) -> Value {
    serde_json::from_slice(&device.bridgeclip("status", &["--json"]).stdout).expect("JSON")
}

#[test]
fn an_answer_is_not_stored_when_its_captures_have_changed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    let tagged = |number: u64| {
        let mut result = result(number);
        result.capture.tag = "bridgeclip:member=G1".parse().ok();
        result
    };
    journal.record(&identity(), tagged(1)).expect("stored");
    let reader = journal.reader().expect("a reader");
    let of = reader.members().expect("members").remove(0);
    let new = NewMemberAnswer {
        of: of.clone(),
        of_other_encoders: 0,
        answer: MemberAnswer::default(),
        tell: true,
        queued: true,
        stored_at: Timestamp::now(),
    };
    journal.record(&identity(), tagged(2)).expect("stored");
    let refused = journal.store_member(&identity(), new.clone()).expect_err("it has changed");
    assert!(matches!(refused, JournalError::MemberChanged(_)), "{refused}");
    assert!(reader.member_answers().expect("answers").is_empty());
    let of = reader.members().expect("members").remove(0);
    assert_eq!((of.captures, of.last_sequence), (2, 2));
    for told in [false, true, true] {
        let new = NewMemberAnswer { of: of.clone(), tell: told, ..new.clone() };
        journal.store_member(&identity(), new).expect("stored");
    }
    let events: Vec<Value> = waiting_of(&reader, EventClass::Correction)
        .iter()
        .map(|row| serde_json::from_slice(&row.payload).expect("JSON"))
        .collect();
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0]["data"]["supersedes"], &events[1]["data"]["supersedes"]), (&Value::Null, &events[0]["id"]));
    assert_eq!((&events[0]["sequence"], &events[1]["sequence"]), (&json!("3"), &json!("4")), "no gap");
    let [stored] = &reader.member_answers().expect("answers")[..] else { panic!("one answer") };
    assert_eq!((&stored.of, stored.told.as_deref()), (&of, events[1]["id"].as_str()));
}

#[test]
fn a_member_is_not_rated_better_than_an_inspector_rated_one_of_its_photos() {
    let device = device();
    let worst = Category::Soundness.class_index("IV").expect("a rating");
    let labels =
        Labels::new(|category| CategoryLabels::new(category, (category == Category::Soundness).then_some(worst)));
    let before = members(&device, &["--member", "G10"]);
    let capture = before[0]["photos"][0]["capture"].as_i64().expect("a number");
    let journal = open_journal(&device.data_dir());
    let statement =
        Statement { by: "A".parse().expect("a name"), at: Timestamp::now(), saying: Saying::Correct(labels) };
    journal.judge(&identity(), capture, statement, Expect::Any, true).expect("stored");
    drop(journal);
    let after = &members(&device, &["--member", "G10"])[0];
    assert_eq!((&after["soundness"][0]["label"], &after["worst_credible"]), (&json!("IV"), &json!("IV")));
    assert_eq!((&after["carried_by"][0], &after["photos"][0]["inspected"]), (&json!(capture), &json!(true)));
}

#[test]
fn frames_of_a_burst_count_as_one_view() {
    let mut device = Device::new(None);
    device.start();
    let config = device.config();
    assert!(run(&[&"tag", &"--config", &config, &"--member", &"P1"]).status.success());
    let photo = fs::read(&demo_photos()[0]).expect("a photo");
    for second in 0..4 {
        let path = device.camera().join(format!("frame{second}.jpg"));
        fs::write(path, taken_at(&photo, second)).expect("written");
        device.wait_for_captures(u64::from(second) + 1);
    }
    device.take(&demo_photos()[7]);
    device.wait_for_captures(5);
    device.terminate();
    let member = &members(&device, &[])[0];
    let views = member["views"].as_f64().expect("a number");
    assert!((1.0..=2.0).contains(&views) && member["captures"] == 5, "{member}");
}
