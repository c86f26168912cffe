//! Photos that should get labels.

use std::fs;

use serde_json::Value;

use crate::support::{Device, demo_photos, refusal, run, stderr};

#[test]
fn the_photos_of_a_folder_are_named_and_put_into_a_form_to_fill_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let card = folder.path().join("card");
    fs::create_dir(&card).expect("a folder");
    for photo in &demo_photos()[..6] {
        fs::copy(photo, card.join(photo.file_name().expect("a name"))).expect("copy");
    }
    fs::write(card.join("broken.jpg"), b"\xff\xd8\xff\xe0").expect("write");
    let form = folder.path().join("form.csv");
    let suggest = || run(&[&"suggest", &card, &"--count", &"4", &"--json", &"--out", &form]);
    let output = suggest();
    assert_eq!(output.status.code(), Some(1), "one photo cannot be read");
    assert!(stderr(&output).contains("broken.jpg"), "{}", stderr(&output));
    let lines: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let gains: Vec<f64> = lines.iter().map(|line| line["gain"].as_f64().expect("a number")).collect();
    assert!(gains.len() == 4 && gains.is_sorted_by(|a, b| a >= b) && gains[3] > 0.0, "{gains:?}");
    let written = fs::read_to_string(&form).expect("a form");
    let mut rows = written.lines();
    assert_eq!(rows.next(), Some("image,text,kenzenudo,taisaku,damage_type,damage_loc"));
    for (row, line) in rows.zip(&lines) {
        assert_eq!(row, format!("{},,,,,", line["photo"].as_str().expect("a path")));
    }
    assert!(refusal(&suggest()).contains("is there already"), "a form that may be filled in is not replaced");
}

#[test]
fn the_captures_of_a_device_are_considered() {
    let mut device = Device::new(None);
    device.start();
    demo_photos()[..3].iter().for_each(|photo| device.take(photo));
    device.wait_for_captures(3);
    device.terminate();
    let output = run(&[&"suggest", &"--config", &device.config(), &"--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 3);
}
