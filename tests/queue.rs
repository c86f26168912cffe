//! Checks `bridgeclip queue` beside a running daemon, and events that travel on a USB stick.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use bridgeclip::journal::{EventClass, ForeignEvent, Topics};
use bridgeclip_needs::needs;
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::results::open_journal;
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

/// Returns a stick with the bundle of a device that takes `photos` photos.
fn bundle_of(origin: &mut Device, photos: usize) -> (TempDir, PathBuf) {
    with_photos(origin, photos);
    let stick = tempfile::tempdir().expect("a temporary folder");
    let file = stick.path().join("unit.bundle");
    export(origin, &file);
    (stick, file)
}

fn import(device: &Device, file: &Path, key: &str) -> Output {
    queue(device, "import", &[file.to_str().expect("text"), "--key", key, "--device", "test/unit"])
}

fn key(device: &Device) -> String {
    stdout(&queue(device, "key", &[])).trim().to_owned()
}

fn refused(output: &Output, reason: &str) {
    assert_eq!(exit_code(output.status), 1);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains(reason), "{reason}: {error}");
}

fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
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
    let rows = json_lines(&queue(&device, "list", &["--json"]));
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["topic"] == "capture/result" && row["bytes"].as_u64() > Some(1_000)));
    assert_eq!(stdout(&queue(&device, "list", &["--limit", "1"])).lines().count(), 1);
    assert_eq!(stdout(&queue(&device, "list", &["--set-aside"])), "");
    assert!(stdout(&queue(&device, "retry", &[])).starts_with("0 events"));
}

#[needs(mosquitto)]
#[test]
fn what_arrives_by_the_link_and_by_the_stick_is_one_event() {
    let port = free_port();
    let mut origin = Device::new(Some(port));
    let (_stick, file) = bundle_of(&mut origin, 3);
    assert!(!queue(&origin, "export", &[file.to_str().expect("text")]).status.success(), "no file is replaced");
    let key = key(&origin);
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
    let (_stick, file) = bundle_of(&mut origin, 1);
    let key_of_origin = key(&origin);
    let relay = Device::named("relay", None);
    refused(&import(&relay, &file, &key(&Device::named("third", None))), &key_of_origin);
    let key = key_of_origin;
    refused(&import(&origin, &file, &key), "bridge/v1/test/unit, which is this device");
    let text = fs::read_to_string(&file).expect("text");
    fs::write(&file, text.replace("\"sequence\\\":1", "\"sequence\\\":2")).expect("write");
    refused(&import(&relay, &file, &key), "changed after it was made");
    fs::write(&file, &text.as_bytes()[..text.len() / 2]).expect("write");
    refused(&import(&relay, &file, &key), "unit.bundle");
    assert_eq!(exit_code(import(&relay, &file, "no key").status), 2);
}

#[test]
fn a_trusted_key_brings_only_the_events_of_its_devices() {
    let mut origin = Device::new(None);
    let (_stick, file) = bundle_of(&mut origin, 1);
    let (path, key) = (file.to_str().expect("text"), key(&origin));
    let relay = Device::named("relay", None);
    refused(&queue(&relay, "import", &[path]), "[[bundle.trusted]]");
    refused(&queue(&relay, "import", &[path, "--key", &key]), "--device kita/unit-1");
    refused(&queue(&relay, "import", &[path, "--key", &key, "--device", "test/third"]), "speaks for test/third alone");
    let trusting = |name: &str, devices: &str| {
        let device = Device::named(name, None);
        device.configure(&format!("[[bundle.trusted]]\nkey = {key:?}\ndevices = [{devices:?}]\n"));
        device
    };
    refused(&queue(&trusting("relay", "other/*"), "import", &[path]), "bridge/v1/test/unit");
    let relay = trusting("relay", "test/*");
    assert!(stdout(&queue(&relay, "import", &[path])).starts_with("1 new events of bridge/v1/test/unit"));
    // The key is trusted for all devices of the site, but the importer itself is never among them.
    refused(&queue(&trusting("unit", "test/*"), "import", &[path]), "which is this device");
    let plain = Device::named("relay", None);
    plain.configure(&format!("[bundle]\ntrusted = [{key:?}]\n"));
    let output = queue(&plain, "import", &[path]);
    assert_eq!(exit_code(output.status), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("write [[bundle.trusted]]"));
}

#[test]
fn what_was_imported_is_listed_and_dropped_and_can_be_brought_again() {
    let mut origin = Device::new(None);
    let (_stick, file) = bundle_of(&mut origin, 3);
    let mut relay = Device::named("relay", None);
    with_photos(&mut relay, 2);
    stdout(&import(&relay, &file, &key(&origin)));
    let devices = json_lines(&queue(&relay, "imported", &["--json"]));
    assert_eq!(devices, [serde_json::json!({"device": "test/unit", "waiting": 3, "set_aside": 0})]);
    assert_eq!(stdout(&queue(&relay, "imported", &[])), "test/unit  3 events wait, 0 are set aside\n");
    let imported = json_lines(&queue(&relay, "list", &["--imported", "--json"]));
    assert_eq!(imported.len(), 3);
    let own = json_lines(&queue(&relay, "list", &["--json"]));
    let own = own.iter().find(|row| row["topic"] == "capture/result").expect("one of its own")["id"].to_string();
    let drop = |args: &[&str]| queue(&relay, "drop", args);
    assert_eq!(exit_code(drop(&[&own]).status), 1, "its own events stay");
    assert_eq!(exit_code(drop(&[]).status), 2);
    refused(&drop(&["--from", "test/relay"]), "own events are not dropped");
    assert_eq!(json_lines(&drop(&["--from", "test/other", "--json"])), [serde_json::json!({"dropped": 0})]);
    assert_eq!(json_lines(&drop(&[&imported[0]["id"].to_string(), "--json"])), [serde_json::json!({"dropped": 1})]);
    assert_eq!(stdout(&drop(&["--from", "test/unit"])), "2 events of other devices dropped\n");
    let status = json_lines(&queue(&relay, "status", &["--json"]));
    assert_eq!((&status[0]["waiting_total"], &status[0]["losses"]["imports_dropped"]), (&2.into(), &3.into()));
    assert!(stdout(&queue(&relay, "imported", &["--json"])).is_empty());
    assert!(stdout(&import(&relay, &file, &key(&origin))).starts_with("3 new events"));
    assert_eq!(stdout(&drop(&["--all"])), "3 events of other devices dropped\n");
}

#[needs(mosquitto)]
#[test]
fn what_the_broker_denies_of_other_devices_holds_up_none_of_its_own_and_is_named() {
    let port = free_port();
    let mut origin = Device::new(None);
    let (stick, file) = bundle_of(&mut origin, 4);
    let list = stick.path().join("acl");
    fs::write(&list, "topic readwrite bridge/v1/test/relay/#\ntopic read bridge/v1/#\n").expect("write");
    let _broker = Broker::start_with(port, &format!("acl_file {}", list.display()));
    let subscriber = Subscriber::start(port);
    subscriber.wait_until_subscribed();
    let mut relay = Device::named("relay", Some(port));
    relay.start();
    relay.journal();
    stdout(&import(&relay, &file, &key(&origin)));
    demo_photos()[..4].iter().for_each(|photo| relay.take(photo));
    eventually("all of its own", || subscriber.results().len() == 4);
    eventually("only those of the other device wait", || relay.journal().outbox_depth().expect("a depth").total() == 4);
    assert!(subscriber.results().iter().all(|event| event["source"] == "bridge/v1/test/relay"));
    let config = relay.config();
    let status = |args: &[&str]| stdout(&bridgeclip(&[args, &["--config", config.to_str().expect("text")]].concat()));
    let what = "bridge/v1/test/unit/capture/result";
    eventually("a link that says what it holds", || status(&["status"]).contains("link      held"));
    assert!(status(&["status"]).contains(&format!("HELD      {what}, for ")), "{}", status(&["status"]));
    assert!(status(&["queue", "status"]).contains(&format!("held       {what}, for ")));
    let queue: Value = serde_json::from_str(&status(&["queue", "status", "--json"])).expect("JSON");
    let held = queue["held"].as_array().expect("what is held");
    assert!(held.len() == 1 && held[0]["what"] == what, "{held:?}");
    assert!(held[0]["reason"].as_str().expect("a reason").contains("access list"), "{held:?}");
    stdout(&self::queue(&relay, "drop", &["--from", "test/unit"]));
    eventually("nothing is held any more", || status(&["status"]).contains("link      live"));
}

#[test]
fn an_id_that_one_device_brings_does_not_use_up_that_of_another() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    let import = |device: &str| {
        let topic = format!("bridge/v1/{device}/capture/result");
        let (class, event_id) = (EventClass::Result, "e-1".to_owned());
        journal
            .import(vec![ForeignEvent { class, event_id, topic, payload: vec![1] }], Timestamp::now())
            .expect("stored")
    };
    assert_eq!([import("kita/a"), import("kita/b"), import("kita/a"), import("kita/b")], [1, 1, 0, 0]);
    let drop = |device: &str| {
        journal.drop_imported(Topics::of_device(&format!("bridge/v1/{device}")), Vec::new(), 10).expect("stored")
    };
    assert_eq!([drop("kita/a"), drop("kita/a"), drop("kita/aa")], [1, 0, 0]);
    assert_eq!([import("kita/a"), import("kita/b")], [1, 0], "what was dropped may come again");
}
