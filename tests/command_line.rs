//! Checks the commands as a user types them.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::support::{bridgeclip, demo_photos, exit_code, stderr};

fn code(output: &Output) -> i32 {
    exit_code(output.status)
}

fn json_lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_command_explains_itself() {
    let commands: [&[&str]; 54] = [
        &[],
        &["run"],
        &["status"],
        &["ingest"],
        &["retry"],
        &["demo"],
        &["classify"],
        &["embed"],
        &["eval"],
        &["eval", "classify"],
        &["eval", "retrieval"],
        &["eval", "scaling"],
        &["eval", "compare"],
        &["reference"],
        &["reference", "build"],
        &["reference", "import"],
        &["reference", "export"],
        &["reference", "merge"],
        &["reference", "fit-heads"],
        &["reference", "import-heads"],
        &["reference", "fit-prompts"],
        &["reference", "fit-rules"],
        &["reference", "info"],
        &["package", "info"],
        &["package", "verify"],
        &["package", "quantize"],
        &["package", "add-golden"],
        &["package", "keygen"],
        &["package", "sign"],
        &["package", "pack"],
        &["package", "install"],
        &["package", "rollback"],
        &["package", "list"],
        &["check"],
        &["search"],
        &["export"],
        &["members"],
        &["suggest"],
        &["reclassify"],
        &["tag"],
        &["pair"],
        &["bench"],
        &["command", "keygen"],
        &["command", "sign"],
        &["collect", "run"],
        &["collect", "report"],
        &["queue", "status"],
        &["queue", "list"],
        &["queue", "retry"],
        &["queue", "export"],
        &["queue", "import"],
        &["queue", "key"],
        &["queue", "imported"],
        &["queue", "drop"],
    ];
    for command in commands {
        let output = bridgeclip(&[command, &["--help"]].concat());
        assert_eq!(code(&output), 0, "{command:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: bridgeclip"), "{command:?}");
    }
}

#[test]
fn wrong_usage_and_wrong_settings_end_with_2() {
    for args in
        [&["classify"][..], &["ingest"], &["retry"], &["no-such-command"], &["embed", "--out", "x.npy"], &["run"]]
    {
        assert_eq!(code(&bridgeclip(args)), 2, "{args:?}");
    }
    let output = bridgeclip(&["classify", "--method", "svm", "photo.jpg"]);
    assert!(code(&output) == 2 && stderr(&output).contains("knn, linear, zero-shot"), "{}", stderr(&output));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("config.toml");
    fs::write(&path, "[device]\nsite = \"s\"\nid = \"a b\"\ndata_dir = \"d\"\n").expect("write");
    let output = bridgeclip(&["run", "--config", path.to_str().unwrap()]);
    assert_eq!(code(&output), 2);
    let message = stderr(&output);
    assert_eq!(message.matches("letters").count(), 1, "said once: {message}");
    assert!(message.contains("config.toml") && message.contains("line 3") && message.contains("letters"), "{message}");
}

#[test]
fn demo_classifies_every_photo_and_keeps_the_events() {
    let output = bridgeclip(&["demo", "--exit", "--pause-ms", "0"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = demo_photos().len();
    assert!(text.contains("synthetic pictures only"), "{text}");
    // Each photo has a result and a thumbnail.
    let events = 2 * count;
    assert!(text.contains(&format!("{count} of {count} photos classified, 0 failed, {events} events")), "{text}");
}

#[test]
fn classify_answers_in_json_and_names_what_failed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let broken = dir.path().join("broken.jpg");
    fs::write(&broken, b"\xff\xd8\xff").expect("write");
    let photo = &demo_photos()[0];
    let output = bridgeclip(&["classify", "--json", photo.to_str().unwrap(), broken.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["verdict"]["neighbours"].as_array().map(Vec::len), Some(10));
    assert!(lines[1]["error"].as_str().is_some_and(|error| error.contains("truncated")), "{}", lines[1]);
}

#[test]
fn embed_writes_unit_rows_in_order_or_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("rows.npy");
    let photos = demo_photos();
    let args =
        |photo: &str| ["embed", photos[0].to_str().unwrap(), photo, "--out", out.to_str().unwrap()].map(String::from);
    let run = |photo: &str| bridgeclip(&args(photo).iter().map(String::as_str).collect::<Vec<_>>());
    let output = run("/no/such/photo.jpg");
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("/no/such/photo.jpg: cannot read"), "{}", stderr(&output));
    assert!(!out.exists());
    assert_eq!(code(&run(photos[1].to_str().unwrap())), 0);
    let file = npyz::NpyFile::new(fs::File::open(&out).expect("open")).expect("a NumPy file");
    assert_eq!(file.shape()[0], 2);
    let dim = file.shape()[1] as usize;
    for row in file.into_vec::<f32>().expect("f32").chunks(dim) {
        let norm: f32 = row.iter().map(|value| value * value).sum();
        assert!((norm - 1.0).abs() < 1e-5);
    }
}
