//! Checks signed commands to the running daemon, over a real broker.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use bridgeclip_needs::needs;
use serde_json::{Value, json};

use crate::support::{Broker, Device, Subscriber, bridgeclip, demo_photos, eventually, exit_code, free_port, publish};

/// The central side: a key, a broker, and a device that trusts the key.
struct Central {
    dir: tempfile::TempDir,
    port: u16,
    _broker: Broker,
    subscriber: Subscriber,
    device: Device,
}

impl Central {
    fn new(settings: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
        let public = keygen(&dir.path().join("key.pem"));
        let broker = Broker::start(port);
        let subscriber = Subscriber::start(port);
        subscriber.wait_until_subscribed();
        let settings = format!("health_s = 1\n[commands]\n{public}\n{settings}");
        let mut central =
            Central { dir, port, _broker: broker, subscriber, device: Device::with_settings(Some(port), &settings) };
        central.start();
        central
    }

    fn trusting() -> Self {
        Self::new("trust_clock = true\n")
    }

    fn start(&mut self) {
        let before = self.subscriber.on("/health").len();
        self.device.start();
        // The device has subscribed by then.
        eventually("a device that is online", || self.subscriber.on("/health").len() > before);
    }

    fn restart(&mut self) {
        assert_eq!(exit_code(self.device.terminate()), 0);
        self.start();
    }

    /// Returns the topic and the payload of a signed command.
    fn sign(&self, op: &str, args: &Value, more: &[&str]) -> (String, Vec<u8>) {
        sign(&self.dir.path().join("key.pem"), op, args, more)
    }

    /// Publishes a command and returns the states that come back, up to the last one.
    fn send(&self, (topic, payload): &(String, Vec<u8>)) -> Vec<Value> {
        let (answers, before) = (format!("{}/state", tail(topic)), self.answers(topic).len());
        publish(self.port, topic, payload, false);
        eventually(&answers, || self.answers(topic)[before..].last().is_some_and(|state| state["state"] != "accepted"));
        self.answers(topic).split_off(before)
    }

    fn answers(&self, topic: &str) -> Vec<Value> {
        self.subscriber.on(&format!("{}/state", tail(topic)))
    }

    /// Sends a command that must be refused, and returns the reason.
    fn refused(&self, command: &(String, Vec<u8>)) -> String {
        let states = self.send(command);
        assert_eq!((states.len(), &states[0]["state"]), (1, &json!("refused")), "{states:?}");
        assert!(states[0]["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        states[0]["reason"].as_str().expect("a reason").to_owned()
    }
}

/// Returns operation and id from a topic.
fn tail(topic: &str) -> &str {
    topic.split_once("/cmd/").expect("a command's topic").1
}

/// Makes a key and returns the line for the settings.
fn keygen(path: &Path) -> String {
    let output = bridgeclip(&["command", "keygen", "--out", path.to_str().expect("UTF-8")]);
    assert_eq!(exit_code(output.status), 0, "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn sign(key: &Path, op: &str, args: &Value, more: &[&str]) -> (String, Vec<u8>) {
    let (args, key) = (args.to_string(), key.to_str().expect("UTF-8"));
    let mut line = vec!["command", "sign", "--key", key, "--op", op, "--args", &args];
    let device = ["--site", "test", "--device", "unit"];
    line.extend(if more.contains(&"--device") { &[][..] } else { &device[..] });
    line.extend(more);
    let output = bridgeclip(&line);
    assert_eq!(exit_code(output.status), 0, "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut lines = text.lines().map(str::to_owned);
    (lines.next().expect("a topic"), lines.next().expect("a payload").into_bytes())
}

#[needs(mosquitto)]
#[test]
fn commands_are_carried_out_and_answered() {
    let mut central = Central::trusting();
    let states = central.send(&central.sign("ping", &json!({}), &[]));
    assert_eq!([&states[0]["state"], &states[1]["state"]], ["accepted", "done"]);
    assert!(states[1]["result"]["software"].as_str().is_some_and(|software| software.starts_with("bridgeclip-edge")));
    let changes = json!({ "metered": true, "bytes_per_s_max": 50_000, "log_level": "debug" });
    let states = central.send(&central.sign("set", &changes, &[]));
    assert_eq!(states[1]["result"], changes);
    central.restart();
    assert_eq!(central.subscriber.status().expect("a status")["metered"], true, "what was set outlives a restart");
    let states = central.send(&central.sign("set", &json!({ "metered": null }), &[]));
    assert_eq!(states[1]["result"]["metered"], false);
    assert_eq!(states[1]["result"]["bytes_per_s_max"], 50_000);
}

#[needs(mosquitto)]
#[test]
fn captures_are_sent_again_tagged_and_judged_again() {
    let mut central = Central::trusting();
    let photos = &demo_photos()[..3];
    photos.iter().for_each(|photo| central.device.take(photo));
    eventually("three results", || central.subscriber.results().len() >= 3);
    let first = central.subscriber.results()[0].clone();
    let journal = central.device.journal();
    eventually("an empty queue", || journal.outbox_depth().expect("a depth").total() == 0);
    let done = |op: &str, args: Value| central.send(&central.sign(op, &args, &[]))[1].clone();
    assert_eq!(done("resend", json!({ "sequence": [1, 3] }))["result"], json!({ "captures": 3, "queued": 3 }));
    eventually("the same events again", || central.subscriber.results().len() >= 6);
    let again: Vec<Value> = central.subscriber.results().split_off(3);
    assert!(again.contains(&first), "the same event");
    let retag = json!({ "photos": [first["subject"], "0".repeat(64)], "tag": { "bridge": "B-12", "member": "G2" } });
    assert_eq!(done("retag", retag)["result"], json!({ "photos": 2, "changed": 1 }));
    eventually("a correction", || central.subscriber.results().len() >= 7);
    let correction = central.subscriber.results()[6].clone();
    assert_eq!((&correction["data"]["supersedes"], &correction["subject"]), (&first["id"], &first["subject"]));
    assert_eq!(correction["data"]["tag"], json!({ "bridge": "B-12", "member": "G2" }));
    assert_eq!(correction["data"]["verdict"], first["data"]["verdict"]);
    let same = json!({ "captures": 3, "changed": 0, "of_other_encoders": 0, "inspected": 0 });
    assert_eq!(done("reclassify", json!({ "sequence": [1, 4] }))["result"], same);
    central.device.terminate();
    central.device.configure("[classify]\nneighbours = 1\n");
    central.start();
    let tally = central.send(&central.sign("reclassify", &json!({ "photos": [first["subject"]] }), &[]))[1].clone();
    assert_eq!(tally["result"], json!({ "captures": 1, "changed": 1, "of_other_encoders": 0, "inspected": 0 }));
    eventually("another correction", || {
        central.subscriber.results().last().is_some_and(|last| last["data"]["supersedes"] == first["id"])
    });
}

#[needs(mosquitto)]
#[test]
fn commands_replayed_are_refused_also_after_a_restart() {
    let mut central = Central::trusting();
    let command = central.sign("ping", &json!({}), &[]);
    assert_eq!(central.send(&command)[1]["state"], "done");
    assert_eq!(central.refused(&command), "replayed");
    let older = central.sign("ping", &json!({}), &["--counter", "17"]);
    assert_eq!(central.refused(&older), "replayed");
    central.restart();
    assert_eq!(central.refused(&command), "replayed");
    // A counter is known after a power cut too.
    let next = central.sign("ping", &json!({}), &[]);
    assert_eq!(central.send(&next)[0]["state"], "accepted");
    central.device.kill();
    central.start();
    assert_eq!(central.refused(&next), "replayed");
}

#[needs(mosquitto)]
#[test]
fn commands_retained_are_refused() {
    let central = Central::trusting();
    let (topic, payload) = central.sign("ping", &json!({}), &[]);
    publish(central.port, &topic, &payload, true);
    eventually("an answer", || !central.answers(&topic).is_empty());
    assert_eq!(central.answers(&topic)[0]["reason"], "retained");
    // A counter is known after a reconnect too.
    let mut central = central;
    central.restart();
    eventually("a second answer", || central.answers(&topic).len() >= 2);
    assert!(central.answers(&topic).iter().all(|state| state["reason"] == "retained"));
}

#[needs(mosquitto)]
#[test]
fn commands_stale_are_refused() {
    let mut central = Central::trusting();
    let command = central.sign("ping", &json!({}), &["--expires-s", "1"]);
    thread::sleep(Duration::from_millis(1_200));
    assert_eq!(central.refused(&command), "expired");
    central.restart();
    assert_eq!(central.refused(&command), "expired");
}

#[needs(mosquitto)]
#[test]
fn commands_for_another_device_are_refused() {
    let mut central = Central::trusting();
    let (topic, payload) = central.sign("ping", &json!({}), &["--site", "test", "--device", "other"]);
    let here = (topic.replace("/other/", "/unit/"), payload);
    assert_eq!(central.refused(&here), "other_device");
    central.restart();
    assert_eq!(central.refused(&here), "other_device");
    // A good payload is refused under another id or operation too.
    let (topic, payload) = central.sign("ping", &json!({}), &["--id", "one"]);
    assert_eq!(central.refused(&(topic.replace("/one", "/two"), payload.clone())), "other_topic");
    assert_eq!(central.refused(&(topic.replace("/ping/", "/set/"), payload)), "other_topic");
}

#[needs(mosquitto)]
#[test]
fn commands_of_strangers_are_refused_and_counted() {
    let central = Central::trusting();
    let stranger = central.dir.path().join("stranger.pem");
    keygen(&stranger);
    assert_eq!(central.refused(&sign(&stranger, "ping", &json!({}), &[])), "bad_signature");
    let topic = "bridge/v1/test/unit/cmd/ping/x".to_owned();
    assert_eq!(central.refused(&(topic.clone(), b"{}".to_vec())), "malformed");
    assert_eq!(central.refused(&(topic, vec![b'x'; 65 * 1024])), "too_large");
    eventually("a count", || {
        central.subscriber.on("/health").last().is_some_and(|health| health["drops"]["commands_refused"] == 3)
    });
    // The device still works.
    assert_eq!(central.send(&central.sign("ping", &json!({}), &[]))[1]["state"], "done");
}

#[needs(mosquitto)]
#[test]
fn commands_are_refused_while_nothing_has_set_the_clock() {
    if fs::exists("/run/systemd/timesync/synchronized").unwrap_or(true) {
        // NTP has set the clock here.
        return;
    }
    let central = Central::new("");
    assert_eq!(central.refused(&central.sign("ping", &json!({}), &[])), "clock_unsynced");
}

#[needs(mosquitto)]
#[test]
fn without_a_key_there_are_no_commands() {
    let port = free_port();
    let _broker = Broker::start(port);
    let subscriber = Subscriber::start(port);
    subscriber.wait_until_subscribed();
    let mut device = Device::with_settings(Some(port), "health_s = 1\n");
    device.start();
    eventually("a device that is online", || subscriber.on("/health").len() > 1);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let key = dir.path().join("key.pem");
    keygen(&key);
    let (topic, payload) = sign(&key, "ping", &json!({}), &[]);
    publish(port, &topic, &payload, false);
    let before = subscriber.on("/health").len();
    eventually("two more reports", || subscriber.on("/health").len() >= before + 2);
    assert!(subscriber.messages().iter().all(|message| !message.topic.ends_with("/state")));
}

#[test]
fn keys_are_secret() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let key = dir.path().join("key.pem");
    keygen(&key);
    let again = bridgeclip(&["command", "keygen", "--out", key.to_str().expect("UTF-8")]);
    assert_eq!(exit_code(again.status), 1, "a key is never overwritten");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key).expect("metadata").permissions());
    assert_eq!(mode & 0o777, 0o600);
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode");
    let args =
        ["command", "sign", "--key", key.to_str().expect("UTF-8"), "--site", "s", "--device", "d", "--op", "ping"];
    let output = bridgeclip(&args);
    assert_eq!(exit_code(output.status), 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod 600"));
}
