//! Checks the uplink against a broker that misbehaves. Each test is named after the fault that it must survive: nothing
//! may be lost, and no more events may arrive twice than were in flight.
//!
//! The list names all faults that a device must survive, with the tests that check it. Tests without a file name are in
//! this file.
//!
//! - kill -9 at random moments: `a_device_that_is_killed_at_random_moments_loses_nothing` (journal_faults;
//!   BRIDGECLIP_KILLS=10000), `a_killed_daemon_loses_nothing` (delivery)
//! - every write and sync fails once: `every_write_and_sync_that_finds_the_drive_full_once_costs_nothing`,
//!   `every_write_and_sync_that_fails_once_with_an_io_error_costs_nothing`,
//!   `every_write_and_sync_that_finds_a_read_only_drive_once_costs_nothing`,
//!   `a_full_drive_refuses_photos_loses_nothing_and_goes_on_when_there_is_room`,
//!   `a_daemon_goes_on_by_itself_when_its_drive_works_again` (journal_faults);
//!   `a_deletion_that_fails_is_made_good_and_stops_delivery_meanwhile`
//! - broker killed, restarted: `broker_is_killed_and_restarted`, `broker_closes_the_connection_in_the_middle`;
//!   `a_restarted_broker_gets_what_came_meanwhile` (delivery)
//! - broker black-holed: `broker_is_black_holed_while_connecting`,
//!   `half_open_tcp_is_noticed_while_events_are_on_their_way`
//! - broker slow: `broker_is_slow`, `receive_maximum_of_one`
//! - broker refuses: `broker_refuses_and_comes_round`, `broker_does_not_authorise_the_device`,
//!   `another_client_takes_the_session_over`, `one_event_has_an_invalid_payload`,
//!   `packet_too_large_for_what_the_broker_announced`
//! - broker's quota exceeded: `quota_exceeded`
//! - PUBACK missing, repeated, out of order, foreign: `puback_missing`, `puback_repeated`, `puback_out_of_order`,
//!   `puback_foreign`
//! - broker refuses a topic, a class, single events or everything: `a_denied_topic_holds_up_nothing_else`,
//!   `when_every_event_is_refused_none_is_set_aside`, `a_quota_holds_back_nothing_that_is_more_urgent` (refusals)
//! - all of these, mixed by a seed: `broker_in_every_mood` (moods); on a simulated clock, with kills, starts and clock
//!   steps: `a_few_simulated_days_lose_nothing`, `a_simulated_year_of_ten_devices_loses_nothing` (simulated)
//! - half-open TCP: `half_open_tcp_is_noticed_while_nothing_is_sent`,
//!   `half_open_tcp_is_noticed_while_events_are_on_their_way`
//! - torn photo: `a_photo_torn_at_every_1_kib_is_classified_once_it_is_whole` (photos),
//!   `a_torn_photo_is_classified_once_it_is_whole` (intake), `every_prefix_is_refused` (decode)
//! - header bombs, zlib bombs, huge EXIF and XMP: `bombs_are_refused_within_the_memory_of_a_photo` (photos),
//!   `headers_that_announce_too_much_are_refused_before_anything_is_allocated`,
//!   `data_that_unpacks_to_more_than_the_picture_is_left_alone` (decode), `damage_and_impossible_lengths_end_well`
//!   (exif), `hostile_packets_are_refused` (xmp)
//! - `device.db` with flipped bits: `one_flipped_bit`, `flipped_bits_all_over_the_file`,
//!   `flipped_bits_in_the_first_page`, `damage_while_the_daemon_works_is_mended_at_once` (journal_damage)
//! - truncated WAL: `a_truncated_wal`, `flipped_bits_in_the_wal`, `a_lost_wal` (journal_damage)
//! - clock at 1970, +-20 years, stepping back: `the_order_does_not_depend_on_the_clock` (journal),
//!   `dates_that_cannot_be_are_not_believed`, `steps_of_the_wall_clock_are_noticed` (clock),
//!   `captures_before_the_first_sync_get_their_time` (later)
//! - serial line: noise, 1 MB without newline, unplugged and back: `the_rate_is_found_among_the_noise_of_wrong_ones`,
//!   `a_megabyte_without_a_line_end_does_no_harm`,
//!   `a_receiver_that_is_unplugged_and_plugged_in_again_is_followed_again` (line)
//! - commands replayed, retained, stale, for another device: `commands_replayed_are_refused_also_after_a_restart`,
//!   `commands_retained_are_refused`, `commands_stale_are_refused`, `commands_for_another_device_are_refused`
//!   (commands)
//! - TLS: expired, wrong host, self-signed, plain text: `tls_certificate_has_expired`,
//!   `tls_certificate_is_for_another_host`, `tls_certificate_is_self_signed`, `tls_is_answered_in_plain_text` (tls)
//! - model package: wrong hash: `a_package_with_a_wrong_hash_is_refused`,
//!   `a_package_with_a_changed_byte_is_refused_and_the_daemon_works_on` (packages),
//!   `damage_is_found_and_named` (package)
//! - model package: bad signature: `a_package_with_a_bad_signature_is_refused`,
//!   `a_package_signed_with_a_wrong_key_is_refused` (packages)
//! - model package: NaN weights: `a_package_with_nan_weights_is_refused` (packages),
//!   `weights_that_are_no_weights_are_refused`, `constants_of_ordinary_nodes_must_be_finite` (fused/load)
//! - model package: wrong shape: `a_package_of_a_wrong_shape_is_refused` (packages),
//!   `a_package_of_the_wrong_shape_is_refused` (encoders)
//! - model package: the previous one stays: `a_package_that_fails_at_start_gives_way_to_the_last_good_one`,
//!   `a_power_cut_during_installation_leaves_a_whole_package` (packages)

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bridgeclip::journal::EventClass::{Correction, Detail, Result as Results, Thumbnail, Urgent};
use bridgeclip::journal::NewResult;
use bridgeclip::uplink::{LinkEvent, LinkState, Params, Settings};
use serde_json::{Value, json};

use crate::support::results::{identity, result};
use crate::support::{Act, FaultyBroker, Heard, Limits, PREFIX, Publish, Station, eventually, politely, reason};

const IN_FLIGHT: usize = 16;

/// Returns the id of an event, or `None` for a status or health message.
fn event(publish: &Publish) -> Option<String> {
    let is_event = publish.topic == format!("{PREFIX}/capture/result");
    let payload: Value = serde_json::from_slice(&publish.payload).expect("JSON");
    is_event.then(|| payload["id"].as_str().expect("an id").to_owned())
}

fn events(broker: &FaultyBroker) -> Vec<String> {
    broker.received().iter().filter_map(event).collect()
}

/// Returns the number within an event's name: 7 for "result-7".
fn index(event: &str) -> usize {
    event.rsplit('-').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Checks that every event arrived, and that at most `twice` of them arrived more than once.
fn expect_all(station: &Station, broker: &FaultyBroker, count: usize, twice: usize) {
    station.wait_until_delivered();
    let events = events(broker);
    let distinct: HashSet<_> = events.iter().collect();
    assert_eq!(distinct.len(), count, "every event arrived");
    assert!(events.len() - count <= twice, "{} arrived twice, {twice} may", events.len() - count);
    assert_eq!(station.depth().set_aside, 0);
}

fn station_with(count: usize) -> Station {
    let station = Station::new();
    station.queue(Results, "result", count, 300);
    station
}

#[test]
fn puback_missing() {
    let mut station = station_with(100);
    // The tenth event of the first two connections is never acknowledged.
    let mut seen = HashMap::new();
    let broker = FaultyBroker::start(move |connection, heard| {
        if let Heard::Publish(publish) = heard
            && event(publish).is_some()
        {
            let count = seen.entry(connection).or_insert(0);
            *count += 1;
            if connection < 2 && *count == 10 {
                return Vec::new();
            }
        }
        politely(heard)
    });
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 100, 2 * IN_FLIGHT);
    assert_eq!(broker.connections().len(), 3);
    let (_, reason) = station.wait_for_offline();
    assert!(reason.contains("no acknowledgement for"), "{reason}");
}

#[test]
fn puback_repeated() {
    let mut station = station_with(100);
    let mut count = 0;
    let broker = FaultyBroker::start(move |_, heard| match heard {
        Heard::Publish(publish) if publish.qos == 1 => {
            count += 1;
            let repeats = if count % 20 == 0 { 2 } else { 1 };
            vec![Act::Ack(publish.packet); repeats]
        }
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 100, 6 * IN_FLIGHT);
}

#[test]
fn puback_out_of_order() {
    let mut station = station_with(200);
    let mut held = Vec::new();
    let broker = FaultyBroker::start(move |_, heard| match heard {
        Heard::Publish(publish) if event(publish).is_some() => {
            held.push(publish.packet);
            if held.len() < 8 { Vec::new() } else { held.drain(..).rev().map(Act::Ack).collect() }
        }
        Heard::Idle => held.drain(..).rev().map(Act::Ack).collect(),
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 200, 0);
    assert_eq!(broker.connections().len(), 1, "order does not matter");
}

#[test]
fn puback_foreign() {
    let mut station = station_with(100);
    let mut count = 0;
    let broker = FaultyBroker::start(move |_, heard| {
        count += 1;
        let mut acts = politely(heard);
        if count % 40 == 0 {
            acts.insert(0, Act::Ack(if count % 80 == 0 { 900 } else { 60_000 }));
        }
        acts
    });
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 100, 10 * IN_FLIGHT);
}

#[test]
fn broker_refuses_and_comes_round() {
    let mut station = station_with(20);
    let broker = FaultyBroker::start(|connection, heard| match heard {
        Heard::Connect { .. } if connection < 4 => vec![Act::Refuse(reason::SERVER_BUSY), Act::Close],
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 20, 0);
    assert_eq!(broker.connections().len(), 5);
}

#[test]
fn broker_does_not_authorise_the_device() {
    let mut station = station_with(20);
    let broker = FaultyBroker::start(|connection, heard| match heard {
        Heard::Connect { .. } if connection < 2 => vec![Act::Refuse(reason::NOT_AUTHORISED), Act::Close],
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    let refusal = station.wait_for_refusal();
    assert!(refusal.contains("not authorised") && refusal.contains("access list"), "{refusal}");
    eventually("a refused state", || station.link.state() == LinkState::Refused);
    expect_all(&station, &broker, 20, 0);
    let connections = broker.connections();
    let pause = connections[1].duration_since(connections[0]);
    assert!(pause >= Duration::from_millis(150), "a longer pause than after a broken link: {pause:?}");
    assert_eq!(connections.len(), 3);
}

#[test]
fn another_client_takes_the_session_over() {
    let mut station = station_with(5);
    let broker = FaultyBroker::start(|connection, heard| match heard {
        Heard::Publish(_) if connection == 0 => vec![Act::Disconnect(reason::SESSION_TAKEN_OVER)],
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    let refusal = station.wait_for_refusal();
    assert!(refusal.contains("another client uses this device's site and id"), "{refusal}");
    expect_all(&station, &broker, 5, IN_FLIGHT);
}

#[test]
fn quota_exceeded() {
    let mut station = station_with(50);
    let mut refusals = 30;
    let broker = FaultyBroker::start(move |_, heard| match heard {
        Heard::Publish(publish) if refusals > 0 && event(publish).is_some() => {
            refusals -= 1;
            vec![Act::Answer(publish.packet, reason::QUOTA_EXCEEDED)]
        }
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    let (_, held) = station.wait_for("a held queue", |event| match event {
        LinkEvent::Held { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert!(held.contains("quota"), "{held}");
    expect_all(&station, &broker, 50, 30);
    assert_eq!(broker.connections().len(), 1, "the link stays");
}

#[test]
fn one_event_has_an_invalid_payload() {
    let mut station = station_with(60);
    let broker = FaultyBroker::start(|_, heard| match heard {
        Heard::Publish(publish) if event(publish).is_some_and(|event| event == "result-30") => {
            vec![Act::Answer(publish.packet, reason::PAYLOAD_FORMAT_INVALID)]
        }
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    eventually("one event that waits", || station.depth().total() == 1);
    let held = station.link.held();
    assert!(held.len() == 1 && held[0].events == Some(1) && held[0].reason.contains("format"), "{held:?}");
    eventually("a link that says so", || station.link.state() == LinkState::Held);
    station.queue_until_one_is_set_aside();
    expect_one_set_aside(&station, &broker, 60, "format of the payload");
    assert_eq!(broker.connections().len(), 1, "the others went on");
    assert_eq!(events(&broker).iter().filter(|event| *event == "result-30").count(), 5, "tried five times");
}

/// Checks that event 30 is set aside for the expected reason and reported once, and that all others arrived.
fn expect_one_set_aside(station: &Station, broker: &FaultyBroker, count: usize, expected: &str) {
    station.wait_until_delivered();
    assert_eq!(station.depth().set_aside, 1);
    let set_aside: Vec<_> = station
        .reports()
        .into_iter()
        .filter_map(|(_, event)| match event {
            LinkEvent::SetAside(row, reason) => Some((row, reason)),
            _ => None,
        })
        .collect();
    assert_eq!(set_aside.len(), 1);
    assert_eq!(set_aside[0].0, Results.floor() + 31, "by its row");
    assert!(set_aside[0].1.contains(expected), "{}", set_aside[0].1);
    let is_other = |event: &String| event != "result-30" && !event.starts_with("later-");
    let others: HashSet<_> = events(broker).into_iter().filter(is_other).collect();
    assert_eq!(others.len(), count - 1);
}

#[test]
fn packet_too_large_for_what_the_broker_announced() {
    let mut station = Station::new();
    station.queue(Results, "result", 30, 300);
    station.queue(Results, "large", 1, 3_000);
    station.queue(Results, "more", 30, 300);
    let broker = FaultyBroker::start(|_, heard| match heard {
        Heard::Connect { .. } => vec![Act::Welcome(Limits { packet_bytes_max: Some(2_000), ..Limits::default() })],
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    station.wait_until_delivered();
    assert_eq!(events(&broker).len(), 60);
    assert!(!events(&broker).contains(&"large-0".to_owned()), "never sent");
    let (_, (row, reason)) = station.wait_for("an event set aside", |event| match event {
        LinkEvent::SetAside(row, reason) => Some((*row, reason.clone())),
        _ => None,
    });
    assert_eq!(row, Results.floor() + 31);
    assert!(reason.contains("this broker takes 2000"), "{reason}");
    assert_eq!(broker.connections().len(), 1);
}

#[test]
fn packet_too_large_and_the_broker_just_disconnects() {
    let mut station = station_with(60);
    let broker = FaultyBroker::start(|_, heard| match heard {
        Heard::Publish(publish) if event(publish).is_some_and(|event| event == "result-30") => {
            vec![Act::Disconnect(reason::PACKET_TOO_LARGE)]
        }
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    // The broker does not say which event it refused, so the uplink sends them singly until it has found it.
    station.queue_until_one_is_set_aside();
    expect_one_set_aside(&station, &broker, 60, "PacketTooLarge");
}

#[test]
fn broker_falls_over_one_event_without_a_word() {
    let mut station = station_with(60);
    let broker = FaultyBroker::start(|_, heard| match heard {
        Heard::Publish(publish) if event(publish).is_some_and(|event| event == "result-30") => vec![Act::Close],
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    eventually("one event that waits", || station.depth().total() == 1);
    let others = events(&broker).iter().filter(|event| *event != "result-30").count();
    station.queue_until_one_is_set_aside();
    expect_one_set_aside(&station, &broker, 60, "ends the connection over it");
    assert!(others <= 59 + 3 * IN_FLIGHT, "{others} were sent for 59");
}

#[test]
fn broker_falls_over_every_event_and_nothing_is_set_aside() {
    let mut station = station_with(20);
    let broker = FaultyBroker::start(|connection, heard| match heard {
        Heard::Publish(publish) if connection < 40 && event(publish).is_some() => vec![Act::Close],
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    station.wait_until_delivered();
    assert_eq!(station.depth().set_aside, 0, "it was the broker");
    assert!(broker.connections().len() > 40);
}

#[test]
fn receive_maximum_of_one() {
    let mut station = station_with(60);
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::clone(&open);
    let mut unanswered: Vec<u16> = Vec::new();
    let broker = FaultyBroker::start(move |_, heard| match heard {
        Heard::Connect { .. } => vec![Act::Welcome(Limits { receive_max: Some(1), ..Limits::default() })],
        Heard::Publish(publish) if publish.qos == 1 => {
            unanswered.push(publish.packet);
            most.fetch_max(unanswered.len(), Ordering::Relaxed);
            Vec::new()
        }
        Heard::Idle => unanswered.drain(..).map(Act::Ack).collect(),
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 60, 0);
    assert_eq!(open.load(Ordering::Relaxed), 1, "never two at once");
}

#[test]
fn broker_is_slow() {
    let mut station = station_with(100);
    let broker = FaultyBroker::start(|_, heard| match heard {
        Heard::Publish(_) => [vec![Act::Wait(Duration::from_millis(15))], politely(heard)].concat(),
        _ => politely(heard),
    });
    station.start(Params { stall: Duration::from_millis(500), ..Station::params(broker.port) });
    expect_all(&station, &broker, 100, 0);
    assert_eq!(broker.connections().len(), 1, "slow is not dead");
}

#[test]
fn broker_is_black_holed_while_connecting() {
    let mut station = station_with(10);
    let broker = FaultyBroker::start(|connection, heard| match heard {
        Heard::Connect { .. } if connection == 0 => vec![Act::Freeze],
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    let (_, reason) = station.wait_for_offline();
    assert!(reason.contains("no answer"), "{reason}");
    expect_all(&station, &broker, 10, 0);
}

#[test]
fn broker_closes_the_connection_in_the_middle() {
    let mut station = station_with(200);
    let mut count = 0;
    let broker = FaultyBroker::start(move |_, heard| {
        count += 1;
        match heard {
            Heard::Publish(_) if count % 50 == 0 => vec![Act::Close],
            // Half of an acknowledgement.
            Heard::Publish(_) if count % 70 == 0 => vec![Act::Bytes(vec![0x40, 2, 0]), Act::Close],
            _ => politely(heard),
        }
    });
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 200, 8 * IN_FLIGHT);
}

#[test]
fn broker_is_killed_and_restarted() {
    let mut station = station_with(300);
    let slowly = |_, heard: &Heard| match heard {
        Heard::Publish(_) => [vec![Act::Wait(Duration::from_millis(1))], politely(heard)].concat(),
        _ => politely(heard),
    };
    let mut broker = FaultyBroker::start(slowly);
    let port = broker.port;
    station.start(Station::params(port));
    let mut arrived = Vec::new();
    for _ in 0..3 {
        eventually("some events", || events(&broker).len() >= 50);
        arrived.extend(broker.kill().iter().filter_map(event));
        // Nothing listens meanwhile.
        thread::sleep(Duration::from_millis(200));
        broker = FaultyBroker::start_at(port, slowly);
    }
    station.wait_until_delivered();
    arrived.extend(events(&broker));
    let distinct: HashSet<_> = arrived.iter().collect();
    assert_eq!(distinct.len(), 300, "every event arrived");
    assert!(arrived.len() - 300 <= 3 * IN_FLIGHT, "{} arrived twice", arrived.len() - 300);
}

#[test]
fn broker_sends_what_is_not_mqtt() {
    let mut station = station_with(20);
    let garbage: [&[u8]; 6] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0x40, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        &[0x20, 0],
        &[0xF0, 0],
        &[0x30, 0xFF, 0xFF, 0xFF, 0x7F],
        // A topic alias, which the client has not allowed.
        &[0x30, 9, 0, 1, b'a', 3, 0x23, 0, 7, b'x', b'y'],
    ];
    let broker = FaultyBroker::start(move |connection, heard| match (garbage.get(connection), heard) {
        (Some(bytes), Heard::Publish(_)) => vec![Act::Bytes(bytes.to_vec())],
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 20, 6 * IN_FLIGHT);
}

#[test]
fn half_open_tcp_is_noticed_while_nothing_is_sent() {
    let mut station = station_with(1);
    let keep_alive = Station::params(0).endpoint.keep_alive;
    let frozen = Arc::new(Mutex::new(None));
    let at = Arc::clone(&frozen);
    // The link dies right after the first answered ping, which is the worst moment.
    let broker = FaultyBroker::start(move |connection, heard| match heard {
        Heard::Ping if connection == 0 => {
            *at.lock().expect("no panic") = Some(Instant::now());
            vec![Act::Pong, Act::Freeze]
        }
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    let (noticed, reason) = station.wait_for_offline();
    let dead_for = noticed.duration_since(frozen.lock().expect("no panic").expect("a ping"));
    assert!(dead_for <= keep_alive.mul_f64(1.5), "{dead_for:?}");
    assert!(reason.contains("ping"), "{reason}");
    eventually("a new connection", || broker.connections().len() == 2 && station.link.is_online());
}

#[test]
fn half_open_tcp_is_noticed_while_events_are_on_their_way() {
    let mut station = station_with(0);
    let keep_alive = Station::params(0).endpoint.keep_alive;
    let broker = FaultyBroker::start(|connection, heard| match heard {
        Heard::Publish(publish) if connection == 0 && event(publish).is_some() => vec![Act::Freeze],
        _ => politely(heard),
    });
    // The promise also has to hold for a stall time that is longer, and for more data than the socket's buffers hold.
    station.queue(Results, "large", 40, 60_000);
    let begin = Instant::now();
    station.start(Params { stall: Duration::from_secs(60), ..Station::params(broker.port) });
    let (noticed, _) = station.wait_for_offline();
    let dead_for = noticed.duration_since(begin);
    assert!(dead_for <= keep_alive.mul_f64(1.5), "{dead_for:?}");
    expect_all(&station, &broker, 40, IN_FLIGHT);
}

#[test]
fn urgent_results_overtake_the_queue() {
    let mut station = station_with(500);
    let broker = FaultyBroker::start(|_, heard| match heard {
        Heard::Publish(_) => [vec![Act::Wait(Duration::from_millis(2))], politely(heard)].concat(),
        _ => politely(heard),
    });
    station.start(Station::params(broker.port));
    eventually("some results", || events(&broker).len() > 50);
    let before = events(&broker).len();
    station.queue(Urgent, "urgent", 1, 300);
    expect_all(&station, &broker, 501, 0);
    let place = events(&broker).iter().position(|event| event == "urgent-0").expect("it arrived");
    // Events before the urgent one: those on their way already, and those sent while its row was written.
    assert!(place <= before + 2 * IN_FLIGHT, "place {place} after {before}");
}

#[test]
fn classes_go_in_their_order_and_thumbnails_last() {
    let mut station = Station::new();
    for (class, name) in [
        (Thumbnail, "thumbnail"),
        (Detail, "detail"),
        (Correction, "correction"),
        (Results, "result"),
        (Urgent, "urgent"),
    ] {
        station.queue(class, name, 5, 300);
    }
    let broker = FaultyBroker::start(|_, heard| politely(heard));
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 25, 0);
    let names: Vec<_> = events(&broker).iter().map(|event| event[..event.len() - 2].to_owned()).collect();
    let mut order = names.clone();
    order.dedup();
    assert_eq!(order, ["urgent", "result", "correction", "detail", "thumbnail"]);
    assert!(events(&broker).chunks(5).all(|class| class.iter().map(|event| index(event)).eq(0..5)), "oldest first");
}

#[test]
fn a_metered_link_carries_no_details_and_no_thumbnails() {
    let mut station = Station::new();
    station.link.set(Settings { metered: true, bytes_per_s_max: None });
    for (class, name) in [(Thumbnail, "thumbnail"), (Detail, "detail"), (Results, "result"), (Urgent, "urgent")] {
        station.queue(class, name, 3, 300);
    }
    let broker = FaultyBroker::start(|_, heard| politely(heard));
    station.start(Station::params(broker.port));
    eventually("a live link", || station.link.state() == LinkState::Live);
    assert_eq!(events(&broker).len(), 6);
    assert_eq!(station.depth().waiting, [0, 0, 0, 3, 3]);
    station.link.set(Settings::default());
    expect_all(&station, &broker, 12, 0);
}

#[test]
fn the_rate_is_kept() {
    let mut station = station_with(40);
    station.link.set(Settings { metered: false, bytes_per_s_max: Some(4_000) });
    let broker = FaultyBroker::start(|_, heard| politely(heard));
    let begin = Instant::now();
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 40, 0);
    // 40 packets of some 370 bytes; the first 4,000 bytes go out without a wait.
    let seconds = begin.elapsed().as_secs_f64();
    let bytes = 40.0 * 372.0;
    assert!(seconds >= (bytes - 4_000.0 - 400.0) / 4_000.0 * 0.95, "{seconds} s");
    assert!(seconds <= bytes / 4_000.0 + 2.0, "{seconds} s");
}

#[test]
fn a_deletion_that_fails_is_made_good_and_stops_delivery_meanwhile() {
    let mut station = station_with(200);
    let broker = FaultyBroker::start(|_, heard| politely(heard));
    // Another program locks the database, so no commit can be made.
    let lock = rusqlite::Connection::open(station.path()).expect("open");
    lock.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    station.start(Station::params(broker.port));
    eventually("a full window", || events(&broker).len() == IN_FLIGHT);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(events(&broker).len(), IN_FLIGHT, "no more than may arrive twice after a power cut");
    lock.execute_batch("ROLLBACK").expect("unlock");
    drop(lock);
    expect_all(&station, &broker, 200, 0);
}

#[test]
fn a_stop_while_events_are_on_their_way_loses_nothing() {
    let mut station = station_with(300);
    let broker = FaultyBroker::start(|_, heard| match heard {
        Heard::Publish(_) => [vec![Act::Wait(Duration::from_millis(1))], politely(heard)].concat(),
        _ => politely(heard),
    });
    for round in 0..5 {
        station.start(Station::params(broker.port));
        let is_here = |publish: &&Publish| publish.connection == round && event(publish).is_some();
        eventually("events on their way", || broker.received().iter().filter(is_here).count() >= 10);
        station.stop();
    }
    station.start(Station::params(broker.port));
    expect_all(&station, &broker, 300, 5 * IN_FLIGHT);
    let is_status = |publish: &&Publish| publish.topic.ends_with("/status") && publish.retain;
    assert_eq!(broker.received().iter().filter(is_status).count(), 11, "each says hello, and goodbye when stopped");
}

#[test]
fn what_was_given_up_is_counted_in_the_health() {
    let mut station = Station::new();
    let thumbnail = Some(vec![0; 49 << 10]);
    station.journal.record(&identity(), NewResult { thumbnail, ..result(1) }).expect("stored");
    station.queue(Results, "poison", 1, 300);
    let broker = FaultyBroker::start(|_, heard| match heard {
        Heard::Publish(publish) if event(publish).is_some_and(|event| event == "poison-0") => {
            vec![Act::Answer(publish.packet, reason::PAYLOAD_FORMAT_INVALID)]
        }
        _ => politely(heard),
    });
    station.start(Params { health: Duration::from_millis(50), ..Station::params(broker.port) });
    station.queue_until_one_is_set_aside();
    let mut health = Value::Null;
    eventually("both losses", || {
        let received = broker.received();
        let last = received.iter().rfind(|publish| publish.topic.ends_with("/health"));
        health = last.map_or(Value::Null, |publish| serde_json::from_slice(&publish.payload).expect("JSON"));
        health["losses"]["events_set_aside"] == 1 && health["queue"]["depth"] == 0
    });
    assert_eq!(health["losses"]["thumbnails_dropped"], 1);
    assert_eq!((&health["queue"]["set_aside"], &health["queue"]["depth"]), (&json!(1), &json!(0)));
}

/// Keeps the table from naming tests that no longer exist.
#[test]
fn every_test_that_the_table_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: String =
        ["src", "crates", "tests"].into_iter().flat_map(|folder| rust_files(root.join(folder))).collect();
    let table: String = include_str!("faults.rs").lines().take_while(|line| line.starts_with("//!")).collect();
    let names: Vec<&str> = table.split('`').skip(1).step_by(2).filter(|name| name.contains('_')).collect();
    assert!(names.len() > 50, "{} names", names.len());
    for name in names {
        assert!(sources.contains(&format!("fn {name}() {{")), "{name}");
    }
}

/// Returns the text of every Rust file below a folder.
fn rust_files(dir: PathBuf) -> impl Iterator<Item = String> {
    let mut left = vec![dir];
    let mut files = Vec::new();
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.extension() {
                _ if path.is_dir() => left.push(path),
                Some(suffix) if suffix == "rs" => files.push(fs::read_to_string(path).expect("text")),
                _ => (),
            }
        }
    }
    files.into_iter()
}
