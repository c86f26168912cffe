//! Files in the watched folder: torn, foreign, repeated, and those that came while the daemon was off.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::support::{Device, demo_photos, eventually, exit_code};

#[test]
fn broken_files_are_recorded_with_their_reason_and_stop_nothing() {
    let mut device = Device::new(None);
    let photos = demo_photos();
    let whole = fs::read(&photos[0]).expect("read");
    let write = |name: &str, bytes: &[u8]| fs::write(device.camera().join(name), bytes).expect("write");
    write("1-empty.jpg", b"");
    write("2-truncated.jpg", &whole[..whole.len() / 2]);
    write("3-foreign.pdf", b"%PDF-1.7 inspection report");
    write("4-noise.jpg", &[&b"\xff\xd8\xff\xe0"[..], &[0; 4096]].concat());
    write("5-bomb.png", &png_bomb());
    device.take(&photos[0]);
    device.start();
    device.wait_for_captures(1);
    let failures = device.wait_for_failures(5);
    let reasons: Vec<(String, String)> = failures
        .iter()
        .map(|failure| (failure.path.file_name().unwrap().to_string_lossy().into_owned(), failure.reason.clone()))
        .collect();
    let expected = [
        ("1-empty.jpg", "empty"),
        ("2-truncated.jpg", "truncated"),
        ("3-foreign.pdf", "not a photo"),
        ("4-noise.jpg", "broken JPEG"),
        ("5-bomb.png", "65535 x 65535 pixels are more than the limit"),
    ];
    for ((name, reason), (expected_name, expected_reason)) in reasons.iter().zip(expected) {
        assert_eq!(name, expected_name);
        assert!(reason.contains(expected_reason), "{name}: {reason}");
    }
    device.take(&photos[1]);
    device.wait_for_captures(2);
    assert_eq!(device.journal().captures().expect("a count"), 2, "no result from a broken file");
}

/// A PNG header that announces 65,535 x 65,535 pixels.
fn png_bomb() -> Vec<u8> {
    let mut header = b"IHDR\0\0\xff\xff\0\0\xff\xff\x08\x02\0\0\0".to_vec();
    let crc = header.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    });
    header.extend((!crc).to_be_bytes());
    [&b"\x89PNG\r\n\x1a\n\0\0\0\x0d"[..], &header, b"\0\0\0\0IDAT\x35\xaf\x06\x1e"].concat()
}

#[test]
fn a_torn_photo_is_classified_once_it_is_whole() {
    let mut device = Device::new(None);
    let photo = &demo_photos()[0];
    let whole = fs::read(photo).expect("read");
    let path = device.camera().join("growing.jpg");
    fs::write(&path, &whole[..whole.len() / 3]).expect("write");
    device.start();
    // Also after it was given up as truncated.
    let failures = device.wait_for_failures(1);
    assert!(failures[0].reason.contains("truncated"), "{}", failures[0].reason);
    assert_eq!(device.journal().captures().expect("a count"), 0, "no result from partial data");
    fs::write(&path, &whole).expect("write");
    device.wait_for_captures(1);
    eventually("the failure is taken back", || device.journal().failures().expect("a list").is_empty());
}

#[test]
fn what_came_while_the_daemon_was_off_is_picked_up_and_nothing_is_done_twice() {
    let mut device = Device::new(None);
    let photos = demo_photos();
    device.take(&photos[0]);
    device.start();
    device.wait_for_captures(1);
    assert_eq!(exit_code(device.terminate()), 0);
    device.take(&photos[1]);
    // The same photo under another name is the same capture.
    fs::copy(&photos[0], device.camera().join("copy.jpg")).expect("copy");
    device.start();
    device.wait_for_captures(2);
    let journal = device.journal();
    let copy = device.camera().join("copy.jpg");
    eventually("the copy is noted", || journal.file(&copy).expect("a state").is_some());
    assert_eq!((journal.captures().unwrap(), journal.outbox_depth().unwrap().total()), (2, 2));
}

#[test]
fn photos_are_left_as_they_are() {
    let mut device = Device::new(None);
    let photo = &demo_photos()[0];
    device.take(photo);
    device.start();
    device.wait_for_captures(1);
    let kept = device.camera().join(photo.file_name().unwrap());
    assert_eq!(fs::read(kept).expect("still there"), fs::read(photo).expect("read"));
}

#[test]
fn a_folder_that_appears_later_is_watched() {
    let mut device = Device::new(None);
    fs::remove_dir(device.camera()).expect("remove");
    device.start();
    device.journal();
    thread::sleep(Duration::from_millis(300));
    fs::create_dir(device.camera()).expect("a folder");
    device.take(&demo_photos()[0]);
    device.wait_for_captures(1);
}
