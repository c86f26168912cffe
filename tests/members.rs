//! Checks `bridgeclip members`: captures with one tag get one answer.

use std::fs;
use std::path::Path;

use bridgeclip::domain::{Category, CategoryLabels, Labels, Saying, Statement};
use bridgeclip::journal::Expect;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::results::{identity, open_journal};
use crate::support::{Device, demo_photos, run, stderr, taken_at};

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
