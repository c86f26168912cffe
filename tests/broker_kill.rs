//! Checks the shipped settings of mosquitto: messages that it has acknowledged for an absent collector survive a
//! SIGKILL.

use std::path::Path;
use std::thread;
use std::time::Duration;

use bridgeclip_needs::needs;
use tempfile::TempDir;

use crate::support::collecting::{Collecting, device, event, sqlite};
use crate::support::{Broker, eventually, free_port, publish};

const SHIPPED: &str = include_str!("../deploy/central/mosquitto.conf");
const ROUNDS: i64 = 30;
/// Time after which mosquitto has saved a message that it acknowledged. It saves once per round of its loop, which
/// takes at most a tenth of a second. Whatever its settings, messages that it acknowledged within the last tenth of a
/// second are lost.
const SAVED_AFTER: Duration = Duration::from_millis(300);
const SOURCE: &str = "bridge/v1/site/unit";

/// Returns the shipped settings that govern what is kept, for a broker of the test's own. Leaves out those that begin
/// with `left_out`.
fn keeping(dir: &Path, left_out: &str) -> String {
    let is_about = |line: &&str| ["persistence", "autosave", "max_queued"].iter().any(|begin| line.starts_with(begin));
    let lines = SHIPPED.lines().filter(is_about).filter(|line| left_out.is_empty() || !line.starts_with(left_out));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    assert!(text.contains("/var/lib/mosquitto/"), "{text}");
    text.replace("/var/lib/mosquitto/", &format!("{}/", dir.display()))
}

/// Returns how many of 30 events reach a collector that was absent meanwhile. The broker is killed by SIGKILL soon
/// after it acknowledges each event.
fn kept(left_out: &str) -> u64 {
    let (dir, store): (TempDir, TempDir) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (port, settings) = (free_port(), keeping(store.path(), left_out));
    let mut collecting = Collecting::new("one", port, &sqlite(&dir));
    for round in 1..=ROUNDS {
        let broker = Broker::start_with(port, &settings);
        // mosquitto keeps the messages of a session, but not the subscriptions of a group of collectors.
        collecting.start();
        let connected = |log: &str| log.matches("connected to").count() as i64;
        eventually("a subscription", || connected(&collecting.log()) == round);
        assert!(collecting.stop().0.success());
        publish(port, &format!("{SOURCE}/capture/result"), &event(SOURCE, &format!("e-{round}"), round), false);
        thread::sleep(SAVED_AFTER);
        broker.kill();
    }
    let _broker = Broker::start_with(port, &settings);
    collecting.start();
    // Messages that the broker holds arrive before those that are published now.
    collecting.wait_until_ready(port, "again");
    device(&collecting.report().1, SOURCE)["events"].as_u64().unwrap_or(0)
}

#[needs(mosquitto)]
#[test]
fn a_killed_broker_has_what_it_acknowledged() {
    assert_eq!(kept(""), ROUNDS as u64);
}

#[needs(mosquitto)]
#[test]
fn without_saving_every_change_a_killed_broker_loses_what_it_acknowledged() {
    assert!(kept("autosave") < ROUNDS as u64 / 2);
}
