//! Checks photos that would take more memory than the unit allows, among good ones, in a control group as systemd makes
//! it.
//!
//! Needs root and the memory controller of version 1 or 2 at /sys/fs/cgroup; run with `--ignored`.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bridgeclip::journal::Reader;

use crate::support::pictures::{Png, Tiff};
use crate::support::{Device, demo_photos};

/// Memory limit of the unit: `MemoryMax` of deploy/deb/bridgeclip.service, in bytes.
const MEMORY_MAX: &str = "805306368";
const GOOD: u64 = 200;
const POISON: usize = 20;

/// A control group that is removed when this is dropped.
struct Group {
    dir: PathBuf,
    tasks: PathBuf,
}

impl Group {
    fn new(name: &str) -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let is_first = root.join("memory").is_dir();
        let parent = if is_first { root.join("memory") } else { root.to_owned() };
        let dir = parent.join(format!("bridgeclip-{name}-{}", std::process::id()));
        fs::create_dir(&dir).expect("needs root and a memory controller at /sys/fs/cgroup");
        let (bound, tasks) =
            if is_first { ("memory.limit_in_bytes", "cgroup.procs") } else { ("memory.max", "cgroup.procs") };
        fs::write(dir.join(bound), MEMORY_MAX).expect("needs the memory controller");
        Group { tasks: dir.join(tasks), dir }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let begin = Instant::now();
        while fs::remove_dir(&self.dir).is_err() && begin.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Returns a photo of one of the kinds that take more memory than the unit has, or once did.
fn poison(number: usize) -> Vec<u8> {
    let png = |width, height, color, depth, text_bytes| {
        Png { width, height, color, depth, interlaced: number % 2 == 1, text_bytes: text_bytes + number }.file()
    };
    let tiff = |width, height, samples, bits| {
        let (part_width, part_height, float, planar) = (width, height, bits == 32, false);
        Tiff { width, height, part_width, part_height, samples, bits, float, planar }.file()
    };
    let varied = number as u32;
    match number % 5 {
        0 => png(12_000, 11_000 + varied, 6, 16, 8),
        1 => png(130_000_000 + varied, 1, 6, 16, 8),
        2 => png(1, 120_000_000 + varied, 6, 16, 8),
        // One strip each: a TIFF is unpacked strip by strip, and smaller strips would fit.
        3 => tiff(9_000, 9_000 + varied, 3, 32),
        _ => tiff(1, 100_000_000 + varied, 4, 16),
    }
}

/// Starts the daemon in its group, again whenever it ends, until all photos are done. Returns the number of starts.
fn run(device: &mut Device, group: &Group) -> usize {
    let done = |device: &Device| {
        let Ok(journal) = Reader::open(&device.data_dir().join("device.db")) else { return false };
        let captures = journal.captures().unwrap_or_default();
        assert!(captures <= GOOD, "{captures} captures: a photo that should not fit was classified");
        captures == GOOD && journal.failures().is_ok_and(|list| list.len() == POISON)
    };
    let begin = Instant::now();
    for starts in 1.. {
        assert!(starts <= 1 + 3 * POISON, "{starts} starts");
        device.start_in_group(&group.tasks);
        while !device.has_ended() {
            if done(device) {
                device.kill();
                return starts;
            }
            assert!(begin.elapsed() < Duration::from_secs(1800), "not done after half an hour");
            thread::sleep(Duration::from_millis(200));
        }
    }
    unreachable!("it starts until all is done")
}

fn device() -> Device {
    let device = Device::new(None);
    for number in 0..POISON {
        fs::write(device.camera().join(format!("{:03}-poison.jpg", number * 10)), poison(number)).expect("written");
    }
    let photos: Vec<Vec<u8>> = demo_photos().iter().map(|path| fs::read(path).expect("a photo")).collect();
    for number in 0..GOOD {
        // Data after the end of a JPEG is not part of the picture.
        let photo = [&photos[number as usize % photos.len()][..], &number.to_le_bytes()].concat();
        fs::write(device.camera().join(format!("{number:03}.jpg")), photo).expect("written");
    }
    device
}

#[test]
#[ignore = "needs root and control groups, and takes minutes"]
fn within_the_budget_no_photo_ends_the_program() {
    let starts = run(&mut device(), &Group::new("within"));
    println!("{GOOD} photos classified, {POISON} recorded, {starts} starts");
    assert_eq!(starts, 1);
}

/// Allows decoding more memory than the unit has.
#[test]
#[ignore = "needs root and control groups, and takes minutes"]
fn beyond_the_budget_each_photo_ends_the_program_three_times_at_the_most() {
    let mut device = device();
    let config = fs::read_to_string(device.config()).expect("read");
    let config = config.replace("[intake]\n", "[intake]\nphoto_megapixels_max = 1000\n");
    fs::write(device.config(), config.replace("[photo]\n", "[photo]\nmemory_megabytes_max = 100000\n"))
        .expect("written");
    let starts = run(&mut device, &Group::new("beyond"));
    println!("{GOOD} photos classified, {POISON} recorded, {starts} starts");
    assert!(starts > POISON, "{starts} starts: the photos are no poison");
}
