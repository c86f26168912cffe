//! A device: its folders, its settings and the daemon on it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use bridgeclip::domain::Failure;
use bridgeclip::journal::Reader;
use serde_json::Value;
use tempfile::TempDir;

use super::results::waiting;
use super::{demo_package, eventually};

/// A device in a temporary folder. Its daemon, if one runs, is killed when this is dropped.
pub struct Device {
    dir: TempDir,
    daemon: Option<Child>,
}

impl Device {
    /// Returns a device with settings for quick tests; `mqtt_port` turns the uplink on.
    pub fn new(mqtt_port: Option<u16>) -> Self {
        Self::named("unit", mqtt_port)
    }

    /// Returns a device with more lines at the end of its settings.
    pub fn with_settings(mqtt_port: Option<u16>, more: &str) -> Self {
        let device = Self::named("unit", mqtt_port);
        device.configure(more);
        device
    }

    pub fn named(name: &str, mqtt_port: Option<u16>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join("camera")).expect("a folder");
        let mut settings = format!(
            "[device]\nsite = \"test\"\nid = \"{name}\"\ndata_dir = \"data\"\n[package]\ndir = {:?}\n\
             [intake]\nfolders = [\"camera\"]\nrescan_s = 1\nsettle_ms = 50\nincomplete_s = 2\n\
             [photo]\nthumbnail_px = 0\n",
            demo_package(),
        );
        if let Some(port) = mqtt_port {
            settings += &format!("[mqtt]\nbroker = \"127.0.0.1:{port}\"\nretry_s_max = 1\nstall_s = 5\n");
        }
        fs::write(dir.path().join("config.toml"), settings).expect("write");
        Device { dir, daemon: None }
    }

    /// Returns the path of the settings file.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    /// Turns thumbnails on, which most tests of events do without. Call it before the start.
    pub fn with_thumbnails(self) -> Self {
        let settings = fs::read_to_string(self.config()).expect("read");
        fs::write(self.config(), settings.replace("thumbnail_px = 0", "thumbnail_px = 320")).expect("write");
        self
    }

    /// Adds a section to the settings. Call it before the start.
    pub fn configure(&self, section: &str) {
        let settings = fs::read_to_string(self.config()).expect("read");
        fs::write(self.config(), settings + section).expect("write");
    }

    /// Uses the packages installed in a store, if this key has signed them. Call it before the start.
    pub fn configure_package(&self, store: &Path, key: &str) {
        let settings = fs::read_to_string(self.config()).expect("read");
        let more = format!("store = {store:?}\ntrusted_keys = [{key:?}]\n[intake]\n");
        fs::write(self.config(), settings.replace("[intake]\n", &more)).expect("write");
    }

    pub fn start(&mut self) {
        self.start_with(|_| ());
    }

    /// Starts the daemon. `prepare` may change how.
    pub fn start_with(&mut self, prepare: impl FnOnce(&mut Command)) {
        self.start_as(Command::new(env!("CARGO_BIN_EXE_bridgeclip")), prepare);
    }

    /// Starts the daemon with an address space of `bytes` bytes; an allocation beyond it ends the daemon.
    pub fn start_limited(&mut self, bytes: u64) {
        let mut prlimit = Command::new("prlimit");
        prlimit.arg(format!("--as={bytes}")).arg(env!("CARGO_BIN_EXE_bridgeclip"));
        self.start_as(prlimit, |_| ());
    }

    /// Starts the daemon in a control group, which bounds its memory.
    pub fn start_in_group(&mut self, tasks: &Path) {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(tasks).arg(env!("CARGO_BIN_EXE_bridgeclip"));
        self.start_as(shell, |_| ());
    }

    /// Reports whether the daemon has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let daemon = self.daemon.as_mut().expect("the daemon was started");
        let ended = daemon.try_wait().expect("a state").is_some();
        if ended {
            self.daemon = None;
        }
        ended
    }

    fn start_as(&mut self, mut command: Command, prepare: impl FnOnce(&mut Command)) {
        assert!(self.daemon.is_none(), "the daemon runs already");
        command.arg("run").arg("--config").arg(self.config()).stderr(Stdio::null());
        prepare(&mut command);
        self.daemon = Some(command.spawn().expect("the daemon starts"));
    }

    /// Sends SIGKILL, so that nothing can be finished.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("a process to kill");
            daemon.wait().expect("an end");
        }
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        signal("TERM", daemon.id());
        daemon.wait().expect("an end")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn camera(&self) -> PathBuf {
        self.dir.path().join("camera")
    }

    /// Copies a photo into the watched folder under its own name.
    pub fn take(&self, photo: &Path) {
        let name = photo.file_name().expect("a name");
        fs::copy(photo, self.camera().join(name)).expect("copy");
    }

    /// Returns the id of the daemon's process.
    pub fn process(&self) -> u32 {
        self.daemon.as_ref().expect("the daemon runs").id()
    }

    /// Returns the daemon's memory by this name in /proc/PID/status, in KiB.
    pub fn memory_kib(&self, name: &str) -> u64 {
        memory_kib(self.process(), name)
    }

    /// Asks the running daemon through its socket, checks that it succeeded, and returns the answer.
    pub fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Asks the running daemon through its socket, and returns status and body.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        // A body that is not read resets the connection.
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, "application/json", body.as_bytes())
    }

    /// Sends a photo to the running daemon through its socket, and returns status and body.
    pub fn upload(&self, name: &str, photo: &[u8]) -> (u16, Value) {
        let head = format!("--line\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"{name}\"\r\n\r\n");
        let form = [head.as_bytes(), photo, b"\r\n--line--\r\n"].concat();
        self.send("POST", "/api/v1/photos", "multipart/form-data; boundary=line", &form)
    }

    fn send(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> (u16, Value) {
        let mut socket = None;
        eventually("a socket", || {
            socket = UnixStream::connect(self.data_dir().join("api.sock")).ok();
            socket.is_some()
        });
        let mut socket = socket.expect("just opened");
        let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {content_type}");
        write!(socket, "{head}\r\nContent-Length: {}\r\n\r\n", body.len()).expect("written");
        socket.write_all(body).expect("written");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("read");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// Returns a command with this device's settings.
    fn command(&self, command: &str, args: &[&str]) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_bridgeclip"));
        process.arg(command).arg("--config").arg(self.config()).args(args);
        process
    }

    /// Runs a command to its end.
    pub fn bridgeclip(&self, command: &str, args: &[&str]) -> Output {
        self.command(command, args).output().expect("the program starts")
    }

    /// Starts a command and keeps its output.
    pub fn spawn(&self, command: &str, args: &[&str]) -> Child {
        let mut process = self.command(command, args);
        process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    /// Returns the payloads of all events that wait, in the order of delivery.
    pub fn events(&self) -> Vec<Value> {
        let rows = waiting(&self.journal());
        rows.iter().map(|row| serde_json::from_slice(&row.payload).expect("JSON")).collect()
    }

    /// Opens the database once the daemon has made it.
    pub fn journal(&self) -> Reader {
        let path = self.data_dir().join("device.db");
        let mut reader = None;
        eventually("device.db exists", || {
            reader = Reader::open(&path).ok().filter(|reader| reader.captures().is_ok());
            reader.is_some()
        });
        reader.expect("just opened")
    }

    pub fn wait_for_captures(&self, count: u64) {
        let journal = self.journal();
        eventually(&format!("{count} captures"), || journal.captures().expect("a count") >= count);
    }

    /// Waits until `count` files have been recorded as giving no result.
    pub fn wait_for_failures(&self, count: usize) -> Vec<Failure> {
        let journal = self.journal();
        eventually(&format!("{count} failures"), || journal.failures().expect("a list").len() >= count);
        journal.failures().expect("a list")
    }
}

/// Returns a process's memory by this name in /proc/PID/status, in KiB.
pub fn memory_kib(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Sends a signal with the shell's own `kill`: a minimal Debian has no program of that name.
pub fn signal(name: &str, process: u32) {
    let mut kill = Command::new("sh");
    let status = kill.args(["-c", "kill -$0 $1", name, &process.to_string()]).status().expect("sh starts");
    assert!(status.success());
}

impl Drop for Device {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn exit_code(status: ExitStatus) -> i32 {
    status.code().expect("ended by itself")
}
