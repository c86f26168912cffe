//! Checks `bridgeclip collect` with a real mosquitto, a real PostgreSQL and SQLite: among good events arrive messages
//! that no device sends, and messages that the database refuses.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use bridgeclip_needs::needs;
use postgres::{Client as Postgres, NoTls};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{Client, Event, MqttOptions};
use serde_json::{Value, json};

use crate::support::collecting::{Collecting, body, event, sqlite};
use crate::support::{Broker, PostgresServer, Random, eventually, free_port};

/// Number of good events, and of messages of all other kinds together.
const COUNT: usize = 10_000;

type Topic = String;
type Make = fn(&str, i64) -> (Topic, Vec<u8>);

/// Returns a topic below the device and an event that `change` has altered.
fn changed(device: &str, number: i64, change: impl FnOnce(&mut Value)) -> (Topic, Vec<u8>) {
    let mut event = body(device, &format!("e-{number}"), number);
    change(&mut event);
    (format!("{device}/capture/result"), event.to_string().into_bytes())
}

/// Returns an event in whose text `from` is replaced by `to`.
fn replaced(device: &str, number: i64, from: &str, to: &str) -> (Topic, Vec<u8>) {
    let (topic, text) = changed(device, number, |_| ());
    let text = String::from_utf8(text).expect("text");
    assert!(text.contains(from), "{from}");
    (topic, text.replacen(from, to, 1).into_bytes())
}

/// Returns an event with more data, given as JSON text.
fn with_data(device: &str, number: i64, more: &str) -> (Topic, Vec<u8>) {
    replaced(device, number, "\"data\":{", &format!("\"data\":{{{more},"))
}

/// Returns `payload` under a topic below the device.
fn below(device: &str, topic: &str, payload: impl Into<Vec<u8>>) -> (Topic, Vec<u8>) {
    (format!("{device}/{topic}"), payload.into())
}

/// Returns an event from another site, whose name contains that of the device.
fn elsewhere(device: &str, number: i64, site: &str) -> (Topic, Vec<u8>) {
    let source = format!("bridge/v1/{site}/{}", device.rsplit('/').next().expect("a name"));
    changed(&source, number, |_| ())
}

fn nested(open: &str, close: &str, levels: usize) -> String {
    open.repeat(levels) + "1" + &close.repeat(levels)
}

/// Every kind of poison, with its name.
const POISON: [(&str, Make); 48] = [
    ("deep-list", |d, n| with_data(d, n, &format!("\"note\":{}", nested("[", "]", 7_000)))),
    ("deep-object", |d, n| with_data(d, n, &format!("\"verdict\":{}", nested("{\"a\":", "}", 7_000)))),
    ("deep-position", |d, n| with_data(d, n, &format!("\"position\":{}", nested("[", "]", 5_000)))),
    ("deep-beside", |d, n| replaced(d, n, "\"data\"", &format!("\"x\":{},\"data\"", nested("[", "]", 7_000)))),
    ("long-site", |d, n| elsewhere(d, n, &"x".repeat(3_000))),
    ("odd-site", |d, n| elsewhere(d, n, "'; DROP TABLE event; --")),
    ("empty-site", |d, n| elsewhere(d, n, "")),
    ("foreign-site", |d, n| elsewhere(d, n, "橋 🌉")),
    ("nul-text", |d, n| with_data(d, n, r#""note":"a\u0000b""#)),
    ("nul-key", |d, n| with_data(d, n, r#""no\u0000te":1"#)),
    ("nul-id", |d, n| changed(d, n, |event| event["id"] = json!("a\0b"))),
    ("lone-surrogate", |d, n| with_data(d, n, r#""note":"\ud800 x""#)),
    ("lone-low-surrogate", |d, n| with_data(d, n, r#""\udc00":1"#)),
    ("infinite", |d, n| with_data(d, n, "\"note\":1e999")),
    ("long-number", |d, n| with_data(d, n, &format!("\"note\":{}", "9".repeat(400)))),
    ("nan", |d, n| with_data(d, n, "\"note\":NaN")),
    ("huge-sequence", |d, n| replaced(d, n, "\"sequence\":", "\"sequence\":1e40,\"was\":")),
    ("great-sequence", |d, n| changed(d, n, |event| event["data"]["sequence"] = json!(i64::MAX))),
    ("negative-sequence", |d, n| changed(d, n, |event| event["data"]["sequence"] = json!(-1))),
    ("no-sequence", |d, n| changed(d, n, |event| event["data"] = json!({}))),
    ("nan-sequence", |d, n| changed(d, n, |event| event["data"]["sequence"] = json!("NaN"))),
    ("half-sequence", |d, n| changed(d, n, |event| event["data"]["sequence"] = json!(1.5))),
    ("year-0", |d, n| changed(d, n, |event| event["time"] = json!("0000-01-01T00:00:00Z"))),
    ("year-300000", |d, n| changed(d, n, |event| event["time"] = json!("+300000-01-01T00:00:00Z"))),
    ("time-number", |d, n| changed(d, n, |event| event["time"] = json!(1_700_000_000))),
    ("far-north", |d, n| with_data(d, n, r#""position":{"latitude_deg":91.5,"longitude_deg":0}"#)),
    ("nowhere", |d, n| with_data(d, n, r#""position":{"latitude_deg":"north","longitude_deg":0}"#)),
    ("empty", |d, _| below(d, "capture/result", "")),
    ("binary", |d, n| below(d, "capture/result", (0..999).map(|i| (i * n) as u8 | 0x80).collect::<Vec<_>>())),
    ("truncated", |d, n| below(d, "capture/result", &event(d, "e", n)[..100])),
    ("twice-id", |d, n| replaced(d, n, "\"id\":", "\"id\":\"other\",\"id\":")),
    ("megabyte", |d, n| with_data(d, n, &format!("\"note\":\"{}\"", "x".repeat(1_000_000)))),
    ("long-id", |d, n| changed(d, n, |event| event["id"] = json!("x".repeat(10_000)))),
    ("long-type", |d, n| changed(d, n, |event| event["type"] = json!("x".repeat(10_000)))),
    ("other-type", |d, n| changed(d, n, |event| event["type"] = json!("org.example.order.v1"))),
    ("other-version", |d, n| changed(d, n, |event| event["specversion"] = json!("0.3"))),
    ("forged", |d, n| changed(d, n, |event| event["source"] = json!("bridge/v1/good/unit-1"))),
    ("collides", |d, n| with_data(d, n, "\"note\":\"another content\"")),
    ("wrong-level", |d, n| below(d, "capture/results", event(d, "e", n))),
    ("too-deep", |d, n| below(d, "capture/result/more", event(d, "e", n))),
    ("status", |d, _| below(d, "capture/status", r#"{"state":"online"}"#)),
    ("health", |d, _| below(d, "capture/result", r#"{"queue":{"depth":0}}"#)),
    ("bom", |d, n| below(d, "capture/result", [b"\xef\xbb\xbf", &*event(d, "e", n)].concat())),
    ("utf-16", |d, n| below(d, "capture/result", utf_16(&event(d, "e", n)))),
    ("garbage-behind", |d, n| below(d, "capture/result", [&*event(d, "e", n), b" {}"].concat())),
    ("in-lists", |d, n| below(d, "capture/result", [b"[[[", &*event(d, "e", n), b"]]]"].concat())),
    ("thumb-without-event", |d, _| below(d, "capture/thumb/", *b"\xff\xd8\xff\xd9")),
    ("thumb-too-large", |d, n| below(d, &format!("capture/thumb/e-{n}"), [vec![0xff, 0xd8], vec![7; 60_000]].concat())),
];

fn utf_16(text: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(text).encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Events that are odd but good: only the consumer has to understand what is in them.
const ODD: [Make; 8] = [
    |d, n| with_data(d, n, "\"note\":\"\\ud83c\\udf09 \\uffff \\ufdd0 \u{feff}\""),
    |d, n| with_data(d, n, &format!("\"note\":{}", nested("[", "]", 25))),
    |d, n| with_data(d, n, "\"note\":[1e308,-1e-308,9223372036854775807,18446744073709551615,-0.0]"),
    |d, n| with_data(d, n, "\"note\":1,\"note\":2,\"\":null"),
    |d, n| with_data(d, n, &format!("\"note\":\"{}\"", "x".repeat(200_000))),
    |d, n| changed(d, n, |event| event["time"] = json!("0001-01-01T00:00:00Z")),
    |d, n| changed(d, n, |event| event["time"] = json!("9999-12-30T00:00:00Z")),
    |d, n| with_data(d, n, r#""position":{"latitude_deg":-90,"longitude_deg":180}"#),
];

/// Returns the good event that goes with a message of kind `number`. Different devices use the same ids.
fn good(number: usize) -> (Topic, Vec<u8>) {
    let (kind, sequence) = (POISON[number % POISON.len()].0, number as i64 + 1);
    match kind {
        "collides" => changed(&format!("bridge/v1/poison/{kind}-{number}"), sequence, |_| ()),
        _ if number.is_multiple_of(16) => {
            ODD[number / 16 % ODD.len()](&format!("bridge/v1/odd/unit-{}", number % 7), sequence)
        }
        _ => changed(&format!("bridge/v1/good/unit-{}", number % 50), number as i64 / 50 + 1, |_| ()),
    }
}

fn poison(number: usize) -> (Topic, Vec<u8>) {
    let (kind, make) = POISON[number % POISON.len()];
    make(&format!("bridge/v1/poison/{kind}-{number}"), number as i64 + 1)
}

/// Publishes all messages, as fast as the broker takes them. MQTT properties are also left to the sender.
fn publish_all(port: u16, messages: impl ExactSizeIterator<Item = (Topic, Vec<u8>)>) {
    let mut options = MqttOptions::new("poison", "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(60));
    let (client, mut connection) = Client::new(options, 100);
    let expected = messages.len();
    let acknowledge = thread::spawn(move || {
        let is_ack = |event: &_| matches!(event, Ok(Event::Incoming(Packet::PubAck(_))));
        assert_eq!(connection.iter().filter(is_ack).take(expected).count(), expected);
    });
    for (number, (topic, payload)) in messages.enumerate() {
        let properties = PublishProperties {
            user_properties: vec![("key".repeat(number % 300), "value".repeat(number % 700))],
            correlation_data: Some(vec![0xff; number % 1_000].into()),
            content_type: Some("text/\u{feff}odd".to_owned()),
            payload_format_indicator: Some(1),
            ..PublishProperties::default()
        };
        let sent = client.publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties);
        sent.expect("the channel has room");
    }
    acknowledge.join().expect("all were acknowledged");
}

/// Mixes good events and poison in a random order. A message that collides comes after the one that it collides with.
fn mixed(seed: u64) -> Vec<(bool, usize)> {
    let mut messages: Vec<(bool, usize)> = (0..COUNT).flat_map(|number| [(true, number), (false, number)]).collect();
    let mut random = Random::new(seed);
    for end in (1..messages.len()).rev() {
        messages.swap(end, random.below(end as u64 + 1) as usize);
    }
    messages
}

/// What a database holds after the test.
struct Held {
    events: i64,
    good: i64,
    /// Topic and reason of each refused message.
    refused: Vec<(String, String)>,
}

fn held_by_postgres(client: &mut Postgres) -> Held {
    let mut count = |sql: &str| client.query_one(sql, &[]).expect("a count").get(0);
    let events = count("SELECT count(*) FROM event WHERE source NOT LIKE '%/ready/%'");
    let good =
        count("SELECT count(*) FROM event WHERE source LIKE 'bridge/v1/good/%' OR source LIKE 'bridge/v1/odd/%'");
    let refused = client.query("SELECT topic, reason FROM refused", &[]).expect("rows");
    Held { events, good, refused: refused.iter().map(|row| (row.get(0), row.get(1))).collect() }
}

fn held_by_sqlite(path: &str) -> Held {
    let connection = rusqlite::Connection::open(path).expect("a database");
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get(0)).expect("a count");
    let events = count("SELECT count(*) FROM event WHERE source NOT LIKE '%/ready/%'");
    let good =
        count("SELECT count(*) FROM event WHERE source LIKE 'bridge/v1/good/%' OR source LIKE 'bridge/v1/odd/%'");
    let mut refused = connection.prepare("SELECT topic, reason FROM refused").expect("a query");
    let refused = refused.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    Held { events, good, refused: refused.collect::<Result<_, _>>().expect("rows") }
}

fn check(held: &Held) {
    let collisions = (0..COUNT).filter(|number| POISON[number % POISON.len()].0 == "collides").count();
    assert_eq!((held.events, held.good), (COUNT as i64, (COUNT - collisions) as i64));
    assert_eq!(held.refused.len(), COUNT);
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for (topic, reason) in &held.refused {
        assert!(!reason.is_empty(), "{topic}");
        let kinds = POISON.iter().map(|(kind, _)| *kind).filter(|kind| topic.contains(&format!("/{kind}-")));
        let kind = kinds.max_by_key(|kind| kind.len());
        // The name of the kind is after the part of the topic that was kept.
        *found.entry(kind.unwrap_or("long-site")).or_default() += 1;
    }
    for (place, (kind, _)) in POISON.iter().enumerate() {
        let expected = (0..COUNT).filter(|number| number % POISON.len() == place).count();
        assert_eq!(found.get(kind), Some(&expected), "{kind}: {found:?}");
    }
}

#[needs(mosquitto, postgresql)]
#[test]
fn ten_thousand_poison_messages_of_all_kinds_stop_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (server, file) = (PostgresServer::start(), sqlite(&dir));
    for (name, address) in [("server", server.address()), ("file", file.clone())] {
        let port = free_port();
        let _broker = Broker::start_with(port, "max_queued_messages 0\nmax_inflight_messages 1000");
        let mut collecting = Collecting::started(name, port, &address);
        collecting.wait_until_ready(port, name);
        let messages = mixed(17).into_iter();
        publish_all(port, messages.map(|(is_good, number)| if is_good { good(number) } else { poison(number) }));
        let held = || match name {
            "server" => held_by_postgres(&mut server.client()),
            _ => held_by_sqlite(file.strip_prefix("sqlite:").expect("a file")),
        };
        eventually("all are stored or set aside", || {
            assert!(collecting.is_running(), "{}", collecting.log());
            let held = held();
            held.events == COUNT as i64 && held.refused.len() == COUNT
        });
        check(&held());
        assert!(collecting.stop().0.success(), "{}", collecting.log());
        let log = collecting.log();
        assert!(log.contains("nested deeper than") || log.contains("NUL"), "{log}");
        assert!(log.lines().count() < 100, "{} lines", log.lines().count());
        // No message is left that could arrive again.
        collecting.start();
        collecting.wait_until_ready(port, "again");
        check(&Held { events: held().events, ..held() });
        collecting.kill();
    }
}

/// Trigger of the tables' owner that refuses, breaks or delays an event as its `do` says, whoever stores it.
const OWNERS_TRIGGER: &str = "
    CREATE FUNCTION owner_rule() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        CASE NEW.body->>'do'
            WHEN 'kill' THEN COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID';
            WHEN 'terminate' THEN PERFORM pg_terminate_backend(pg_backend_pid());
            WHEN 'sleep' THEN PERFORM pg_sleep(600);
            WHEN 'skip' THEN RETURN NULL;
            ELSE IF NEW.body ? 'do' THEN RAISE EXCEPTION 'the owner says no' USING ERRCODE = NEW.body->>'do'; END IF;
        END CASE;
        RETURN NEW;
    END $$;
    CREATE TRIGGER owner_rule BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION owner_rule();
    -- Only when the transaction is committed.
    CREATE FUNCTION late_rule() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'too late' USING ERRCODE = '23514'; END $$;
    CREATE CONSTRAINT TRIGGER late_rule AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.body ? 'late') EXECUTE FUNCTION late_rule();
";

/// Codes of all classes of errors that a statement can have.
const CODES: [&str; 30] = [
    "08006", "0A000", "0L000", "21000", "22003", "22021", "22P02", "22P05", "23502", "23503", "23505", "23514",
    "25006", "26000", "28000", "2201B", "39P01", "40001", "40P01", "42501", "42703", "42P01", "53100", "53200",
    "54000", "54001", "55P03", "57P03", "58030", "XX000",
];

#[needs(mosquitto, postgresql)]
#[test]
fn whatever_the_database_says_of_a_message_the_others_are_stored() {
    let (port, server) = (free_port(), PostgresServer::start());
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    let mut collecting = Collecting::with("one", port, &server.address(), "[collect.limits]\nstatement_s = 1");
    collecting.start();
    collecting.wait_until_ready(port, "one");
    server.client().batch_execute(OWNERS_TRIGGER).expect("a trigger");
    let source = "bridge/v1/site/unit";
    let poison: Vec<Value> =
        CODES.iter().copied().chain(["kill", "terminate", "sleep", "skip"]).map(|code| json!({ "do": code })).collect();
    let poison = poison.into_iter().chain([json!({ "late": true })]);
    let more = poison.chain((0..300).map(|_| json!({})));
    let mut messages: Vec<(Topic, Vec<u8>)> = (1..)
        .zip(more)
        .map(|(number, more)| {
            changed(source, number, |event| {
                event.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            })
        })
        .collect();
    messages.sort_by_key(|(_, payload)| payload.iter().map(|byte| u32::from(*byte)).sum::<u32>() % 97);
    publish_all(port, messages.into_iter());
    let refused = || {
        // The server restarts now and then.
        let mut client = Postgres::connect(&server.address(), NoTls).ok()?;
        Some(client.query("SELECT reason FROM refused", &[]).ok()?.len())
    };
    eventually("all are stored or set aside", || {
        assert!(collecting.is_running(), "{}", collecting.log());
        refused() == Some(CODES.len() + 5)
    });
    collecting.wait_for(source, 300);
    let rows = server.client().query("SELECT sqlstate, payload, reason FROM refused", &[]).expect("rows");
    for row in &rows {
        let event: Value = serde_json::from_slice(row.get(1)).expect("the whole event");
        let (code, reason): (Option<&str>, &str) = (row.get(0), row.get(2));
        match event["do"].as_str() {
            Some("kill") => assert_eq!(code, None, "{reason}"),
            Some("terminate") => assert_eq!(code, Some("57P01"), "{reason}"),
            Some("sleep") => assert_eq!(code, Some("57014"), "{reason}"),
            Some("skip") => assert!(reason.contains("did not store it"), "{reason}"),
            Some(raised) => assert!(code == Some(raised) && reason.contains("the owner says no"), "{raised}: {reason}"),
            None => assert!(code == Some("23514") && reason.contains("too late"), "{reason}"),
        }
    }
    let log = collecting.log();
    assert!(
        log.contains("(SQLSTATE 54001)") && log.contains("the owner says no") && !log.contains("db error"),
        "{log}"
    );
}
