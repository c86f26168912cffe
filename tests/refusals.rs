//! Checks every way in which a broker refuses messages: the refused part waits with its reason, and all else goes on.
//! Nothing is set aside while the event itself is not at fault.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bridgeclip::journal::EventClass::{Result as Results, Thumbnail, Urgent};
use bridgeclip::uplink::{LinkEvent, LinkState, Params};
use bridgeclip_needs::needs;
use serde_json::Value;

use crate::support::{
    Act, Broker, FaultyBroker, Heard, PREFIX, Publish, Station, Subscriber, eventually, free_port, politely, reason,
};

const THUMBS: usize = 100;

/// Kind of refusal by a broker.
#[derive(Clone, Copy, Debug)]
enum Way {
    Answer(u8),
    Disconnect(u8),
    Close,
}

const WAYS: [Way; 9] = [
    Way::Answer(reason::NOT_AUTHORISED),
    Way::Answer(reason::NO_SUBSCRIBER),
    Way::Answer(reason::TOPIC_INVALID),
    Way::Answer(reason::PAYLOAD_FORMAT_INVALID),
    Way::Answer(reason::UNSPECIFIED),
    Way::Answer(reason::QUOTA_EXCEEDED),
    Way::Disconnect(reason::NOT_AUTHORISED),
    Way::Disconnect(reason::TOPIC_INVALID),
    Way::Close,
];

impl Way {
    fn acts(self, packet: u16) -> Vec<Act> {
        match self {
            // A message without acknowledgement (QoS 0) has no packet number, and MQTT knows no answer to it.
            Way::Answer(_) if packet == 0 => vec![],
            Way::Answer(code) => vec![Act::Answer(packet, code)],
            Way::Disconnect(code) => vec![Act::Disconnect(code)],
            Way::Close => vec![Act::Close],
        }
    }
}

/// Starts a broker that refuses messages on topics that contain `part`, while `denies` is true.
fn denying(part: &'static str, way: Way, denies: &Arc<AtomicBool>) -> FaultyBroker {
    let denies = Arc::clone(denies);
    FaultyBroker::start(move |_, heard| match heard {
        Heard::Publish(publish) if publish.topic.contains(part) && denies.load(Ordering::Relaxed) => {
            way.acts(publish.packet)
        }
        _ => politely(heard),
    })
}

/// Returns the topic of another device's results.
fn result_of(device: usize) -> String {
    format!("bridge/v1/other/d{device}/capture/result")
}

/// Queues `events` events of each of `devices` other devices.
fn queue_of_others(station: &Station, devices: usize, events: usize) {
    for device in 0..devices {
        station.queue_on(&result_of(device), Results, &format!("d{device}"), events, 300);
    }
}

fn on<'a>(received: &'a [Publish], part: &str) -> Vec<&'a Publish> {
    received.iter().filter(|publish| publish.topic.contains(part)).collect()
}

fn held(station: &Station) -> Vec<String> {
    let words = |event| match event {
        LinkEvent::Held { what, .. } => Some(what),
        _ => None,
    };
    station.reports().into_iter().filter_map(|(_, event)| words(event)).collect()
}

/// Returns the longest time that an urgent event took, of `count` events one after the other.
fn slowest_urgent(station: &Station, broker: &FaultyBroker, count: usize) -> Duration {
    let one = |number| {
        let name = format!("urgent-{number}");
        let begin = Instant::now();
        station.queue(Urgent, &name, 1, 300);
        let has_come = |publish: &&Publish| String::from_utf8_lossy(&publish.payload).contains(&name);
        eventually("an urgent event", || broker.received().iter().any(|publish| has_come(&publish)));
        let took = begin.elapsed();
        thread::sleep(Duration::from_millis(100));
        took
    };
    (0..count).map(one).max().expect("some")
}

#[test]
fn a_denied_topic_holds_up_nothing_else() {
    for way in WAYS {
        println!("{way:?}");
        let mut station = Station::new();
        let denies = Arc::new(AtomicBool::new(true));
        let broker = denying("/capture/thumb/", way, &denies);
        station.queue(Results, "result", 50, 300);
        (0..THUMBS).for_each(|number| {
            station.queue_on(
                &format!("{PREFIX}/capture/thumb/{number}"),
                Thumbnail,
                &format!("thumb-{number}"),
                1,
                3_000,
            );
        });
        station.start(Station::params(broker.port));
        // With the shortest pauses a broken connection costs some 50 ms; with a device's own pauses, some seconds.
        let slowest = slowest_urgent(&station, &broker, 20);
        assert!(slowest < Duration::from_secs(2), "{way:?}: {slowest:?}");
        eventually("a link on which the rest waits", || station.link.state() == LinkState::Held);
        assert_eq!(station.depth().waiting, [0, 0, 0, 0, THUMBS as u64], "{way:?}");
        assert_eq!(station.depth().set_aside, 0, "{way:?}");
        let held = held(&station);
        let what = match way {
            Way::Answer(reason::QUOTA_EXCEEDED) => "events from class thumbnail on",
            _ => "bridge/v1/test/station/capture/thumb/#",
        };
        assert!(held.len() == 1 && held[0].starts_with(what), "{way:?}: told once: {held:?}");
        let tried = on(&broker.received(), "/thumb/").len();
        assert!(tried < 3 * THUMBS, "{way:?}: {tried} were sent in vain");
        denies.store(false, Ordering::Relaxed);
        station.wait_until_delivered();
        eventually("a live link", || station.link.state() == LinkState::Live);
        assert!(station.link.held().is_empty() && station.depth().set_aside == 0, "{way:?}");
        let lifted = station.reports().iter().any(|(_, event)| matches!(event, LinkEvent::Lifted(_)));
        assert!(lifted, "{way:?}");
    }
}

#[needs(mosquitto)]
#[test]
fn mosquittos_access_list_denies_thumbnails_and_an_urgent_photo_comes_without_delay() {
    let (dir, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
    let list = dir.path().join("list");
    let lines = ["read #", "write bridge/v1/test/station/status", "write bridge/v1/test/station/capture/result"];
    fs::write(&list, lines.map(|line| format!("topic {line}\n")).concat()).expect("write");
    let broker = Broker::start_with(port, &format!("acl_file {}", list.display()));
    let subscriber = Subscriber::start(port);
    subscriber.wait_until_subscribed();
    let mut station = Station::new();
    let thumbnail = |number: usize| format!("{PREFIX}/capture/thumb/{number}");
    (0..THUMBS).for_each(|number| {
        station.queue_on(&thumbnail(number), Thumbnail, &format!("thumb-{number}"), 1, 3_000);
    });
    // These are the pauses of a shipped device.
    let pauses =
        Params { retry_max: Duration::from_secs(60), refused_pause: Duration::from_secs(300), ..Station::params(port) };
    station.start(pauses);
    eventually("a link on which the rest waits", || station.link.state() == LinkState::Held);
    for number in 0..5 {
        let begin = Instant::now();
        station.queue(Urgent, &format!("urgent-{number}"), 1, 300);
        eventually("an urgent event", || subscriber.results().len() > number);
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(station.depth().waiting, [0, 0, 0, 0, THUMBS as u64]);
    assert!(!station.reports().iter().any(|(_, event)| matches!(event, LinkEvent::Offline(_) | LinkEvent::Refused(_))));
    let held = station.link.held_back(PREFIX).parts;
    let [thumbs, ..] = &held[..] else { panic!("nothing is held") };
    assert_eq!(thumbs.what, format!("{PREFIX}/capture/thumb/#"));
    assert!(thumbs.reason.contains("access list") && thumbs.next_try_s <= 300 && thumbs.events.is_none(), "{thumbs:?}");
    broker.kill();
}

#[test]
fn when_every_event_is_refused_none_is_set_aside() {
    for way in WAYS {
        println!("{way:?}");
        let mut station = Station::new();
        let denies = Arc::new(AtomicBool::new(true));
        let broker = denying("/capture/", way, &denies);
        station.queue(Results, "result", 100, 300);
        station.start(Station::params(broker.port));
        // Each pause is 300 ms at most, so this is time for far more than five tries.
        thread::sleep(Duration::from_secs(4));
        assert_eq!((station.depth().total(), station.depth().set_aside), (100, 0), "{way:?}");
        let state = station.link.state();
        assert!(state != LinkState::Live, "{way:?}");
        assert!(!station.link.held().is_empty(), "{way:?}");
        assert_eq!(held(&station).len(), 1, "{way:?}: told once: {:?}", held(&station));
        denies.store(false, Ordering::Relaxed);
        station.wait_until_delivered();
        assert_eq!(station.depth().set_aside, 0, "{way:?}");
        let ids: HashSet<String> = on(&broker.received(), "/capture/")
            .iter()
            .map(|publish| String::from_utf8_lossy(&publish.payload).into_owned())
            .collect();
        assert_eq!(ids.len(), 100, "{way:?}");
    }
}

#[test]
fn the_events_of_another_device_are_held_under_its_own_name() {
    let mut station = Station::new();
    let denies = Arc::new(AtomicBool::new(true));
    let broker = denying("bridge/v1/other/", Way::Answer(reason::NOT_AUTHORISED), &denies);
    queue_of_others(&station, 3, 40);
    station.queue(Results, "own", 50, 300);
    let begin = Instant::now();
    station.start(Station::params(broker.port));
    eventually("all of its own", || station.depth().total() == 120);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let expected: HashSet<String> = (0..3).map(result_of).collect();
    assert_eq!(held(&station).into_iter().collect::<HashSet<_>>(), expected);
    assert_eq!(broker.connections().len(), 1, "the link stays");
    denies.store(false, Ordering::Relaxed);
    station.wait_until_delivered();
}

#[test]
fn many_denied_devices_are_held_together() {
    let mut station = Station::new();
    let denies = Arc::new(AtomicBool::new(true));
    let broker = denying("bridge/v1/other/", Way::Answer(reason::NOT_AUTHORISED), &denies);
    queue_of_others(&station, 150, 1);
    // The device's own events too, as on a device whose queue came from others.
    station.queue(Results, "own", 20, 300);
    station.start(Station::params(broker.port));
    eventually("a link on which the rest waits", || station.link.state() == LinkState::Held);
    assert!(station.link.held().len() <= 65, "{}", station.link.held().len());
    denies.store(false, Ordering::Relaxed);
    station.wait_until_delivered();
    eventually("nothing held", || station.link.held().is_empty());
}

#[test]
fn a_quota_holds_back_nothing_that_is_more_urgent() {
    let mut station = Station::new();
    let denies = Arc::new(AtomicBool::new(true));
    let full = Arc::clone(&denies);
    let broker = FaultyBroker::start(move |_, heard| match heard {
        Heard::Publish(publish)
            if full.load(Ordering::Relaxed) && String::from_utf8_lossy(&publish.payload).contains("\"result-") =>
        {
            vec![Act::Answer(publish.packet, reason::QUOTA_EXCEEDED)]
        }
        _ => politely(heard),
    });
    station.queue(Results, "result", 50, 300);
    station.queue_on(&format!("{PREFIX}/capture/thumb/1"), Thumbnail, "thumb", 1, 300);
    station.start(Station::params(broker.port));
    let slowest = slowest_urgent(&station, &broker, 10);
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    eventually("all but what is held", || station.depth().total() == 51);
    assert_eq!(station.depth().waiting, [0, 50, 0, 0, 1], "what comes later does not use up the quota");
    denies.store(false, Ordering::Relaxed);
    station.wait_until_delivered();
    assert_eq!(broker.connections().len(), 1);
}

#[test]
fn the_report_of_health_names_what_is_held_and_why() {
    let mut station = Station::new();
    let denies = Arc::new(AtomicBool::new(true));
    let broker = denying("/capture/thumb/", Way::Answer(reason::NOT_AUTHORISED), &denies);
    station.queue_on(&format!("{PREFIX}/capture/thumb/1"), Thumbnail, "thumb", 1, 300);
    station.start(Params { health: Duration::from_millis(100), ..Station::params(broker.port) });
    let last = || -> Value {
        let received = broker.received();
        let health = received.iter().rfind(|publish| publish.topic.ends_with("/health"));
        health.map_or(Value::Null, |publish| serde_json::from_slice(&publish.payload).expect("JSON"))
    };
    eventually("a report of what is held", || !last()["held"].is_null());
    let held = last()["held"].clone();
    assert_eq!(held[0]["what"], format!("{PREFIX}/capture/thumb/#"));
    assert!(held[0]["reason"].as_str().expect("a reason").contains("access list"), "{held}");
    assert!(held[0]["for_s"].is_u64() && held[0]["next_try_s"].as_u64() <= Some(1), "{held}");
    denies.store(false, Ordering::Relaxed);
    station.wait_until_delivered();
    eventually("a report of nothing that is held", || last()["held"].is_null() && last()["queue"]["depth"] == 0);
}

#[test]
fn a_device_that_may_not_speak_of_itself_still_delivers() {
    for part in ["/status", "/health"] {
        for way in [Way::Answer(reason::NOT_AUTHORISED), Way::Disconnect(reason::NOT_AUTHORISED)] {
            let mut station = Station::new();
            let broker = denying(part, way, &Arc::new(AtomicBool::new(true)));
            station.queue(Results, "result", 20, 300);
            let params = Params { health: Duration::from_millis(200), ..Station::params(broker.port) };
            station.start(params);
            station.wait_until_delivered();
            let slowest = slowest_urgent(&station, &broker, 10);
            assert!(slowest < Duration::from_secs(2), "{part} {way:?}: {slowest:?}");
            let is_silent = part == "/health" && matches!(way, Way::Answer(_));
            let held = held(&station);
            assert_eq!(
                held.first().map(String::as_str),
                (!is_silent).then_some(&*format!("{PREFIX}{part}")),
                "{way:?}"
            );
            assert!(!station.reports().iter().any(|(_, event)| matches!(event, LinkEvent::Refused(_))));
        }
    }
}

#[test]
fn single_events_that_are_refused_hold_up_no_others_and_are_set_aside() {
    let mut station = Station::new();
    let is_bad = |publish: &Publish| String::from_utf8_lossy(&publish.payload).contains("\"bad-");
    let broker = FaultyBroker::start(move |_, heard| match heard {
        Heard::Publish(publish) if is_bad(publish) => {
            vec![Act::Answer(publish.packet, reason::PAYLOAD_FORMAT_INVALID)]
        }
        _ => politely(heard),
    });
    // Many bad events, at the head of the queue.
    station.queue(Results, "bad", 10, 300);
    station.queue(Results, "good", 100, 300);
    station.start(Station::params(broker.port));
    eventually("all good ones", || station.depth().total() <= 10);
    let mut count = 0;
    eventually("all bad ones set aside", || {
        station.queue(Results, &format!("later-{count}"), 1, 300);
        count += 1;
        station.depth().set_aside == 10
    });
    station.wait_until_delivered();
    for row in station.reader().set_aside(100).expect("rows") {
        assert!(row.tries == 5 && row.reason.contains("format of the payload"), "{row:?}");
    }
    let received = broker.received();
    let sent =
        |name: &str| received.iter().filter(|publish| String::from_utf8_lossy(&publish.payload).contains(name)).count();
    assert!((0..10).all(|number| sent(&format!("\"bad-{number}\"")) >= 5), "none was given up before");
    assert!((0..100).all(|number| sent(&format!("\"good-{number}\"")) == 1));
}
