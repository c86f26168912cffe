//! Checks the whole promise: a daemon that is killed again and again, a real mosquitto, and a collector that is killed
//! too.
//!
//! `BRIDGECLIP_ROUNDS=10000 cargo test --release rounds -- --nocapture` takes about an hour; without the variable there
//! are 200 rounds.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bridgeclip_needs::needs;
use image::RgbImage;

use crate::support::collecting::Collecting;
use crate::support::{Broker, Device, Random, eventually, free_port};

/// Number of photos per round.
const PHOTOS: u64 = 2;
/// Longest life of a daemon in milliseconds. It may be loading, classifying, delivering or idle when it is killed.
const LIFE_MS: u64 = 700;

#[needs(mosquitto)]
#[test]
fn rounds_of_sigkill_lose_nothing_and_repeat_nothing() {
    let rounds: u64 = std::env::var("BRIDGECLIP_ROUNDS").map_or(200, |rounds| rounds.parse().expect("a number"));
    let (dir, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    let events = dir.path().join("events.db");
    let mut collecting = Collecting::started("one", port, &format!("sqlite:{}", events.display()));
    collecting.wait_until_ready(port, "one");
    let mut device = Device::new(Some(port));
    let (mut random, mut slowest) = (Random::new(7), Duration::ZERO);
    for round in 0..rounds {
        (0..PHOTOS).for_each(|photo| take(&device, round * PHOTOS + photo));
        if round % 10 == 9 {
            slowest = slowest.max(start_until_ready(&mut device, dir.path()));
        } else {
            device.start();
        }
        thread::sleep(Duration::from_millis(random.below(LIFE_MS)));
        device.kill();
        if round % 7 == 6 {
            collecting.kill();
            collecting.start();
        }
    }
    slowest = slowest.max(start_until_ready(&mut device, dir.path()));
    let photos = rounds * PHOTOS;
    device.wait_for_captures(photos);
    let journal = device.journal();
    eventually("an empty queue", || journal.outbox_depth().expect("a depth").total() == 0);
    let read = || rusqlite::Connection::open(&events).expect("the collector's file");
    let count = |what: &str| {
        let sql = format!("SELECT {what} FROM event WHERE source = 'bridge/v1/test/unit' AND supersedes IS NULL");
        read().query_row(&sql, [], |row| row.get::<_, u64>(0)).expect("a count")
    };
    eventually("all results", || count("count(DISTINCT subject)") >= photos);
    assert_eq!((count("count(DISTINCT subject)"), count("count(*)")), (photos, photos), "each photo once");
    let (code, report) = collecting.report();
    assert_eq!(code, 0, "no sequence number is missing: {report}");
    println!("{rounds} rounds, {photos} photos; start to ready at most {slowest:.2?}");
}

/// Writes a small photo unlike all others, as a camera does.
fn take(device: &Device, number: u64) {
    let mut random = Random::new(number);
    let photo = RgbImage::from_fn(48, 36, |_, _| image::Rgb([(); 3].map(|()| random.below(256) as u8)));
    let growing = device.camera().join(format!("{number}.png.part"));
    photo.save_with_format(&growing, image::ImageFormat::Png).expect("write");
    std::fs::rename(growing, device.camera().join(format!("{number}.png"))).expect("rename");
}

/// Starts the daemon, waits until it says that it is ready, and returns how long that took.
fn start_until_ready(device: &mut Device, dir: &Path) -> Duration {
    let path = dir.join("notify");
    let _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let begin = Instant::now();
    device.start_with(|command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    let mut bytes = [0; 64];
    let mut hear = || {
        let length = socket.recv(&mut bytes).expect("a message within a minute");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    while hear() != "READY=1" {}
    begin.elapsed()
}
