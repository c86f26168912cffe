//! Checks that nothing is lost by writes and syncs that fail, by a full drive, or by a process that is killed at any
//! moment.
//!
//! A test starts itself again as the device, under `faults/io.c`, which makes calls fail. BRIDGECLIP_KILLS=N sets how
//! often the device is killed.

use std::collections::{HashMap, HashSet};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bridgeclip::journal::{Journal, JournalError, OutboxRow, Params};
use bridgeclip_needs::needs;

use crate::support::results::{identity, journal_params, open_journal, photo, result, waiting};
use crate::support::{Device, Random, demo_photos, eventually};

const EIO: &str = "5";
const ENOSPC: &str = "28";
const EROFS: &str = "30";

/// Returns the library that makes calls fail.
pub fn io_library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("io.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/io.c");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).arg(source).arg("-ldl");
        let status = command.status().expect("no C compiler `cc`; install one (Debian: apt install build-essential)");
        assert!(status.success(), "cc cannot compile tests/faults/io.c");
        (dir, path)
    });
    path
}

/// Returns a command that runs this test program again, as the device that does `task` in `dir`.
fn device(task: &str, dir: &Path) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["--exact", "journal_faults::as_the_device", "--nocapture"]);
    command.env("BRIDGECLIP_TEST_TASK", task).env("BRIDGECLIP_TEST_DIR", dir).env_remove("RUST_LOG");
    command
}

fn with_faults<'a>(command: &'a mut Command, settings: &[(&str, &str)]) -> &'a mut Command {
    command.env("LD_PRELOAD", io_library()).env("FAULT_PATH", "device.db").envs(settings.iter().copied())
}

/// Does the work of the other process. In an ordinary run of the tests it does nothing.
#[test]
fn as_the_device() {
    let Ok(task) = env::var("BRIDGECLIP_TEST_TASK") else { return };
    let dir = PathBuf::from(env::var("BRIDGECLIP_TEST_DIR").expect("a folder"));
    match task.as_str() {
        "fifty" => record_fifty(&dir),
        "endless" => record_without_end(&dir),
        "full" => fill_the_drive(&dir),
        other => panic!("unknown task {other}"),
    }
}

/// Records a result, with the daemon's retries but shorter pauses. One photo may take at most ten seconds.
fn record_patiently(journal: &Journal, number: u64) {
    let begin = Instant::now();
    while let Err(error) = journal.record(&identity(), result(number)) {
        assert!(begin.elapsed() < Duration::from_secs(10), "photo {number}: {error}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn open_patiently(dir: &Path) -> (Journal, thread::JoinHandle<()>) {
    let begin = Instant::now();
    loop {
        match Journal::open(dir, journal_params(), |_| ()) {
            Ok(opened) => return opened,
            Err(error) => assert!(begin.elapsed() < Duration::from_secs(10), "{error}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Records fifty photos; the events of every third are delivered at once.
fn record_fifty(dir: &Path) {
    let (journal, thread) = open_patiently(dir);
    for number in 0..50 {
        record_patiently(&journal, number);
        if number % 3 == 2 {
            let reader = journal.reader().expect("a reader");
            let last = waiting(&reader).pop().expect("the event");
            // Acknowledged events that cannot be deleted now are sent again.
            let _ = journal.delivered(vec![last.id]);
        }
    }
    drop(journal);
    thread.join().expect("no panic");
}

fn succeeded(output: &Output, what: &str) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {text}");
}

/// Checks that all fifty photos are known, and that every event waits that may not have been delivered.
fn expect_fifty(dir: &Path, what: &str) {
    let journal = open_journal(dir);
    let reader = journal.reader().expect("a reader");
    assert_eq!(reader.captures().expect("a count"), 50, "{what}");
    let rows = waiting(&reader);
    let distinct: HashSet<&str> = rows.iter().map(|row| row.event_id.as_str()).collect();
    assert_eq!(distinct.len(), rows.len(), "{what}: an id twice");
    let waiting: HashMap<String, &OutboxRow> = rows.iter().map(|row| (subject(row), row)).collect();
    for number in (0..50).filter(|number| number % 3 != 2) {
        assert!(waiting.contains_key(&photo(number).to_string()), "{what}: the event of photo {number} is lost");
    }
    let losses = reader.losses().expect("losses");
    assert_eq!((losses.files_quarantined, losses.sequences_skipped), (0, 0), "{what}: taken for damage");
}

fn subject(row: &OutboxRow) -> String {
    event(row)["subject"].as_str().expect("a hash").to_owned()
}

fn event(row: &OutboxRow) -> serde_json::Value {
    serde_json::from_slice(&row.payload).expect("JSON")
}

/// Returns a folder in memory where there is one, because thousands of runs would wear out a drive.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

/// Records fifty photos and returns how many calls were made, and how many of them failed.
fn fifty_with(dir: &Path, settings: &[(&str, &str)], what: &str) -> (u64, u64) {
    let log = dir.join("calls");
    let settings = [&[("FAULT_LOG", log.to_str().expect("text"))], settings].concat();
    let output = with_faults(&mut device("fifty", dir), &settings).output().expect("this program");
    succeeded(&output, what);
    expect_fifty(dir, what);
    let text = fs::read_to_string(&log).expect("two numbers");
    let (calls, failed) = text.trim().split_once(' ').expect("two numbers");
    (calls.parse().expect("a number"), failed.parse().expect("a number"))
}

fn each_call_fails_once(errno: &str) {
    let (calls, failed) = fifty_with(scratch().path(), &[], "no fault");
    assert!(calls > 500 && failed == 0, "{calls} calls, {failed} of them failed");
    let next = AtomicU64::new(1);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let call = next.fetch_add(1, Ordering::Relaxed);
                    if call > calls {
                        return;
                    }
                    one_call_fails(call, errno);
                }
            });
        }
    });
}

fn one_call_fails(call: u64, errno: &str) {
    let (number, what) = (call.to_string(), format!("call {call} fails with {errno}"));
    let settings = [("FAULT_AT", number.as_str()), ("FAULT_ERRNO", errno)];
    let (_, failed) = fifty_with(scratch().path(), &settings, &what);
    assert_eq!(failed, 1, "{what}");
}

#[test]
fn every_write_and_sync_that_fails_once_with_an_io_error_costs_nothing() {
    each_call_fails_once(EIO);
}

#[test]
fn every_write_and_sync_that_finds_the_drive_full_once_costs_nothing() {
    each_call_fails_once(ENOSPC);
}

#[test]
fn every_write_and_sync_that_finds_a_read_only_drive_once_costs_nothing() {
    each_call_fails_once(EROFS);
}

/// Runs on a small file system of its own.
#[needs(namespaces)]
#[test]
fn a_full_drive_refuses_photos_loses_nothing_and_goes_on_when_there_is_room() {
    let dir = scratch();
    let inner = device("full", dir.path());
    let mut command = Command::new("unshare");
    let mount = "mount -t tmpfs -o size=12m none \"$0\" && exec \"$@\"";
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", mount]).arg(dir.path());
    command.arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    succeeded(&command.output().expect("unshare (Debian package util-linux)"), "a full drive");
}

fn fill_the_drive(dir: &Path) {
    let (journal, thread) = open_patiently(dir);
    (0..20).for_each(|number| record_patiently(&journal, number));
    let ballast = dir.join("ballast");
    let mut file = fs::File::create(&ballast).expect("a file");
    while file.write_all(&[7; 4096]).is_ok() {}
    let mut accepted = 20;
    let refusal = loop {
        match journal.record(&identity(), result(accepted)) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, JournalError::Full(_)), "refused in so many words: {refusal}");
    assert!(!dir.join("reserve").exists(), "the reserve is in use");
    let reader = journal.reader().expect("a reader");
    let rows = waiting(&reader);
    assert_eq!(rows.len() as u64, accepted);
    journal.delivered(vec![rows[0].id]).expect("deletions go on");
    thread::sleep(Duration::from_millis(100));
    assert!(journal.admit().is_err(), "still full");
    assert!(reader.full().expect("an answer").is_some_and(|reason| reason.contains("reserve")));
    fs::remove_file(&ballast).expect("removed");
    drop(file);
    let begin = Instant::now();
    record_patiently(&journal, accepted);
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(dir.join("reserve").exists(), "the reserve is there again");
    assert_eq!(waiting(&reader).len() as u64, accepted);
    assert_eq!(reader.losses().expect("losses").times_full, 1);
    drop((reader, journal));
    thread.join().expect("no panic");
    let journal = open_journal(dir);
    assert_eq!(journal.reader().expect("a reader").captures().expect("a count"), accepted + 1);
}

/// Records photos until it is killed, and prints each one whose result is durable, which the caller may then forget.
fn record_without_end(dir: &Path) {
    let begin = Instant::now();
    let (journal, _) = Journal::open(dir, Params { reserve_bytes: 1 << 20, ..journal_params() }, |_| ()).expect("open");
    let reader = journal.reader().expect("a reader");
    let first = reader.captures().expect("a count");
    println!("ready {}", begin.elapsed().as_millis());
    for number in first.. {
        journal.record(&identity(), result(number)).expect("stored");
        println!("accepted {number}");
    }
}

#[test]
fn a_device_that_is_killed_at_random_moments_loses_nothing() {
    let kills: u64 = env::var("BRIDGECLIP_KILLS").map_or(40, |kills| kills.parse().expect("a number"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut random = Random::new(kills);
    let mut accepted = HashSet::new();
    for _ in 0..kills {
        let mut command = device("endless", dir.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("this program");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // Kills the device during the start, the first commits, or a checkpoint.
        let patience = Duration::from_micros(random.below(400_000));
        let killer = thread::spawn(move || kill_after(child, patience));
        for line in lines.map_while(Result::ok) {
            match line.split_once(' ') {
                Some(("accepted", number)) => drop(accepted.insert(number.parse::<u64>().expect("a number"))),
                Some(("ready", ms)) => assert!(ms.parse::<u64>().expect("a number") <= 2_000, "ready after {ms} ms"),
                _ => (),
            }
        }
        killer.join().expect("no panic");
    }
    expect_accepted(dir.path(), &accepted);
}

fn kill_after(mut child: Child, patience: Duration) {
    thread::sleep(patience);
    child.kill().expect("a process to kill");
    child.wait().expect("an end");
}

fn expect_accepted(dir: &Path, accepted: &HashSet<u64>) {
    assert!(accepted.len() > 20, "only {} photos were accepted", accepted.len());
    let journal = open_journal(dir);
    let rows = waiting(&journal.reader().expect("a reader"));
    let photos: HashSet<String> = rows.iter().map(subject).collect();
    let ids: HashSet<&str> = rows.iter().map(|row| row.event_id.as_str()).collect();
    assert_eq!((photos.len(), ids.len()), (rows.len(), rows.len()), "one event for each photo");
    let lost: Vec<_> = accepted.iter().filter(|&&number| !photos.contains(&photo(number).to_string())).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let mut sequences: Vec<i64> =
        rows.iter().map(|row| event(row)["data"]["sequence"].as_i64().expect("one")).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=rows.len() as i64).collect::<Vec<_>>(), "no gap");
}

/// Lets all writes of the database fail under the daemon.
#[test]
fn a_daemon_goes_on_by_itself_when_its_drive_works_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let broken = dir.path().join("broken");
    let name = broken.to_str().expect("text");
    for (errno, photos) in [(EIO, 0..2), (EROFS, 2..4)] {
        let mut daemon = Device::new(None);
        let always = [("FAULT_AT", "1"), ("FAULT_COUNT", "1000000000"), ("FAULT_ERRNO", errno), ("FAULT_WHILE", name)];
        daemon.start_with(|command| {
            with_faults(command, &always);
        });
        daemon.journal();
        fs::write(&broken, "").expect("write");
        let photos = &demo_photos()[photos];
        photos.iter().for_each(|photo| daemon.take(photo));
        thread::sleep(Duration::from_secs(2));
        assert_eq!(daemon.journal().captures().expect("a count"), 0, "{errno}");
        fs::remove_file(&broken).expect("removed");
        let begin = Instant::now();
        daemon.wait_for_captures(2);
        assert!(begin.elapsed() < Duration::from_secs(10), "{errno}: after {:?}", begin.elapsed());
        eventually("both events wait", || daemon.journal().outbox_depth().expect("a depth").total() == 2);
    }
}
