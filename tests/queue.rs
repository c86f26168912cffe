//! `bridgeclip queue` beside a running daemon, and events that travel on a USB stick.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{Broker, Device, Subscriber, bridgeclip, demo_photos, eventually, exit_code, free_port};

fn queue(device: &Device, command: &str, args: &[&str]) -> Output {
    let config = device.config();
    bridgeclip(&[&["queue", command, "--config", config.to_str().expect("text")], args].concat())
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn with_photos(device: &mut Device, count: usize) {
    device.start();
    demo_photos()[..count].iter().for_each(|photo| device.take(photo));
    device.wait_for_captures(count as u64);
}

fn export(device: &Device, file: &Path) {
    stdout(&queue(device, "export", &[file.to_str().expect("text")]));
}

fn import(device: &Device, file: &Path, key: &str) -> Output {
    queue(device, "import", &[file.to_str().expect("text"), "--key", key])
}

#[test]
fn the_queue_tells_what_waits() {
    let mut device = Device::new(None);
    let none_yet = queue(&device, "status", &[]);
    assert_eq!(exit_code(none_yet.status), 1);
    assert!(String::from_utf8_lossy(&none_yet.stderr).contains("no device has worked here yet"));
    with_photos(&mut device, 2);
    let status: Value = serde_json::from_str(&stdout(&queue(&device, "status", &["--json"]))).expect("JSON");
    assert_eq!((&status["waiting_total"], &status["set_aside"]), (&2.into(), &0.into()));
    assert!(status["losses"]["times_full"] == 0 && status["used_bytes"].as_u64() > Some(0));
    assert!(stdout(&queue(&device, "status", &[])).contains("waiting    2 events"));
    let list = stdout(&queue(&device, "list", &["--json"]));
    let rows: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["topic"] == "capture/result" && row["bytes"].as_u64() > Some(1_000)));
    assert_eq!(stdout(&queue(&device, "list", &["--limit", "1"])).lines().count(), 1);
    assert_eq!(stdout(&queue(&device, "list", &["--set-aside"])), "");
    assert!(stdout(&queue(&device, "retry", &[])).starts_with("0 events"));
}

#[test]
fn what_arrives_by_the_link_and_by_the_stick_is_one_event() {
    let port = free_port();
    let mut origin = Device::new(Some(port));
    with_photos(&mut origin, 3);
    let stick = tempfile::tempdir().expect("a temporary folder");
    let file = stick.path().join("unit.bundle");
    export(&origin, &file);
    assert!(!queue(&origin, "export", &[file.to_str().expect("text")]).status.success(), "no file is replaced");
    let key = stdout(&queue(&origin, "key", &[])).trim().to_owned();
    let mut relay = Device::named("relay", Some(port));
    relay.start();
    relay.journal();
    assert!(stdout(&import(&relay, &file, &key)).starts_with("3 new events"));
    assert!(stdout(&import(&relay, &file, &key)).contains("0 new events"));
    let _broker = Broker::start(port);
    let subscriber = Subscriber::start(port);
    eventually("both have delivered", || {
        let depth = |device: &Device| device.journal().outbox_depth().expect("a depth").total();
        depth(&origin) + depth(&relay) == 0
    });
    eventually("six messages", || subscriber.results().len() >= 6);
    let mut events = subscriber.results();
    events.sort_by_key(|event| event["id"].as_str().map(str::to_owned));
    assert!(events.chunks(2).all(|pair| pair[0] == pair[1]), "the same events, byte for byte");
    assert!(events.iter().all(|event| event["source"] == "bridge/v1/test/unit"), "under the name of who made them");
}

#[test]
fn a_bundle_that_is_not_trusted_or_not_whole_brings_nothing() {
    let mut origin = Device::new(None);
    with_photos(&mut origin, 1);
    let stick = tempfile::tempdir().expect("a temporary folder");
    let file = stick.path().join("unit.bundle");
    export(&origin, &file);
    let key = stdout(&queue(&origin, "key", &[])).trim().to_owned();
    let relay = Device::named("relay", None);
    let foreign_key = stdout(&queue(&Device::named("third", None), "key", &[])).trim().to_owned();
    let refused = |output: Output, reason: &str| {
        assert_eq!(exit_code(output.status), 1);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(reason), "{reason}: {error}");
    };
    refused(import(&relay, &file, &foreign_key), &key);
    refused(import(&origin, &file, &key), "this device made the bundle");
    let text = fs::read_to_string(&file).expect("text");
    fs::write(&file, text.replace("\"sequence\\\":1", "\"sequence\\\":2")).expect("write");
    refused(import(&relay, &file, &key), "changed after it was made");
    fs::write(&file, &text.as_bytes()[..text.len() / 2]).expect("write");
    refused(import(&relay, &file, &key), "unit.bundle");
    assert_eq!(exit_code(import(&relay, &file, "no key").status), 2);
}
