//! Measures what the journal costs: bytes written per photo, and time and memory with a million events.

use std::fs;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bridgeclip::journal::{EventClass, FILE_NAME, Journal, Params, Reader};

use crate::support::results::{identity, journal_params, photo, record_all, result, waiting_of};

/// Returns the bytes that this process has caused to be written to drives.
fn written() -> u64 {
    let text = fs::read_to_string("/proc/self/io").expect("Linux tells it");
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("a number");
    line.parse().expect("a number")
}

/// Returns this process's resident memory in bytes.
fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a number");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Returns a folder in the build folder, because writes to a file system in memory are not counted.
fn on_a_drive() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder")
}

/// Returns the bytes written for each of 200 photos, from an empty database to a closed one. Delivered photos are
/// delivered one by one, as when the link is up and photos arrive slowly.
fn bytes_per_photo(delivered: bool) -> u64 {
    let dir = on_a_drive();
    let params = Params { group_window: Duration::from_millis(100), ..journal_params() };
    let (journal, thread) = Journal::open(dir.path(), params, |_| ()).expect("a journal");
    let reader = journal.reader().expect("a reader");
    let begin = written();
    let mut after = 0;
    for number in 0..200 {
        journal.record(&identity(), result(number)).expect("stored");
        if delivered {
            let row = reader.outbox(EventClass::Result, after, 1).expect("rows").pop().expect("the event");
            after = row.id;
            journal.delivered(vec![row.id]).expect("deleted");
        }
    }
    drop((reader, journal));
    thread.join().expect("no panic");
    (written() - begin) / 200
}

#[test]
#[ignore = "measures the whole process: run it alone"]
fn bytes_written_for_a_photo() {
    let (offline, live) = (bytes_per_photo(false), bytes_per_photo(true));
    println!("bytes written for a photo: {offline} while offline, {live} with a deletion of its own");
    assert!(offline > 0, "the build folder is on a drive whose writes are not counted");
    assert!(offline.max(live) <= 40 * 1024, "{offline} {live}");
}

/// Stores events from many threads, which share commits.
fn fill(dir: &Path, from: u64, to: u64) {
    let (journal, thread) = Journal::open(dir, large_quota(), |_| ()).expect("a journal");
    record_all(&journal, from..to);
    drop(journal);
    thread.join().expect("no panic");
}

fn large_quota() -> Params {
    Params { quota_bytes: u64::MAX / 2, ..journal_params() }
}

/// Returns the time to store one result, in microseconds.
fn record_us(journal: &Journal, number: u64) -> u128 {
    let result = result(number);
    let begin = Instant::now();
    journal.record(&identity(), result).expect("stored");
    begin.elapsed().as_micros()
}

/// Returns the median time to store a result, for each of two journals. They take turns, because the drive's speed
/// changes from second to second, and each is the first of a pair equally often.
fn record_in_turns(journals: [&Journal; 2], from: u64) -> [u128; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for number in from..from + RESULTS {
        for turn in 0..2 {
            let which = (turn + number as usize) % 2;
            times[which].push(record_us(journals[which], number));
        }
    }
    times.map(median)
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Number of results stored in each journal in a round.
const RESULTS: u64 = 500;
/// Number of rounds. The first one still suffers from the gigabytes that were written just before.
const ROUNDS: u64 = 7;

/// Waits for the check of a large file, which runs beside the work and takes its share of the drive.
fn wait_for_the_check() {
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    let goes_on =
        || fs::read_dir("/proc/self/task").expect("tasks").flatten().any(|task| name(task).trim() == "journal-check");
    while goes_on() {
        std::thread::sleep(Duration::from_millis(100));
    }
}

struct Opened {
    journal: Journal,
    thread: JoinHandle<()>,
    start_ms: u128,
    more_bytes: u64,
}

/// Opens a journal and does what precedes the first photo.
fn open(dir: &Path, count: u64) -> Opened {
    let before = resident_bytes();
    let begin = Instant::now();
    let (journal, thread) = Journal::open(dir, large_quota(), |_| ()).expect("a journal");
    let reader = journal.reader().expect("a reader");
    assert_eq!(reader.outbox_depth().expect("a depth").total(), count);
    reader.outbox(EventClass::Result, 0, 64).expect("rows");
    reader.is_known(&photo(0)).expect("an answer");
    let start_ms = begin.elapsed().as_millis();
    Opened { journal, thread, start_ms, more_bytes: resident_bytes().saturating_sub(before) }
}

/// Opens both journals, waits for the check, and stores results in turn. Returns the time of the second journal in
/// percent of the first one's.
fn round(dirs: [&Path; 2], counts: [u64; 2], from: u64) -> u128 {
    let opened: [Opened; 2] = std::array::from_fn(|index| open(dirs[index], counts[index]));
    let before = resident_bytes();
    wait_for_the_check();
    let times = record_in_turns([&opened[0].journal, &opened[1].journal], from);
    let grown = resident_bytes().saturating_sub(before);
    for ((count, Opened { journal, thread, start_ms, more_bytes }), time) in counts.iter().zip(opened).zip(times) {
        println!("{count} events: start {start_ms} ms, {} KB more memory, a result {time} us", more_bytes >> 10);
        drop(journal);
        thread.join().expect("no panic");
        assert!(start_ms <= 1_000 && more_bytes + grown <= 30_000_000, "{grown} bytes after the results");
    }
    times[1] * 100 / times[0]
}

#[test]
#[ignore = "writes 5 GB and takes minutes; BRIDGECLIP_EVENTS sets another number of events"]
fn a_million_events() {
    let many = std::env::var("BRIDGECLIP_EVENTS").map_or(1_000_000, |count| count.parse().expect("a number"));
    let counts = [1_000, many];
    let dirs = counts.map(|count| {
        let dir = on_a_drive();
        fill(dir.path(), 0, count);
        dir
    });
    let paths = [dirs[0].path(), dirs[1].path()];
    let first = |number| many + number * RESULTS;
    let percent = |number| round(paths, counts.map(|count| count + number * RESULTS), first(number));
    let percent = median((0..ROUNDS).map(percent).collect());
    println!("with {many} events a result takes {percent} % of the time with 1,000");
    assert!(percent <= 120, "enqueueing became slower");
    let reader = Reader::open(&paths[1].join(FILE_NAME)).expect("a reader");
    assert_eq!(waiting_of(&reader, EventClass::Result).len() as u64, first(ROUNDS));
}
