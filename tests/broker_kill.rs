//! The shipped settings of mosquitto: what it has acknowledged for a collector that is away outlives its being killed.

use std::path::Path;

use tempfile::TempDir;

use crate::support::collecting::{Collecting, device, event, sqlite};
use crate::support::{Broker, eventually, free_port, publish};

const SHIPPED: &str = include_str!("../deploy/central/mosquitto.conf");
const ROUNDS: i64 = 30;
const SOURCE: &str = "bridge/v1/site/unit";

/// The shipped lines that say what is kept, for a broker of the test's own, and without those that begin with `left_out`.
fn keeping(dir: &Path, left_out: &str) -> String {
    let is_about = |line: &&str| ["persistence", "autosave", "max_queued"].iter().any(|begin| line.starts_with(begin));
    let lines = SHIPPED.lines().filter(is_about).filter(|line| left_out.is_empty() || !line.starts_with(left_out));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    assert!(text.contains("/var/lib/mosquitto/"), "{text}");
    text.replace("/var/lib/mosquitto/", &format!("{}/", dir.display()))
}

/// Of 30 events, each followed by SIGKILL for the broker when it has acknowledged it, how many a collector gets that was
/// away meanwhile.
fn kept(left_out: &str) -> u64 {
    let (dir, store): (TempDir, TempDir) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (port, settings) = (free_port(), keeping(store.path(), left_out));
    let mut collecting = Collecting::new("one", port, &sqlite(&dir));
    for round in 1..=ROUNDS {
        let broker = Broker::start_with(port, &settings);
        // mosquitto keeps the messages of a session, but not what a group of collectors has subscribed to.
        collecting.start();
        let connected = |log: &str| log.matches("connected to").count() as i64;
        eventually("a subscription", || connected(&collecting.log()) == round);
        assert!(collecting.stop().0.success());
        publish(port, &format!("{SOURCE}/capture/result"), &event(SOURCE, &format!("e-{round}"), round), false);
        if let Ok(ms) = std::env::var("MS") {
            std::thread::sleep(std::time::Duration::from_micros(ms.parse().unwrap()));
        }
        broker.kill();
    }
    let _broker = Broker::start_with(port, &settings);
    collecting.start();
    // What the broker holds comes before what is published now.
    collecting.wait_until_ready(port, "again");
    device(&collecting.report().1, SOURCE)["events"].as_u64().unwrap_or(0)
}

#[test]
fn a_killed_broker_has_what_it_acknowledged() {
    assert_eq!(kept(""), ROUNDS as u64);
}

#[test]
fn without_saving_every_change_a_killed_broker_loses_what_it_acknowledged() {
    assert!(kept("autosave") < ROUNDS as u64 / 2);
}
