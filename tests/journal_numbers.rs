//! What the journal costs: bytes written for a photo, and time and memory with a million events.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bridgeclip::journal::{EventClass, FILE_NAME, Journal, Params, Reader};

use crate::support::results::{identity, journal_params, photo, record_all, result, waiting_of};

/// Bytes that this process has caused to be written to drives.
fn written() -> u64 {
    let text = fs::read_to_string("/proc/self/io").expect("Linux tells it");
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("a number");
    line.parse().expect("a number")
}

/// Memory that this process holds.
fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a number");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// In the build folder: what is written to the memory's file system is not counted.
fn on_a_drive() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder")
}

/// Bytes for each of 200 photos, from an empty database to a closed one. If they are delivered, then one by one, as when
/// the link stands and photos come slowly.
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

/// Puts events in from many threads, which share commits.
fn fill(dir: &Path, from: u64, to: u64) {
    let (journal, thread) = Journal::open(dir, large_quota(), |_| ()).expect("a journal");
    record_all(&journal, from..to);
    drop(journal);
    thread.join().expect("no panic");
}

fn large_quota() -> Params {
    Params { quota_bytes: u64::MAX / 2, ..journal_params() }
}

/// Time of one result after the other, in microseconds: median of 200.
fn record_us(journal: &Journal, from: u64) -> u128 {
    let once = |number| {
        let result = result(number);
        let begin = Instant::now();
        journal.record(&identity(), result).expect("stored");
        begin.elapsed().as_micros()
    };
    let mut times: Vec<u128> = (from..from + 200).map(once).collect();
    times.sort_unstable();
    times[100]
}

struct Measured {
    start_ms: u128,
    more_bytes: u64,
    record_us: u128,
}

fn measure(dir: &Path, count: u64) -> Measured {
    let before = resident_bytes();
    let begin = Instant::now();
    let (journal, thread) = Journal::open(dir, large_quota(), |_| ()).expect("a journal");
    let reader = journal.reader().expect("a reader");
    assert_eq!(reader.outbox_depth().expect("a depth").total(), count);
    reader.outbox(EventClass::Result, 0, 64).expect("rows");
    reader.is_known(&photo(0)).expect("an answer");
    let start_ms = begin.elapsed().as_millis();
    let record_us = record_us(&journal, count);
    let more_bytes = resident_bytes().saturating_sub(before);
    drop((reader, journal));
    thread.join().expect("no panic");
    Measured { start_ms, more_bytes, record_us }
}

#[test]
#[ignore = "writes 5 GB and takes minutes; BRIDGECLIP_EVENTS sets another number of events"]
fn a_million_events() {
    let count = std::env::var("BRIDGECLIP_EVENTS").map_or(1_000_000, |count| count.parse().expect("a number"));
    let dir = on_a_drive();
    fill(dir.path(), 0, 1_000);
    let few = measure(dir.path(), 1_000);
    let begin = Instant::now();
    fill(dir.path(), 1_200, count);
    println!(
        "filled in {:?}, {} MB",
        begin.elapsed(),
        fs::metadata(dir.path().join(FILE_NAME)).expect("it").len() >> 20
    );
    let many = measure(dir.path(), count);
    for (count, Measured { start_ms, more_bytes, record_us }) in [(1_000, &few), (count, &many)] {
        println!("{count} events: start {start_ms} ms, {} KB more memory, a result {record_us} us", more_bytes >> 10);
    }
    let begin = Instant::now();
    let reader = Reader::open(&dir.path().join(FILE_NAME)).expect("a reader");
    let read = waiting_of(&reader, EventClass::Result).len();
    println!("{read} events read in {:?}", begin.elapsed());
    assert!(many.start_ms <= 1_000 && many.more_bytes <= 30_000_000);
    assert!(many.record_us <= few.record_us * 3 / 2, "enqueueing became slower");
}
