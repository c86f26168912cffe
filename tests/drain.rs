//! How fast a long queue is delivered to a real mosquitto, QoS 1, with durable deletion.
//!
//! `cargo test --release drain -- --ignored --nocapture --test-threads 1`

use std::process::{Command, Stdio};
use std::time::Instant;

use bridgeclip::uplink::Params;

use crate::support::results::record_all;
use crate::support::{Broker, Station, free_port};

/// Events a second.
fn drain(events: u64, in_flight: u16, settings: &str) -> f64 {
    let port = free_port();
    let _broker = Broker::start_with(port, &format!("max_queued_messages 0\n{settings}"));
    let mut consumer = Command::new("mosquitto_sub")
        .args(["-V", "5", "-q", "1", "-t", "bridge/#", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("mosquitto_sub, from the Debian package mosquitto-clients");
    let mut station = Station::new();
    record_all(&station.journal, 0..events);
    let begin = Instant::now();
    station.start(Params { in_flight, ..Station::params(port) });
    station.wait_until_delivered();
    let rate = events as f64 / begin.elapsed().as_secs_f64();
    consumer.kill().and_then(|()| consumer.wait()).expect("an end");
    rate
}

#[test]
#[ignore = "takes minutes, and says something only on a quiet machine"]
fn drain_of_100000_queued_events() {
    let singly = drain(5_000, 1, "");
    println!("one publish at a time: {singly:.0} events/s");
    for (name, settings) in [("20 (its default)", ""), ("65,535", "max_inflight_messages 0")] {
        let rate = drain(100_000, 256, settings);
        println!("receive maximum {name}: {rate:.0} events/s, {:.1} times as fast", rate / singly);
        assert!(rate >= 5_000.0 && rate >= 3.0 * singly);
    }
}
