//! `bridgeclip collect` as a user runs it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{bridgeclip, eventually, exit_code, publish, signal};

/// A collector, which is killed when this is dropped.
pub struct Collecting {
    dir: TempDir,
    process: Option<Child>,
}

impl Collecting {
    pub fn new(name: &str, port: u16, database: &str) -> Self {
        Self::with(name, port, database, "")
    }

    /// Returns a collector with more settings, which follow those of `[mqtt]`.
    pub fn with(name: &str, port: u16, database: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let settings = format!(
            "[collect]\nname = \"{name}\"\ndatabase = \"{database}\"\n[mqtt]\nbroker = \"127.0.0.1:{port}\"\nin_flight = 1000\n{more}\n"
        );
        fs::write(dir.path().join("collect.toml"), settings).expect("write");
        Collecting { dir, process: None }
    }

    pub fn started(name: &str, port: u16, database: &str) -> Self {
        let mut collecting = Self::new(name, port, database);
        collecting.start();
        collecting
    }

    pub fn settings(&self) -> PathBuf {
        self.dir.path().join("collect.toml")
    }

    pub fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bridgeclip"));
        command.args(["collect", "run", "--config"]).arg(self.settings());
        let log = File::options().create(true).append(true).open(self.log_file()).expect("a file for the log");
        self.process = Some(command.stderr(log).spawn().expect("it starts"));
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Returns everything that the collector has logged so far, in all its runs.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().and_then(|()| process.wait()).expect("an end");
        }
    }

    /// Sends SIGTERM, and returns how the collector ended and how long that took.
    pub fn stop(&mut self) -> (ExitStatus, Duration) {
        let mut process = self.process.take().expect("it runs");
        let begin = Instant::now();
        signal("TERM", process.id());
        let mut status = None;
        eventually("an end after SIGTERM", || {
            status = process.try_wait().expect("a status");
            status.is_some()
        });
        (status.expect("just found"), begin.elapsed())
    }

    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().expect("a status").is_none())
    }

    /// Returns the exit code and the report.
    pub fn report(&self) -> (i32, Value) {
        let settings = self.settings();
        let output = bridgeclip(&["collect", "report", "--json", "--config", settings.to_str().expect("text")]);
        let report = serde_json::from_slice(&output.stdout);
        (exit_code(output.status), report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
    }

    /// Publishes an event until one has arrived: the broker drops events before the collector has subscribed.
    pub fn wait_until_ready(&self, port: u16, name: &str) {
        let source = format!("bridge/v1/ready/{name}");
        eventually("a collector that is ready", || {
            publish(port, &format!("{source}/capture/result"), &event(&source, "ready", 1), false);
            device(&self.report().1, &source)["events"] == 1
        });
    }

    /// Waits until the collector has stored `events` events of a device.
    pub fn wait_for(&self, source: &str, events: u64) {
        eventually(&format!("{events} events of {source}"), || device(&self.report().1, source)["events"] == events);
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the part of a report about a device.
pub fn device(report: &Value, source: &str) -> Value {
    let devices = report["devices"].as_array().expect("devices");
    devices.iter().find(|device| device["source"] == source).cloned().unwrap_or_default()
}

/// Returns an event with everything that a collector reads.
pub fn event(source: &str, id: &str, sequence: i64) -> Vec<u8> {
    body(source, id, sequence).to_string().into_bytes()
}

/// Returns the event of [`event`] as a value that tests may change.
pub fn body(source: &str, id: &str, sequence: i64) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": source, "type": "bridgeclip.capture.result.v1", "subject": "ab",
        "time": "2026-05-01T00:00:00Z", "data": { "sequence": sequence },
    })
}

/// Returns the address of a database file in this folder.
pub fn sqlite(dir: &TempDir) -> String {
    format!("sqlite:{}", dir.path().join("events.db").display())
}
