//! Shared parts of the tests: the demo files, a broker, a subscriber and a device.

mod broker;
mod certificates;
pub mod collecting;
mod device;
mod faulty_broker;
mod gdal;
mod output;
mod paged;
pub mod pictures;
mod postgres;
mod proxy;
mod random;
pub mod results;
mod schema;
mod seeded;
mod station;
mod vit_b32;

pub use broker::{Broker, Message, Subscriber, free_port, publish};
pub use certificates::{Authority, GOOD_YEARS, Identity, write_secret};
pub use device::{Device, exit_code, memory_kib, signal};
pub use faulty_broker::{Act, FaultyBroker, Heard, Limits, Publish, politely, reason};
pub use gdal::{geojson_flaws, ogrinfo};
pub use output::{good, refusal, run, stderr};
pub use paged::{Answer, Paged, api, dechunked, exchange, read_answer};
pub use postgres::PostgresServer;
pub use proxy::Proxy;
pub use random::Random;
pub use schema::{mismatches, resolve};
pub use seeded::seeded_values;
pub use station::{PREFIX, Station};
pub use vit_b32::{Outliers, write_vit_b32_package};

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use npyz::WriterBuilder;
use serde::de::DeserializeOwned;

/// Longest time that a test waits for anything, even on a slow, busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn demo_package() -> PathBuf {
    root().join("models/demo/package")
}

/// Returns the float package from which the demo package was made.
pub fn float_demo_package() -> PathBuf {
    root().join("models/demo/float")
}

/// Returns a copy of the demo package that a test may change.
pub fn copy_of_demo_package() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(demo_package()).expect("the demo package") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), dir.path().join(entry.file_name())).expect("copy");
    }
    dir
}

/// Returns the sample photos, small ones first, so that tests with few photos are quick.
pub fn demo_photos() -> Vec<PathBuf> {
    let dir = root().join("models/demo/photos");
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut photos: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    photos.retain(|path| path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("jpg")));
    photos.sort_by_key(|path| (fs::metadata(path).expect("metadata").len(), path.clone()));
    photos
}

/// Returns the photo with another EXIF orientation, 1 to 8.
pub fn oriented(photo: &[u8], orientation: u8) -> Vec<u8> {
    // A directory with one number, Orientation (0x0112).
    let mut block = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    with_exif(photo, &block)
}

/// Returns the photo with another moment of exposure, which also makes it another photo. `second` counts from midnight.
pub fn taken_at(photo: &[u8], second: u32) -> Vec<u8> {
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    let text = format!("2026:05:09 {hours:02}:{minutes:02}:{seconds:02}\0");
    // A directory with one pointer (0x8769) to a directory with one text, DateTimeOriginal (0x9003).
    let mut block = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
    block.extend(b"\x01\0\x03\x90\x02\0\x14\0\0\0\x2c\0\0\0\0\0\0\0");
    block.extend(text.as_bytes());
    with_exif(photo, &block)
}

/// Inserts an EXIF block into a photo. It comes first, so it is the one that counts.
pub fn with_exif(photo: &[u8], block: &[u8]) -> Vec<u8> {
    let length = (block.len() as u16 + 2).to_be_bytes();
    [&photo[..2], b"\xff\xe1", &length, block, &photo[2..]].concat()
}

pub fn data(name: &str) -> PathBuf {
    root().join("tests/data").join(name)
}

/// Reads the golden of this name.
pub fn read_json<T: DeserializeOwned>(name: &str) -> T {
    let bytes = fs::read(data(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the rows of a NumPy file of f32.
pub fn read_npy(path: &Path) -> Vec<Vec<f32>> {
    let file = npyz::NpyFile::new(File::open(path).expect("open")).expect("a NumPy file");
    let width = file.shape()[1] as usize;
    file.into_vec::<f32>().expect("f32").chunks(width).map(<[f32]>::to_vec).collect()
}

/// Writes a NumPy file of the given shape; `value` makes each value from its index.
pub fn write_npy<T: npyz::Serialize + npyz::AutoSerialize>(path: &Path, shape: &[u64], value: impl Fn(u64) -> T) {
    let mut file = BufWriter::new(File::create(path).expect("create"));
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut file).begin_nd().expect("begin");
    writer.extend((0..shape.iter().product()).map(value)).expect("write");
    writer.finish().expect("finish");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the program to its end.
pub fn bridgeclip(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bridgeclip")).args(args).output().expect("the program starts")
}

/// Waits until `condition` is true; fails with `what` if it stays false.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
