//! Checks the small files of a device in every state that damage can leave: the daemon starts, says so, and classifies.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::json;

use crate::packages::Bench;
use crate::support::{Device, bridgeclip, demo_photos, eventually, free_port};

/// Files that the daemon and its commands write into the data folder and into the store of packages, beside
/// `device.db`, photos and packages. Each says whether the log must name it if it is empty, torn, garbage or
/// unreadable.
const FILES: [(&str, Says); 12] = [
    ("data/overrides.json", Says::AtStart),
    ("data/sessions.json", Says::AtStart),
    ("data/sequence", Says::AtStartUnlessEmpty),
    ("data/attempts", Says::AtStartUnlessEmpty),
    // Only its size matters, not its contents.
    ("data/reserve", Says::Nothing),
    // Read when a bundle is made: `a_damaged_device_key_gives_way_to_a_new_one` below checks it.
    ("data/device.key", Says::Nothing),
    // Made anew at each start.
    ("data/api.sock", Says::Nothing),
    ("store/newest.json", Says::Nothing),
    ("store/trial.json", Says::AtStart),
    ("store/installed.json", Says::AtStart),
    ("store/current", Says::Nothing),
    ("store/previous", Says::Nothing),
];

/// Files of SQLite, which mends or makes them by itself. `journal_damage.rs` checks the database itself.
const OF_SQLITE: [&str; 3] = ["data/device.db", "data/device.db-wal", "data/device.db-shm"];

#[derive(Clone, Copy, PartialEq)]
enum Says {
    AtStart,
    /// The log names the file at the start, except if it is empty, as it is at first.
    AtStartUnlessEmpty,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Empty,
    Torn,
    Garbage,
    Unreadable,
    Folder,
}

const STATES: [State; 5] = [State::Empty, State::Torn, State::Garbage, State::Unreadable, State::Folder];

impl State {
    fn put(self, path: &Path) {
        let bytes = fs::read(path).unwrap_or_default();
        let _ = fs::remove_file(path);
        match self {
            State::Empty => fs::write(path, b"").expect("written"),
            State::Torn => fs::write(path, &bytes[..bytes.len() / 2]).expect("written"),
            State::Garbage => fs::write(path, [0xA5; 300]).expect("written"),
            // Nobody can follow a link to itself, not even the administrator.
            State::Unreadable => symlink(path, path).expect("linked"),
            State::Folder => fs::create_dir(path).expect("a folder"),
        }
    }
}

fn key_of(device: &Device) -> Output {
    let config = device.config();
    bridgeclip(&["queue", "key", "--config", config.to_str().expect("a plain path")])
}

/// A stopped device that has done everything which leaves a file.
struct Used {
    bench: Bench,
    device: Device,
}

impl Used {
    fn new() -> Self {
        let bench = Bench::used();
        let mut device = bench.device();
        device.configure(&format!(
            "[web]\nlisten_here = \"127.0.0.1:{}\"\n[storage]\nreserve_megabytes = 1\n",
            free_port()
        ));
        device.start();
        device.take(&demo_photos()[0]);
        device.wait_for_captures(1);
        device.api("PATCH", "/api/v1/settings", &json!({ "metered": true }));
        let code = device.api("POST", "/api/v1/pairing", &json!({ "role": "viewer" }));
        device.api("POST", "/api/v1/session", &json!({ "code": code["code"], "name": "A. Sato" }));
        assert!(key_of(&device).status.success());
        // The second package is on trial while the next one starts.
        device.terminate();
        assert!(bench.install(bench.archive("1.2").to_str().expect("a plain path")).status.success());
        Used { bench, device }
    }

    fn path(&self, name: &str) -> PathBuf {
        match name.split_once('/').expect("a folder and a name") {
            ("data", name) => self.device.data_dir().join(name),
            (_, "installed.json") => self.bench.path("store/current/installed.json"),
            (_, name) => self.bench.path("store").join(name),
        }
    }

    /// Starts the daemon, has it classify one more photo, and returns its log.
    fn classifies(&mut self, what: &str) -> String {
        let log = self.device.config().with_file_name("log");
        let stderr = File::create(&log).expect("a log");
        self.device.start_with(|command| {
            command.env("RUST_LOG", "info").stderr(stderr);
        });
        let before = fs::read_dir(self.device.camera()).expect("a folder").count();
        // Data after the end of a JPEG makes it another file with the same photo.
        let photo = [fs::read(&demo_photos()[0]).expect("read"), vec![0; before]].concat();
        fs::write(self.device.camera().join(format!("{before}.jpg")), photo).expect("written");
        eventually(&format!("a start with {what}"), || fs::read_to_string(&log).expect("a log").contains("ready: "));
        self.device.wait_for_captures(before as u64 + 1);
        self.device.terminate();
        fs::read_to_string(&log).expect("a log")
    }
}

#[test]
fn the_list_is_of_what_a_device_really_writes() {
    let mut used = Used::new();
    used.device.start();
    used.device.wait_for_captures(1);
    eventually("a socket", || used.path("data/api.sock").exists());
    let mut found = BTreeSet::new();
    for (place, dir) in [("data", used.device.data_dir()), ("store", used.bench.path("store"))] {
        for entry in fs::read_dir(dir).expect("a folder").flatten() {
            let kind = entry.file_type().expect("a kind");
            if kind.is_file() || kind.is_symlink() || kind.is_socket() {
                found.insert(format!("{place}/{}", entry.file_name().to_string_lossy()));
            }
        }
    }
    found.insert("store/installed.json".to_owned());
    assert!(used.path("store/installed.json").exists());
    // The trial ends with the first photo that is classified; the file exists while it lasts.
    found.insert("store/trial.json".to_owned());
    let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| *name).chain(OF_SQLITE).map(str::to_owned).collect();
    assert_eq!(found, listed);
}

#[test]
fn a_device_starts_and_classifies_whatever_became_of_a_small_file() {
    let mut used = Used::new();
    for (name, says) in FILES {
        let path = used.path(name);
        let mut kept = Kept::of(&path);
        if name == "store/trial.json" {
            // A trial ends after a good start, which removes the file.
            kept = Kept::File(br#"{"package":"x","starts":1}"#.to_vec());
        }
        for state in STATES {
            clear(&path);
            kept.put_back(&path);
            state.put(&path);
            let what = format!("{name}: {state:?}");
            let log = used.classifies(&what);
            let file = path.file_name().expect("a name").to_string_lossy().into_owned();
            let must_say = match says {
                Says::AtStart => true,
                Says::AtStartUnlessEmpty => state != State::Empty,
                Says::Nothing => false,
            };
            let is_said = log.lines().any(|line| line.contains("WARN") && line.contains(&file));
            assert!(is_said || !must_say, "{what}: nothing is said\n{log}");
        }
        clear(&path);
        kept.put_back(&path);
    }
}

/// A file or a link, to be put back.
enum Kept {
    File(Vec<u8>),
    Link(PathBuf),
    Nothing,
}

impl Kept {
    fn of(path: &Path) -> Self {
        match (fs::read_link(path), fs::read(path)) {
            (Ok(target), _) => Kept::Link(target),
            (_, Ok(bytes)) => Kept::File(bytes),
            _ => Kept::Nothing,
        }
    }

    fn put_back(&self, path: &Path) {
        match self {
            Kept::File(bytes) => fs::write(path, bytes).expect("written"),
            Kept::Link(target) => symlink(target, path).expect("linked"),
            Kept::Nothing => (),
        }
    }
}

/// Removes whatever is there.
fn clear(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(path).expect("removed");
    } else {
        let _ = fs::remove_file(path);
    }
}

#[test]
fn a_damaged_device_key_gives_way_to_a_new_one() {
    let device = Device::new(None);
    let key = || {
        let output = key_of(&device);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let mut keys = BTreeSet::from([key().0]);
    let path = device.data_dir().join("device.key");
    for state in [State::Empty, State::Torn, State::Garbage] {
        state.put(&path);
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
        let (new, said) = key();
        assert!(said.contains("device.key"), "{state:?}: {said}");
        assert!(keys.insert(new), "{state:?}");
    }
    for state in [State::Unreadable, State::Folder] {
        clear(&path);
        state.put(&path);
        let output = key_of(&device);
        assert!(
            !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("device.key"),
            "{state:?}"
        );
    }
}
