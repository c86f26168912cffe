//! What the tests share: the demo files, a broker, a subscriber and a device.

mod broker;
mod device;
mod seeded;

pub use broker::{Broker, Subscriber, free_port};
pub use device::{Device, exit_code};
pub use seeded::seeded_values;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Nothing that a test waits for takes longer on a slow, busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn demo_package() -> PathBuf {
    root().join("models/demo/package")
}

/// The sample photos, small ones first, so that tests that need a few are quick.
pub fn demo_photos() -> Vec<PathBuf> {
    let dir = root().join("models/demo/photos");
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut photos: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    photos.retain(|path| path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("jpg")));
    photos.sort_by_key(|path| (fs::metadata(path).expect("metadata").len(), path.clone()));
    photos
}

pub fn data(name: &str) -> PathBuf {
    root().join("tests/data").join(name)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the program to its end.
pub fn bridgeclip(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bridgeclip")).args(args).output().expect("the program starts")
}

/// Waits until `condition` holds; fails with `what` if it does not in time.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
