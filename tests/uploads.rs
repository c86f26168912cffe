//! Checks how much of the drive photos that arrive over the API may take.

use std::fs;
use std::path::Path;

use bridgeclip_needs::needs;

use crate::support::{Broker, Device, demo_photos, eventually, free_port};

const BOUND: &str = "[web]\nlisten = \"127.0.0.1:0\"\n[storage]\nuploads_megabytes_max = 1\n";
const PART: usize = 300_000;

/// Returns the bytes of all finished uploads.
fn used(device: &Device) -> u64 {
    let folders = fs::read_dir(device.data_dir().join("uploads")).expect("a folder");
    let days = folders.map(|day| day.expect("an entry").path()).filter(|day| day.is_dir());
    days.flat_map(|day| fs::read_dir(day).expect("a folder"))
        .map(|photo| photo.and_then(|photo| photo.metadata()).map_or(0, |photo| photo.len()))
        .sum()
}

/// Returns a photo like no other, of [`PART`] bytes.
fn photo(number: usize) -> Vec<u8> {
    let mut photo = fs::read(&demo_photos()[number % demo_photos().len()]).expect("a photo");
    assert!(photo.len() < PART, "{} bytes", photo.len());
    // Data after the end of a JPEG is not part of the picture.
    photo.resize(PART - 8, 0);
    photo.extend((number as u64).to_le_bytes());
    photo
}

fn upload(device: &Device, name: &str, bytes: &[u8]) -> u16 {
    device.upload(name, bytes).0
}

#[test]
fn photos_that_cannot_be_read_give_way_to_newer_ones() {
    let mut device = Device::with_settings(None, BOUND);
    device.start();
    for number in 0..12_u8 {
        let junk = [&[number; 8][..], &vec![b'x'; PART - 8]].concat();
        assert_eq!(upload(&device, "junk.jpg", &junk), 202, "junk {number}");
        assert!(used(&device) <= 1_000_000, "{}", used(&device));
        device.wait_for_failures(usize::from(number + 1).min(3));
    }
    assert_eq!(upload(&device, "good.jpg", &photo(0)), 202);
    device.wait_for_captures(1);
}

#[needs(mosquitto)]
#[test]
fn photos_whose_results_are_not_delivered_never_give_way() {
    let port = free_port();
    let more = format!("hold_without_subscriber = false\n{BOUND}");
    let mut device = Device::with_settings(Some(port), &more);
    device.start();
    for number in 0..3 {
        assert_eq!(upload(&device, "good.jpg", &photo(number)), 202);
        device.wait_for_captures(number as u64 + 1);
    }
    let (status, problem) = device.upload("more.jpg", &photo(3));
    assert_eq!(status, 507, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("uploads_megabytes_max")), "{problem}");
    assert_eq!(used(&device), 3 * PART as u64);
    let _broker = Broker::start(port);
    let journal = device.journal();
    eventually("all is delivered", || journal.outbox_depth().expect("a depth").total() == 0);
    for number in 3..6 {
        assert_eq!(upload(&device, "more.jpg", &photo(number)), 202);
        device.wait_for_captures(number as u64 + 1);
        eventually("all is delivered", || journal.outbox_depth().expect("a depth").total() == 0);
        assert!(used(&device) <= 1_000_000, "{}", used(&device));
    }
    assert_eq!(journal.captures().expect("a count"), 6, "results stay");
}

#[test]
fn what_a_killed_process_left_unfinished_is_removed() {
    let mut device = Device::with_settings(None, BOUND);
    let uploads = device.data_dir().join("uploads");
    fs::create_dir_all(&uploads).expect("a folder");
    let leftovers = [".upload-x1", ".export-x2"].map(|name| uploads.join(name));
    leftovers.iter().for_each(|path| fs::write(path, b"half").expect("written"));
    fs::write(uploads.join("kept.txt"), b"whose?").expect("written");
    device.start();
    eventually("they are gone", || !leftovers.iter().any(|path| Path::exists(path)));
    assert!(uploads.join("kept.txt").exists());
}
