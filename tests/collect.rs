//! `bridgeclip collect` with a real mosquitto, a real PostgreSQL and SQLite.

use std::thread;
use std::time::{Duration, Instant};

use bridgeclip::journal::EventClass;
use bridgeclip_needs::needs;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{Client, Event, MqttOptions};
use serde_json::{Value, json};

use crate::support::collecting::{Collecting, device, event, sqlite};
use crate::support::results::{open_journal, record_all, waiting_of};
use crate::support::{Broker, Device, PostgresServer, bridgeclip, demo_photos, exit_code, free_port, publish};

#[needs(mosquitto, postgresql)]
#[test]
fn a_devices_events_are_collected_once_whatever_is_killed() {
    let (mut database, port) = (PostgresServer::start(), free_port());
    let broker = Broker::start_with(port, "max_queued_messages 0");
    let mut collecting = Collecting::started("one", port, &database.address());
    let mut device = Device::new(Some(port));
    device.start();
    let photos = demo_photos();
    let mut photos = photos[..8].iter();
    let mut take = |device: &Device, count: usize| photos.by_ref().take(count).for_each(|photo| device.take(photo));
    take(&device, 2);
    let source = "bridge/v1/test/unit";
    collecting.wait_for(source, 2);
    database.kill();
    take(&device, 2);
    device.wait_for_captures(4);
    database.resume();
    collecting.wait_for(source, 4);
    collecting.kill();
    take(&device, 2);
    device.wait_for_captures(6);
    collecting.start();
    collecting.wait_for(source, 6);
    broker.kill();
    take(&device, 2);
    device.wait_for_captures(8);
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    collecting.wait_for(source, 8);
    let (code, report) = collecting.report();
    assert_eq!((code, &report["devices"][0]["missing"], &report["refused"]), (0, &json!(0), &json!(0)));
    let rows = database.client().query("SELECT sequence, body->>'id' = id, length(subject) FROM event", &[]);
    let mut sequences: Vec<i64> = rows
        .expect("rows")
        .iter()
        .map(|row| {
            assert!(row.get::<_, bool>(1) && row.get::<_, i32>(2) == 64);
            row.get(0)
        })
        .collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=8).collect::<Vec<_>>());
}

#[needs(mosquitto, postgresql)]
#[test]
fn gaps_repetitions_and_what_is_no_event_are_told_apart() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let database = PostgresServer::start();
    for address in [sqlite(&dir), database.address()] {
        let port = free_port();
        let _broker = Broker::start_with(port, "max_queued_messages 0");
        let name = if address.starts_with("sqlite") { "file" } else { "server" };
        let site = format!("bridge/v1/{name}");
        let mut collecting = Collecting::started(name, port, &address);
        let send = |topic: &str, payload: &[u8]| publish(port, topic, payload, false);
        let (unit, other) = (format!("{site}/unit"), format!("{site}/other"));
        collecting.wait_until_ready(port, name);
        let topic = format!("{unit}/capture/result");
        for sequence in [3, 4, 7, 3] {
            send(&topic, &event(&unit, &format!("e-{sequence}"), sequence));
        }
        send(&topic, &event(&other, "forged", 1));
        send(&topic, b"{\"id\": \"a\\u0000b\"}");
        send(&format!("{unit}/capture/thumb/e-3"), b"\xff\xd8\xff\xd9");
        send(&format!("{other}/capture/result"), &event(&other, "e-1", 1));
        collecting.wait_for(&unit, 3);
        collecting.wait_for(&other, 1);
        let (code, report) = collecting.report();
        let found = device(&report, &unit);
        assert_eq!((code, &found["missing"], &found["last_sequence"]), (1, &json!(4), &json!(7)), "{report}");
        assert_eq!(found["gaps"], json!([{"first": 1, "last": 2}, {"first": 5, "last": 6}]));
        assert_eq!(report["refused"], 2);
        collecting.kill();
    }
    let thumbnails = database.client().query("SELECT event_id FROM thumbnail", &[]).expect("rows");
    assert_eq!(thumbnails[0].get::<_, &str>(0), "e-3");
}

#[needs(mosquitto, postgresql)]
#[test]
fn what_postgresql_cannot_store_does_not_hold_up_the_others() {
    let port = free_port();
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    let database = PostgresServer::start();
    let collecting = Collecting::started("one", port, &database.address());
    let source = "bridge/v1/test/unit";
    collecting.wait_until_ready(port, "one");
    publish(port, "bridge/v1/test/unit/capture/result", &event(source, "e-1", 1), false);
    let mut bad: Value = serde_json::from_slice(&event(source, "e-2", 2)).expect("JSON");
    bad["data"]["note"] = json!("a\u{0}b");
    publish(port, "bridge/v1/test/unit/capture/result", bad.to_string().as_bytes(), false);
    publish(port, "bridge/v1/test/unit/capture/result", &event(source, "e-3", 3), false);
    collecting.wait_for(source, 2);
    assert_eq!(collecting.report().1["refused"], 1);
}

#[needs(mosquitto)]
#[test]
fn a_collector_that_leaves_takes_what_is_held_for_it() {
    let (dir, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    let mut leaving = Collecting::started("leaving", port, &sqlite(&dir));
    let source = "bridge/v1/test/unit";
    let send = |sequence: i64| {
        publish(port, "bridge/v1/test/unit/capture/result", &event(source, &format!("e-{sequence}"), sequence), false);
    };
    leaving.wait_until_ready(port, "leaving");
    send(1);
    leaving.wait_for(source, 1);
    leaving.kill();
    let mut staying = Collecting::started("staying", port, &sqlite(&dir));
    staying.wait_until_ready(port, "staying");
    (2..=20).for_each(send);
    let settings = leaving.settings();
    let output = bridgeclip(&["collect", "run", "--leave", "--config", settings.to_str().expect("text")]);
    assert_eq!(exit_code(output.status), 0, "{}", String::from_utf8_lossy(&output.stderr));
    (21..=30).for_each(send);
    staying.wait_for(source, 30);
    assert_eq!(staying.report().0, 0);
    staying.kill();
}

#[test]
fn a_wrong_address_is_told_at_once_and_without_its_password() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let cases = [
        ("postgresql://unit:s3cret@127.0.0.1:1/db", 1, "postgresql://unit@127.0.0.1:1/db"),
        ("mysql://host/db", 1, "give postgresql://"),
        ("sqlite:/no/such/folder/events.db", 1, "/no/such/folder/events.db"),
    ];
    for (address, code, expected) in cases {
        let collecting = Collecting::new("one", 1, address);
        let settings = collecting.settings();
        let output = bridgeclip(&["collect", "run", "--config", settings.to_str().expect("text")]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(exit_code(output.status), code, "{error}");
        assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
    }
    drop(dir);
}

const DEVICES: u64 = 50;
const EVENTS: u64 = 100_000;

/// Publishes all events of every fifth device, starting with device `first`.
fn deliver(port: u16, first: u64, body: &str) {
    let mut options = MqttOptions::new(format!("devices-{first}"), "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(60));
    let (client, mut connection) = Client::new(options, 1_000);
    let each = EVENTS / DEVICES;
    let devices: Vec<u64> = (first..DEVICES).step_by(5).collect();
    let expected = devices.len() as u64 * each;
    let acknowledge = thread::spawn(move || {
        let acks = connection.iter().filter(|event| matches!(event, Ok(Event::Incoming(Packet::PubAck(_)))));
        assert_eq!(acks.take(expected as usize).count() as u64, expected);
    });
    for sequence in 1..=each {
        for device in &devices {
            let source = format!("bridge/v1/test/unit-{device}");
            let event = body
                .replacen("SOURCE", &source, 1)
                .replacen("ID", &format!("{device}-{sequence}"), 1)
                .replacen("\"SEQUENCE\"", &sequence.to_string(), 1);
            client.publish(format!("{source}/capture/result"), QoS::AtLeastOnce, false, event).expect("room");
        }
    }
    acknowledge.join().expect("all were acknowledged");
}

/// Returns an event as large as a real one, with placeholders for what differs.
fn body() -> String {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    record_all(&journal, 0..1);
    let rows = waiting_of(&journal.reader().expect("a reader"), EventClass::Result);
    let mut event: Value = serde_json::from_slice(&rows[0].payload).expect("JSON");
    (event["source"], event["id"], event["data"]["sequence"]) = (json!("SOURCE"), json!("ID"), json!("SEQUENCE"));
    event.to_string()
}

/// Measures events per second of 50 devices into PostgreSQL, by two collectors that share the load.
///
/// `cargo test --release collect_of_100000 -- --ignored --nocapture`
#[test]
#[ignore = "says something only on a quiet machine"]
fn collect_of_100000_events_of_50_devices() {
    let port = free_port();
    let _broker = Broker::start_with(port, "max_queued_messages 0\nmax_inflight_messages 1000");
    let database = PostgresServer::start();
    let mut collectors = ["one", "two"].map(|name| Collecting::started(name, port, &database.address()));
    let body = body();
    collectors[0].wait_until_ready(port, "one");
    let begin = Instant::now();
    thread::scope(|scope| {
        for first in 0..5 {
            let body = &body;
            scope.spawn(move || deliver(port, first, body));
        }
    });
    println!("published in {:.1?}", begin.elapsed());
    let mut client = database.client();
    let mut count = || client.query_one("SELECT count(*) FROM event", &[]).expect("a count").get::<_, i64>(0);
    while count() < EVENTS as i64 + 1 {
        assert!(begin.elapsed() < Duration::from_secs(300), "{} events after five minutes", count());
        thread::sleep(Duration::from_millis(50));
    }
    let rate = EVENTS as f64 / begin.elapsed().as_secs_f64();
    println!("{} bytes each; two collectors: {rate:.0} events/s", body.len());
    let (code, report) = collectors[1].report();
    assert_eq!((code, report["devices"].as_array().map(Vec::len)), (0, Some(DEVICES as usize + 1)));
    collectors.iter_mut().for_each(Collecting::kill);
}
