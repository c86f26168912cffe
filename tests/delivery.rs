//! Checks that results reach a real broker, whatever happens to broker and daemon in between.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use bridgeclip_needs::needs;
use serde_json::Value;

use bridgeclip::journal::EventClass;

use crate::support::{Broker, Device, Station, Subscriber, demo_photos, eventually, exit_code, free_port};

/// Returns one event per id, as a consumer that ignores known ids keeps them.
fn distinct(results: &[Value]) -> HashMap<String, Value> {
    results.iter().map(|event| (event["id"].as_str().expect("an id").to_owned(), event.clone())).collect()
}

/// Waits until `count` distinct events have arrived and the queue is empty, and compares repeated ones.
fn expect_all(device: &Device, subscriber: &Subscriber, count: usize) -> HashMap<String, Value> {
    eventually(&format!("{count} events"), || distinct(&subscriber.results()).len() >= count);
    let journal = device.journal();
    eventually("an empty queue", || journal.outbox_depth().expect("a depth").total() == 0);
    let events = distinct(&subscriber.results());
    let photos: HashSet<&str> = events.values().map(|event| event["subject"].as_str().expect("a hash")).collect();
    assert_eq!((events.len(), photos.len()), (count, count), "one event per photo");
    let mut sequences: Vec<i64> =
        events.values().map(|event| event["data"]["sequence"].as_i64().expect("a number")).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=count as i64).collect::<Vec<_>>(), "no gap");
    events
}

#[needs(mosquitto)]
#[test]
fn events_wait_for_the_broker_and_arrive_once() {
    let port = free_port();
    let mut device = Device::new(Some(port));
    device.start();
    for photo in &demo_photos()[..3] {
        device.take(photo);
    }
    device.wait_for_captures(3);
    assert_eq!(device.journal().outbox_depth().expect("a depth").total(), 3);
    let _broker = Broker::start(port);
    let subscriber = Subscriber::start(port);
    let events = expect_all(&device, &subscriber, 3);
    assert_eq!(subscriber.results().len(), 3, "nothing arrived twice");
    assert!(events.values().all(|event| event["data"]["queued"] == true));
}

#[needs(mosquitto)]
#[test]
fn events_without_a_subscriber_are_kept() {
    let port = free_port();
    let _broker = Broker::start(port);
    let mut device = Device::new(Some(port));
    device.start();
    device.take(&demo_photos()[0]);
    device.wait_for_captures(1);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(device.journal().outbox_depth().expect("a depth").total(), 1);
    let subscriber = Subscriber::start(port);
    expect_all(&device, &subscriber, 1);
}

#[needs(mosquitto)]
#[test]
fn a_broker_that_takes_few_publishes_at_once_gets_all() {
    let port = free_port();
    let _broker = Broker::start_with(port, "max_inflight_messages 2");
    let subscriber = Subscriber::start(port);
    subscriber.wait_until_subscribed();
    let mut device = Device::new(Some(port));
    for photo in &demo_photos()[..6] {
        device.take(photo);
    }
    device.start();
    expect_all(&device, &subscriber, 6);
}

#[needs(mosquitto)]
#[test]
fn a_restarted_broker_gets_what_came_meanwhile() {
    let port = free_port();
    let broker = Broker::start(port);
    let subscriber = Subscriber::start(port);
    subscriber.wait_until_subscribed();
    let mut device = Device::new(Some(port));
    device.start();
    let photos = demo_photos();
    for photo in &photos[..3] {
        device.take(photo);
    }
    expect_all(&device, &subscriber, 3);
    assert_eq!(subscriber.state().as_deref(), Some("online"));
    broker.kill();
    for photo in &photos[3..6] {
        device.take(photo);
    }
    device.wait_for_captures(6);
    let _broker = Broker::start(port);
    expect_all(&device, &subscriber, 6);
}

#[needs(mosquitto)]
#[test]
fn a_killed_daemon_loses_nothing() {
    let port = free_port();
    let _broker = Broker::start(port);
    let subscriber = Subscriber::start(port);
    subscriber.wait_until_subscribed();
    let mut device = Device::new(Some(port));
    let photos = demo_photos();
    for (round, photo) in photos[..8].iter().enumerate() {
        device.take(photo);
        device.start();
        // Kills the daemon during start, classification, commit and delivery.
        thread::sleep(Duration::from_millis(60 * round as u64));
        device.kill();
    }
    device.start();
    device.wait_for_captures(8);
    expect_all(&device, &subscriber, 8);
}

#[needs(mosquitto)]
#[test]
fn a_clean_stop_says_goodbye_and_a_killed_daemon_leaves_its_will() {
    let port = free_port();
    let _broker = Broker::start(port);
    let subscriber = Subscriber::start(port);
    subscriber.wait_until_subscribed();
    let mut device = Device::new(Some(port));
    let state_is = |state: &str| eventually(state, || subscriber.state().as_deref() == Some(state));
    device.start();
    state_is("online");
    assert_eq!(exit_code(device.terminate()), 0);
    state_is("offline");
    device.start();
    state_is("online");
    device.kill();
    state_is("offline");
}

#[needs(mosquitto)]
#[test]
fn an_event_tells_what_a_consumer_needs() {
    let port = free_port();
    let _broker = Broker::start(port);
    let subscriber = Subscriber::start(port);
    subscriber.wait_until_subscribed();
    let mut device = Device::new(Some(port));
    device.start();
    let photo = &demo_photos()[0];
    device.take(photo);
    let events = expect_all(&device, &subscriber, 1);
    let event = events.values().next().expect("one event");
    let bytes = std::fs::read(photo).expect("read");
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "bridgeclip.capture.result.v1");
    assert_eq!(event["source"], "bridge/v1/test/unit");
    assert_eq!(event["subject"], bridgeclip::domain::Sha256::of(&bytes).to_string());
    let data = &event["data"];
    assert_eq!(data["image"]["bytes"], bytes.len());
    assert_eq!(data["taken"]["quality"], "exif");
    assert_eq!(data["position"]["source"], "exif");
    assert_eq!(data["verdict"]["neighbours"].as_array().map(Vec::len), Some(10));
    for category in ["soundness", "measure", "damage_type", "damage_location"] {
        let classes = data["verdict"][category].as_array().expect("classes");
        assert!(!classes.is_empty(), "{category}");
        assert!(classes.iter().all(|class| class["confidence"].as_f64().is_some_and(|c| (0.0..=1.0).contains(&c))));
    }
}

#[needs(mosquitto)]
#[test]
fn an_event_that_is_too_large_for_the_broker_does_not_hold_up_the_others() {
    // The broker announces one limit; the other one shows only when an event arrives.
    for limit in ["max_packet_size 2000", "message_size_limit 1500"] {
        let port = free_port();
        let _broker = Broker::start_with(port, limit);
        let subscriber = Subscriber::start(port);
        subscriber.wait_until_subscribed();
        let mut station = Station::new();
        station.queue(EventClass::Result, "small", 20, 300);
        station.queue(EventClass::Result, "large", 1, 3_000);
        station.queue(EventClass::Result, "more", 20, 300);
        station.start(Station::params(port));
        eventually("all others", || distinct(&subscriber.results()).len() == 40);
        station.queue_until_one_is_set_aside();
        station.wait_until_delivered();
        assert_eq!(station.depth().set_aside, 1, "{limit}");
    }
}
