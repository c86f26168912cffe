//! Checks files in the watched folder: torn, foreign and repeated ones, and those that arrived while the daemon was
//! off.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use bridgeclip::domain::THUMBNAIL_BYTES_MAX;
use bridgeclip::journal::{EventClass, OutboxRow, Reader};
use bridgeclip::photo::{Limits, decode};
use bridgeclip_needs::needs;
use serde_json::{Value, json};

use crate::journal_faults::io_library;
use crate::support::results::waiting_of;
use crate::support::{Device, bridgeclip, demo_photos, eventually, exit_code, mismatches, oriented, signal, taken_at};

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
    write("5-bomb.png", include_bytes!("../fuzz/corpus/photo/bomb.png"));
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
        ("4-noise.jpg", "truncated JPEG"),
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

#[test]
fn a_torn_photo_is_classified_once_it_is_whole() {
    let mut device = Device::new(None);
    let photo = &demo_photos()[0];
    let whole = fs::read(photo).expect("read");
    let path = device.camera().join("growing.jpg");
    fs::write(&path, &whole[..whole.len() / 3]).expect("write");
    device.start();
    // A file that was given up as truncated is taken up again too.
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

#[test]
fn a_photo_that_grows_gives_a_result_only_when_it_is_whole() {
    let mut device = Device::new(None);
    let whole = fs::read(&demo_photos()[0]).expect("read");
    device.start();
    let journal = device.journal();
    let path = device.camera().join("growing.jpg");
    let mut file = fs::File::create(&path).expect("create");
    let steps = whole.chunks(1024).count();
    for (step, part) in whole.chunks(1024).enumerate() {
        file.write_all(part).expect("write");
        // Longer than the 50 ms of rest, so that the daemon sees every prefix.
        thread::sleep(Duration::from_millis(if step + 1 == steps { 0 } else { 150 }));
        if step + 1 < steps {
            assert_eq!(journal.captures().expect("a count"), 0, "no result from {step} KiB of {steps}");
        }
    }
    device.wait_for_captures(1);
    let events = device.events();
    assert_eq!((events.len(), &events[0]["data"]["image"]["bytes"]), (1, &Value::from(whole.len())));
}

#[test]
fn identity_is_the_content_not_the_name() {
    let mut device = Device::new(None);
    let photos = demo_photos();
    let reused = device.camera().join("DSC00001.JPG");
    fs::copy(&photos[0], &reused).expect("copy");
    device.start();
    device.wait_for_captures(1);
    fs::copy(&photos[1], &reused).expect("copy");
    device.wait_for_captures(2);
    let again = device.camera().join("copy.jpg");
    fs::copy(&photos[0], &again).expect("copy");
    let journal = device.journal();
    eventually("the copy is noted", || journal.file(&again).expect("a state").is_some());
    assert_eq!(journal.captures().expect("a count"), 2);
}

/// Number of copies of one photo, each with another moment of exposure.
const DROPPED: u32 = 1_000;

#[test]
fn a_thousand_photos_at_once_are_classified_in_the_order_of_capture_in_flat_memory() {
    let mut device = Device::new(None);
    let photo = fs::read(&demo_photos()[0]).expect("read");
    let card = tempfile::tempdir_in(device.camera().parent().expect("a parent")).expect("a folder");
    let dcim = card.path().join("DCIM");
    fs::create_dir(&dcim).expect("a folder");
    for number in 0..DROPPED {
        // Names and file times are in another order than the camera's clock.
        let second = number * 617 % DROPPED;
        fs::write(dcim.join(format!("{number:04}.jpg")), taken_at(&photo, 10 * second)).expect("write");
    }
    // One arena: how many the allocator makes depends on how the threads happen to meet.
    device.start_with(|daemon| {
        daemon.env("MALLOC_ARENA_MAX", "1");
    });
    device.journal();
    fs::rename(&dcim, device.camera().join("DCIM")).expect("rename");
    // Pages of mapped files come and go with the memory of the machine, so they do not count. SQLite's caches are full
    // after some 400 photos.
    wait_for(&device, (DROPPED / 2).into());
    let early = device.memory_kib("RssAnon");
    wait_for(&device, DROPPED.into());
    let late = device.memory_kib("RssAnon");
    assert!(late < early + 2560, "{early} KiB after {} photos, {late} KiB after {DROPPED}", DROPPED / 2);
    let events = device.events();
    assert_eq!(events.len(), DROPPED as usize);
    let taken: Vec<&str> =
        events.iter().map(|event| event["data"]["taken"]["at"].as_str().expect("a moment")).collect();
    assert!(taken.is_sorted_by(|a, b| a < b), "{taken:?}");
}

fn wait_for(device: &Device, captures: u64) {
    let (journal, deadline) = (device.journal(), Instant::now() + Duration::from_secs(600));
    while journal.captures().expect("a count") < captures {
        assert!(Instant::now() < deadline, "{captures} captures");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_frames_of_a_burst_name_their_representative() {
    let mut device = Device::new(None);
    let photos = demo_photos();
    let (shown, other) = (fs::read(&photos[0]).expect("read"), fs::read(&photos[1]).expect("read"));
    let frames = [(&shown, 0), (&shown, 1), (&shown, 2), (&shown, 3), (&other, 4)];
    for (number, (photo, second)) in frames.into_iter().enumerate() {
        fs::write(device.camera().join(format!("{number}.jpg")), taken_at(photo, second)).expect("write");
    }
    device.start();
    device.wait_for_captures(frames.len() as u64);
    let events = device.events();
    let first = &events[0]["subject"];
    let places: Vec<(bool, Option<u64>)> = events
        .iter()
        .map(|event| &event["data"]["burst"])
        .map(|burst| (burst["representative"] == *first, burst["frame"].as_u64()))
        .collect();
    // The default is two seconds. The fifth photo shows something else.
    let none = (false, None);
    assert_eq!(places, [none, (true, Some(2)), (true, Some(3)), none, none]);
}

#[test]
fn each_capture_has_a_small_upright_jpeg() {
    let mut device = Device::new(None).with_thumbnails();
    let photo = fs::read(&demo_photos()[0]).expect("read");
    let [width, height] = decode(&photo, &Limits::default()).expect("decodes").pixels;
    assert!(width > height, "a photo that is wider than high");
    for (name, orientation) in [("1.jpg", 1), ("2.jpg", 6)] {
        fs::write(device.camera().join(name), oriented(&photo, orientation)).expect("write");
    }
    device.start();
    device.wait_for_captures(2);
    let journal = device.journal();
    let thumbnails = waiting_of(&journal, EventClass::Thumbnail);
    let results = waiting_of(&journal, EventClass::Result);
    let of = |name: &str| {
        let is_its = |row: &&OutboxRow| json(row)["data"]["image"]["file"] == name;
        let result = results.iter().find(is_its).expect("a result");
        let topic = format!("capture/thumb/{}", result.event_id);
        thumbnails.iter().find(|row| row.topic == topic).expect("a thumbnail")
    };
    let shape = |name: &str| {
        let jpeg = &of(name).payload;
        assert!(jpeg.starts_with(b"\xff\xd8\xff") && jpeg.len() <= THUMBNAIL_BYTES_MAX, "{} bytes", jpeg.len());
        decode(jpeg, &Limits::default()).expect("decodes").pixels
    };
    let long_side = 320.min(width);
    let short_side = (f64::from(height * long_side) / f64::from(width)).round() as u32;
    assert_eq!(
        (thumbnails.len(), shape("1.jpg"), shape("2.jpg")),
        (2, [long_side, short_side], [short_side, long_side])
    );
}

fn json(row: &OutboxRow) -> Value {
    serde_json::from_slice(&row.payload).expect("JSON")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json_lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Writes a card with a good photo, a torn one and a hidden file.
fn write_card(dir: &Path, whole: &[u8]) {
    fs::create_dir_all(dir.join("DCIM/100MSDCF")).expect("folders");
    fs::write(dir.join("DCIM/100MSDCF/1.jpg"), whole).expect("write");
    fs::write(dir.join("DCIM/2-torn.jpg"), &whole[..whole.len() / 2]).expect("write");
    fs::write(dir.join("DCIM/._1.jpg"), b"made by a desktop").expect("write");
}

#[test]
fn a_card_is_imported_by_hand_once() {
    let mut device = Device::new(None);
    let photos = demo_photos();
    let card = tempfile::tempdir().expect("a folder");
    write_card(card.path(), &fs::read(&photos[0]).expect("read"));
    let path = card.path().to_str().expect("UTF-8");
    let single = photos[1].to_str().expect("UTF-8");
    let output = device.bridgeclip("ingest", &[path, single]);
    assert_eq!(exit_code(output.status), 1, "{}", text(&output));
    assert!(text(&output).contains("2 classified, 0 known already, 1 failed; 2 events"), "{}", text(&output));
    assert!(text(&output).contains("2-torn.jpg: truncated JPEG"), "{}", text(&output));
    // The second run reads only what failed.
    let lines = json_lines(&device.bridgeclip("ingest", &["--json", path]));
    let of = |name: &str| lines.iter().find(|line| line["file"].as_str().unwrap().ends_with(name)).expect("a line");
    assert_eq!((lines.len(), &of("1.jpg")["known"]), (2, &Value::from(true)));
    assert!(of("2-torn.jpg")["error"].as_str().is_some_and(|error| error.contains("truncated")));
    assert_eq!(device.journal().captures().expect("a count"), 2);
    let output = device.bridgeclip("ingest", &["no/such/card"]);
    assert!(exit_code(output.status) == 1 && text(&output).contains("no/such/card: no such file"), "{}", text(&output));
    device.start();
    eventually("the daemon runs", || text(&device.bridgeclip("status", &[])).contains("daemon    running"));
    // Beside the daemon an import goes on as well.
    fs::copy(&photos[2], card.path().join("DCIM/3.jpg")).expect("copy");
    let output = device.bridgeclip("ingest", &[path]);
    assert_eq!(exit_code(output.status), 1, "the torn photo still fails");
    assert!(text(&output).contains("1 classified, 1 known already, 1 failed"), "{}", text(&output));
    assert_eq!(device.journal().captures().expect("a count"), 3);
}

#[test]
fn an_import_that_is_stopped_goes_on_from_there() {
    let device = Device::new(None);
    let photo = fs::read(&demo_photos()[0]).expect("read");
    let card = tempfile::tempdir().expect("a folder");
    for number in 0..200 {
        fs::write(card.path().join(format!("{number}.jpg")), taken_at(&photo, number)).expect("write");
    }
    let path = card.path().to_str().expect("UTF-8");
    let import = device.spawn("ingest", &[path]);
    device.wait_for_captures(1);
    signal("INT", import.id());
    let output = import.wait_with_output().expect("an end");
    assert_eq!(exit_code(output.status), 130, "{}", text(&output));
    let before = device.journal().captures().expect("a count");
    assert!(text(&output).contains(&format!("stopped; {} files are left", 200 - before)), "{}", text(&output));
    let output = device.bridgeclip("ingest", &[path]);
    assert_eq!(exit_code(output.status), 0, "{}", text(&output));
    assert!(text(&output).contains(&format!("{before} known already, 0 failed; 200 events")), "{}", text(&output));
}

#[test]
fn failures_are_listed_and_tried_again_on_demand() {
    let mut device = Device::new(None);
    let photo = &demo_photos()[0];
    let output = device.bridgeclip("status", &[]);
    assert!(
        exit_code(output.status) == 1 && text(&output).contains("no device has worked here yet"),
        "{}",
        text(&output)
    );
    let torn = device.camera().join("torn.jpg");
    fs::write(&torn, b"\xff\xd8\xff\xe0\0\x10JFIF").expect("write");
    device.take(photo);
    device.start();
    device.wait_for_captures(1);
    let first = device.wait_for_failures(1).remove(0);
    let lines = json_lines(&device.bridgeclip("status", &["--failed", "--json"]));
    assert_eq!((lines.len(), &lines[0]["file"]), (1, &Value::from(torn.to_str().expect("UTF-8"))));
    assert!(lines[0]["reason"].as_str().is_some_and(|reason| reason.contains("truncated")), "{lines:?}");
    assert!(text(&device.bridgeclip("status", &["--failed"])).contains("torn.jpg: truncated"));
    let status = json_lines(&device.bridgeclip("status", &["--json"])).remove(0);
    assert_eq!((&status["captures"], &status["failed"]), (&Value::from(1), &Value::from(1)));
    assert_eq!((&status["daemon_running"], &status["queue_depth"]), (&Value::from(true), &Value::from(1)));
    assert!(status["queue_oldest_age_s"].as_i64().is_some_and(|age_s| (0..60).contains(&age_s)), "{status}");
    assert!(status["last_captures"][0]["verdict"].as_str().is_some_and(|line| line.starts_with("soundness ")));
    assert!(status["disk"]["free_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{status}");
    let output = device.bridgeclip("retry", &["no-such-folder"]);
    assert!(exit_code(output.status) == 1 && text(&output).contains("no failure is recorded"), "{}", text(&output));
    // `retry` names the folder. The daemon looks again at its next rescan and finds the file as broken as before.
    let output = device.bridgeclip("retry", &[device.camera().to_str().expect("UTF-8")]);
    assert_eq!(text(&output), "1 files will be tried again\n");
    let journal = device.journal();
    eventually("it failed again", || {
        journal.failures().expect("a list").iter().any(|again| again.noted_at > first.noted_at)
    });
    assert_eq!(text(&device.bridgeclip("retry", &["--all"])), "1 files will be tried again\n");
    assert_eq!(journal.captures().expect("a count"), 1);
}

#[test]
fn a_photo_that_the_drive_cannot_read_is_tried_again_and_never_recorded_as_failed() {
    let mut device = Device::new(None);
    let fault = device.camera().with_file_name("fault");
    fs::write(&fault, "").expect("written");
    device.take(&demo_photos()[0]);
    device.start_with(|command| {
        let (path, at, count) = (("FAULT_PATH", "/camera/"), ("FAULT_AT", "1"), ("FAULT_COUNT", "1000000"));
        command.env("LD_PRELOAD", io_library()).env("FAULT_READS", "1").env("FAULT_WHILE", &fault);
        command.envs([path, at, count]);
    });
    let unreadable = || device.api("GET", "/api/v1/status", &Value::Null)["unreadable"].clone();
    eventually("it is said", || unreadable()["files"] == 1);
    assert!(unreadable()["reason"].as_str().is_some_and(|reason| reason.contains("Input/output error")));
    let told = device.bridgeclip("status", &[]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("cannot be read at the moment"), "{told:?}");
    assert!(device.journal().failures().expect("a list").is_empty());
    let by_hand = device.camera().with_file_name("other.jpg");
    fs::copy(&demo_photos()[1], &by_hand).expect("copied");
    fs::remove_file(&fault).expect("the drive works again");
    device.wait_for_captures(1);
    eventually("nothing is left to say", || unreadable().is_null());
    assert!(device.journal().failures().expect("a list").is_empty());
}

#[test]
fn named_pipes_and_devices_are_refused_and_nothing_waits_for_them() {
    let device = Device::new(None);
    let pipe = device.camera().join("pipe.jpg");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let config = device.config();
    let [pipe, config] = [&pipe, &config].map(|path| path.to_str().expect("a plain path"));
    for args in [
        &["classify", "--package", crate::support::demo_package().to_str().expect("a plain path"), pipe][..],
        &["queue", "import", "--config", config, "--key", &"A".repeat(44), "--device", "a/b", pipe],
        &["reference", "import", "--csv", pipe, "--npy", pipe, "--package", "x"],
    ] {
        let begin = Instant::now();
        let output = bridgeclip(args);
        assert!(!output.status.success() && begin.elapsed() < Duration::from_secs(20), "{args:?}: {output:?}");
    }
}

/// Side of the picture that [`huge_png`] writes, in pixels.
const SIDE: u32 = 11_000;

/// Writes a picture whose pixels take half a gigabyte, in a file of half a megabyte.
fn huge_png(path: &Path, shade: u8) {
    let file = std::io::BufWriter::new(fs::File::create(path).expect("a file"));
    let pixels = vec![shade; 4 * SIDE as usize * SIDE as usize];
    let encoder = image::codecs::png::PngEncoder::new(file);
    image::ImageEncoder::write_image(encoder, &pixels, SIDE, SIDE, image::ExtendedColorType::Rgba8).expect("written");
}

/// Limits memory to less than the settings assume, as a service manager would.
#[needs(prlimit)]
#[test]
fn photos_that_end_the_program_are_recorded_and_the_others_are_classified() {
    let mut device = Device::new(None);
    let settings = fs::read_to_string(device.config()).expect("read");
    let settings = settings.replace("[intake]\n", "[intake]\nphoto_megapixels_max = 1000\n");
    fs::write(device.config(), settings.replace("[photo]\n", "[photo]\nmemory_megabytes_max = 100000\n"))
        .expect("written");
    for shade in 0..2 {
        huge_png(&device.camera().join(format!("0-poison-{shade}.png")), shade);
    }
    let good = &demo_photos()[..12];
    good.iter().for_each(|photo| device.take(photo));
    let mut starts = 0;
    let done = |device: &Device| {
        let Ok(journal) = Reader::open(&device.data_dir().join("device.db")) else { return false };
        journal.captures().is_ok_and(|count| count == 12) && journal.failures().is_ok_and(|list| list.len() == 2)
    };
    while !done(&device) {
        starts += 1;
        assert!(starts <= 1 + 3 * 2, "{starts} starts");
        device.start_limited(600_000_000);
        eventually("an end, or all is done", || device.has_ended() || done(&device));
        device.kill();
    }
    assert!(starts > 1, "no photo ended the program");
    for failure in device.journal().failures().expect("a list") {
        assert!(failure.reason.contains("ended 3 times"), "{}", failure.reason);
    }
}

/// What a file on a card holds.
#[derive(Clone, Copy)]
enum Holds {
    /// A photo of its own.
    Photo,
    /// A JPEG that a camera or a server has made for its own screens.
    Preview,
    /// Anything else.
    Other,
}

use Holds::{Other, Photo, Preview};

/// Writes the files of a card that are not there yet. Each JPEG on it differs from all others.
fn lay_out(dir: &Path, files: &[(&str, Holds)]) {
    let photo = fs::read(&demo_photos()[0]).expect("read");
    for (number, (file, holds)) in (0..).zip(files) {
        let path = dir.join(file);
        if path.exists() {
            continue;
        }
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        let bytes = match holds {
            Photo | Preview => taken_at(&photo, 60 * number),
            Other => format!("file {number}, no photo").into_bytes(),
        };
        fs::write(path, bytes).expect("write");
    }
}

fn photos_of(files: &[(&str, Holds)]) -> usize {
    files.iter().filter(|(_, holds)| matches!(holds, Photo)).count()
}

/// Who writes a card or folder, its files, and what is passed over on it.
type Card = (&'static str, &'static [(&'static str, Holds)], &'static str);

const CARDS: [Card; 6] = [
    (
        "DJI",
        &[
            ("DCIM/100MEDIA/DJI_0001.JPG", Photo),
            ("DCIM/100MEDIA/DJI_0002.JPG", Photo),
            ("DCIM/100MEDIA/DJI_0003.JPG", Photo),
            ("DCIM/100MEDIA/DJI_0004.LRF", Other),
            ("DCIM/100MEDIA/DJI_0004.MP4", Other),
            ("DCIM/100MEDIA/DJI_0004.SRT", Other),
            ("DCIM/100MEDIA/Timestamp.MRK", Other),
            ("DCIM/PANORAMA/100_0005/DJI_0001.JPG", Photo),
            ("MISC/IDX/LFLIST.DAT", Other),
            ("MISC/THM/100/DJI_0001.SCR", Preview),
            ("MISC/THM/100/DJI_0001.THM", Preview),
            ("MISC/THM/100/DJI_0002.SCR", Preview),
            ("MISC/THM/100/DJI_0002.THM", Preview),
        ],
        "4 thumbnails, 2 videos, 2 telemetry files, 1 system file",
    ),
    (
        "Sony",
        &[
            ("DCIM/100MSDCF/DSC00001.JPG", Photo),
            ("DCIM/100MSDCF/DSC00001.ARW", Other),
            ("AVF_INFO/AVIN0001.BNP", Other),
            ("PRIVATE/M4ROOT/CLIP/C0001.MP4", Other),
            ("PRIVATE/M4ROOT/CLIP/C0001M01.XML", Other),
            ("PRIVATE/M4ROOT/MEDIAPRO.XML", Other),
            ("PRIVATE/M4ROOT/THMBNL/C0001T01.JPG", Preview),
            ("private/m4root/thmbnl/c0002t01.jpg", Preview),
            ("PRIVATE/AVCHD/BDMV/STREAM/00000.MTS", Other),
            ("PRIVATE/AVCHD/BDMV/CLIPINF/00000.CPI", Other),
        ],
        "2 thumbnails, 2 videos, 1 sidecar file, 3 system files, 1 twin of a photo",
    ),
    (
        "GoPro",
        &[
            ("DCIM/100GOPRO/GOPR0001.JPG", Photo),
            ("DCIM/100GOPRO/GOPR0001.GPR", Other),
            ("DCIM/100GOPRO/GX010002.MP4", Other),
            ("DCIM/100GOPRO/GL010002.LRV", Other),
            ("DCIM/100GOPRO/GX010002.THM", Preview),
            ("DCIM/100GOPRO/GX010002.WAV", Other),
            ("MISC/version.txt", Other),
            ("Get_started_with_GoPro.url", Other),
        ],
        "1 thumbnail, 2 videos, 1 sound recording, 2 system files, 1 twin of a photo",
    ),
    (
        "Canon",
        &[
            ("DCIM/100CANON/IMG_0001.JPG", Photo),
            ("DCIM/100CANON/MVI_0002.THM", Preview),
            ("DCIM/CANONMSC/M0100.CTG", Other),
            ("MISC/AUTPRINT.MRK", Other),
        ],
        "1 thumbnail, 2 system files",
    ),
    (
        "iPhone",
        &[
            ("DCIM/100APPLE/IMG_0001.JPG", Photo),
            ("DCIM/100APPLE/IMG_0001.HEIC", Other),
            ("DCIM/100APPLE/IMG_0001.MOV", Other),
            ("DCIM/100APPLE/IMG_0001.AAE", Other),
            ("DCIM/100APPLE/IMG_0002.HEIC", Photo),
            ("DCIM/100APPLE/IMG_0002.DNG", Other),
        ],
        "1 video, 1 sidecar file, 2 twins of photos",
    ),
    (
        "a file server",
        &[
            ("bridges/1.jpg", Photo),
            ("bridges/without-a-kind", Photo),
            ("bridges/1.xmp", Other),
            ("bridges/@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg", Preview),
            ("#recycle/2.jpg", Preview),
            ("$RECYCLE.BIN/S-1-5/$R1.jpg", Preview),
            ("System Volume Information/IndexerVolumeGuid", Other),
            ("LOST.DIR/1", Preview),
            ("bridges/Thumbs.db", Other),
            ("bridges/desktop.ini", Other),
            ("bridges/.thumbnails/1.jpg", Preview),
            ("bridges/._1.jpg", Preview),
        ],
        "2 thumbnails, 1 sidecar file, 5 system files",
    ),
];

#[test]
fn what_lies_beside_the_photos_of_a_card_is_passed_over_and_no_failure() {
    for (maker, files, passed_over) in CARDS {
        let (device, card) = (Device::new(None), tempfile::tempdir().expect("a folder"));
        lay_out(card.path(), files);
        let path = card.path().to_str().expect("UTF-8");
        let output = device.bridgeclip("ingest", &[path]);
        assert_eq!(exit_code(output.status), 0, "{maker}: {}", text(&output));
        let photos = photos_of(files);
        let counts = format!("{photos} classified, 0 known already, 0 failed; {photos} events in the queue");
        let expected = format!("{counts}\npassed over: {passed_over}\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{maker}");
        assert!(device.journal().failures().expect("a list").is_empty(), "{maker}");
    }
}

#[test]
fn every_file_that_is_passed_over_is_named_with_its_kind_and_the_reason() {
    let (device, card) = (Device::new(None), tempfile::tempdir().expect("a folder"));
    let (_, files, _) = CARDS[0];
    lay_out(card.path(), files);
    let lines = json_lines(&device.bridgeclip("ingest", &["--json", card.path().to_str().expect("UTF-8")]));
    assert_eq!(lines.len(), files.len());
    for (file, holds) in files {
        let of_file = |line: &&Value| line["file"] == card.path().join(file).to_str().expect("UTF-8");
        let line = lines.iter().find(of_file).expect(file);
        assert_eq!(line["verdict"].is_object(), matches!(holds, Photo), "{line}");
        assert_eq!(line["passed_over"].is_object(), !matches!(holds, Photo), "{line}");
        assert!(line["error"].is_null() && line["known"] == false, "{line}");
    }
    let of = |name: &str| {
        let named = |line: &&Value| line["file"].as_str().expect("a path").ends_with(name);
        lines.iter().find(named).expect("a line")["passed_over"].clone()
    };
    let screen_nail = json!({"kind": "thumbnail", "reason": "a preview for the screen of a DJI camera"});
    assert_eq!(of("DJI_0001.SCR"), screen_nail);
    assert_eq!(of("DJI_0004.MP4"), json!({"kind": "video", "reason": "a video"}));
}

#[test]
fn a_folder_without_photos_is_no_failure_and_a_file_that_is_named_is_tried() {
    let (device, card) = (Device::new(None), tempfile::tempdir().expect("a folder"));
    let files = [("DCIM/1.MP4", Other), ("DCIM/1.THM", Preview), ("DCIM/1.SRT", Other), ("DCIM/2", Other)];
    lay_out(card.path(), &files[..3]);
    let ingest = |path: &Path| {
        let output = device.bridgeclip("ingest", &[path.to_str().expect("UTF-8")]);
        (exit_code(output.status), text(&output))
    };
    let (code, told) = ingest(card.path());
    let expected = "no photos found, 3 passed over: 1 thumbnail, 1 video, 1 telemetry file\n";
    assert!(code == 0 && told.starts_with(expected), "{told}");
    let (code, told) = ingest(&card.path().join("DCIM/1.THM"));
    assert!(code == 0 && told.starts_with("1 classified, 0 known already, 0 failed;"), "{told}");
    let (code, told) = ingest(&card.path().join("DCIM/1.MP4"));
    assert!(code == 1 && told.contains("0 classified, 0 known already, 1 failed;"), "{told}");
    lay_out(card.path(), &files);
    let (code, told) = ingest(card.path());
    assert!(code == 1 && told.contains("DCIM/2: not a photo"), "an unknown kind is tried: {told}");
}

#[test]
fn the_daemon_passes_over_what_lies_beside_photos_and_counts_it() {
    let mut device = Device::new(None);
    let (_, files, _) = CARDS[0];
    lay_out(&device.camera(), &files[..7]);
    // An earlier version has recorded a side file as failed.
    let video = device.camera().join("DCIM/100MEDIA/DJI_0004.MP4");
    assert_eq!(exit_code(device.bridgeclip("ingest", &[video.to_str().expect("UTF-8")]).status), 1);
    assert_eq!(device.journal().failures().expect("a list").len(), 1);
    device.start();
    device.wait_for_captures(3);
    let passed_over = || device.api("GET", "/api/v1/status", &Value::Null)["passed_over"].clone();
    eventually("the files are counted", || passed_over() == json!({"video": 2, "telemetry": 2}));
    let told = text(&device.bridgeclip("status", &[]));
    assert!(told.contains("beside    2 videos, 2 telemetry files (passed over)"), "{told}");
    // More of them arrive, named by notifications.
    lay_out(&device.camera(), files);
    device.wait_for_captures(4);
    let all = json!({"thumbnail": 4, "video": 2, "telemetry": 2, "system": 1});
    eventually("the new ones are counted", || passed_over() == all);
    let document: Value = serde_json::from_str(include_str!("../deploy/openapi.json")).expect("JSON");
    let described = &document["components"]["schemas"]["status"]["properties"]["passed_over"];
    assert_eq!(mismatches(&document, described, &all), [""; 0]);
    let journal = device.journal();
    assert_eq!((journal.captures().expect("a count"), journal.failures().expect("a list").len()), (4, 0));
}
