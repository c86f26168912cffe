//! Checks deploy/asyncapi.yaml against what a device really sends and receives.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bridgeclip_needs::needs;
use serde_json::Value;

use crate::support::{
    Broker, Device, Message, Subscriber, bridgeclip, demo_photos, eventually, free_port, mismatches, publish, resolve,
};

fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/asyncapi.yaml");
    yaml_serde::from_str(&fs::read_to_string(path).expect("read")).expect("YAML")
}

/// Reports whether `topic` has the form of `address`, such as `a/{b}/c`.
fn matches(address: &str, topic: &str) -> bool {
    let (address, topic): (Vec<_>, Vec<_>) = (address.split('/').collect(), topic.split('/').collect());
    let level = |(form, level): (&&str, &&str)| form == level || (form.starts_with('{') && !level.is_empty());
    address.len() == topic.len() && address.iter().zip(&topic).all(level)
}

/// Returns the operation that a message belongs to, and the kind of message. Fails if the message differs from its
/// description.
fn described(document: &Value, message: &Message) -> String {
    let operations = document["operations"].as_object().expect("operations");
    let found = operations.iter().find(|(_, operation)| {
        let address = resolve(document, &operation["channel"]["$ref"])["address"].as_str().expect("an address");
        matches(address, &message.topic)
    });
    let (name, operation) = found.unwrap_or_else(|| panic!("{} is not described", message.topic));
    let channel = resolve(document, &operation["channel"]["$ref"]);
    let binding = &operation["bindings"]["mqtt"];
    assert_eq!(binding["qos"], message.qos, "{name}");
    assert_eq!(binding["retain"], message.retain, "{name}");
    let forms = channel["messages"].as_object().expect("messages").iter();
    let wrong = forms.map(|(kind, form)| {
        let form = resolve(document, &form["$ref"]);
        if operation["action"] == "send" {
            assert_eq!(form["contentType"].as_str(), message.content_type.as_deref(), "{name}");
        }
        (mismatches(document, &form["payload"], &message.payload), kind)
    });
    let (wrong, kind) = wrong.min_by_key(|(wrong, _)| wrong.len()).expect("a message");
    assert!(wrong.is_empty(), "{name}: {wrong:#?}\n{:#}", message.payload);
    format!("{name} {kind}")
}

/// Returns every operation, with each kind of message that it has.
fn kinds(document: &Value) -> BTreeSet<String> {
    let operations = document["operations"].as_object().expect("operations").iter();
    let of_operation = operations.flat_map(|(name, operation)| {
        let messages = resolve(document, &operation["channel"]["$ref"])["messages"].as_object().expect("messages");
        messages.keys().map(move |kind| format!("{name} {kind}"))
    });
    of_operation.collect()
}

#[needs(mosquitto)]
#[test]
fn everything_that_is_sent_is_described() {
    let port = free_port();
    let _broker = Broker::start(port);
    let subscriber = Subscriber::start(port);
    subscriber.wait_until_subscribed();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let key = dir.path().join("key.pem");
    let key = key.to_str().expect("UTF-8");
    let public = bridgeclip(&["command", "keygen", "--out", key]).stdout;
    let settings = format!(
        "health_s = 1\n[commands]\n{}trust_clock = true\n[inspection]\nmember_quiet_s = 1\n",
        String::from_utf8(public).expect("UTF-8")
    );
    let mut device = Device::with_settings(Some(port), &settings).with_thumbnails();
    let photos = demo_photos();
    let (last, others) = photos.split_last().expect("photos");
    others.iter().for_each(|photo| device.take(photo));
    device.start();
    eventually("all results", || subscriber.results().len() >= others.len());
    let subject = &subscriber.results()[0]["subject"];
    eventually("a thumbnail", || subscriber.messages().iter().any(|message| message.topic.contains("/thumb/")));
    let retag = format!("{{\"photos\": [{subject}], \"tag\": {{\"bridge\": \"B-12\", \"member\": \"G2\"}}}}");
    let commands = [
        ("ping", "{}"),
        ("set", "{\"metered\": true}"),
        ("set", "{\"broker\": 1}"),
        ("retag", "{}"),
        ("retag", &retag),
    ];
    for (op, args) in commands {
        let line = ["command", "sign", "--key", key, "--site", "test", "--device", "unit", "--op", op, "--args", args];
        let text = String::from_utf8(bridgeclip(&line).stdout).expect("UTF-8");
        let (topic, payload) = text.trim_end().split_once('\n').expect("two lines");
        publish(port, topic, payload.as_bytes(), false);
    }
    eventually("all answers", || subscriber.on("/state").len() >= 8);
    eventually("a correction", || subscriber.results().iter().any(|result| result["data"]["supersedes"].is_string()));
    eventually("an answer about the member", || {
        subscriber.messages().iter().any(|message| message.topic.contains("/member/result/"))
    });
    device.take(last);
    let is_summary = |result: &Value| result["type"] == "bridgeclip.capture.summary.v1";
    eventually("a summary", || subscriber.results().iter().any(is_summary));
    eventually("a report of health", || !subscriber.on("/health").is_empty());
    device.terminate();
    eventually("a goodbye", || subscriber.state().as_deref() == Some("offline"));
    device.start();
    eventually("a device that is online", || subscriber.state().as_deref() == Some("online"));
    device.kill();
    eventually("a will", || subscriber.state().as_deref() == Some("offline"));
    let document = document();
    let seen: BTreeSet<_> = subscriber.messages().iter().map(|message| described(&document, message)).collect();
    assert_eq!(seen, kinds(&document), "every kind of message was seen");
}

#[test]
fn a_signed_order_is_as_described() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let key = dir.path().join("key.pem");
    let key = key.to_str().expect("UTF-8");
    bridgeclip(&["command", "keygen", "--out", key]);
    let line = ["command", "sign", "--key", key, "--site", "s", "--device", "d", "--op", "ping"];
    let text = String::from_utf8(bridgeclip(&line).stdout).expect("UTF-8");
    let payload: Value = serde_json::from_str(text.lines().nth(1).expect("a payload")).expect("JSON");
    let envelope = <base64ct::Base64 as base64ct::Encoding>::decode_vec(payload["envelope"].as_str().expect("a text"));
    let order: Value = serde_json::from_slice(&envelope.expect("base64")).expect("JSON");
    let document = document();
    let wrong = mismatches(&document, &document["components"]["schemas"]["order"], &order);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_reason_for_which_a_command_is_refused_is_described() {
    let source = include_str!("../crates/uplink/src/command/judge.rs");
    let (_, codes) = source.split_once("pub fn code(&self)").expect("the function that names the reasons");
    let codes = codes.lines().take_while(|line| *line != "    }").filter_map(|line| line.split('"').nth(1));
    let codes: BTreeSet<&str> = codes.collect();
    let document = document();
    let listed = document["components"]["schemas"]["commandState"]["properties"]["reason"]["enum"].as_array();
    let listed: BTreeSet<&str> = listed.expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(codes.len() > 10);
    assert_eq!(codes, listed);
}
