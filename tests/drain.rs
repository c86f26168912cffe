//! Measures how fast the daemon delivers a long queue to a real mosquitto, with QoS 1, durable deletion and a consumer
//! of every event.
//!
//! `cargo test --release drain -- --ignored --nocapture --test-threads 1`

use std::fs::{self, File};
use std::process::{Child, Command};
use std::time::Instant;

use bridgeclip::journal::{Journal, Reader};
use jiff::Timestamp;
use tempfile::NamedTempFile;

use crate::support::results::{journal_params, record_all};
use crate::support::{Broker, Device, eventually, free_port};

/// A consumer that takes every event and records its id.
struct Consumer {
    process: Child,
    lines: NamedTempFile,
}

impl Consumer {
    fn start(port: u16) -> Self {
        let lines = NamedTempFile::new().expect("a temporary file");
        let mut command = Command::new("mosquitto_sub");
        command.args(["-V", "5", "-q", "1", "-t", "bridge/v1/+/+/capture/result", "-F", "%l", "-p", &port.to_string()]);
        let process = command.stdout(File::create(lines.path()).expect("a file")).spawn();
        Consumer { process: process.expect("mosquitto_sub, from the Debian package mosquitto-clients"), lines }
    }

    fn count(&self) -> u64 {
        let bytes = fs::read(self.lines.path()).expect("read");
        bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns events per second, from the first deletion to an empty queue.
fn drain(device: &mut Device, events: u64, port: u16, settings: &str) -> f64 {
    let _broker = Broker::start_with(port, &format!("max_queued_messages 0\n{settings}"));
    let consumer = Consumer::start(port);
    device.start();
    let journal = device.journal();
    let first = wait_until_below(&journal, events);
    let (begin, mut left) = (Instant::now(), first);
    while left > 0 {
        left = wait_until_below(&journal, left);
    }
    let rate = first as f64 / begin.elapsed().as_secs_f64();
    eventually("every event has arrived", || consumer.count() >= events);
    assert_eq!(device.terminate().code(), Some(0));
    assert_eq!(consumer.count(), events, "none arrived twice");
    rate
}

/// Waits until fewer than `count` events wait, and returns how many.
fn wait_until_below(journal: &Reader, count: u64) -> u64 {
    let mut left = count;
    eventually("a shorter queue", || {
        left = journal.outbox_depth().expect("a depth").total();
        left < count
    });
    left
}

/// Runs `work` on the device's database while its daemon is off.
fn with_journal(device: &Device, work: impl FnOnce(&Journal)) {
    let (journal, thread) = Journal::open(&device.data_dir(), journal_params(), |_| ()).expect("a journal");
    work(&journal);
    drop(journal);
    thread.join().expect("no panic");
}

#[test]
#[ignore = "takes minutes, and says something only on a quiet machine"]
fn drain_of_100000_queued_events() {
    let port = free_port();
    let mut device = Device::with_settings(Some(port), "in_flight = 1\n");
    with_journal(&device, |journal| record_all(journal, 0..5_000));
    let singly = drain(&mut device, 5_000, port, "");
    println!("one publish at a time: {singly:.0} events/s");
    let mut device = Device::new(Some(port));
    with_journal(&device, |journal| record_all(journal, 0..100_000));
    let captures: Vec<i64> = (1..=100_000).collect();
    for (name, settings) in [("20 (its default)", ""), ("65,535", "max_inflight_messages 0")] {
        let rate = drain(&mut device, 100_000, port, settings);
        println!("receive maximum {name}: {rate:.0} events/s, {:.1} times as fast", rate / singly);
        assert!(rate >= 5_000.0 && rate >= 3.0 * singly);
        with_journal(&device, |journal| {
            for group in captures.chunks(1_000) {
                journal.resend(group.to_vec(), Timestamp::now()).expect("queued");
            }
        });
    }
}
